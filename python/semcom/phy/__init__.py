# SPDX-License-Identifier: GPL-3.0-or-later
"""The physical layer: coding, mapping, channels, soft information, bounds; numpy and a C++ kernel, no GNU Radio."""

from . import bounds
from .ldpc import LDPC5G
from .modulation import Modulation

__all__ = ["LDPC5G", "Modulation", "bounds"]

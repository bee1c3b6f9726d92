# SPDX-License-Identifier: GPL-3.0-or-later
"""The physical layer: coding, mapping, channels, soft information, bounds; numpy and C++ kernels, no GNU Radio."""

from . import bounds
from .ldpc import LDPC5G
from .modulation import Modulation
from .polar import Polar

__all__ = ["LDPC5G", "Modulation", "Polar", "bounds"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""VQ-DeepSC: pictures as indices of codebooks that both ends have."""

from .presets import PRESETS
from .system import SYSTEM

__all__ = ["PRESETS", "SYSTEM"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech to text with redundancy removal: attention decides what is worth sending."""

from .system import SYSTEM

PRESETS = ("small", "paper")

__all__ = ["PRESETS", "SYSTEM"]

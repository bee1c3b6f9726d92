# SPDX-License-Identifier: GPL-3.0-or-later
"""SE-DeepSC, a rival of speech to text with redundancy removal: its semantic encoder, then a text transformer."""

from .system import SYSTEM

__all__ = ["SYSTEM"]

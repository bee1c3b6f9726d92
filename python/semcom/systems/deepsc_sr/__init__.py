# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepSC-SR, a rival of speech to text with redundancy removal: every frame of the recogniser is sent."""

from .system import SYSTEM

__all__ = ["SYSTEM"]

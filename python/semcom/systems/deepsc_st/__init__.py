# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepSC-ST: speech to token probabilities to channel symbols, and text at the receiver."""

from .system import SYSTEM

PRESETS = ("small", "paper", "tacotron2")

__all__ = ["PRESETS", "SYSTEM"]

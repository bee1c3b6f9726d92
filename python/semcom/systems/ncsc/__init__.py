# SPDX-License-Identifier: GPL-3.0-or-later
"""NCSC: neural image compression whose stream travels over LDPC and QAM."""

from .system import SYSTEM

PRESETS = ("small", "paper", "paper-192")
"""Networks that `semcom train` makes; the codec runs `small`, the others are the paper's with 128 and 192 channels."""

__all__ = ["PRESETS", "SYSTEM"]

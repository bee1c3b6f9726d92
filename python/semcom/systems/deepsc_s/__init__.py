# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepSC-S: speech as analog channel symbols, without a text and without a channel code."""

from .system import SYSTEM

__all__ = ["SYSTEM"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""An analog style system in the spirit of SC-HEST: words and the way they are said as analog symbols."""

from .system import SYSTEM

__all__ = ["SYSTEM"]

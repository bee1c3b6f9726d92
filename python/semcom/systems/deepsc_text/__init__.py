# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepSC: text as analog symbols of a transformer."""

from .system import SYSTEM

__all__ = ["SYSTEM"]

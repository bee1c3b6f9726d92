# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of the attention encoder with no channel behind it: what no channel can improve."""

from .system import SYSTEM

__all__ = ["SYSTEM"]

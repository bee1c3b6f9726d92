# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a system, a PHY and a channel together."""

from .link import Link

__all__ = ["Link"]

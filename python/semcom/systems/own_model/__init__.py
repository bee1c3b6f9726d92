# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody's own model, described by a card instead of code."""

from .card import Card, read_card, shipped_card
from .system import OwnModel, from_card

__all__ = ["Card", "OwnModel", "from_card", "read_card", "shipped_card"]

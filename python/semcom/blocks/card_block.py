# SPDX-License-Identifier: GPL-3.0-or-later
"""What the two ends of a user's own model have in common."""

from __future__ import annotations

from ..systems import registry
from ..systems.own_model import shipped_card
from .stage_block import StageBlock

ITEM_OF = {"speech": "float"}  # every other kind of message is bytes


class CardBlock(StageBlock):
    """A stage whose system is a card."""

    @staticmethod
    def checked(card: str, payload: str, item_type: str) -> str:
        """The path of the card; ValueError unless it is right and has that payload and type of message."""
        path = card or str(shipped_card())
        if not path.endswith(registry.CARDS):
            raise ValueError(f"card must be a file that ends in {' or '.join(registry.CARDS)}, not {path!r}")
        found = registry.get(path)
        if payload != found.payload:
            raise ValueError(f"{path}: payload is {found.payload}, not {payload}: set the block's payload so")
        if item_type != ITEM_OF.get(found.kind, "byte"):
            raise ValueError(f"{path}: a {found.kind} does not travel as {item_type} items: set the block's item_type")
        return path

    @classmethod
    def knows(cls, card: str, payload: str, item_type: str) -> bool:
        """Whether there is such a card, right in itself; for Companion: a wrong one turns red. Reads no model file."""
        try:
            cls.checked(card, payload, item_type)
        except ValueError:
            return False
        return True

    def set_card(self, card: str) -> None:
        """Change the card; its payload and item type must be as before."""
        self.set_parameter("system", card or str(shipped_card()))

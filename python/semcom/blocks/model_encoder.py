# SPDX-License-Identifier: GPL-3.0-or-later
"""A message to its payload, by a model of the user's own."""

from __future__ import annotations

from ..systems.stages import Encoder
from .card_block import CardBlock


class model_encoder(CardBlock):
    """Encodes each message with the encoder of a card (docs/own_model.md) to bits, uint8 of 0 and 1, or symbols,
    complex64.

    `card` is the path of a card, empty for the example that comes with the module. `payload` must be the card's own,
    and `item_type` that of its messages: byte for pictures and text, float for speech. They decide the ports.
    `esn0_db` is what a model that takes the Es/N0 is told.
    """

    def __init__(
        self,
        card: str = "",
        payload: str = "symbols",
        item_type: str = "byte",
        device: str = "auto",
        esn0_db: float | None = None,
    ) -> None:
        path = self.checked(card, payload, item_type)
        super().__init__(Encoder(system=path, device=device, esn0_db=esn0_db), type(self).__name__)

    def set_esn0_db(self, esn0_db: float) -> None:
        """Change the Es/N0 in dB that the model takes the channel to have."""
        self.set_parameter("esn0_db", esn0_db)

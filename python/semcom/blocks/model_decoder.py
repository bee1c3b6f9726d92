# SPDX-License-Identifier: GPL-3.0-or-later
"""A payload to the message, by a model of the user's own."""

from __future__ import annotations

from ..systems.stages import Decoder
from .card_block import CardBlock


class model_decoder(CardBlock):
    """Decodes bits, uint8 of 0 and 1, or symbols, complex64, with their noise variances, float32, with the decoder of a
    card (docs/own_model.md).

    Parameters as in `model_encoder`. One message comes out for each that came in, whatever the channel did; only a
    model that gives NaN or another shape than its card says stops the flowgraph.
    """

    def __init__(self, card: str = "", payload: str = "symbols", item_type: str = "byte", device: str = "auto") -> None:
        path = self.checked(card, payload, item_type)
        super().__init__(Decoder(system=path, device=device), type(self).__name__)

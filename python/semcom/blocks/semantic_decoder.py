# SPDX-License-Identifier: GPL-3.0-or-later
"""A payload to the message."""

from __future__ import annotations

from ..systems.stages import Decoder
from .system_block import SystemBlock


class semantic_decoder(SystemBlock):
    """Decodes bits, uint8 of 0 and 1, or symbols, complex64, with their noise variances, float32, or all three.

    What is missing is concealed. One message comes out for each that came in; `delivered` in its meta tells whether
    nothing failed.
    """

    kind_of = "delivered_kind"

    def __init__(
        self, system: str = "ncsc", model: str = "", device: str = "auto", payload: str = "", kind: str = ""
    ) -> None:
        self.check_payload(system, payload)
        self.check_kind(system, kind)
        super().__init__(Decoder(system=system, model=model, device=device), type(self).__name__)

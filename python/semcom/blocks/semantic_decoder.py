# SPDX-License-Identifier: GPL-3.0-or-later
"""Bits to the message."""

from __future__ import annotations

from ..systems.stages import Decoder
from .system_block import SystemBlock


class semantic_decoder(SystemBlock):
    """Decodes bits, uint8 of 0 and 1, to a message, uint8, and conceals what is missing.

    One message comes out for each that came in; `delivered` in its meta tells whether nothing failed.
    """

    def __init__(self, system: str = "ncsc", model: str = "", device: str = "auto") -> None:
        super().__init__(Decoder(system=system, model=model, device=device), type(self).__name__)

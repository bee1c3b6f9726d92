# SPDX-License-Identifier: GPL-3.0-or-later
"""The bits of a classic codec to the picture."""

from __future__ import annotations

from .semantic_decoder import semantic_decoder


class source_decoder(semantic_decoder):
    """Decodes bits, uint8 of 0 and 1, with a classic codec, for example "webp", to a picture, uint8."""

    def __init__(self, system: str = "webp", model: str = "") -> None:
        super().__init__(system, model)

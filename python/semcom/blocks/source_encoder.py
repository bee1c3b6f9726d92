# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture to the bits of a classic codec."""

from __future__ import annotations

from .semantic_encoder import semantic_encoder


class source_encoder(semantic_encoder):
    """Encodes each picture with a classic codec, for example "webp", to bits; limits as in `semantic_encoder`."""

    def __init__(
        self,
        system: str = "webp",
        model: str = "",
        max_bits: int = 0,
        max_bpp: float = 0.0,
        airtime: int = 0,
        mcs: str = "16qam-1/3",
        quality: int = -1,
    ) -> None:
        super().__init__(system, model, max_bits, max_bpp, airtime, mcs, quality)

# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepJSCC as a system of the registry. Nothing heavy is imported until a picture comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...message import Message, Meta, Payload, Received
from ...zoo import available
from ..base import Request, System
from .geometry import PLANES, symbol_count

if TYPE_CHECKING:
    from .codec import Codec

DEFAULT_QUALITY = 0
DEFAULT_ESN0_DB = 10.0  # what the transmitter takes the channel to be where nobody tells it
GREY = 128


class DeepJscc(System):
    """Pictures as analog symbols: no source code, no channel code, no cliff. Quality 0 is the bandwidth ratio 1/12,
    quality 1 is 1/6 (complex symbols over the values of the picture)."""

    name = "deepjscc"
    title = "neural joint source-channel coding, analog symbols (DeepJSCC)"
    kind = "image"
    payload = "symbols"
    snr_aware = True

    def models(self) -> list[str]:
        """Trained variants that are installed, `standard` first."""
        return sorted(available(self.name), key=lambda name: (name != "standard", name))

    def check(self, request: Request) -> None:
        """Also refuses a quality other than 0 and 1, a limit in bits and an installation without models."""
        super().check(request)
        if not self.models():
            raise ValueError("no deepjscc model is installed: expected models/deepjscc/<variant>/card.yml")
        if request.quality is not None and not 0 <= request.quality < len(PLANES):
            raise ValueError(f"quality of deepjscc must be 0 (ratio 1/12) or 1 (ratio 1/6), not {request.quality}")
        if request.max_bits is not None and request.max_symbols is None:
            raise ValueError("deepjscc sends symbols, no bits: limit it in symbols (airtime), not in bits")

    def prepare(self, request: Request) -> None:
        """Verify and load the model."""
        self._codec(request.model, request.device)

    def provider(self, model: str = "", device: str = "auto") -> str | None:
        """Where the networks ran."""
        return self._codec(model, device).model.provider

    def encode(self, message: Message, request: Request) -> Payload | None:
        """Symbols at the request's quality; with `max_symbols`, at the highest quality that fits (up to the one asked
        for), or None."""
        height, width = message.data.shape[:2]
        quality = request.quality
        if request.max_symbols is not None:
            highest = len(PLANES) - 1 if quality is None else quality
            fitting = [q for q in range(highest + 1) if symbol_count(height, width, q) <= request.max_symbols]
            if not fitting:
                return None
            quality = fitting[-1]
        quality = DEFAULT_QUALITY if quality is None else quality
        esn0_db = DEFAULT_ESN0_DB if request.esn0_db is None else request.esn0_db
        return Payload(symbols=self._codec(request.model, request.device).encode(message.data, quality, esn0_db))

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The picture; mid-grey where the burst has not the length of any quality."""
        height, width = meta["shape"][:2]
        picture = self._codec(model, device).decode(received.symbols, received.noise_var, height, width)
        if picture is None:
            return Message("image", np.full((height, width, 3), GREY, np.uint8)), 1
        return Message("image", picture), 0

    def _codec(self, model: str, device: str) -> Codec:
        from .codec import codec

        return codec(model or self.models()[0], device)


SYSTEM = DeepJscc()

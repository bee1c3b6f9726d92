# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepSC as a system of the registry: text in, text out."""

from __future__ import annotations

from ...message import Message, Meta, Payload, Received, message_text, text_message
from ...text.alphabet import normalise
from ...text.deepsc import SYMBOLS, text_codec, variants
from ..base import Request, System


class DeepScText(System):
    """Normalised text, 8 complex symbols a character, no channel code."""

    name = "deepsc_text"
    title = "text as analog symbols of a transformer (DeepSC)"
    kind = "text"
    payload = "symbols"

    def models(self) -> list[str]:
        """Trained variants that are installed."""
        return variants()

    def check(self, request: Request) -> None:
        """Also refuses an installation without models, a quality, and a limit in bits."""
        if not self.models():
            raise ValueError("no deepsc_text model is installed: expected models/deepsc_text/<variant>/card.yml")
        super().check(request)
        if request.quality is not None:
            raise ValueError(f"{self.name} has no qualities: leave quality out, not {request.quality}")

    def prepare(self, request: Request) -> None:
        """Verify and load the model."""
        text_codec(request.model or self.models()[0], request.device)

    def provider(self, model: str = "", device: str = "auto") -> str | None:
        """Where the network ran."""
        return text_codec(model or self.models()[0], device).model.provider

    def encode(self, message: Message, request: Request) -> Payload | None:
        """The symbols of the normalised text; None above `max_symbols`."""
        text = normalise(message_text(message))
        if request.max_symbols is not None and SYMBOLS * len(text) > request.max_symbols:
            return None
        return Payload(symbols=text_codec(request.model or self.models()[0], request.device).encode(text))

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The most likely text."""
        found = text_codec(model or self.models()[0], device)
        return text_message(found.decode(received.symbols, received.noise_var)), 0


SYSTEM = DeepScText()

# SPDX-License-Identifier: GPL-3.0-or-later
"""SR+DeepSC: speech is recognised at the sender, its text goes as analog symbols of a transformer trained for text."""

from __future__ import annotations

from typing import Any, ClassVar

from ...message import Message, Meta, Payload, Received, text_message
from ...text.deepsc import SYMBOLS, text_codec, variants
from ..base import Request
from ..speech_base import RecognisingSystem


class SrDeepSc(RecognisingSystem):
    """Recognition, then 8 complex symbols a character: 120 a second at 15 characters a second, the paper's Table II."""

    name = "sr_deepsc"
    title = "recognised text as analog symbols of a text transformer (SR+DeepSC)"
    payload = "symbols"
    phy: ClassVar[dict[str, Any]] = {}

    def check(self, request: Request) -> None:
        """Also refuses an installation without the text model."""
        if not variants():
            raise ValueError("sr_deepsc needs a text model: expected models/deepsc_text/<variant>/card.yml")
        super().check(request)

    def prepare(self, request: Request) -> None:
        """Load recogniser and text model."""
        super().prepare(request)
        text_codec(variants()[0], request.device)

    def encode(self, message: Message, request: Request) -> Payload | None:
        """The symbols of the recognised text; None above `max_symbols`."""
        text = self.text_of(message, request)
        if request.max_symbols is not None and SYMBOLS * len(text) > request.max_symbols:
            return None
        return Payload(symbols=text_codec(variants()[0], request.device).encode(text))

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The most likely text."""
        text = text_codec(variants()[0], device).decode(received.symbols, received.noise_var)
        return text_message(" ".join(text.split())), 0


SYSTEM = SrDeepSc()

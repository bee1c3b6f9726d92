# SPDX-License-Identifier: GPL-3.0-or-later
"""SE-DeepSC: the text that the semantic encoder of `speech_to_text` finds, sent by DeepSC's text transformer."""

from __future__ import annotations

import numpy as np

from ...message import Message, Meta, Payload, Received, text_message
from ...speech.attention import semantic_encoder, variants
from ...text import deepsc
from ..base import Request, System


class SeDeepSc(System):
    """8 complex symbols a character."""

    name = "se_deepsc"
    title = "text of the attention encoder as analog symbols of a text transformer (SE-DeepSC)"
    kind = "speech"
    delivers = "text"
    payload = "symbols"

    def models(self) -> list[str]:
        """Those of speech_to_text, whose semantic encoder it shares."""
        return variants()

    def check(self, request: Request) -> None:
        """Also refuses a quality, a limit in bits and an installation without one of the two models."""
        if not self.models():
            raise ValueError(f"{self.name} needs a model: expected models/speech_to_text/<variant>/card.yml")
        if not deepsc.variants():
            raise ValueError(f"{self.name} needs a text model: expected models/deepsc_text/<variant>/card.yml")
        super().check(request)
        if request.quality is not None:
            raise ValueError(f"{self.name} has no qualities: leave quality out, not {request.quality}")
        if request.max_bits is not None and request.max_symbols is None:
            raise ValueError(f"{self.name} sends symbols, no bits: limit it in symbols (airtime), not in bits")

    def prepare(self, request: Request) -> None:
        """Verify and load both models."""
        semantic_encoder(request.model or self.models()[0], request.device)
        deepsc.text_codec(deepsc.variants()[0], request.device)

    def provider(self, model: str = "", device: str = "auto") -> str | None:
        """Where the networks ran."""
        return semantic_encoder(model or self.models()[0], device).model.provider

    def recogniser(self, model: str = "") -> str:
        """The semantic encoder: what is read without a channel."""
        return f"attention-{model or self.models()[0]}"

    def encode(self, message: Message, request: Request) -> Payload | None:
        """The symbols of the text; None above `max_symbols`. Nothing said: an empty payload."""
        encoder = semantic_encoder(request.model or self.models()[0], request.device)
        text = encoder.text(encoder.hear(np.asarray(message.data, np.float32)))
        if request.max_symbols is not None and deepsc.SYMBOLS * len(text) > request.max_symbols:
            return None
        return Payload(symbols=deepsc.text_codec(deepsc.variants()[0], request.device).encode(text))

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The most likely text."""
        text = deepsc.text_codec(deepsc.variants()[0], device).decode(received.symbols, received.noise_var)
        return text_message(" ".join(text.split())), 0


SYSTEM = SeDeepSc()

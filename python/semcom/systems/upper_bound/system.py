# SPDX-License-Identifier: GPL-3.0-or-later
"""The upper bound of the speech-to-text papers: what the semantic encoder reads, handed over without a channel.

A bound, not a system: the text goes round the channel, in the header, and not one symbol is sent.
"""

from __future__ import annotations

import numpy as np

from ...message import Message, Meta, Payload, Received, text_message
from ...speech.attention import semantic_encoder, variants
from ..base import Request, System


class UpperBound(System):
    """Text without a channel."""

    name = "upper_bound"
    title = "text of the attention encoder without any channel: a bound, nothing is sent"
    kind = "speech"
    delivers = "text"
    payload = "symbols"
    may_be_empty = True

    def models(self) -> list[str]:
        """Those of speech_to_text."""
        return variants()

    def check(self, request: Request) -> None:
        """Also refuses a quality and an installation without a model."""
        if not self.models():
            raise ValueError(f"{self.name} needs a model: expected models/speech_to_text/<variant>/card.yml")
        super().check(request)
        if request.quality is not None:
            raise ValueError(f"{self.name} has no qualities: leave quality out, not {request.quality}")

    def prepare(self, request: Request) -> None:
        """Verify and load the model."""
        semantic_encoder(request.model or self.models()[0], request.device)

    def provider(self, model: str = "", device: str = "auto") -> str | None:
        """Where the network ran."""
        return semantic_encoder(model or self.models()[0], device).model.provider

    def recogniser(self, model: str = "") -> str:
        """The semantic encoder, whose text arrives as it is."""
        return f"attention-{model or self.models()[0]}"

    def encode(self, message: Message, request: Request) -> Payload | None:
        """No symbols; the text in the header."""
        encoder = semantic_encoder(request.model or self.models()[0], request.device)
        return Payload(header={"bound": encoder.text(encoder.hear(np.asarray(message.data, np.float32)))})

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The text that was handed over."""
        return text_message(str(meta.get("bound", ""))), 0


SYSTEM = UpperBound()

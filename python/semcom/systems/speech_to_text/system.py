# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech to text with redundancy removal as a system of the registry. Nothing heavy is imported until speech comes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ...message import Message, Meta, Payload, Received, text_message
from ...speech.attention import semantic_encoder, variants
from ..base import Request, System
from .symbols import QUALITIES

if TYPE_CHECKING:
    from .codec import Codec


class SpeechToText(System):
    """Speech as one vector of analog symbols for each word that attention finds; text at the receiver."""

    name = "speech_to_text"
    title = "speech to text over analog symbols, only the words that attention finds are sent (redundancy removal)"
    kind = "speech"
    delivers = "text"
    payload = "symbols"
    figures: ClassVar[tuple[str, ...]] = ("attention",)

    def models(self) -> list[str]:
        """Trained variants that are installed."""
        return variants()

    def check(self, request: Request) -> None:
        """Also refuses an unknown quality, a limit in bits and an installation without models."""
        super().check(request)
        if not self.models():
            raise ValueError("no model of speech_to_text is here: expected models/speech_to_text/<variant>/card.yml")
        if request.quality is not None and request.quality not in QUALITIES:
            raise ValueError(
                f"quality of {self.name} must be 0 (all symbols of a word), 1 (half of them) or 2 (half of them, more "
                f"for words that say more), not {request.quality}"
            )
        if request.max_bits is not None and request.max_symbols is None:
            raise ValueError(f"{self.name} sends symbols, no bits: limit it in symbols (airtime), not in bits")

    def prepare(self, request: Request) -> None:
        """Verify and load the model."""
        found = self._codec(request.model, request.device)
        if request.quality and not found.shorter:
            raise ValueError(f"the model {request.model!r} of {self.name} has quality 0 only: it is not told the noise")

    def provider(self, model: str = "", device: str = "auto") -> str | None:
        """Where the networks ran."""
        return self._codec(model, device).model.provider

    def recogniser(self, model: str = "") -> str:
        """Its semantic encoder: what is read without a channel."""
        return f"attention-{model or self.models()[0]}"

    def encode(self, message: Message, request: Request) -> Payload | None:
        """The symbols of the words that are kept; None where `max_symbols` is less. Nothing said: an empty payload."""
        audio = np.asarray(message.data, np.float32).reshape(-1)
        symbols, header = self._codec(request.model, request.device).encode(audio, request.quality or 0)
        if request.max_symbols is not None and symbols.size > request.max_symbols:
            return None
        return Payload(symbols=symbols, header=header)

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The words; their number comes from the number of symbols. No words are legal."""
        header = meta.get("layout", {})
        return text_message(self._codec(model, device).decode(received.symbols, received.noise_var, header)), 0

    def removal(self, message: Message, model: str = "", device: str = "auto") -> dict[str, int]:
        """What the redundancy removal did with a sent utterance: see `metrics/removal.py`."""
        from ...metrics.removal import counts

        heard = semantic_encoder(model or self.models()[0], device).hear(np.asarray(message.data, np.float32))
        return counts(heard.ids.tolist(), int(heard.weights.shape[1]))

    def draw(self, figure: str, path: Path, sent: Sequence[Message], model: str = "", device: str = "auto") -> None:
        """The figure `attention`: where the loop looked for each word of the first utterances."""
        from .figure import attention_figure

        found = semantic_encoder(model or self.models()[0], device)
        attention_figure(path, [(m.meta.get("name", ""), m.data, found.hear(m.data)) for m in sent], found.vocabulary)

    def _codec(self, model: str, device: str) -> Codec:
        from .codec import codec

        return codec(model or self.models()[0], device)


SYSTEM = SpeechToText()

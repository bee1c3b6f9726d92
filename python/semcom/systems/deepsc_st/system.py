# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepSC-ST as a system of the registry. Nothing heavy is imported until speech comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...message import Message, Meta, Payload, Received, text_message
from ...speech.ctc import greedy
from ...speech.features import symbol_count
from ...zoo import available
from ..base import Request, System

if TYPE_CHECKING:
    from .codec import Codec

GREEDY = "-greedy"
DEFAULT_ESN0_DB = 8.0  # what the transmitter takes the channel to be where nobody tells it: the paper's training


class DeepScSt(System):
    """Speech as analog symbols of what was said: 20 complex symbols for 40 ms, text at the receiver."""

    name = "deepsc_st"
    title = "speech to text over analog symbols, recogniser and channel coder trained together (DeepSC-ST)"
    kind = "speech"
    delivers = "text"
    payload = "symbols"
    snr_aware = True

    def models(self) -> list[str]:
        """Trained variants that are installed, `open` first; each also as `<variant>-greedy`: the same weights read
        without the beam search and the variant's n-gram, as in the paper."""
        trained = sorted(available(self.name), key=lambda name: (name != "open", name))
        return [*trained, *(name + GREEDY for name in trained)]

    def variants(self, model: str) -> list[str]:
        """The trained variant of a name."""
        return [(model or self.models()[0]).removesuffix(GREEDY)]

    def check(self, request: Request) -> None:
        """Also refuses a quality, a limit in bits and an installation without models."""
        super().check(request)
        if not self.models():
            raise ValueError("no deepsc_st model is installed: expected models/deepsc_st/<variant>/card.yml")
        if request.quality:
            raise ValueError(f"deepsc_st has one quality, 0, not {request.quality}")
        if request.max_bits is not None and request.max_symbols is None:
            raise ValueError("deepsc_st sends symbols, no bits: limit it in symbols (airtime), not in bits")

    def prepare(self, request: Request) -> None:
        """Verify and load the model."""
        self._codec(request.model, request.device)

    def provider(self, model: str = "", device: str = "auto") -> str | None:
        """Where the networks ran."""
        return self._codec(model, device).model.provider

    def encode(self, message: Message, request: Request) -> Payload | None:
        """20 symbols for each 40 ms of 16 kHz speech; None where `max_symbols` is less."""
        audio = np.asarray(message.data, np.float32).reshape(-1)
        if request.max_symbols is not None and symbol_count(audio.size) > request.max_symbols:
            return None
        esn0_db = DEFAULT_ESN0_DB if request.esn0_db is None else request.esn0_db
        return Payload(symbols=self._codec(request.model, request.device).encode(audio, esn0_db))

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """What was read; the length comes from the number of symbols. Nothing read is legal."""
        coder = self._codec(model, device)
        logits = coder.decode(received.symbols, received.noise_var)
        return text_message(greedy(logits) if model.endswith(GREEDY) else coder.text(logits)), 0

    def _codec(self, model: str, device: str) -> Codec:
        from .codec import codec

        return codec(self.variants(model)[0], device)


SYSTEM = DeepScSt()

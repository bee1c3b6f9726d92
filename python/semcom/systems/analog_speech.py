# SPDX-License-Identifier: GPL-3.0-or-later
"""What the systems around a `deepsc_s` model share: speech in, analog symbols, speech of a vocoder out."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..message import SAMPLE_RATE, Message, Meta, Payload, Received
from ..speech.deepsc_s import PLANES, SAMPLES, SYSTEM, symbol_count, variants
from .base import Request, System

if TYPE_CHECKING:
    from ..speech.deepsc_s import Codec
    from ..speech.vocoder import Vocoder

QUALITY = "deepsc_s_rate"  # in the payload's header
DEFAULT_QUALITY = 1
DEFAULT_ESN0_DB = 10.0  # what the transmitter takes the channel to be where nobody tells it
HIFI_GAN = "-hifi_gan"  # at the end of a model's name: the vocoder of that name speaks, instead of Griffin-Lim

Samples = NDArray[np.float32]


class AnalogSpeech(System):
    """Quality 0, 1, 2: 125, 500 and 1,000 complex symbols a second, and 8 an utterance. Subclasses change the speech
    `before` it is sent or `after` it is received."""

    kind = "speech"
    payload: ClassVar[str] = "symbols"
    snr_aware: ClassVar[bool] = True

    def before(self, speech: Samples) -> Samples:
        """What is sent of speech [n]."""
        return speech

    def after(self, speech: Samples) -> Samples:
        """What is given of received speech [n]."""
        return speech

    def models(self) -> list[str]:
        """Trained variants of deepsc_s, spoken by Griffin-Lim; each also as `<variant>-hifi_gan`."""
        return [*variants(), *(name + HIFI_GAN for name in variants())]

    def check(self, request: Request) -> None:
        """Also refuses a quality other than 0, 1, 2, a limit in bits and an installation without models."""
        super().check(request)
        if not self.models():
            raise ValueError(f"no {SYSTEM} model is installed: expected models/{SYSTEM}/<variant>/card.yml")
        if request.quality is not None and not 0 <= request.quality < len(PLANES):
            rates = "0 (125 symbols a second), 1 (500) or 2 (1,000)"
            raise ValueError(f"quality of {self.name} must be {rates}, not {request.quality}")
        if request.max_bits is not None and request.max_symbols is None:
            raise ValueError(f"{self.name} sends symbols, no bits: limit it in symbols (airtime), not in bits")
        if request.model.endswith(HIFI_GAN):
            self._vocoder(request.model, request.device)

    def prepare(self, request: Request) -> None:
        """Verify and load the model and the vocoder."""
        self._codec(request.model, request.device)
        self._vocoder(request.model, request.device)

    def provider(self, model: str = "", device: str = "auto") -> str | None:
        """Where the networks ran."""
        return self._codec(model, device).model.provider

    def encode(self, message: Message, request: Request) -> Payload | None:
        """Symbols at the request's quality; with `max_symbols`, at the highest that fits (up to the one asked for), or
        None."""
        quality = DEFAULT_QUALITY if request.quality is None else request.quality
        if request.max_symbols is not None:
            highest = len(PLANES) - 1 if request.quality is None else request.quality
            qualities = range(highest + 1)
            fitting = [q for q in qualities if symbol_count(message.data.size, q) <= request.max_symbols]
            if not fitting:
                return None
            quality = fitting[-1]
        esn0_db = DEFAULT_ESN0_DB if request.esn0_db is None else request.esn0_db
        speech = self.before(np.asarray(message.data, np.float32).reshape(-1))
        return Payload(
            symbols=self._codec(request.model, request.device).encode(speech, quality, esn0_db),
            header={QUALITY: quality},
        )

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The speech, in whole steps of 128 ms; one step of silence where no utterance has so many symbols."""
        quality = min(max(int(meta.get(QUALITY, DEFAULT_QUALITY)), 0), len(PLANES) - 1)
        frames = self._codec(model, device).decode(received.symbols, received.noise_var, quality)
        about = {"sample_rate": SAMPLE_RATE}
        if frames is None:
            return Message("speech", np.zeros(SAMPLES, np.float32), about), 1
        return Message("speech", self.after(self._vocoder(model, device).speak(frames)), about), 0

    def _codec(self, model: str, device: str) -> Codec:
        from ..speech.deepsc_s import codec

        return codec((model or self.models()[0]).removesuffix(HIFI_GAN), device)

    @staticmethod
    def _vocoder(model: str, device: str) -> Vocoder:
        from ..speech.vocoder import open_vocoder

        return open_vocoder("hifi_gan" if model.endswith(HIFI_GAN) else "griffin_lim", device)

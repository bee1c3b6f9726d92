# SPDX-License-Identifier: GPL-3.0-or-later
"""Conventional speech codecs as systems: speech in, bits on air, the same speech out, nothing recognised."""

from __future__ import annotations

import numpy as np

from ..codecs.speech_codec import SpeechCodec, get_speech_codec
from ..message import SAMPLE_RATE, Message, Meta, Payload, Received
from .base import Request, System

MODE = "codec_mode"  # in the payload's header


class CodecSystem(System):
    """One codec of `codecs/speech_codec.py`. The quality is its mode; within a limit, the best mode that fits."""

    kind = "speech"

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]  # one class, one instance a codec

    @property
    def codec(self) -> SpeechCodec:
        """The codec, whose library is loaded when first used."""
        return get_speech_codec(self.name)

    @property
    def title(self) -> str:  # type: ignore[override]
        """The codec's own description; says what to install where its library is missing."""
        try:
            self.codec.check_installed()
        except ValueError as error:
            return f"{self.codec.title}; not usable here: {error}"
        return self.codec.title

    def check(self, request: Request) -> None:
        """Also refuses a quality that is no mode of the codec, and a codec whose library is missing."""
        super().check(request)
        self.codec.check_installed()
        if request.quality is not None:
            try:
                self.codec.check_mode(request.quality)
            except ValueError as error:
                raise ValueError(str(error).replace("mode of", "quality of", 1)) from None

    def encode(self, message: Message, request: Request) -> Payload | None:
        """The bits of all frames, in the mode asked for or the best up to it that fits `max_bits`."""
        codec, samples = self.codec, message.data.size
        mode = codec.default_mode if request.quality is None else request.quality
        if request.max_bits is not None:
            highest = len(codec.rates_kbit_s) - 1 if request.quality is None else request.quality
            modes = range(highest + 1)
            fitting = [m for m in modes if codec.frame_count(samples, m) * codec.frame_bits(m) <= request.max_bits]
            if not fitting:
                return None
            mode = fitting[-1]
        finite = np.nan_to_num(np.asarray(message.data, np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
        return Payload(bits=codec.encode(finite, mode).ravel(), header={MODE: mode})

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The speech; a frame that any failed code block touches is lost, and concealed as the codec does it."""
        mode = int(meta[MODE])
        shape = (-1, self.codec.frame_bits(mode))
        lost = ~received.bits_ok.reshape(shape).all(1)
        speech = self.codec.decode(received.bits.reshape(shape), mode, lost)
        return Message("speech", speech, {"sample_rate": SAMPLE_RATE}), int(np.sum(lost))

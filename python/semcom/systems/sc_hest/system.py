# SPDX-License-Identifier: GPL-3.0-or-later
"""Both streams analog: recognised text by DeepSC's text transformer, 16 numbers of prosody as phases.

The paper shows SC-HEST in one figure and says only that it is purely analog. Our reading keeps what HASCom keeps, what
is said and how, and sends both without a bit, so that the comparison tells what the digital stream is worth.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...message import SAMPLE_RATE, Message, Meta, Payload, Received
from ...metrics.voice import feature_mse, style_cosine
from ...speech.prosody import COUNT, PlainVoice, prosody, speak
from ...text import deepsc
from ..base import Request
from ..speech_base import RecognisingSystem
from .symbols import SYMBOLS, to_numbers, to_symbols


class ScHest(RecognisingSystem):
    """64 complex symbols for the style, 8 a character for the text."""

    name = "sc_hest"
    title = "text and prosody as analog symbols, spoken by flite (after SC-HEST)"
    delivers = "speech"
    payload = "symbols"
    phy: ClassVar[dict[str, Any]] = {}

    def check(self, request: Request) -> None:
        """Also refuses a limit in bits, and an installation without the text model or flite."""
        if not deepsc.variants():
            raise ValueError(f"{self.name} needs a text model: expected models/deepsc_text/<variant>/card.yml")
        super().check(request)
        PlainVoice("slt").prepare()
        if request.max_bits is not None and request.max_symbols is None:
            raise ValueError(f"{self.name} sends symbols, no bits: limit it in symbols (airtime), not in bits")

    def prepare(self, request: Request) -> None:
        """Load the recogniser and the text model."""
        super().prepare(request)
        deepsc.text_codec(deepsc.variants()[0], request.device)

    def encode(self, message: Message, request: Request) -> Payload | None:
        """Style first, then the text; None above `max_symbols`."""
        text = self.text_of(message, request)
        if request.max_symbols is not None and SYMBOLS + deepsc.SYMBOLS * len(text) > request.max_symbols:
            return None
        style = to_symbols(prosody(message.data))
        return Payload(symbols=np.concatenate([style, self._codec(request.device).encode(text)]))

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The text in flite's voice with the prosody that arrived; a burst too short for the style has the mean one."""
        short = received.symbols.size < SYMBOLS
        numbers = np.zeros(COUNT, np.float32)
        text = ""
        if not short:
            numbers = to_numbers(received.symbols[:SYMBOLS], received.noise_var[:SYMBOLS])
            text = self._codec(device).decode(received.symbols[SYMBOLS:], received.noise_var[SYMBOLS:])
        text = " ".join(text.split())
        arrived = {"style": [round(float(value), 4) for value in numbers]}
        about = {"text": text, "sample_rate": SAMPLE_RATE, "arrived": arrived}
        return Message("speech", speak(text, numbers), about), int(short)

    def compare(self, sent: Message, arrived: Meta, model: str = "", device: str = "auto") -> dict[str, float | None]:
        """`feature_mse` and `style_cosine` of the 16 numbers, whose training mean is 0; the mean stands for a style
        that never came."""
        first, second = prosody(sent.data), arrived.get("style", [0.0] * COUNT)
        return {"feature_mse": feature_mse(first, second), "style_cosine": style_cosine(first, second, 0.0)}

    @staticmethod
    def _codec(device: str) -> deepsc.TextCodec:
        return deepsc.text_codec(deepsc.variants()[0], device)


SYSTEM = ScHest()

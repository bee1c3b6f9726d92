# SPDX-License-Identifier: GPL-3.0-or-later
"""The feature transceiver: the recogniser's token probabilities as floating-point numbers, decoded at the receiver."""

from __future__ import annotations

import numpy as np

from ...message import Message, Meta, Payload, Received, text_message
from ...speech import recognisers
from ...text.alphabet import BLANK, TOKENS
from ..base import Request
from ..speech_base import RecognisingSystem

FLOAT_BITS = 32
LEAST = 1e-30  # no probability is taken for less: it has a logarithm
FRAME_BITS = FLOAT_BITS * TOKENS  # 928 bits for 40 ms of speech


class FeatureTransceiver(RecognisingSystem):
    """29 probabilities a frame of 40 ms as IEEE 754 binary32, most significant bit first. The receiver decodes them
    greedily by the rule of CTC. Only our own recognisers have such probabilities."""

    name = "feature_transceiver"
    title = "token probabilities as 32-bit floats"

    def models(self) -> list[str]:
        """Our own recognisers."""
        return recognisers.own_names()

    def check(self, request: Request) -> None:
        """Also refuses an installation without models, and recognisers that hide their probabilities."""
        if request.model in recognisers.names() and request.model not in self.models():
            raise ValueError(f"{self.name} sends token probabilities, which {request.model} does not give")
        if not self.models():
            raise ValueError(f"{self.name} needs a model of deepsc_st: expected models/deepsc_st/<variant>/card.yml")
        super().check(request)

    def encode(self, message: Message, request: Request) -> Payload | None:
        """All frames; None above `max_bits`."""
        own = recognisers.get(self.recogniser(request.model), request.device)
        assert isinstance(own, recognisers.OwnRecogniser)
        octets = own.probabilities(message.data).astype(">f4").tobytes()
        bits = np.unpackbits(np.frombuffer(octets, np.uint8))
        return None if request.max_bits is not None and bits.size > request.max_bits else Payload(bits=bits)

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The text, and how many frames had to be taken for blanks because a failed code block touches them."""
        frames = np.packbits(received.bits).view(">f4").reshape(-1, TOKENS).astype(np.float32)
        lost = ~received.bits_ok.reshape(-1, FRAME_BITS).all(1)
        frames[lost] = np.eye(TOKENS, dtype=np.float32)[BLANK]
        frames = np.nan_to_num(frames, nan=0.0, posinf=1.0, neginf=0.0)  # an error that no CRC saw
        own = recognisers.get(self.recogniser(model), device)
        assert isinstance(own, recognisers.OwnRecogniser)
        return text_message(own.text(np.log(np.clip(frames, LEAST, 1)))), int(np.sum(lost))


SYSTEM = FeatureTransceiver()

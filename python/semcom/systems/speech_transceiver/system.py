# SPDX-License-Identifier: GPL-3.0-or-later
"""The speech transceiver: AMR-WB over the air, recognition at the receiver."""

from __future__ import annotations

import numpy as np

from ...codecs import amr_wb
from ...message import SAMPLE_RATE, Message, Meta, Payload, Received
from ..base import Request
from ..speech_base import RecognisingSystem

DEFAULT_QUALITY = 6  # 19.85 kbit/s: at code rate 1/2 and 64-QAM 6,617 symbols a second, the paper's 6,600
QUALITY = "amr_wb_mode"  # in the payload's header


class SpeechTransceiver(RecognisingSystem):
    """Speech in, speech and its recognised text out. The quality is AMR-WB's mode, 0 (6.60 kbit/s) to 8 (23.85)."""

    name = "speech_transceiver"
    delivers = "speech"

    @property
    def title(self) -> str:  # type: ignore[override]
        """Says what to install where a library is missing."""
        try:
            amr_wb.check_installed()
        except ValueError as error:
            return f"AMR-WB, recognised at the receiver; not usable here: {error}"
        return "AMR-WB, recognised at the receiver"

    def check(self, request: Request) -> None:
        """Also refuses an installation without the codec's libraries."""
        super().check(request)
        amr_wb.check_installed()

    def check_quality(self, quality: int | None) -> None:
        """ValueError for what is no mode of AMR-WB."""
        highest = len(amr_wb.FRAME_BITS) - 1
        if quality is not None and not 0 <= quality <= highest:
            raise ValueError(f"quality of {self.name} must be 0 to {highest} (AMR-WB's modes), not {quality}")

    def encode(self, message: Message, request: Request) -> Payload | None:
        """The class bits of all frames, in the mode asked for or the best below it that fits `max_bits`."""
        frames = amr_wb.frame_count(message.data.size)
        mode = DEFAULT_QUALITY if request.quality is None else request.quality
        if request.max_bits is not None:
            fitting = [m for m in range(mode + 1) if frames * amr_wb.FRAME_BITS[m] <= request.max_bits]
            if not fitting:
                return None
            mode = fitting[-1]
        return Payload(bits=amr_wb.encode(message.data, mode).ravel(), header={QUALITY: mode})

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The speech, with frames that any failed code block touches concealed by the codec, and what the recogniser
        reads from it; and how many frames were concealed."""
        mode = int(meta[QUALITY])
        shape = (-1, amr_wb.FRAME_BITS[mode])
        lost = ~received.bits_ok.reshape(shape).all(1)
        speech = amr_wb.decode(received.bits.reshape(shape), mode, lost)
        text = "" if lost.all() else self.recognise(speech, model, device)
        return Message("speech", speech, {"text": text, "sample_rate": SAMPLE_RATE}), int(np.sum(lost))


SYSTEM = SpeechTransceiver()

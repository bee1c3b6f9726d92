# SPDX-License-Identifier: GPL-3.0-or-later
"""AMR-WB (see `amr_wb.py`) behind the face of all speech codecs."""

from __future__ import annotations

from numpy.typing import ArrayLike

from . import amr_wb
from .speech_codec import Bits, Samples, SpeechCodec


class AmrWb(SpeechCodec):
    """Nine modes; the codec conceals lost frames itself."""

    name = "amr_wb"
    title = "AMR-WB, 6.60 to 23.85 kbit/s (3GPP TS 26.171)"
    rates_kbit_s = amr_wb.RATES_KBIT_S

    def check_installed(self) -> None:
        """Looks for both libraries."""
        amr_wb.check_installed()

    def frame_bits(self, mode: int) -> int:
        """132 to 477."""
        return amr_wb.FRAME_BITS[mode]

    def frame_samples(self, mode: int) -> int:
        """20 ms."""
        return amr_wb.FRAME

    def encode(self, speech: Samples, mode: int) -> Bits:
        """See the base."""
        self.check_mode(mode)
        return amr_wb.encode(speech, mode)

    def decode(self, bits: Bits, mode: int, lost: ArrayLike) -> Samples:
        """See the base."""
        self.check_mode(mode)
        return amr_wb.decode(bits, mode, lost)

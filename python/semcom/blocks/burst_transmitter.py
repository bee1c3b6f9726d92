# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a payload to a burst on air."""

from __future__ import annotations

from ..phy.burst_stages import BurstTransmitter
from .stage_block import StageBlock


class burst_transmitter(StageBlock):
    """Digital and analog symbols, complex64, to samples of mean energy 1: preamble, header, payload with pilots.

    `payload` "bits" takes digital symbols, "symbols" analog ones, "both" takes both. `strength` of the header:
    "robust" reaches Es/N0 -8 dB, "short" 0 dB. `peak_db` from 4 to 20 holds 99.9 % of the samples below that many dB
    over the mean power; 0 is off. `describe` sends what a receiver in another program must know of the message.
    """

    def __init__(
        self, payload: str = "bits", strength: str = "robust", peak_db: float = 0.0, describe: bool = False
    ) -> None:
        stage = BurstTransmitter(payload=payload, strength=strength, peak_db=peak_db, describe=describe)
        super().__init__(stage, "burst_transmitter")

    def set_strength(self, strength: str) -> None:
        """Change the header's strength."""
        self.set_parameter("strength", strength)

    def set_peak_db(self, peak_db: float) -> None:
        """Change the limit of the peaks, in dB over the mean power."""
        self.set_parameter("peak_db", peak_db)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies between two radios, for bursts."""

from __future__ import annotations

from ..phy.burst_stages import Air
from .stage_block import StageBlock


class air(StageBlock):
    """Pauses around each burst, any delay, fading, offsets of both clocks, phase noise, noise; complex64 to complex64.

    `esn0_db` is that of a symbol of the band. `fading` "packet" or "doppler" (`doppler` cycles a symbol at most) counts
    where `model` is "rayleigh" or "rician". Offsets are drawn for each burst within plus and minus
    `carrier_offset` cycles a sample and `sampling_offset_ppm`; `linewidth` in cycles a sample.
    """

    def __init__(
        self,
        model: str = "awgn",
        esn0_db: float = 6.0,
        fading: str = "packet",
        rician_k: float = 1.0,
        seed: int = 0,
        doppler: float = 1e-5,
        carrier_offset: float = 1e-3,
        sampling_offset_ppm: float = 20.0,
        linewidth: float = 0.0,
    ) -> None:
        stage = Air(
            model=model, esn0_db=esn0_db, fading=fading, rician_k=rician_k, seed=seed, doppler=doppler,
            carrier_offset=carrier_offset, sampling_offset_ppm=sampling_offset_ppm, linewidth=linewidth,
        )  # fmt: skip
        super().__init__(stage, "air")

    def set_esn0_db(self, esn0_db: float) -> None:
        """Change Es/N0, in dB."""
        self.set_parameter("esn0_db", esn0_db)

    def set_carrier_offset(self, carrier_offset: float) -> None:
        """Change the largest carrier offset, in cycles a sample."""
        self.set_parameter("carrier_offset", carrier_offset)

    def set_sampling_offset_ppm(self, sampling_offset_ppm: float) -> None:
        """Change the largest sampling offset, in parts in a million."""
        self.set_parameter("sampling_offset_ppm", sampling_offset_ppm)

    def set_linewidth(self, linewidth: float) -> None:
        """Change the oscillator's linewidth, in cycles a sample."""
        self.set_parameter("linewidth", linewidth)

    def set_seed(self, seed: int) -> None:
        """Change the seed."""
        self.set_parameter("seed", seed)

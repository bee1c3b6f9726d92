# SPDX-License-Identifier: GPL-3.0-or-later
"""What real oscillators, clocks, amplifiers and mixers do to a burst."""

from __future__ import annotations

from ..phy.channel_stages import RadioImpairments
from .stage_block import StageBlock


class radio_impairments(StageBlock):
    """Clipping, sampling offset, carrier offset, phase noise and IQ imbalance, in this order; all complex64.

    `carrier_offset` and `linewidth` (of the phase noise) in cycles a sample, `sampling_offset_ppm` in parts in a
    million (it changes the number of samples), `clip_db` in dB above the rms (60 is off), `iq_gain_db` in dB and
    `iq_phase_deg` in degrees. The second output is the oscillator's phase, one number of amplitude 1 for each sample
    that comes out. The same `seed` and message number give the same phase noise.
    """

    def __init__(
        self,
        carrier_offset: float = 0.0,
        sampling_offset_ppm: float = 0.0,
        linewidth: float = 0.0,
        clip_db: float = 60.0,
        iq_gain_db: float = 0.0,
        iq_phase_deg: float = 0.0,
        seed: int = 0,
    ) -> None:
        stage = RadioImpairments(
            carrier_offset=carrier_offset, sampling_offset_ppm=sampling_offset_ppm, linewidth=linewidth,
            clip_db=clip_db, iq_gain_db=iq_gain_db, iq_phase_deg=iq_phase_deg, seed=seed,
        )  # fmt: skip
        super().__init__(stage, "radio_impairments")

    def set_carrier_offset(self, carrier_offset: float) -> None:
        """Change the carrier offset, in cycles a sample."""
        self.set_parameter("carrier_offset", carrier_offset)

    def set_sampling_offset_ppm(self, sampling_offset_ppm: float) -> None:
        """Change the sampling offset, in parts in a million."""
        self.set_parameter("sampling_offset_ppm", sampling_offset_ppm)

    def set_linewidth(self, linewidth: float) -> None:
        """Change the oscillator's linewidth, in cycles a sample."""
        self.set_parameter("linewidth", linewidth)

    def set_clip_db(self, clip_db: float) -> None:
        """Change the clipping level, in dB above the rms."""
        self.set_parameter("clip_db", clip_db)

    def set_iq_gain_db(self, iq_gain_db: float) -> None:
        """Change the gain imbalance, in dB."""
        self.set_parameter("iq_gain_db", iq_gain_db)

    def set_iq_phase_deg(self, iq_phase_deg: float) -> None:
        """Change the phase imbalance, in degrees."""
        self.set_parameter("iq_phase_deg", iq_phase_deg)

    def set_seed(self, seed: int) -> None:
        """Change the seed."""
        self.set_parameter("seed", seed)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated multipath channel that tells its impulse response."""

from __future__ import annotations

from ..phy.channel_stages import MultipathChannel
from .stage_block import StageBlock


class multipath_channel(StageBlock):
    """Multipath of 3GPP TR 38.901 and white Gaussian noise; burst to burst and coefficients, all complex64.

    `profile` is "TDL-A" to "TDL-E"; `delay_spread_s` (rms) in seconds, `sample_rate_hz` and `doppler_hz` (the largest
    Doppler shift; 0 keeps the channel constant over a packet) in hertz; `esn0_db` in dB on each sample. A packet keeps
    its length unless `tail`. The coefficients are the impulse response; the meta tells its `taps`, `snapshots`,
    `snapshot_samples` and `first_tap`. The same `seed` and message number give the same channel and noise.
    """

    def __init__(
        self,
        profile: str = "TDL-A",
        esn0_db: float = 20.0,
        delay_spread_s: float = 100e-9,
        sample_rate_hz: float = 1e6,
        doppler_hz: float = 0.0,
        tail: bool = False,
        seed: int = 0,
    ) -> None:
        stage = MultipathChannel(
            profile=profile, esn0_db=esn0_db, delay_spread_s=delay_spread_s, sample_rate_hz=sample_rate_hz,
            doppler_hz=doppler_hz, tail=tail, seed=seed,
        )  # fmt: skip
        super().__init__(stage, "multipath_channel")

    def set_profile(self, profile: str) -> None:
        """Change the profile."""
        self.set_parameter("profile", profile)

    def set_esn0_db(self, esn0_db: float) -> None:
        """Change Es/N0, in dB."""
        self.set_parameter("esn0_db", esn0_db)

    def set_delay_spread_s(self, delay_spread_s: float) -> None:
        """Change the rms delay spread, in seconds."""
        self.set_parameter("delay_spread_s", delay_spread_s)

    def set_sample_rate_hz(self, sample_rate_hz: float) -> None:
        """Change the sample rate, in hertz."""
        self.set_parameter("sample_rate_hz", sample_rate_hz)

    def set_doppler_hz(self, doppler_hz: float) -> None:
        """Change the largest Doppler shift, in hertz."""
        self.set_parameter("doppler_hz", doppler_hz)

    def set_tail(self, tail: bool) -> None:
        """Change whether what comes after the burst is kept."""
        self.set_parameter("tail", tail)

    def set_seed(self, seed: int) -> None:
        """Change the seed."""
        self.set_parameter("seed", seed)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels and radio impairments as stages of a link; the second output is what an ideal receiver would know."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ..message import Meta
from ..stage import Arrays, Port, Stage
from . import channel as channels
from . import impairments, tdl
from .checks import integer
from .snr import noise_var


@dataclass(frozen=True)
class Channel(Stage):
    """Noise and fading, with the coefficients beside it (perfect channel knowledge).

    `fading` is "symbol", "packet", "block" (128 symbols), a block length, or "doppler": varying in time with a
    largest Doppler shift of `doppler` cycles a symbol. It does not matter over AWGN.
    """

    model: str = "awgn"
    esn0_db: float = 6.0
    fading: str | int = "128"
    rician_k: float = 1.0
    seed: int = 0
    doppler: float = channels.DOPPLER

    inputs = (Port("burst", np.complex64),)
    outputs = (Port("burst", np.complex64), Port("coefficients", np.complex64))

    def __post_init__(self) -> None:
        channels.check_model(self.model)
        channels.coherence(self.fading)
        channels.check_doppler(self.doppler)
        channels.check_rician_k(self.rician_k)
        noise_var(self.esn0_db)
        integer("seed", self.seed, 0)

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """complex64 [n] to received burst and coefficients, complex64 [n] each."""
        rng = self.random(self.seed, meta)
        received, h = channels.transmit(
            arrays[0], self.model, self.esn0_db, rng, self.fading, self.rician_k, self.doppler
        )
        return (received, h), {**meta, "channel": self.model, "esn0_db": float(self.esn0_db)}


@dataclass(frozen=True)
class MultipathChannel(Stage):
    """A tapped delay line of TR 38.901 and noise on a burst of samples, with its impulse response beside it.

    The meta gets `taps`, `snapshots`, `snapshot_samples` and `first_tap`: the second output holds snapshots x taps
    numbers, row by row, and y[i] = sum_k taps[i // snapshot_samples, k] x[i - first_tap - k] + noise.
    """

    profile: str = "TDL-A"
    esn0_db: float = 20.0
    delay_spread_s: float = 100e-9
    sample_rate_hz: float = 1e6
    doppler_hz: float = 0.0
    tail: bool = False
    seed: int = 0

    inputs = (Port("burst", np.complex64),)
    outputs = (Port("burst", np.complex64), Port("coefficients", np.complex64))

    def __post_init__(self) -> None:
        tdl.check_profile(self.profile)
        tdl.check_rates(self.delay_spread_s, self.sample_rate_hz, self.doppler_hz)
        noise_var(self.esn0_db)
        integer("seed", self.seed, 0)

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """complex64 [n] to received burst, complex64 [n] (with `tail` [n + taps - 1]), and taps, complex64."""
        rng = self.random(self.seed, meta)
        received, response = tdl.transmit(
            arrays[0], self.profile, self.esn0_db, rng, self.delay_spread_s, self.sample_rate_hz, self.doppler_hz,
            self.tail,
        )  # fmt: skip
        snapshots, taps = response.taps.shape
        meta = {
            **meta, "channel": self.profile, "esn0_db": float(self.esn0_db), "taps": taps, "snapshots": snapshots,
            "snapshot_samples": response.snapshot_samples, "first_tap": response.first_tap,
            "delay_spread_s": self.delay_spread_s, "sample_rate_hz": self.sample_rate_hz, "doppler_hz": self.doppler_hz,
        }  # fmt: skip
        return (received, response.taps.reshape(-1)), meta


@dataclass(frozen=True)
class RadioImpairments(Stage):
    """What two real radios do to a burst of samples, in this order, all off by default.

    The transmitter's amplifier clips at `clip_db` above the rms; the receiver's clock is fast by
    `sampling_offset_ppm`, which changes the number of samples; its oscillator is off by `carrier_offset` cycles a
    sample and has a line of `linewidth` cycles a sample; its Q branch has `iq_gain_db` more gain and lags by
    `iq_phase_deg`. There is no noise: put a channel behind it. The second output is the oscillator's trajectory,
    complex64 of amplitude 1, one for each sample that comes out: dividing by it undoes both offset and phase noise.
    """

    carrier_offset: float = 0.0
    sampling_offset_ppm: float = 0.0
    linewidth: float = 0.0
    clip_db: float = impairments.CLIP_OFF_DB
    iq_gain_db: float = 0.0
    iq_phase_deg: float = 0.0
    seed: int = 0

    inputs = (Port("burst", np.complex64),)
    outputs = (Port("burst", np.complex64), Port("coefficients", np.complex64))

    def __post_init__(self) -> None:
        impairments.check_carrier_offset(self.carrier_offset)
        impairments.check_sampling_offset(self.sampling_offset_ppm)
        impairments.check_linewidth(self.linewidth)
        impairments.check_clip(self.clip_db)
        impairments.check_iq(self.iq_gain_db, self.iq_phase_deg)
        integer("seed", self.seed, 0)

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """complex64 [n] to samples and trajectory, complex64 [m] each; m is n without sampling offset."""
        rng = self.random(self.seed, meta)
        samples = impairments.sampling_offset(impairments.clip(arrays[0], self.clip_db), self.sampling_offset_ppm)
        trajectory = impairments.phase_trajectory(samples.size, rng, self.carrier_offset, self.linewidth)
        turned = impairments.iq_imbalance(samples * trajectory, self.iq_gain_db, self.iq_phase_deg)
        used = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "seed"}
        return (turned, trajectory), {**meta, "impairments": used}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Multipath: the tapped delay lines TDL-A to TDL-E of 3GPP TR 38.901, 7.7.2, for a burst of samples.

Each path fades on its own (Clarke's spectrum; the direct path of D and E keeps its amplitude and has 0.7 of the
largest Doppler shift, its first phase is random). A path arrives between two samples: it is spread over 32 of them
by the windowed sinc of `fractional.py`, so what is below 0.82 of the Nyquist frequency is delayed exactly (-60 dB) and
its mean power kept; an unfiltered stream of one sample a symbol loses the band edge, at most 0.24 dB on average.

What is applied is a discrete impulse response that is known exactly:

    y[i] = sum_k taps[i // snapshot_samples, k] x[i - first_tap - k]

With Doppler a snapshot holds for at most 1/400 of a Doppler cycle: the stairs lie 50 dB below the signal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .channel import fades, noise
from .doppler import phasor, product, scattered
from .fractional import HALF_WIDTH, windowed_sinc
from .snr import noise_var

# Tables 7.7.2-1 to 7.7.2-5: delays over the rms delay spread, and powers in dB; of D and E first the direct path.
_TABLES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "TDL-A": (
        (0, 0.3819, 0.4025, 0.5868, 0.4610, 0.5375, 0.6708, 0.5750, 0.7618, 1.5375, 1.8978, 2.2242, 2.1718, 2.4942,
         2.5119, 3.0582, 4.0810, 4.4579, 4.5695, 4.7966, 5.0066, 5.3043, 9.6586),
        (-13.4, 0, -2.2, -4, -6, -8.2, -9.9, -10.5, -7.5, -15.9, -6.6, -16.7, -12.4, -15.2,
         -10.8, -11.3, -12.7, -16.2, -18.3, -18.9, -16.6, -19.9, -29.7),
    ),
    "TDL-B": (
        (0, 0.1072, 0.2155, 0.2095, 0.2870, 0.2986, 0.3752, 0.5055, 0.3681, 0.3697, 0.5700, 0.5283, 1.1021, 1.2756,
         1.5474, 1.7842, 2.0169, 2.8294, 3.0219, 3.6187, 4.1067, 4.2790, 4.7834),
        (0, -2.2, -4, -3.2, -9.8, -1.2, -3.4, -5.2, -7.6, -3, -8.9, -9, -4.8, -5.7,
         -7.5, -1.9, -7.6, -12.2, -9.8, -11.4, -14.9, -9.2, -11.3),
    ),
    "TDL-C": (
        (0, 0.2099, 0.2219, 0.2329, 0.2176, 0.6366, 0.6448, 0.6560, 0.6584, 0.7935, 0.8213, 0.9336, 1.2285, 1.3083,
         2.1704, 2.7105, 4.2589, 4.6003, 5.4902, 5.6077, 6.3065, 6.6374, 7.0427, 8.6523),
        (-4.4, -1.2, -3.5, -5.2, -2.5, 0, -2.2, -3.9, -7.4, -7.1, -10.7, -11.1, -5.1, -6.8,
         -8.7, -13.2, -13.9, -13.9, -15.8, -17.1, -16, -15.7, -21.6, -22.8),
    ),
    "TDL-D": (
        (0, 0, 0.035, 0.612, 1.363, 1.405, 1.804, 2.596, 1.775, 4.042, 7.937, 9.424, 9.708, 12.525),
        (-0.2, -13.5, -18.8, -21, -22.8, -17.9, -20.1, -21.9, -22.9, -27.8, -23.6, -24.8, -30, -27.7),
    ),
    "TDL-E": (
        (0, 0, 0.5133, 0.5440, 0.5630, 0.5440, 0.7112, 1.9092, 1.9293, 1.9589, 2.6426, 3.7136, 5.4524, 12.0034,
         20.6519),
        (-0.03, -22.03, -15.8, -18.1, -19.8, -22.9, -22.4, -18.6, -20.8, -22.6, -22.3, -25.6, -20.2, -29.8,
         -29.2),
    ),
}  # fmt: skip
PROFILES = tuple(_TABLES)
_DIRECT = ("TDL-D", "TDL-E")  # their first path is the direct one
_DIRECT_DOPPLER = 0.7
MAX_SPREAD = 256  # samples
MAX_SPREAD_DOPPLER = 0.01  # a channel that moves faster within its own delay spread has no impulse response to speak of
_STEP = 1 / 400  # Doppler cycles in a snapshot, at most
_CHUNK = 8192  # a power of two: pieces of this length stay in the cache


def check_profile(profile: str) -> str:
    """ValueError, with the names, for an unknown profile."""
    if profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, not {profile!r}")
    return profile


def check_rates(delay_spread_s: float, sample_rate_hz: float, doppler_hz: float) -> None:
    """ValueError, with the legal range, for a delay spread, sample rate or Doppler shift that cannot be simulated."""
    if not 0.0 < sample_rate_hz < math.inf:
        raise ValueError(f"sample_rate_hz must be above 0 Hz and finite, not {sample_rate_hz!r}")
    if not 0.0 <= delay_spread_s * sample_rate_hz <= MAX_SPREAD:
        raise ValueError(
            f"delay_spread_s must be from 0 to {MAX_SPREAD} samples, {MAX_SPREAD / sample_rate_hz:g} s at "
            f"{sample_rate_hz:g} Hz, not {delay_spread_s!r}"
        )
    if not 0.0 <= doppler_hz <= sample_rate_hz / 2:
        raise ValueError(
            f"doppler_hz must be from 0 to half the sample rate, {sample_rate_hz / 2:g} Hz, not {doppler_hz!r}"
        )
    if delay_spread_s * doppler_hz > MAX_SPREAD_DOPPLER:
        raise ValueError(
            f"doppler_hz must be from 0 to {MAX_SPREAD_DOPPLER} over the delay spread, "
            f"{MAX_SPREAD_DOPPLER / delay_spread_s:g} Hz, not {doppler_hz!r}"
        )


def power_delay_profile(profile: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Delays of the paths in rms delay spreads and their mean powers, sum 1, both float64 [paths].

    The direct path of D and E comes first, the scattered one of the same delay second: K is the ratio of the two.
    """
    delays, powers_db = _TABLES[check_profile(profile)]
    powers = 10.0 ** (np.array(powers_db) / 10.0)
    return np.array(delays, np.float64), powers / powers.sum()


@dataclass(frozen=True)
class ImpulseResponse:
    """A channel over one packet: `taps`, complex64 [snapshots, taps], the delay of the first in samples, and for how
    many samples of the output a snapshot holds."""

    taps: NDArray[np.complex64]
    first_tap: int
    snapshot_samples: int

    def apply(self, samples: NDArray[np.complex64], length: int) -> NDArray[np.complex64]:
        """The first `length` samples of what comes out, complex64 [length]; before and after `samples` is silence.

        ValueError if the snapshots end before.
        """
        if length > len(self.taps) * self.snapshot_samples:
            raise ValueError(f"length must be at most {len(self.taps) * self.snapshot_samples} samples, not {length}")
        hold, taps, count = self.snapshot_samples, self.taps, self.taps.shape[1]
        if hold > _CHUNK:  # a power of two, or the only one
            hold, taps = _CHUNK, np.repeat(taps, -(-hold // _CHUNK), axis=0)
        rows = -(-length // hold)
        # x[i - first_tap - k] is padded[i + count - 1 - k]
        begin = self.first_tap + count - 1
        padded = np.zeros(max(begin + samples.size, rows * hold + count - 1), np.complex64)
        padded[begin : begin + samples.size] = samples
        result = np.zeros((rows, hold), np.complex64)
        step = max(1, _CHUNK // hold)
        used = np.flatnonzero(taps.any(axis=0))
        for row in range(0, rows, step):
            out = result[row : row + step]
            gains = np.ascontiguousarray(taps[row : row + step].T)[:, :, None]
            scratch = np.empty_like(out)
            for k in used:
                at = row * hold + count - 1 - k
                np.multiply(padded[at : at + out.size].reshape(out.shape), gains[k], out=scratch)
                out += scratch
        return result.reshape(-1)[:length]


@lru_cache(maxsize=64)
def _spreading(profile: str, spread: float) -> tuple[NDArray[np.complex64], int]:
    """How the paths spread over the taps, [paths, taps] (real), and the first tap's delay; `spread` in samples."""
    delays = power_delay_profile(profile)[0] * spread
    first, last = -HALF_WIDTH, math.ceil(delays.max()) + HALF_WIDTH
    weights = windowed_sinc(np.arange(first, last + 1) - delays[:, None])
    used = np.flatnonzero(weights.any(axis=0))
    return weights[:, used[0] : used[-1] + 1].astype(np.complex64), first + int(used[0])


def impulse_response(
    profile: str,
    length: int,
    rng: np.random.Generator,
    delay_spread_s: float = 100e-9,
    sample_rate_hz: float = 1e6,
    doppler_hz: float = 0.0,
) -> ImpulseResponse:
    """One draw of the channel for `length` samples of output; E sum |taps|^2 = 1 but for the band edge.

    `doppler_hz` is the largest Doppler shift; with 0 there is one snapshot. ValueError for what `check_rates` refuses.
    """
    check_rates(delay_spread_s, sample_rate_hz, doppler_hz)
    _, powers = power_delay_profile(profile)
    spread, first_tap = _spreading(profile, delay_spread_s * sample_rate_hz)
    doppler = doppler_hz / sample_rate_hz
    hold = max(length, 1)
    if doppler > 0.0:
        hold = min(hold, 2 ** math.floor(math.log2(min(max(_STEP / doppler, 1.0), 1e15))))
    snapshots = max(1, -(-length // hold))
    gains = np.empty((powers.size, snapshots), np.complex64)
    for path, power in enumerate(powers):
        if path == 0 and profile in _DIRECT:
            gains[path] = phasor(_DIRECT_DOPPLER * doppler * hold * np.arange(snapshots) + rng.uniform(-0.5, 0.5))
        elif snapshots == 1:
            gains[path] = fades("rayleigh", 1, rng)
        else:
            gains[path] = scattered(snapshots, doppler * hold, rng)
        gains[path] *= np.float32(math.sqrt(power))
    return ImpulseResponse(product(gains.T, spread), first_tap, hold)


def transmit(
    burst: NDArray[np.complex64],
    profile: str,
    esn0_db: float,
    rng: np.random.Generator,
    delay_spread_s: float = 100e-9,
    sample_rate_hz: float = 1e6,
    doppler_hz: float = 0.0,
    tail: bool = False,
) -> tuple[NDArray[np.complex64], ImpulseResponse]:
    """Samples of mean energy 1 through a multipath channel: what is received, complex64, and the channel.

    The output is as long as the burst and in step with the path of delay 0; what comes earlier (of the interpolation)
    or later is cut off. With `tail` it is the whole convolution, and `first_tap` is 0. Noise of variance
    10^(-esn0_db / 10) falls on each sample.
    """
    sent = np.asarray(burst, np.complex64)
    check_rates(delay_spread_s, sample_rate_hz, doppler_hz)
    taps = _spreading(profile, delay_spread_s * sample_rate_hz)[0].shape[1]
    length = sent.size + (taps - 1 if tail and sent.size else 0)
    response = impulse_response(profile, length, rng, delay_spread_s, sample_rate_hz, doppler_hz)
    if tail:
        response = ImpulseResponse(response.taps, 0, response.snapshot_samples)
    return response.apply(sent, length) + noise(length, noise_var(esn0_db), rng), response

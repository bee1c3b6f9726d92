# SPDX-License-Identifier: GPL-3.0-or-later
"""From a detected preamble to a decoded header: channel, noise and a carrier offset fine enough to read the payload.

Preamble and header are units u, each at its own time t_u (samples), that see the same taps turned by the carrier
offset that is left: b = sum_u exp(-j 2 pi f t_u) b_u. The offset is the one whose b the channel's prior explains best,
b^H (G / N0 + D^-1)^-1 b at its largest; it is searched on a grid, then taps and noise are learnt. Once the header
has passed its CRC every carrier of it is known, and all of that is done again with eight times as many known symbols.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import header as headers
from .detection import Detection
from .doppler import phasor
from .ofdm import (
    BACK_OFF,
    FFT,
    FRAME,
    PREFIX,
    SAMPLES_PER_SYMBOL,
    SYMBOL,
    TAPS,
    data_carriers,
    demodulate,
    grid,
    pilot_carriers,
    pilot_values,
    responses,
)
from .preamble import LENGTH
from .sparse_channel import Estimate, full_gram, learn, pilot_grams, preamble_matrix

_REACH = 0.25  # cycles an OFDM symbol: what the preamble's estimate may be off by, at most
_ROUNDS = 6


@dataclass
class Acquired:
    """A header's bits, and what the receiver knows at the header's end.

    `origin` is the sample in which the burst begins, `carrier_offset` in cycles a sample; `estimate` has the taps,
    with phase 0 at `phase_at` (samples from `origin`); `b`, `gram` are the statistics they come from; `offset_error` is
    the offset's standard deviation, `carrier_noise` each carrier's own noise variance where the header is long enough.
    """

    bits: NDArray[np.uint8]
    origin: int
    carrier_offset: float
    phase_at: float
    estimate: Estimate
    b: NDArray[np.complex128]
    gram: NDArray[np.complex128]
    offset_error: float
    carrier_noise: NDArray[np.float64] | None


def turned(samples: NDArray[np.complex64], carrier_offset: float, first: float) -> NDArray[np.complex64]:
    """Samples without a carrier offset; `first` is how many samples after phase 0 they begin."""
    return samples * phasor(-carrier_offset * (first + np.arange(samples.size, dtype=np.float64)))


def segment(samples: NDArray[np.complex64], begin: int, length: int) -> NDArray[np.complex64]:
    """samples[begin : begin + length] with zeros where there are none."""
    out = np.zeros(length, np.complex64)
    low, high = max(begin, 0), min(begin + length, samples.size)
    if high > low:
        out[low - begin : high - begin] = samples[low:high]
    return out


def _search(
    b: NDArray[np.complex128], times: NDArray[np.float64], inverse: NDArray[np.complex128], reach: float
) -> float:
    """The offset, cycles a sample, that makes the units' statistics agree best."""
    span = float(times.max() - times.min())
    step = 1.0 / (6.0 * span)
    count = max(2, int(np.ceil(reach / step)))
    offsets = np.arange(-count, count + 1) * step
    for _ in range(3):
        sums = np.exp(-2j * np.pi * offsets[:, None] * times) @ b
        value = np.einsum("gi,ij,gj->g", sums.conj(), inverse, sums).real
        best = int(value.argmax())
        step /= 5.0
        offsets = offsets[best] + np.arange(-5, 6) * step
    return float(offsets[5])


def _fit(
    b: NDArray[np.complex128], grams: NDArray[np.complex128], times: NDArray[np.float64], start: Estimate,
    reach: float, energy: float, count: int,
) -> tuple[float, Estimate, NDArray[np.complex128], NDArray[np.complex128]]:  # fmt: skip
    """Offset and channel of units b [U, TAPS], grams [U, TAPS, TAPS], of which all but the first, the preamble, tell
    the noise (`energy`, `count`)."""
    gram = grams.sum(axis=0)
    root = np.sqrt(start.powers)
    inner = root[:, None] * gram * root / start.noise_var + np.eye(TAPS)
    offset = _search(b, times, root[:, None] * np.linalg.inv(inner) * root, reach)
    total = np.exp(-2j * np.pi * offset * times) @ b
    first = learn(total, gram, start, _ROUNDS)
    # the preamble's share of what the taps explain must not count as noise: its own statistics are left out
    only = total - np.exp(-2j * np.pi * offset * times[0]) * b[0]
    explained = 2 * np.vdot(first.taps, only).real - np.vdot(first.taps, (gram - grams[0]) @ first.taps).real
    spread = float(np.real(np.sum(first.covariance * (gram - grams[0]).T)))
    noise = max((energy - explained + spread) / count, 1e-6 * energy / count, 1e-30)
    estimate = learn(total, gram, Estimate(first.taps, first.covariance, first.powers, noise), _ROUNDS)
    return offset, estimate, total, gram


def acquire(samples: NDArray[np.complex64], found: Detection) -> Acquired | None:
    """Reads the header behind a preamble; None where its CRC fails."""
    strength = found.strength
    origin = round(found.start)
    count = headers.OFDM_SYMBOLS[strength]
    x = turned(segment(samples, origin, LENGTH + count * SYMBOL), found.carrier_offset, 0)
    if not x.any():
        return None
    rows = LENGTH + PREFIX - BACK_OFF + SYMBOL * np.arange(count)[:, None]
    z = demodulate(x[rows + np.arange(FFT)]).astype(np.complex128)
    times = np.concatenate(([(LENGTH - BACK_OFF) / 2.0], LENGTH + PREFIX + FFT / 2.0 + SYMBOL * np.arange(count)))
    middle = float(times.mean())
    times -= middle
    matrix = preamble_matrix(strength)
    scale = 1.0 / SAMPLES_PER_SYMBOL
    b_preamble = matrix.conj().T @ x[: len(matrix)] * scale
    gram_preamble = matrix.conj().T @ matrix * scale
    signal = max(found.score, 1e-3) * found.energy
    noise = max((1.0 - found.score) * found.energy, 1e-6 * found.energy, 1e-30)
    start = Estimate(np.zeros(TAPS, complex), np.zeros((TAPS, TAPS), complex), np.full(TAPS, signal / TAPS), noise)

    place = np.arange(count) % FRAME
    index = np.arange(count)[:, None]
    pilots = z[index, pilot_carriers()[place]] * pilot_values()[place].conj()
    b = np.einsum("mkt,mk->mt", responses()[pilot_carriers()[place]].conj(), pilots)
    offset, estimate, _, _ = _fit(
        np.vstack((b_preamble, b)), np.concatenate((gram_preamble[None], pilot_grams()[place])), times, start,
        _REACH / SYMBOL, float(np.sum(np.abs(pilots) ** 2)), pilots.size,
    )  # fmt: skip
    turn = np.exp(-2j * np.pi * offset * times[1:])[:, None]
    h = estimate.carriers()
    variance = (estimate.noise_var + estimate.error()) / np.maximum(np.abs(h) ** 2, 1e-20)
    where = data_carriers()[place]
    equalised = ((z * turn) / np.where(np.abs(h) > 1e-10, h, 1e-10))[index, where]
    bits = headers.decode(
        equalised.ravel().astype(np.complex64), variance[where].ravel().astype(np.float32), strength
    )
    if bits is None:
        return None
    known = z * grid(headers.encode(bits, strength)).conj()
    start = Estimate(estimate.taps, estimate.covariance, estimate.powers, estimate.noise_var)
    grams = np.concatenate((gram_preamble[None], np.repeat(full_gram()[None], count, axis=0)))
    total = np.vstack((b_preamble, known @ responses().conj()))
    offset, estimate, sums, gram = _fit(
        total, grams, times, start, 0.5 * _REACH / SYMBOL, float(np.sum(np.abs(known) ** 2)), known.size
    )
    # Cramer-Rao: the variance of a frequency is N0 / (2 (2 pi)^2 sum of t^2 |h|^2)
    power = float(np.mean(np.abs(estimate.carriers()) ** 2))
    weight = float(np.sum(times[1:] ** 2)) * known.shape[1] * power / max(estimate.noise_var, 1e-30)
    error = 1.0 / np.sqrt(max(2.0 * (2.0 * np.pi) ** 2 * weight, 1e-30))
    missed = np.abs(known * np.exp(-2j * np.pi * offset * times[1:])[:, None] - estimate.carriers()) ** 2
    carrier_noise = missed.mean(axis=0) if count >= FRAME else None
    # so far phase 0 of the first offset was at the origin; from here on that of the whole offset is at the middle
    reference = np.exp(2j * np.pi * found.carrier_offset * middle)
    estimate.taps = estimate.taps * reference
    carrier_offset = found.carrier_offset + offset
    return Acquired(
        bits, origin, carrier_offset, middle, estimate, sums * reference, gram, float(error), carrier_noise
    )

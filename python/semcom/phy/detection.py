# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds preambles in a stream of samples: one threshold for all signal-to-noise ratios, delays and carrier offsets.

The measure is the normalised correlation: the share of the energy in the band and in the preamble's window that the
preamble itself explains, from 0 to 1. In white noise of any strength it has one distribution (less than s has the
probability 1 - (1 - s)^(n - 1) at one place, n the dimensions of the window in the band), so that one threshold gives
one rate of false alarms (CFAR); that is the same test as correlation over estimated noise.

Two steps. One filter for each direction of the chirp, by FFT (overlap-save), looks at all samples; the squares of the
two halves are added, each at its best place of three neighbours (the carrier offset moves them apart). What exceeds
a low threshold is looked at again coherently: all delays in steps of 1/4 sample and offsets in steps of 1/4 cycle over
the preamble, one matrix product. The arithmetic at Es/N0 -8 dB: 253.5 symbols collect 16.0 dB; |c|^2 over noise is
a noncentral chi-square (2, 80), the threshold lies at 2 x 19, so a miss needs 2.7 standard deviations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .fourier import fft, ifft
from .preamble import HALF, LENGTH, STRENGTHS, preamble, preamble_at

THRESHOLD = 0.071  # share of the energy: at most one false alarm in a million symbols (docs/burst.md)
FIRST_THRESHOLD = 0.046  # of the first look, which lets about one in two thousand samples of noise through
_FFT = 8192
_BAND_TAPS = 65  # of the filter that the energy is measured behind
_BAND_EDGE = 0.42  # cycles a sample
_OVERLAP = HALF + _BAND_TAPS
_DELAYS = np.arange(-6, 7) / 4.0  # samples
_STEP = 0.25 / LENGTH  # cycles a sample
_OFFSETS = np.arange(-7, 8) * _STEP
_MARGIN = 2  # samples before and behind a window of the second look
_BATCH = 256
LOUDEST = 1e6  # samples beyond this amplitude, and those that are no numbers, count as 0


@dataclass(frozen=True)
class Detection:
    """A preamble that was found: where its first sample is (samples, with fraction), its carrier offset in cycles
    a sample, the header's strength, the share of the energy that it explains, and the mean energy of the samples there
    within the band."""

    start: float
    carrier_offset: float
    strength: str
    score: float
    energy: float


def sane(samples: ArrayLike) -> NDArray[np.complex64]:
    """Samples as complex64 [n]; what is no number, infinite or above 1e6 becomes 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.ascontiguousarray(samples, np.complex64).ravel()
        parts = x.view(np.float32)
        if parts.size and not float(np.max(np.abs(parts))) <= LOUDEST:
            bad = ~(np.abs(x.real) + np.abs(x.imag) <= LOUDEST)
            x = np.where(bad, np.complex64(0), x)
    return x


@lru_cache(maxsize=1)
def _filters() -> NDArray[np.complex64]:
    """[3, FFT]: band filter and the two matched filters behind it, delayed alike: output i is about sample i - FIR's
    half; the matched ones give at i the correlation of the chirp that begins at i."""
    from scipy.signal import firwin

    impulses = np.zeros((3, _FFT), np.complex128)
    impulses[0, :_BAND_TAPS] = firwin(_BAND_TAPS, 2 * _BAND_EDGE)
    impulses[1:, :HALF] = preamble("robust")[:HALF], preamble("short")[:HALF]
    band, *chirps = fft(impulses)
    spectra = np.conj(np.stack(chirps))
    return np.concatenate((band[None], spectra * band)).astype(np.complex64)


def _filtered(x: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """In-band samples [n], and the two correlations' squares, float32 [2, n], both in step with x; 0 outside."""
    delay = _BAND_TAPS // 2
    useful = _FFT - _OVERLAP
    blocks = -(-x.size // useful)
    padded = np.zeros(blocks * useful + _OVERLAP, np.complex64)
    padded[delay : delay + x.size] = x
    band = np.empty(blocks * useful, np.complex64)
    power = np.empty((2, blocks * useful), np.float32)
    filters = _filters()
    for block in range(blocks):
        begin = block * useful
        spectrum = fft(padded[begin : begin + _FFT])
        out = ifft(spectrum * filters)[:, 2 * delay : 2 * delay + useful]
        band[begin : begin + useful] = out[0]
        matched = out[1:]
        power[:, begin : begin + useful] = matched.real * matched.real + matched.imag * matched.imag
    return band[: x.size], power[:, : x.size]


def _window_energy(x: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Energy of x[i : i + LENGTH] for each i from 0 to n - LENGTH, float32."""
    sums = np.empty(x.size + 1, np.float64)
    sums[0] = 0.0
    np.cumsum(x.real * x.real + x.imag * x.imag, dtype=np.float64, out=sums[1:])
    return (sums[LENGTH:] - sums[:-LENGTH]).astype(np.float32)


def _best_of_three(power: NDArray[np.float32]) -> NDArray[np.float32]:
    out = power.copy()
    np.maximum(out[:, 1:], power[:, :-1], out=out[:, 1:])
    np.maximum(out[:, :-1], power[:, 1:], out=out[:, :-1])
    return out


@lru_cache(maxsize=1)
def _templates() -> NDArray[np.complex64]:
    """[2 strengths, window, delays x offsets]: conjugate preambles, energy 1."""
    instants = np.arange(-_MARGIN, LENGTH + _MARGIN, dtype=np.float64)
    tables = []
    for strength in STRENGTHS:
        shifted = preamble_at(strength, instants[:, None] - _DELAYS)
        turned = shifted[:, :, None] * np.exp(2j * np.pi * instants[:, None, None] * _OFFSETS)
        flat = turned.reshape(instants.size, -1)
        tables.append(np.conj(flat / np.linalg.norm(flat, axis=0)))
    return np.stack(tables).astype(np.complex64)


def _peak(left: float, middle: float, right: float) -> float:
    """Where the parabola through three neighbours has its top, -0.5 to 0.5 steps from the middle."""
    curve = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / curve, -0.5, 0.5)) if curve < 0 else 0.0


def _second_look(
    band: NDArray[np.complex64], energy: NDArray[np.float32], places: NDArray[np.intp], sequence: int, threshold: float
) -> list[Detection]:
    found = []
    width = LENGTH + 2 * _MARGIN
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(band, _MARGIN), width)
    for begin in range(0, places.size, _BATCH):
        batch = places[begin : begin + _BATCH]
        value = np.abs(windows[batch] @ _templates()[sequence])
        best = value.argmax(axis=1)
        score = np.square(value[np.arange(batch.size), best]) / np.maximum(energy[batch], 1e-30)
        for i in np.flatnonzero(score >= threshold):
            grid = value[i].reshape(_DELAYS.size, _OFFSETS.size)
            d, f = divmod(int(best[i]), _OFFSETS.size)
            inner_d, inner_f = np.clip(d, 1, _DELAYS.size - 2), np.clip(f, 1, _OFFSETS.size - 2)
            delay = _DELAYS[inner_d] + 0.25 * _peak(*grid[inner_d - 1 : inner_d + 2, f])
            offset = _OFFSETS[inner_f] + _STEP * _peak(*grid[d, inner_f - 1 : inner_f + 2])
            level = float(energy[batch[i]]) / LENGTH
            found.append(Detection(float(batch[i] + delay), float(offset), STRENGTHS[sequence], float(score[i]), level))
    return found


def detect(samples: ArrayLike, threshold: float = THRESHOLD) -> list[Detection]:
    """All preambles that lie whole in `samples`, complex [n], in order.

    Of several within one preamble's length the best stands. Carrier offsets up to 5e-3 cycles a sample are found (a
    little more in practice). Samples that are no numbers count as 0; fewer than 312 samples hold nothing.
    ValueError unless the threshold is above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, not {threshold!r}")
    x = sane(samples)
    if x.size < LENGTH:
        return []
    band, power = _filtered(x)
    energy = _window_energy(band)
    count = energy.size
    best = _best_of_three(power)
    limit = energy * np.float32(FIRST_THRESHOLD * HALF)
    limit[energy <= 1e-6 * float(energy.max(initial=0.0))] = np.inf  # silence beside a signal, rounding included
    found: list[Detection] = []
    for sequence in range(2):
        measure = best[sequence, :count] + best[1 - sequence, HALF : HALF + count]
        places = np.flatnonzero(measure > limit)
        height = measure[places]
        for step in (-2, -1, 1, 2):  # only the tops
            beside = places + step
            inside = (beside >= 0) & (beside < count)
            top = np.where(inside, measure[np.clip(beside, 0, count - 1)] <= height, True)
            places, height = places[top], height[top]
        found += _second_look(band, energy, places, sequence, threshold)
    return _strongest(found)


def _strongest(found: list[Detection]) -> list[Detection]:
    kept: list[Detection] = []
    for one in sorted(found, key=lambda d: -d.score):
        if all(abs(one.start - other.start) >= LENGTH for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda d: d.start)

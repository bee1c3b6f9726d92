# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows a burst through its payload, a frame of eight OFDM symbols at a time: phase, timing, channel and noise.

A Kalman filter has four states: the phase and its slope (what is left of the carrier offset, phase noise), the delay and
its slope (the sampling offset). Each frame its 208 pilots, compared with the channel known so far, measure phase and
delay by least squares, weighted with |h|^2. Whole samples of delay move the receiver's window, the rest is a phase
ramp over the carriers. Behind that the channel stands nearly still: its statistics are summed with forgetting, and its
taps are learnt anew (`sparse_channel.py`). Each frame is equalised with what is known after its own pilots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .acquisition import Acquired, segment, turned
from .ofdm import (
    BACK_OFF,
    DATA,
    FFT,
    FRAME,
    PILOTS,
    PREFIX,
    SYMBOL,
    TAPS,
    carriers,
    data_carriers,
    demodulate,
    pilot_carriers,
    pilot_values,
    responses,
)
from .sparse_channel import Estimate, learn, pilot_grams

FORGET = 0.8  # what a frame leaves of the statistics before it
_NOISE_FORGET = 0.8
_PHASE_DRIFT = 1e-3  # rad^2 a frame
_SLOPE_DRIFT = 1e-8  # (rad a symbol)^2 a frame
_DELAY_DRIFT = 1e-6  # samples^2 a frame
_RATE_DRIFT = 1e-12  # (samples a symbol)^2 a frame
_PPM = 25.0  # standard deviation of sampling offsets
ERASED = 1e6  # noise variance of what never arrived


@dataclass
class Tracked:
    """Equalised symbols, complex64 [n], noise variances, float32 [n], and the last estimates."""

    symbols: NDArray[np.complex64]
    noise_var: NDArray[np.float32]
    carrier_offset: float
    sampling_offset_ppm: float
    esn0_db: float


def follow(samples: NDArray[np.complex64], known: Acquired, begin: int, count: int) -> Tracked:
    """Equalises `count` OFDM symbols of payload, of which the first has its prefix `begin` samples behind the origin."""
    matrices = (responses()[pilot_carriers()].conj() * pilot_values()[:, :, None].conj()).reshape(-1, TAPS).T
    ramp = (2.0 * np.pi / FFT * carriers()).astype(np.float32)
    estimate, b, gram = known.estimate, known.b, known.gram
    h = estimate.carriers()
    centre = (FRAME - 1) / 2.0
    # states: phase, slope (a symbol), delay, rate (samples a symbol), at the middle of the frame
    lead = begin + PREFIX + FFT / 2.0 - known.phase_at  # of the first symbol's middle
    state = np.zeros(4)
    slope_var = (2.0 * np.pi * SYMBOL * known.offset_error) ** 2
    cov = np.diag([1e-3, slope_var, 1e-3, (_PPM * 1e-6 * SYMBOL) ** 2])
    ahead = (lead / SYMBOL) + centre
    state, cov = _advance(state, cov, ahead)
    values = np.zeros((count, DATA), np.complex64)
    variances = np.full((count, DATA), np.float32(ERASED))
    noise = estimate.noise_var
    within = np.arange(FFT)
    for first in range(0, count, FRAME):
        size = min(FRAME, count - first)
        offsets = np.arange(size) - centre
        shift = round(state[2])
        at = known.origin + begin + first * SYMBOL + PREFIX - BACK_OFF + shift
        if at >= samples.size:
            break
        x = segment(samples, at, size * SYMBOL)
        whole = min(size, max(0, -(-(samples.size - at) // SYMBOL)))
        x = turned(x, known.carrier_offset, at - known.origin - known.phase_at)
        windows = np.lib.stride_tricks.sliding_window_view(x, FFT)[::SYMBOL][:size]
        if len(windows) < size:
            windows = x[np.arange(size)[:, None] * SYMBOL + within]
        z = demodulate(windows)
        z = z * _rotation(state, shift, offsets, ramp)
        rows = np.arange(size)[:, None]
        where = pilot_carriers()[:size]
        if x.any():
            pilots = z[rows, where] * pilot_values()[:size].conj()
            state, cov, change = _measure(state, cov, pilots, h[where], ramp[where], noise)
            z *= np.exp(-1j * (change[0] - np.float32(change[1]) * ramp)).astype(np.complex64)
            b = FORGET * b + matrices[:, : size * PILOTS] @ z[rows, where].ravel()
            gram = FORGET * gram + pilot_grams()[:size].sum(axis=0)
            estimate = learn(b, gram, Estimate(estimate.taps, estimate.covariance, estimate.powers, noise), 1)
            h = estimate.carriers()
            residual = z[rows, where] * pilot_values()[:size].conj() - h[where]
            seen = float(np.mean(np.abs(residual[:whole]) ** 2)) if whole else noise
            weight = (1.0 - _NOISE_FORGET) * size / FRAME
            noise = max((1.0 - weight) * noise + weight * seen, 1e-30)
        gain = h.real * h.real + h.imag * h.imag
        inverse = np.float32(1) / np.maximum(gain, np.float32(1e-20))
        equalised = z * (h.conj() * inverse)
        data = data_carriers()[:size]
        values[first : first + whole] = equalised[rows, data][:whole]
        variances[first : first + whole] = np.minimum(np.float32(noise + estimate.error()) * inverse, ERASED)[data][:whole]
        state, cov = _advance(state, cov, float(FRAME))
        cov += np.diag([_PHASE_DRIFT, _SLOPE_DRIFT, _DELAY_DRIFT, _RATE_DRIFT])
    power = float(np.mean(np.abs(h) ** 2))
    return Tracked(
        values.ravel(), variances.ravel(), known.carrier_offset + float(state[1]) / (2 * np.pi * SYMBOL),
        float(state[3]) / SYMBOL * 1e6, 10.0 * math.log10(max(power, 1e-30) / max(noise, 1e-30)),
    )  # fmt: skip


def _advance(state: NDArray[np.float64], cov: NDArray[np.float64], symbols: float) -> tuple[NDArray, NDArray]:
    step = np.eye(4)
    step[0, 1] = step[2, 3] = symbols
    return step @ state, step @ cov @ step.T


def _rotation(
    state: NDArray[np.float64], shift: int, offsets: NDArray[np.float64], ramp: NDArray[np.float32]
) -> NDArray[np.complex64]:
    """What undoes phase and delay, complex64 [symbols, CARRIERS]."""
    phase = state[0] + state[1] * offsets
    delay = state[2] - shift + state[3] * offsets
    return np.exp(-1j * (phase[:, None] - delay[:, None] * ramp).astype(np.float32))


def _measure(
    state: NDArray[np.float64], cov: NDArray[np.float64], pilots: NDArray[np.complex64], h: NDArray[np.complex64],
    ramp: NDArray[np.float32], noise: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[float, float]]:  # fmt: skip
    """The state after a frame's pilots, and by how much phase and delay changed."""
    product = pilots * h.conj()
    turn = complex(np.sum(product))
    phase = math.atan2(turn.imag, turn.real)
    imaginary = (product * np.exp(-1j * phase)).imag.ravel()
    weight = (h.real * h.real + h.imag * h.imag).ravel().astype(np.float64)
    basis = np.stack((np.ones(imaginary.size), -ramp.ravel().astype(np.float64)))
    information = (basis * weight) @ basis.T + 1e-20 * np.eye(2)
    found = np.linalg.solve(information, basis @ imaginary)
    found[0] += phase
    measured = np.linalg.inv(information) * noise / 2.0
    select = np.zeros((2, 4))
    select[0, 0] = select[1, 2] = 1.0
    gain = cov @ select.T @ np.linalg.inv(select @ cov @ select.T + measured)
    new = state + gain @ found
    cov = (np.eye(4) - gain @ select) @ cov
    return new, (cov + cov.T) / 2.0, (float(new[0] - state[0]), float(new[2] - state[2]))

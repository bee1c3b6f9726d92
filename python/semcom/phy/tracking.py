# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows a burst through its payload, a frame of eight OFDM symbols at a time: phase, timing, channel and noise.

A Kalman filter has four states: the phase and its slope (what is left of the carrier offset), the delay and
its slope (the sampling offset). Each frame its 208 pilots, compared with the channel known so far, measure phase and
delay by least squares, weighted with |h|^2. Whole samples of delay move the receiver's window, the rest is a phase
ramp over the carriers. Where the phase moves more from symbol to symbol than noise explains, each symbol's own pilots
correct it further (`phase_noise.py`). Behind that the channel stands nearly still: its statistics are summed with
forgetting, slowly and fast, its taps are learnt anew (`sparse_channel.py`), and of the two the one that foretold the
pilots better is used. Each frame is equalised with what is known after its own pilots.

Noise is the same on all carriers, unless one has stood out for some frames: an interferer sits there, and what it has
got more is what its symbols' noise variances say and what its pilots count less.

Where the pilots stop agreeing although the noise is low, samples were lost or came twice: then the delay is searched
over 128 samples either way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .acquisition import Acquired, segment, turned
from .fourier import ifft
from .ofdm import (
    BACK_OFF,
    CARRIERS,
    DATA,
    FFT,
    FRAME,
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
from .phase_noise import PhaseNoise
from .sparse_channel import Estimate, learn, pilot_grams

FORGET = (0.85, 0.3)  # what a frame leaves of the statistics before it, slow and fast
ERASED = 1e6  # noise variance of what never arrived
_SCORE_FORGET = 0.7
_NOISE_FORGET = 0.8
_CARRIER_FORGET = 0.75
_LOUD = 5.0  # noise of a carrier, times that of the median carrier, that an interferer is assumed from
_DRIFTS = np.diag([1e-3, 1e-8, 1e-6, 1e-12])  # a frame; rad^2, (rad a symbol)^2, samples^2, (samples a symbol)^2
_PPM = 25.0  # standard deviation of sampling offsets
_LOST = 0.35  # agreement of the pilots, 1 at best, below which the window is lost
_CENTRE = (FRAME - 1) / 2.0


@dataclass
class Tracked:
    """Equalised symbols, complex64 [n], noise variances, float32 [n], and the last estimates."""

    symbols: NDArray[np.complex64]
    noise_var: NDArray[np.float32]
    carrier_offset: float
    sampling_offset_ppm: float
    esn0_db: float


class _Channel:
    """Taps from statistics that are forgotten at one speed."""

    def __init__(self, known: Acquired, forget: float) -> None:
        self.b, self.gram, self.estimate = known.b, known.gram, known.estimate
        self.h = self.estimate.carriers()
        self.forget, self.score = forget, 0.0

    def foretold(self, pilots: NDArray[np.complex64], where: NDArray[np.intp]) -> None:
        """Note how well the pilots were known before they came."""
        missed = float(np.mean(np.abs(pilots - self.h[where]) ** 2))
        self.score = _SCORE_FORGET * self.score + (1.0 - _SCORE_FORGET) * missed

    def update(self, b: NDArray[np.complex128], gram: NDArray[np.complex128], noise: float) -> None:
        """Take a frame's statistics."""
        self.b = self.forget * self.b + b
        self.gram = self.forget * self.gram + gram
        old = self.estimate
        self.estimate = learn(self.b, self.gram, Estimate(old.taps, old.covariance, old.powers, noise), 1)
        self.h = self.estimate.carriers()


class _Tracker:
    def __init__(self, samples: NDArray[np.complex64], known: Acquired, begin: int) -> None:
        self.samples, self.known, self.begin = samples, known, begin
        self.channels = [_Channel(known, forget) for forget in FORGET]
        self.noise = known.estimate.noise_var
        self.weights = np.ones(CARRIERS, np.float32)  # of carriers, below 1 where somebody else sends
        if known.carrier_noise is None:
            self.carrier_noise = np.full(CARRIERS, self.noise)
        else:
            self.carrier_noise = known.carrier_noise.copy()
            loud = self.loud()
            if loud.any() and not loud.all():
                self.noise = max(float(np.mean(self.carrier_noise[~loud])), 1e-30)
            self.weigh(loud)
        self.phase_noise = PhaseNoise()
        self.frames = 0
        self.ramp = (2.0 * np.pi / FFT * carriers()).astype(np.float32)
        self.matrix = (responses()[pilot_carriers()].conj() * pilot_values()[:, :, None].conj()).reshape(-1, TAPS).T
        # phase, its slope a symbol, delay in samples, its slope a symbol; at the middle of the frame
        slope = 2.0 * np.pi * SYMBOL * known.offset_error
        self.state = np.zeros(4)
        self.cov = np.diag([1e-3, slope**2, 1e-3, (_PPM * 1e-6 * SYMBOL) ** 2])
        self.advance((begin + PREFIX + FFT / 2.0 - known.phase_at) / SYMBOL + _CENTRE)

    @property
    def channel(self) -> _Channel:
        return min(self.channels, key=lambda channel: channel.score)

    def advance(self, symbols: float) -> None:
        step = np.eye(4)
        step[0, 1] = step[2, 3] = symbols
        self.state, self.cov = step @ self.state, step @ self.cov @ step.T

    def carriers_of(self, first: int, size: int) -> tuple[NDArray[np.complex64], int]:
        """Carriers of a frame [size, CARRIERS], phase and delay undone as foretold; how many symbols have samples."""
        known, shift = self.known, round(self.state[2])
        at = known.origin + self.begin + first * SYMBOL + PREFIX - BACK_OFF + shift
        x = turned(segment(self.samples, at, size * SYMBOL), known.carrier_offset, at - known.origin - known.phase_at)
        there = min(size, max(0, (self.samples.size - at - FFT) // SYMBOL + 1))
        offsets = np.arange(size) - _CENTRE
        phase = self.state[0] + self.state[1] * offsets
        delay = self.state[2] - shift + self.state[3] * offsets
        turn = np.exp(-1j * (phase[:, None] - delay[:, None] * self.ramp).astype(np.float32))
        return demodulate(x.reshape(size, SYMBOL)[:, :FFT]) * turn, there

    def frame(self, first: int, size: int) -> tuple[NDArray[np.complex64], NDArray[np.float32], int]:
        """Equalised carriers [size, CARRIERS], noise variances [CARRIERS], and how many symbols have samples."""
        z, there = self.carriers_of(first, size)
        if there:
            rows, where = np.arange(there)[:, None], pilot_carriers()[:there]
            values = pilot_values()[:there].conj()
            agreement, expected = self.agreement(z[rows, where] * values, where)
            if agreement < _LOST and expected < _LOST / 4 and self.search(z[rows, where] * values, where):
                z, there = self.carriers_of(first, size)
                there = max(there, 1)
                rows, where, values = np.arange(there)[:, None], pilot_carriers()[:there], pilot_values()[:there].conj()
                agreement, expected = self.agreement(z[rows, where] * values, where)
            if agreement >= _LOST or expected >= _LOST / 4:
                z = self.follow(z, rows, where, values)
            self.learn_noise(np.abs(z[rows, where] * values - self.channel.h[where]) ** 2, where)
        h = self.channel.h
        inverse = np.float32(1) / np.maximum(h.real * h.real + h.imag * h.imag, np.float32(1e-20))
        variance = (np.float32(self.noise) / self.weights + np.float32(self.channel.estimate.error())) * inverse
        return z * (h.conj() * inverse), np.minimum(variance, np.float32(ERASED)), there

    def learn_noise(self, squares: NDArray[np.float32], where: NDArray[np.intp]) -> None:
        """Takes what a frame's pilots [symbols, PILOTS] missed the channel by."""
        self.carrier_noise[where] += (1.0 - _CARRIER_FORGET) * (squares - self.carrier_noise[where])
        loud = self.loud()
        self.frames += 1
        weight = max(1.0 - _NOISE_FORGET, 1.0 / (self.frames + 1)) * len(where) / FRAME
        quiet = squares[~loud[where]] if loud.any() else squares
        if quiet.size:
            self.noise = max((1.0 - weight) * self.noise + weight * float(np.mean(quiet)), 1e-30)
        self.weigh(loud)

    def loud(self) -> NDArray[np.bool_]:
        """The carriers on which somebody else sends."""
        return self.carrier_noise > _LOUD * np.median(self.carrier_noise)

    def weigh(self, loud: NDArray[np.bool_]) -> None:
        """Weights from what these carriers have more than the others."""
        less = self.noise / np.maximum(self.carrier_noise, self.noise)
        self.weights = np.where(loud, less, 1.0).astype(np.float32)

    def agreement(self, pilots: NDArray[np.complex64], where: NDArray[np.intp]) -> tuple[float, float]:
        """How far the pilots agree with the channel, 1 at best, and the standard deviation that noise gives it."""
        h = self.channel.h[where]
        weighted = h * self.weights[where]
        power = max(float(np.vdot(h, weighted).real), 1e-30)
        return abs(complex(np.vdot(weighted, pilots))) / power, math.sqrt(self.noise / 2.0 / power)

    def search(self, pilots: NDArray[np.complex64], where: NDArray[np.intp]) -> bool:
        """Looks for the delay at which the pilots agree again, and moves there."""
        h = self.channel.h[where]
        spectrum = np.zeros(FFT, np.complex64)
        np.add.at(spectrum, carriers()[where], pilots * h.conj())
        agreement = np.abs(ifft(spectrum)) * (FFT / max(float(np.sum(np.abs(h) ** 2)), 1e-30))
        delay = int(agreement.argmax())
        if agreement[delay] < _LOST:
            return False
        self.state[2] += delay - FFT if delay >= FFT // 2 else delay
        self.cov[0, 0] += math.pi**2
        return True

    def follow(
        self, z: NDArray[np.complex64], rows: NDArray[np.intp], where: NDArray[np.intp], values: NDArray[np.complex64]
    ) -> NDArray[np.complex64]:
        """Measures with a frame's pilots; the carriers, corrected."""
        size = len(rows)
        h = self.channel.h[where]
        weights = self.weights[where]
        phase, delay = self.measure(z[rows, where] * values, h, self.ramp[where], weights)
        z = z * np.exp(-1j * (np.float32(phase) - np.float32(delay) * self.ramp)).astype(np.complex64)
        root = np.sqrt(weights)
        turns = self.phase_noise.turns(z[rows, where] * values * root, h * root, self.noise)
        if turns is not None:
            z[:size] *= turns[:, None]
        pilots = z[rows, where]
        b = self.matrix[:, : pilots.size] @ (pilots * weights).ravel()
        gram = pilot_grams()[:size].sum(axis=0)
        if weights.min() < 1.0:
            a = responses()[where.ravel()]
            gram = a.conj().T @ (a * weights.reshape(-1, 1))
        for channel in self.channels:
            channel.foretold(pilots * values, where)
        for channel in self.channels:
            channel.update(b, gram, self.noise)
        return z

    def measure(
        self, pilots: NDArray[np.complex64], h: NDArray[np.complex64], ramp: NDArray[np.float32],
        weights: NDArray[np.float32],
    ) -> tuple[float, float]:  # fmt: skip
        """Takes a frame's pilots into the state; by how much phase and delay changed."""
        product = pilots * h.conj() * weights
        turn = complex(np.sum(product))
        phase = math.atan2(turn.imag, turn.real)
        imaginary = (product * np.exp(-1j * phase)).imag.ravel()
        weight = (weights * (h.real * h.real + h.imag * h.imag)).ravel().astype(np.float64)
        basis = np.stack((np.ones(imaginary.size), -ramp.ravel().astype(np.float64)))
        information = (basis * weight) @ basis.T
        information[np.diag_indices(2)] += 1e-20 + 1e-12 * np.trace(information)
        found = np.linalg.solve(information, basis @ imaginary)
        found[0] += phase
        select = np.eye(4)[[0, 2]]
        spread = select @ self.cov @ select.T + np.linalg.inv(information) * self.noise / 2.0
        gain = self.cov @ select.T @ np.linalg.inv(spread)
        change = gain @ found
        self.state += change
        cov = (np.eye(4) - gain @ select) @ self.cov
        self.cov = (cov + cov.T) / 2.0
        return float(change[0]), float(change[2])


def follow(samples: NDArray[np.complex64], known: Acquired, begin: int, count: int) -> Tracked:
    """Equalises `count` OFDM symbols of payload; the prefix of the first lies `begin` samples behind the origin."""
    values = np.zeros((count, DATA), np.complex64)
    variances = np.full((count, DATA), np.float32(ERASED))
    tracker = _Tracker(samples, known, begin)
    for first in range(0, count, FRAME):
        size = min(FRAME, count - first)
        equalised, variance, there = tracker.frame(first, size)
        if not there:
            break
        where = data_carriers()[:there]
        values[first : first + there] = equalised[np.arange(there)[:, None], where]
        variances[first : first + there] = variance[where]
        tracker.advance(float(FRAME))
        tracker.cov += _DRIFTS
    power = float(np.sum(np.abs(tracker.channel.h) ** 2)) / CARRIERS
    return Tracked(
        values.ravel(), variances.ravel(), known.carrier_offset + float(tracker.state[1]) / (2 * np.pi * SYMBOL),
        float(tracker.state[3]) / SYMBOL * 1e6,
        10.0 * math.log10(max(power, 1e-30) / max(tracker.noise, 1e-30)),
    )  # fmt: skip

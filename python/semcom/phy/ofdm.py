# SPDX-License-Identifier: GPL-3.0-or-later
"""OFDM symbols of a burst: 208 of 256 carriers, a cyclic prefix of 32 samples, every eighth carrier a pilot.

One kind of symbol carries everything (header and payload). The pilots move by three carriers from symbol to symbol, so
that eight symbols, a *frame*, have had one on every carrier; those of one symbol already tell any impulse response of
up to 32 samples. Carrier 0 is not used (the DC offset of radios falls on it), nor are the outer 47.

Samples have mean energy 1. A carrier's symbol x arrives as h x + noise with the noise variance N0 = s sigma^2, where
sigma^2 is that of a sample and s = 256 / 208 samples a symbol; so noise on samples has Es/N0 + 10 log10(s).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .fourier import fft, ifft
from .scrambler import gold_sequence

FFT = 256
CARRIERS = 208
PREFIX = 32
SYMBOL = FFT + PREFIX  # samples
SPACING = 8  # a pilot on every eighth carrier
FRAME = 8  # symbols
PILOTS = CARRIERS // SPACING
DATA = CARRIERS - PILOTS
SAMPLES_PER_SYMBOL = FFT / CARRIERS
TAPS = PREFIX  # of the impulse responses that are told apart
BACK_OFF = 8  # samples that the receiver's window begins early: paths from -8 to +24 samples do no harm
_STEP = 3
_PILOT_SEED = 0x155A3


@lru_cache(maxsize=1)
def carriers() -> NDArray[np.intp]:
    """Frequency of each carrier in 1/256 cycles a sample, rising: -104 to -1, 1 to 104."""
    half = CARRIERS // 2
    return np.concatenate((np.arange(-half, 0), np.arange(1, half + 1)))


@lru_cache(maxsize=1)
def pilot_carriers() -> NDArray[np.intp]:
    """Which carriers are pilots in each symbol of a frame, [FRAME, PILOTS], indices into `carriers()`."""
    first = _STEP * np.arange(FRAME)[:, None] % SPACING
    return first + SPACING * np.arange(PILOTS)


@lru_cache(maxsize=1)
def data_carriers() -> NDArray[np.intp]:
    """The others, [FRAME, DATA]."""
    every = np.arange(CARRIERS)
    return np.stack([np.setdiff1d(every, pilots) for pilots in pilot_carriers()])


@lru_cache(maxsize=1)
def pilot_values() -> NDArray[np.complex64]:
    """QPSK of a Gold sequence (TS 38.211, 5.2.1), complex64 [FRAME, PILOTS]; the same in each frame."""
    bits = gold_sequence(_PILOT_SEED, 2 * FRAME * PILOTS).reshape(FRAME, PILOTS, 2).astype(np.float32)
    return (((1 - 2 * bits[..., 0]) + 1j * (1 - 2 * bits[..., 1])) * math.sqrt(0.5)).astype(np.complex64)


def symbols_for(count: int) -> int:
    """OFDM symbols that carry `count` complex values."""
    return -(-count // DATA)


def grid(values: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Carriers of the OFDM symbols that carry `values`, [symbols, CARRIERS]; the first one begins a frame.

    What is left of the last one is filled with QPSK of the pilots' sequence, so that energy stays where it is.
    """
    count = symbols_for(values.size)
    place = np.arange(count) % FRAME
    filled = np.resize(pilot_values().ravel(), count * DATA).astype(np.complex64)
    filled[: values.size] = values
    out = np.empty((count, CARRIERS), np.complex64)
    rows = np.arange(count)[:, None]
    out[rows, data_carriers()[place]] = filled.reshape(count, DATA)
    out[rows, pilot_carriers()[place]] = pilot_values()[place]
    return out


def modulate(rows: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Carriers [symbols, CARRIERS] to samples, complex64 [symbols * SYMBOL], mean energy 1 for carriers of energy 1."""
    spectrum = np.zeros((len(rows), FFT), np.complex64)
    spectrum[:, carriers()] = rows  # negative indices are negative frequencies
    time = ifft(spectrum, norm="ortho") * np.float32(math.sqrt(SAMPLES_PER_SYMBOL))
    return np.concatenate((time[:, -PREFIX:], time), axis=1).reshape(-1)


def demodulate(windows: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Windows of samples [symbols, FFT], each begun BACK_OFF early, to carriers [symbols, CARRIERS].

    A path that arrives d samples after the symbol's own time appears as delay d + BACK_OFF.
    """
    spectrum: NDArray[np.complex64] = fft(windows, norm="ortho")
    scale = np.complex64(math.sqrt(1 / SAMPLES_PER_SYMBOL))
    return spectrum[:, carriers()] * scale


@lru_cache(maxsize=1)
def responses() -> NDArray[np.complex64]:
    """What a tap of each delay 0 to TAPS - 1 does to each carrier, complex64 [CARRIERS, TAPS]."""
    return np.exp(-2j * np.pi * np.outer(carriers(), np.arange(TAPS)) / FFT).astype(np.complex64)

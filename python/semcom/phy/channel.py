# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels with known coefficients: y = h x + noise, E|h|^2 = 1 over the ensemble.

Fading is drawn for each symbol, for each block of symbols or once a packet (perfect interleaving and standing still
are its two ends), or varies in time with the Doppler spectrum of a moving receiver. All randomness comes from the
generator that is handed in.
"""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import NDArray

from .doppler import check_doppler, scattered
from .snr import noise_var

MODELS = ("awgn", "rayleigh", "rician")
BLOCK_LENGTH = 128  # symbols with one coefficient where fading is "block", the speech papers' choice
DOPPLER = 0.01  # cycles a symbol where fading is "doppler"


def check_model(model: str) -> str:
    """ValueError, with the names, for an unknown channel."""
    if model not in MODELS:
        raise ValueError(f"channel must be one of {', '.join(MODELS)}, not {model!r}")
    return model


def coherence(fading: str | int, doppler: float = DOPPLER) -> int:
    """Symbols with one coefficient: "symbol" is 1, "block" 128, a number itself, "packet" 0 (all of them).

    "doppler" has none that is exact: it gives the usual 0.423 / doppler symbols (T. S. Rappaport, "Wireless
    Communications", 2002, eq. 5.40.c), good enough to estimate how much diversity a packet meets.
    """
    if fading == "symbol":
        return 1
    if fading == "packet":
        return 0
    if fading == "block":
        return BLOCK_LENGTH
    if fading == "doppler":
        return max(1, round(0.423 / doppler)) if check_doppler(doppler) else 0
    try:
        length = int(fading) if isinstance(fading, str) else operator.index(fading)
    except (TypeError, ValueError):
        length = 0
    if length < 1:
        raise ValueError(
            f"fading must be symbol, packet, doppler or a block length of at least 1 symbol, not {fading!r}"
        )
    return length


def check_rician_k(rician_k: float) -> float:
    """ValueError unless the ratio of direct to scattered power is a number of at least 0."""
    if not 0.0 <= rician_k < np.inf:
        raise ValueError(f"rician_k must be at least 0 and finite, not {rician_k!r}")
    return float(rician_k)


def _complex_normal(count: int, rng: np.random.Generator) -> NDArray[np.complex64]:
    """complex64 [count], independent, E|x|^2 = 1."""
    values = rng.standard_normal(2 * count, dtype=np.float32)
    values *= np.float32(np.sqrt(0.5))
    return values.view(np.complex64)


def _add_direct_path(h: NDArray[np.complex64], model: str, rician_k: float) -> NDArray[np.complex64]:
    """Scattered coefficients to those of the model."""
    if model == "rayleigh":
        return h
    k = check_rician_k(rician_k)
    return h * np.float32(np.sqrt(1 / (k + 1))) + np.float32(np.sqrt(k / (k + 1)))


def fades(model: str, count: int, rng: np.random.Generator, rician_k: float = 1.0) -> NDArray[np.complex64]:
    """`count` independent coefficients, complex64; all ones over AWGN. The direct path of Rician has phase 0."""
    check_model(model)
    if model == "awgn":
        return np.ones(count, np.complex64)
    return _add_direct_path(_complex_normal(count, rng), model, rician_k)


def coefficients(
    model: str,
    symbols: int,
    rng: np.random.Generator,
    fading: str | int = BLOCK_LENGTH,
    rician_k: float = 1.0,
    doppler: float = DOPPLER,
) -> NDArray[np.complex64]:
    """The coefficient of each of `symbols` symbols of one packet, complex64 [symbols].

    `doppler` is the largest Doppler shift in cycles a symbol, from 0 to 0.5, where fading is "doppler"; the direct
    path of Rician has Doppler 0. Two packets never continue each other.
    """
    check_model(model)
    length = coherence(fading, doppler) or max(symbols, 1)
    if model == "awgn":
        return np.ones(symbols, np.complex64)
    if fading == "doppler":
        return _add_direct_path(scattered(symbols, doppler, rng), model, rician_k)
    return np.repeat(fades(model, -(-symbols // length), rng, rician_k), length)[:symbols]


def noise(symbols: int, variance: float, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Complex white Gaussian noise, complex64 [symbols], `variance` in all, half of it in each real dimension."""
    return _complex_normal(symbols, rng) * np.float32(np.sqrt(variance))


def transmit(
    burst: NDArray[np.complex64],
    model: str,
    esn0_db: float,
    rng: np.random.Generator,
    fading: str | int = BLOCK_LENGTH,
    rician_k: float = 1.0,
    doppler: float = DOPPLER,
) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """A burst of mean symbol energy 1 through a channel: received burst and coefficients, both complex64."""
    sent = np.asarray(burst, np.complex64)
    h = coefficients(model, sent.size, rng, fading, rician_k, doppler)
    return sent * h + noise(sent.size, noise_var(esn0_db), rng), h

# SPDX-License-Identifier: GPL-3.0-or-later
"""What is possible: capacities, the normal approximation for short blocks, outage over fading, uncoded error rates.

Rates are information bits for each complex symbol, SNR is Es/N0 in dB. Kinds of capacity: "gaussian" (Shannon),
"cm" (coded modulation: equiprobable points of the constellation) and "bicm" (each bit decoded on its own, as our
links do). Sources: Caire, Taricco, Biglieri, "Bit-interleaved coded modulation", IEEE Trans. IT 1998; Polyanskiy,
Poor, Verdu, "Channel coding rate in the finite blocklength regime", IEEE Trans. IT 2010 (normal approximation with
its log2(n) / 2 term); Ozarow, Shamai, Wyner, "Information theoretic considerations for cellular mobile radio", IEEE
Trans. VT 1994 (outage); Goldsmith and Varaiya, IEEE Trans. IT 1997 (ergodic capacity). Uncoded: see `uncoded.py`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .channel import check_model, check_rician_k, fades
from .modulation import Modulation
from .uncoded import gaussian_tail, uncoded_ber, uncoded_bler, uncoded_ser

__all__ = [
    "KINDS", "block_error_rate", "capacity", "capacity_airtime", "ergodic_capacity", "faded_moments",
    "gaussian_capacity", "gaussian_tail", "moments", "moments_table", "normal_approximation_bler",
    "normal_approximation_esn0_db", "outage_bler", "outage_probability", "required_esn0_db", "uncoded_ber",
    "uncoded_bler", "uncoded_ser",
]  # fmt: skip

KINDS = ("gaussian", "cm", "bicm")
MANY_FADES = 256  # beyond them a sum is taken to be normal
_LOWEST_DB, _HIGHEST_DB, _STEP_DB = -30.0, 50.0, 0.25  # of the tables behind the fading results
# Noise samples of one real dimension and their probabilities. The trapezoid rule on a Gaussian weight converges
# faster than any power; the kinks of log-sums at high SNR lie far in the tails.
_GRID = np.linspace(-8.0, 8.0, 193)
_WEIGHTS = np.exp(-0.5 * _GRID**2) / np.sum(np.exp(-0.5 * _GRID**2))


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")


def _linear(esn0_db: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(esn0_db, np.float64)
    if np.isnan(values).any():
        raise ValueError("esn0_db must be a number, found NaN")
    return 10.0 ** (values / 10.0)


def _logsumexp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the last axis."""
    top = values.max(axis=-1)
    return top + np.log(np.exp(values - top[..., None]).sum(axis=-1))


@lru_cache(maxsize=4096)
def _moments_at(modulation: str, kind: str, esn0_db: float) -> tuple[float, float]:
    """Mean (bits) and variance (bits^2) of the information density of one symbol."""
    mapping = Modulation(modulation)
    dimensions = 1 if mapping.bits_per_symbol == 1 else 2
    # BPSK lies on the diagonal: rotated, all its energy is in one dimension.
    levels = mapping.levels * (math.sqrt(2.0) if dimensions == 1 else 1.0)
    bits = len(levels).bit_length() - 1
    index = np.arange(len(levels))
    sent = np.flatnonzero(levels > 0)  # the negative half is its mirror image
    deviation = math.sqrt(0.5 * 10.0 ** (-esn0_db / 10.0))
    offset = (levels[sent, None] - levels[None, :]) / deviation
    metrics = -0.5 * (_GRID[None, :, None] + offset[:, None, :]) ** 2  # [sent, noise, level]
    if kind == "cm":
        own = metrics[np.arange(len(sent)), :, sent]
        density = bits - (_logsumexp(metrics) - own) / math.log(2.0)
    else:
        density = np.full(metrics.shape[:2], float(bits))
        for j in range(bits):
            ones = ((index >> (bits - 1 - j)) & 1).astype(bool)
            llr = _logsumexp(metrics[..., ~ones]) - _logsumexp(metrics[..., ones])
            density -= np.logaddexp(0.0, np.where(ones[sent], 1.0, -1.0)[:, None] * llr) / math.log(2.0)
    weights = _WEIGHTS[None, :] / len(sent)
    mean = float(np.sum(weights * density))
    variance = float(np.sum(weights * density**2)) - mean**2
    return dimensions * max(mean, 0.0), dimensions * max(variance, 0.0)


def gaussian_capacity(esn0_db: ArrayLike) -> NDArray[np.float64]:
    """Shannon: log2(1 + Es/N0), bits a symbol."""
    return np.log2(1.0 + _linear(esn0_db))


def capacity(modulation: str, esn0_db: ArrayLike, kind: str = "bicm") -> NDArray[np.float64]:
    """Bits a symbol of a constellation at each Es/N0; kind "cm" or "bicm" ("gaussian" ignores the constellation)."""
    return moments(modulation, esn0_db, kind)[0]


def moments(modulation: str, esn0_db: ArrayLike, kind: str = "bicm") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Capacity (bits a symbol) and dispersion (bits^2 a symbol) at each Es/N0, of its shape."""
    _check_kind(kind)
    gamma = _linear(esn0_db)
    if kind == "gaussian":
        return gaussian_capacity(esn0_db), gamma * (gamma + 2) / (gamma + 1) ** 2 * math.log2(math.e) ** 2
    values = np.asarray(esn0_db, np.float64)
    pairs = [_moments_at(modulation, kind, min(max(float(x), -100.0), 100.0)) for x in values.reshape(-1)]
    both = np.array(pairs, np.float64).reshape(*values.shape, 2)
    return both[..., 0], both[..., 1]


@lru_cache(maxsize=16)
def moments_table(modulation: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Es/N0 grid in dB, BICM capacity and dispersion on it, for interpolation (error below 0.001 bit)."""
    grid = np.arange(_LOWEST_DB, _HIGHEST_DB + _STEP_DB / 2, _STEP_DB)
    return (grid, *moments(modulation, grid))


def _lowest(function, target: float) -> float:  # type: ignore[no-untyped-def]
    """The argument in [-60, 80] where a rising function reaches the target; infinity if it never does."""
    low, high = -60.0, 80.0
    if function(high) < target:
        return math.inf
    while high - low > 1e-6:
        middle = 0.5 * (low + high)
        if function(middle) < target:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=256)
def required_esn0_db(
    rate: float, modulation: str = "16qam", kind: str = "bicm", model: str = "awgn", rician_k: float = 1.0
) -> float:
    """The lowest Es/N0 in dB at which `rate` information bits a symbol are possible; infinity if none.

    Over a fading `model` the ergodic limit: codewords so long that they meet all fades. ValueError unless the rate is
    above 0.
    """
    _check_kind(kind)
    check_model(model)
    if not rate > 0:
        raise ValueError(f"rate must be above 0 bits a symbol, not {rate!r}")
    if model == "awgn":
        return _lowest(lambda x: float(capacity(modulation, x, kind)), rate - 1e-12)
    if kind != "gaussian" and rate >= Modulation(modulation).bits_per_symbol:
        return math.inf
    return _lowest(lambda x: float(ergodic_capacity(modulation, x, model, rician_k, kind)), rate)


def block_error_rate(
    rate: float, symbols: float, mean: ArrayLike, dispersion: ArrayLike
) -> NDArray[np.float64]:
    """Normal approximation: Q((n C - n R + log2(n) / 2) / sqrt(n V)) for capacity C and dispersion V a symbol."""
    margin = symbols * (np.asarray(mean) - rate) + 0.5 * math.log2(max(symbols, 1.0))
    deviation = np.sqrt(np.maximum(symbols * np.asarray(dispersion), 1e-12))
    return gaussian_tail(margin / deviation)


def normal_approximation_bler(
    rate: float, symbols: float, esn0_db: ArrayLike, modulation: str = "16qam", kind: str = "bicm"
) -> NDArray[np.float64]:
    """Block error rate at each Es/N0 in dB, of its shape, that blocks of `symbols` symbols carrying `rate` bits a
    symbol can reach over AWGN: the normal approximation. ValueError unless rate and symbols are above 0.
    """
    if not rate > 0:
        raise ValueError(f"rate must be above 0 bits a symbol, not {rate!r}")
    if not symbols > 0:
        raise ValueError(f"symbols must be above 0, not {symbols!r}")
    return block_error_rate(rate, symbols, *moments(modulation, esn0_db, kind))


@lru_cache(maxsize=256)
def normal_approximation_esn0_db(
    rate: float, symbols: int, bler: float = 1e-3, modulation: str = "16qam", kind: str = "bicm"
) -> float:
    """The lowest Es/N0 in dB at which blocks of `symbols` symbols carry `rate` bits a symbol at this block error rate.

    Normal approximation over AWGN. ValueError unless rate and symbols are above 0 and 0 < bler < 1.
    """
    _check_kind(kind)
    if not rate > 0:
        raise ValueError(f"rate must be above 0 bits a symbol, not {rate!r}")
    if not symbols > 0:
        raise ValueError(f"symbols must be above 0, not {symbols!r}")
    if not 0 < bler < 1:
        raise ValueError(f"bler must be between 0 and 1, not {bler!r}")
    quantile = -NormalDist().inv_cdf(bler)

    def achieved(esn0_db: float) -> float:
        mean, dispersion = moments(modulation, esn0_db, kind)
        return float(mean - math.sqrt(float(dispersion) / symbols) * quantile + 0.5 * math.log2(symbols) / symbols)

    # Far below capacity the approximation is meaningless (and not monotone): start at half the rate's capacity limit.
    if achieved(80.0) < rate:
        return math.inf
    low, high = required_esn0_db(rate / 2, modulation, kind), 80.0
    if achieved(low) >= rate:
        return low
    while high - low > 1e-6:
        middle = 0.5 * (low + high)
        if achieved(middle) < rate:
            low = middle
        else:
            high = middle
    return high


def capacity_airtime(bits: int, esn0_db: float) -> float:
    """The capacity-achieving airtime: symbols that `bits` bits need at Shannon capacity."""
    return bits / float(gaussian_capacity(esn0_db))


def outage_probability(
    rate: float,
    esn0_db: float,
    modulation: str = "16qam",
    model: str = "rayleigh",
    diversity: int = 1,
    rician_k: float = 1.0,
    trials: int = 100_000,
    seed: int = 0,
) -> float:
    """Probability that the mean BICM mutual information over `diversity` independent fades is below `rate`.

    Seeded Monte Carlo. ValueError unless trials and diversity are at least 1.
    """
    if diversity < 1 or trials < 1:
        raise ValueError(f"diversity and trials must be at least 1, not {diversity} and {trials}")
    h = fades(model, trials * diversity, np.random.default_rng(seed), rician_k)
    mean, _ = faded_moments(modulation, esn0_db, h)
    return float(np.mean(mean.reshape(trials, diversity).mean(axis=1) < rate))


def outage_bler(
    rate: float,
    esn0_db: ArrayLike,
    modulation: str = "16qam",
    model: str = "rayleigh",
    diversity: int = 1,
    rician_k: float = 1.0,
) -> NDArray[np.float64]:
    """What `outage_probability` estimates, computed: the outage at each Es/N0 in dB, of its shape.

    One fade: the distribution of the gain at the capacity limit. Several: the distribution of the mutual information
    of one fade, convolved with itself. Above `MANY_FADES`: a normal distribution. Smooth to about 1e-12. ValueError
    unless the rate is above 0 and diversity at least 1.
    """
    if not rate > 0:
        raise ValueError(f"rate must be above 0 bits a symbol, not {rate!r}")
    if diversity < 1:
        raise ValueError(f"diversity must be at least 1, not {diversity!r}")
    check_model(model)
    full = Modulation(modulation).bits_per_symbol
    gamma = _linear(esn0_db)
    if rate >= full:
        return np.ones(gamma.shape)
    if model == "awgn" or diversity == 1:
        limit = 10.0 ** (required_esn0_db(rate, modulation) / 10.0)
        return (gamma < limit).astype(float) if model == "awgn" else _gain_cdf(limit / gamma, model, rician_k)
    grid, mean, _ = moments_table(modulation)
    if diversity > MANY_FADES:
        levels = 10.0 * np.log10(gamma)[..., None] + 10.0 * np.log10(_gains(model, rician_k))
        information = _interpolate(levels, grid, mean)
        deviation = np.sqrt(information.var(axis=-1) / diversity)
        return gaussian_tail((information.mean(axis=-1) - rate) / np.maximum(deviation, 1e-12))
    bins = min(2048, 2**18 // diversity)
    edges = np.arange(1, bins) * (full / bins)
    rising = np.concatenate(([True], np.diff(np.maximum.accumulate(mean)) > 0))
    needed = 10.0 ** (np.interp(edges, mean[rising], grid[rising]) / 10.0)
    # Below the table capacity is proportional to the SNR.
    needed = np.where(edges < mean[0], 10.0 ** (grid[0] / 10.0) * edges / mean[0], needed)
    size = 1 << (bins * diversity - 1).bit_length()
    place = diversity * (rate * bins / full - 0.5)  # of the sum of the fades' bin numbers at the rate

    def outage(snr: float) -> float:
        below = _gain_cdf(needed / snr, model, rician_k)
        share = np.diff(below, prepend=0.0, append=1.0)
        total = np.fft.irfft(np.fft.rfft(share, size) ** diversity, size)
        whole = math.floor(place + 0.5)
        return float(np.clip(total[:whole].sum() + (place + 0.5 - whole) * total[whole], 0.0, 1.0))

    return np.array([outage(float(x)) for x in gamma.reshape(-1)], np.float64).reshape(gamma.shape)


def ergodic_capacity(
    modulation: str, esn0_db: ArrayLike, model: str = "rayleigh", rician_k: float = 1.0, kind: str = "bicm"
) -> NDArray[np.float64]:
    """Mean capacity over the fades, bits a symbol, at each Es/N0 in dB, of its shape; the receiver knows the fades.

    Kind "gaussian" ignores the constellation. ValueError for kind "cm", an unknown channel or modulation.
    """
    if kind not in ("gaussian", "bicm"):
        raise ValueError(f"kind must be gaussian or bicm over fading, not {kind!r}")
    levels = 10.0 * np.log10(_linear(esn0_db))[..., None] + 10.0 * np.log10(_gains(model, rician_k))
    if kind == "gaussian":
        return gaussian_capacity(levels).mean(axis=-1)
    grid, mean, _ = moments_table(modulation)
    return _interpolate(levels, grid, mean).mean(axis=-1)


@lru_cache(maxsize=16)
def _gains(model: str, rician_k: float) -> NDArray[np.float64]:
    """|h|^2 at evenly spaced probabilities: the mean of a function over them is its mean over the fades."""
    check_model(model)
    middle = (np.arange(4096) + 0.5) / 4096
    if model == "awgn":
        return np.ones(1)
    if model == "rayleigh":
        return -np.log1p(-middle)
    from scipy.special import chndtrix

    k = check_rician_k(rician_k)
    return np.maximum(chndtrix(middle, 2.0, 2.0 * k) / (2.0 * (k + 1.0)), 1e-12)


def _gain_cdf(gain: ArrayLike, model: str, rician_k: float) -> NDArray[np.float64]:
    """P(|h|^2 < gain): exponential, or non-central chi-square with two degrees of freedom (Simon and Alouini, 2.2)."""
    values = np.asarray(gain, np.float64)
    if model == "rayleigh":
        return -np.expm1(-values)
    from scipy.special import chndtr

    k = check_rician_k(rician_k)
    return np.asarray(chndtr(2.0 * (k + 1.0) * values, 2.0, 2.0 * k), np.float64)


def _interpolate(
    levels_db: NDArray[np.float64], grid: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A moment from its table; below the grid it goes to zero in proportion to the SNR."""
    return np.interp(levels_db, grid, values) * np.minimum(1.0, 10.0 ** ((levels_db - _LOWEST_DB) / 10.0))


def faded_moments(
    modulation: str, esn0_db: float, h: NDArray[np.complex64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """BICM capacity and dispersion of symbols that meet the coefficients h, by interpolation, of h's shape."""
    grid, mean, dispersion = moments_table(modulation)
    gain = np.maximum(h.real.astype(np.float64) ** 2 + h.imag.astype(np.float64) ** 2, 1e-12)
    snr = esn0_db + 10.0 * np.log10(gain)
    return _interpolate(snr, grid, mean), _interpolate(snr, grid, dispersion)

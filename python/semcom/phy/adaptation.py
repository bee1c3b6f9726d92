# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the scheme for a channel: the fastest whose whole message arrives with the wanted probability.

A code block fails with the probability that the normal approximation gives for the mean mutual information and
dispersion of the fades that it meets, with Es/N0 reduced by the scheme's measured distance from that approximation
(`MCS.gap_db`); a message fails if any block does. Over fading the fades are drawn, seeded Monte Carlo, and another
`FADING_GAP_DB` is kept: the code does not use unequal symbols quite as well as their mean information says (measured
0.2 to 0.5 dB with ten fades a block and more).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .bounds import block_error_rate, faded_moments, gaussian_capacity, moments
from .channel import check_model, check_rician_k, coherence, fades
from .mcs import MCS, get, names
from .segmentation import DEFAULT_BLOCK_BITS, check_block_bits, largest_payload, layout

FADING_GAP_DB = 0.5
AIRTIME_GUESS = 30_000  # symbols; what "auto" assumes of a message whose airtime nobody fixed
_FADES = 30_000  # drawn for one scheme at most, unless fewer than _LEAST_TRIALS messages would come of it
_TRIALS = 2_000
_LEAST_TRIALS = 100


def _interval_means(values: NDArray[np.float64], length: float, blocks: int, symbols: float) -> NDArray[np.float64]:
    """Means over the symbols of each code block, [trials, blocks], of values that hold for `length` symbols each."""
    sums = np.concatenate((np.zeros((values.shape[0], 1)), np.cumsum(values, axis=1) * length), axis=1)
    edges = np.minimum(np.arange(blocks + 1) * symbols / length, values.shape[1])
    whole = np.minimum(edges.astype(int), values.shape[1] - 1)
    at_edges = sums[:, whole] + (edges - whole) * length * values[:, whole]
    return np.diff(at_edges, axis=1) / symbols


@lru_cache(maxsize=1024)
def message_error_rate(
    mcs: str,
    esn0_db: float,
    channel: str,
    fading: str | int,
    blocks: int,
    k: int,
    n: int,
    rician_k: float = 1.0,
    interleave: bool = False,
    seed: int = 0,
    doppler: float = 0.01,
) -> float:
    """Probability that a message of `blocks` code blocks (k, n) loses any of them; an estimate over fading.

    `interleave`: the blocks' symbols are sent in turns, so that all meet the same fades.
    """
    scheme = get(mcs)
    if blocks == 0:
        return 0.0
    symbols = n // scheme.bits_per_symbol
    rate = k / symbols
    level = esn0_db - scheme.gap_db - (0.0 if channel == "awgn" else FADING_GAP_DB)
    if channel == "awgn":
        mean, dispersion = moments(scheme.modulation, level)
        return float(1.0 - (1.0 - block_error_rate(rate, symbols, mean, dispersion)) ** blocks)
    length = coherence(fading, doppler) or blocks * symbols
    rng = np.random.default_rng(seed)
    if length < 8:
        # So many fades that their mean is all but certain: its spread joins the dispersion.
        mean, dispersion = faded_moments(scheme.modulation, level, fades(channel, 20_000, rng, rician_k))
        spread = float(np.mean(dispersion)) + length * float(np.var(mean))
        return float(1.0 - (1.0 - block_error_rate(rate, symbols, np.mean(mean), spread)) ** blocks)
    count = math.ceil(blocks * symbols / length)
    trials = max(_LEAST_TRIALS, min(_TRIALS, _FADES // count))
    h = fades(channel, trials * count, rng, rician_k).reshape(trials, count)
    mean, dispersion = faded_moments(scheme.modulation, level, h)
    groups, size = (1, blocks * symbols) if interleave else (blocks, symbols)
    failing = block_error_rate(
        rate, symbols,
        _interval_means(mean, length, groups, size),
        _interval_means(dispersion, length, groups, size),
    )  # fmt: skip
    return float(np.mean(1.0 - np.prod(1.0 - failing, axis=1) ** (blocks // groups)))


def message_risk(
    bits: int,
    mcs: str | MCS,
    esn0_db: float,
    channel: str = "awgn",
    fading: str | int = 128,
    block_bits: int = DEFAULT_BLOCK_BITS,
    rician_k: float = 1.0,
    interleave: bool = False,
    seed: int = 0,
    doppler: float = 0.01,
) -> float:
    """Probability that a message of so many bits loses a code block with that coded scheme."""
    scheme = get(mcs)
    plan = layout(bits, scheme, block_bits)
    return message_error_rate(
        scheme.name, esn0_db, channel, fading, plan.blocks, plan.k, plan.n, rician_k, interleave, seed, doppler
    )


def choose_mcs(
    esn0_db: float,
    channel: str = "awgn",
    fading: str | int = 128,
    outage: float = 0.1,
    symbols: int | None = None,
    bits: int | None = None,
    block_bits: int = DEFAULT_BLOCK_BITS,
    rician_k: float = 1.0,
    interleave: bool = False,
    seed: int = 0,
    doppler: float = 0.01,
) -> str:
    """Name of the fastest coded scheme whose message loses a code block with probability of at most `outage`.

    The message fills an airtime of `symbols` symbols (what it carries then depends on the scheme) or has `bits` bits;
    one of the two must be given. If no scheme is safe enough, the most robust one. ValueError for a wrong argument.
    """
    check_model(channel)
    coherence(fading, doppler)
    check_rician_k(rician_k)
    check_block_bits(block_bits)
    if not math.isfinite(esn0_db):
        raise ValueError(f"esn0_db must be a finite number, not {esn0_db!r}")
    if not 0 < outage < 1:
        raise ValueError(f"outage must be between 0 and 1, not {outage!r}")
    if (symbols is None) == (bits is None):
        raise ValueError("choose_mcs needs either symbols (the airtime) or bits (the payload)")

    def risk(scheme: MCS) -> float:
        size = bits if bits is not None else largest_payload(symbols or 0, scheme, block_bits)
        if size == 0 and not bits == 0:
            return 1.0  # not one block fits
        return message_risk(size, scheme, esn0_db, channel, fading, block_bits, rician_k, interleave, seed, doppler)

    schemes = sorted((get(name) for name in names() if get(name).coded), key=lambda s: s.efficiency, reverse=True)
    safest, least = schemes[-1].name, 2.0
    for scheme in schemes:
        # More than the capacity of the mean gain is in outage most of the time: no draw needed.
        if outage < 0.5 and gaussian_capacity(esn0_db) < scheme.efficiency:
            continue
        probability = risk(scheme)
        if probability <= outage:
            return scheme.name
        if probability < least:
            safest, least = scheme.name, probability
    return safest if least < 1.0 else schemes[-1].name

# SPDX-License-Identifier: GPL-3.0-or-later
"""Measured error rates against theory that shares no code with the module: decision regions, scipy, exact intervals.

Every bit position of a symbol has its own error rate, and its errors over symbols are independent: so the count of
one position is binomial, which the mean over positions would not be.
"""

import math
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
import pytest
from scipy import integrate, special, stats

from gnuradio.semcom.phy import Modulation, bounds
from gnuradio.semcom.phy.channel import transmit
from gnuradio.semcom.phy.equaliser import equalise
from gnuradio.semcom.phy.snr import noise_var
from gnuradio.semcom.phy.stages import Channel, ChannelDecoder, ChannelEncoder, Equaliser, Mapper, SoftDemapper

LEAST_P = 1e-4  # some 200 counts are tested
SYMBOLS = 120_000
RICIAN_K = 3.0

# Amplitudes of one dimension, TS 38.211, 5.1.2 to 5.1.6, from the signs s = 1 - 2b of its bits.
AMPLITUDES = {
    "bpsk": (1, lambda s: s, 2),
    "qpsk": (1, lambda s: s, 2),
    "16qam": (2, lambda s, t: s * (2 - t), 10),
    "64qam": (3, lambda s, t, u: s * (4 - t * (2 - u)), 42),
    "256qam": (4, lambda s, t, u, v: s * (8 - t * (4 - u * (2 - v))), 170),
}
ESN0_DB = {
    "bpsk": (-2.0, 4.0, 6.8), "qpsk": (1.0, 7.0, 9.8), "16qam": (5.0, 12.0, 16.5), "64qam": (10.0, 18.0, 22.5),
    "256qam": (15.0, 24.0, 28.5),
}  # fmt: skip
CASES = [(name, model, x) for name in AMPLITUDES for model in ("awgn", "rayleigh", "rician") for x in ESN0_DB[name]]


@lru_cache(maxsize=4096)
def tail(distance, esn0_db, model):
    """Probability that the noise of one dimension carries a symbol further than `distance`, mean over the fades."""
    gamma = distance**2 * 10 ** (esn0_db / 10)  # (distance / deviation)^2 / 2
    if distance < 0:
        return 1 - tail(-distance, esn0_db, model)
    if model == "awgn":
        return stats.norm.sf(math.sqrt(2 * gamma))
    if model == "rayleigh":
        return 0.5 * (1 - math.sqrt(gamma / (1 + gamma)))
    slope = math.sqrt(2 * gamma)
    return sum(
        integrate.quad(lambda r: rician_density(r) * special.ndtr(-slope * r), *part, epsabs=1e-13)[0]
        for part in pairwise(sorted((0.0, min(6 / slope, 5.0), 5.0)))
    )


def rician_density(r):
    """Rice's distribution of |h|, where E|h|^2 = 1."""
    argument = 2 * r * math.sqrt(RICIAN_K * (RICIAN_K + 1))
    decay = math.exp(argument - RICIAN_K - (RICIAN_K + 1) * r * r)
    return 2 * (RICIAN_K + 1) * r * special.ive(0, argument) * decay


def theory(name, esn0_db, model):
    """Error rate of each bit position of a symbol, in the order of the bits."""
    count, amplitude, energy = AMPLITUDES[name]
    points = sorted((amplitude(*signs) / math.sqrt(energy), signs) for signs in product((1, -1), repeat=count))
    edges = [-math.inf] + [(a[0] + b[0]) / 2 for a, b in pairwise(points)] + [math.inf]
    if name == "bpsk":  # on the diagonal: both dimensions carry its bit
        return [tail(1.0, esn0_db, model)]
    rates = [0.0] * count
    for level, sent in points:
        above = [1.0, *(tail(round(edge - level, 12), esn0_db, model) for edge in edges[1:-1]), 0.0]
        for (_, found), more, less in zip(points, above, above[1:], strict=False):
            for j in range(count):
                rates[j] += (sent[j] != found[j]) * (more - less) / len(points)
    return [rate for rate in rates for _ in range(2)]  # of the real, then of the imaginary part


@pytest.mark.parametrize(("name", "model", "esn0_db"), CASES)
def test_every_bit_of_an_uncoded_symbol_errs_as_theory_says(name, model, esn0_db):
    modulation = Modulation(name)
    rng = np.random.default_rng([38211, CASES.index((name, model, esn0_db))])
    bits = rng.integers(0, 2, SYMBOLS * modulation.bits_per_symbol, dtype=np.uint8)
    received, h = transmit(modulation.map(bits), model, esn0_db, rng, "symbol", RICIAN_K)
    llr = modulation.llr(*equalise(received, h, noise_var(esn0_db)), "maxlog")
    wrong = np.sum(((llr < 0) != bits).reshape(SYMBOLS, -1), axis=0)
    expected = theory(name, esn0_db, model)
    for count, rate in zip(wrong, expected, strict=True):
        assert stats.binomtest(int(count), SYMBOLS, rate).pvalue > LEAST_P, (count / SYMBOLS, rate)
    # and the curve that is drawn beside measurements is this one
    assert bounds.uncoded_ber(name, esn0_db, model, RICIAN_K) == pytest.approx(np.mean(expected), rel=1e-6)


def test_the_counts_would_tell_a_fifth_of_a_decibel():
    """The intervals are narrow enough to mean something."""
    for name, model, esn0_db in CASES:
        if model == "awgn" and esn0_db == ESN0_DB[name][1]:
            right, shifted = theory(name, esn0_db, model), theory(name, esn0_db - 0.2, model)
            assert any(
                stats.binomtest(round(b * SYMBOLS), SYMBOLS, a).pvalue < LEAST_P
                for a, b in zip(right, shifted, strict=True)
            )


@pytest.mark.parametrize(("name", "esn0_db"), [("qpsk", 8.0), ("16qam", 12.0)])
def test_exact_soft_decisions_are_probabilities(name, esn0_db):
    """Of the bits with LLRs about x, the part 1 / (1 + e^x) is 1: what "exact" claims, tested bin by bin."""
    modulation = Modulation(name)
    rng = np.random.default_rng(7)
    bits = rng.integers(0, 2, 400_000, dtype=np.uint8)
    received, h = transmit(modulation.map(bits), "rayleigh", esn0_db, rng, "symbol")
    llr = modulation.llr(*equalise(received, h, noise_var(esn0_db)), "exact").astype(float)
    edges = np.linspace(-8, 8, 33)
    for low, high in pairwise(edges):
        inside = (llr >= low) & (llr < high)
        chances = 1 / (1 + np.exp(llr[inside]))
        # unequal chances spread less than equal ones: the normal deviate is safe
        deviate = (np.sum(bits[inside]) - np.sum(chances)) / math.sqrt(np.sum(chances * (1 - chances)))
        assert abs(deviate) < 4, (low, deviate)


@pytest.mark.parametrize("mcs", ["uncoded-qpsk", "uncoded-16qam"])
@pytest.mark.parametrize("model", ["awgn", "rayleigh"])
def test_uncoded_packets_fail_as_often_as_theory_says(mcs, model):
    """Through the stages, one fade a packet: the chance that all its bits are right, averaged over the fade."""
    name, bits_sent, packets = mcs.removeprefix("uncoded-"), 96, 1200
    esn0_db = {"qpsk": 9.0, "16qam": 16.0}[name]
    chain = (ChannelEncoder(mcs), Mapper(), Channel(model, esn0_db, "packet", seed=3), Equaliser(), SoftDemapper())
    failed = 0
    for number in range(packets):
        bits = np.random.default_rng([1, number]).integers(0, 2, bits_sent, dtype=np.uint8)
        arrays, meta = (bits,), {"id": number}
        for stage in (*chain, ChannelDecoder()):
            arrays, meta = stage.run(arrays, meta)
        failed += not np.array_equal(arrays[0], bits)
    symbols = bits_sent // Modulation(name).bits_per_symbol

    def all_right(gain):
        # The two dimensions err independently; one of them is right if its level is: 1 - 2 (1 - 1/levels) Q.
        levels = 2 ** AMPLITUDES[name][0]
        half = math.sqrt(1 / AMPLITUDES[name][2])
        outside = 2 * (1 - 1 / levels) * stats.norm.sf(half * math.sqrt(2 * gain * 10 ** (esn0_db / 10)))
        return (1 - outside) ** (2 * symbols)

    if model == "awgn":
        right = all_right(1.0)
    else:
        right, _ = integrate.quad(lambda x: math.exp(-x) * all_right(x), 0, 40, limit=200)
    assert stats.binomtest(failed, packets, 1 - right).pvalue > LEAST_P, (failed / packets, 1 - right)

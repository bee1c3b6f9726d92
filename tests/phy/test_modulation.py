# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappings: the standard's vectors, exact and max-log LLRs against brute force, bad input."""

import json
from pathlib import Path

import numpy as np
import pytest

from gnuradio.semcom.phy import Modulation
from gnuradio.semcom.phy.modulation import BITS_PER_SYMBOL

VECTORS = json.loads((Path(__file__).parent / "data" / "vectors.json").read_text())["mapping"]
NAMES = list(BITS_PER_SYMBOL)


def brute_force(modulation, symbols, noise_var, method):
    metric = -(np.abs(symbols[:, None].astype(complex) - modulation.points[None, :].astype(complex)) ** 2)
    metric /= np.broadcast_to(noise_var, symbols.shape)[:, None]
    index = np.arange(len(modulation.points))
    columns = []
    for j in range(modulation.bits_per_symbol):
        one = ((index >> (modulation.bits_per_symbol - 1 - j)) & 1) == 1
        join = np.logaddexp.reduce if method == "exact" else np.maximum.reduce
        columns.append(join(metric[:, ~one], axis=1) - join(metric[:, one], axis=1))
    return np.stack(columns, axis=1).reshape(-1)


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: str(case["bits_per_symbol"]))
def test_known_vectors_are_mapped(case):
    name = {2: "qpsk", 4: "16qam", 6: "64qam", 8: "256qam"}[case["bits_per_symbol"]]
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(case["bits"]), np.uint8))
    symbols = Modulation(name).map(bits)
    assert symbols.dtype == np.complex64
    np.testing.assert_allclose(symbols, np.array(case["symbols"]) @ [1, 1j], atol=2e-7)


def test_bpsk_lies_on_the_diagonal():
    np.testing.assert_allclose(Modulation("bpsk").map([0, 1]), np.array([1 + 1j, -1 - 1j]) / np.sqrt(2), atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_mean_energy_is_one_and_neighbours_differ_in_one_bit(name):
    points = Modulation(name).points.astype(complex)
    assert np.mean(np.abs(points) ** 2) == pytest.approx(1, abs=1e-6)
    distance = np.abs(points[:, None] - points[None, :])
    least = distance[distance > 1e-6].min()
    first, second = np.nonzero((distance > 1e-6) & (distance < 1.01 * least))
    assert {bin(a ^ b).count("1") for a, b in zip(first, second, strict=True)} == {1}


@pytest.mark.parametrize("method", ["exact", "maxlog"])
@pytest.mark.parametrize("name", NAMES)
def test_llrs_match_brute_force_with_one_noise_variance_and_many(name, method):
    rng = np.random.default_rng(4)
    modulation = Modulation(name)
    symbols = (rng.normal(size=10_000) + 1j * rng.normal(size=10_000)).astype(np.complex64)
    for variance in (np.float32(0.2), rng.uniform(0.05, 3, symbols.size).astype(np.float32)):
        llr = modulation.llr(symbols, variance, method)
        assert llr.dtype == np.float32
        np.testing.assert_allclose(llr, brute_force(modulation, symbols, variance, method), rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("name", NAMES)
def test_hard_decisions_undo_the_mapping(name):
    modulation = Modulation(name)
    bits = np.random.default_rng(1).integers(0, 2, (3, 10 * modulation.bits_per_symbol), dtype=np.uint8)
    np.testing.assert_array_equal(modulation.decide(modulation.map(bits)), bits)
    assert modulation.map(bits).shape == (3, 10)


@pytest.mark.parametrize("method", ["exact", "maxlog"])
@pytest.mark.parametrize("name", NAMES)
def test_faded_and_broken_symbols_say_nothing_and_never_nan(name, method):
    modulation = Modulation(name)
    symbols = np.array([0, 1e9 + 1j, complex(np.nan, np.nan), 1 + 1j, 3e38, 0.5 - 0.5j], np.complex64)
    variance = np.array([np.inf, 1e30, 1, np.inf, 1, 1e-38], np.float32)
    llr = modulation.llr(symbols, variance, method).reshape(6, -1)
    assert not np.isnan(llr).any()
    np.testing.assert_allclose(llr[[0, 1, 2, 3]], 0, atol=1e-5)
    assert np.abs(llr[5]).min() > 100 or name in ("bpsk", "64qam", "256qam")


def test_empty_packets_pass():
    modulation = Modulation("16qam")
    assert modulation.map(np.zeros(0, np.uint8)).shape == (0,)
    assert modulation.llr(np.zeros(0, np.complex64), np.zeros(0, np.float32)).shape == (0,)


def test_bad_arguments_are_refused_by_name():
    with pytest.raises(ValueError, match="bpsk, qpsk, 16qam, 64qam, 256qam"):
        Modulation("8psk")
    modulation = Modulation("16qam")
    for bits in (np.zeros(5, np.uint8), np.full(4, 2), np.zeros(4)):
        with pytest.raises(ValueError, match="bits must"):
            modulation.map(bits)
    symbols = np.zeros(3, np.complex64)
    for variance in (0.0, -1.0, np.nan, np.ones(2), np.array([1, 0, 1])):
        with pytest.raises(ValueError, match="noise_var must"):
            modulation.llr(symbols, variance)
    with pytest.raises(ValueError, match="exact, maxlog"):
        modulation.llr(symbols, 1.0, "log")

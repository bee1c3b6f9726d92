# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels: noise variance, fading statistics, theory curves of uncoded links, SNR conversion, equaliser."""

import math

import numpy as np
import pytest
from scipy import stats

from gnuradio.semcom.phy import Modulation, channel, snr
from gnuradio.semcom.phy.channel_stages import Channel
from gnuradio.semcom.phy.equaliser import equalise
from gnuradio.semcom.phy.scrambler import descramble_llr, gold_sequence, scramble
from gnuradio.semcom.phy.stages import ChannelDecoder, ChannelEncoder, Deframer, Equaliser, Framer, Mapper, SoftDemapper
from gnuradio.semcom.phy.uncoded import uncoded_ber


def q(x):
    return 0.5 * math.erfc(x / math.sqrt(2))


def error_rate(name, model, esn0_db, symbols=400_000):
    rng = np.random.default_rng(8)
    modulation = Modulation(name)
    bits = rng.integers(0, 2, symbols * modulation.bits_per_symbol, dtype=np.uint8)
    received, h = channel.transmit(modulation.map(bits), model, esn0_db, rng, "symbol")
    equalised, variance = equalise(received, h, snr.noise_var(esn0_db))
    return np.mean((modulation.llr(equalised, variance, "maxlog") < 0) != bits)


@pytest.mark.parametrize("esn0_db", [-10.0, 0.0, 17.0])
def test_noise_has_the_stated_variance_in_equal_halves(esn0_db):
    received, h = channel.transmit(np.zeros(400_000, np.complex64), "awgn", esn0_db, np.random.default_rng(1))
    assert received.dtype == np.complex64 and h.dtype == np.complex64 and np.all(h == 1)
    variance = snr.noise_var(esn0_db)
    assert np.var(received.real) == pytest.approx(variance / 2, rel=0.01)
    assert np.var(received.imag) == pytest.approx(variance / 2, rel=0.01)
    assert abs(np.mean(received)) < 0.01 * math.sqrt(variance)


@pytest.mark.parametrize(("model", "rician_k"), [("rayleigh", 1.0), ("rician", 0.0), ("rician", 1.0), ("rician", 10.0)])
def test_fading_has_unit_mean_energy_and_its_k_factor(model, rician_k):
    h = channel.fades(model, 400_000, np.random.default_rng(1), rician_k)
    assert np.mean(np.abs(h) ** 2) == pytest.approx(1, abs=0.01)
    k = rician_k if model == "rician" else 0.0
    assert np.abs(np.mean(h)) ** 2 == pytest.approx(k / (k + 1), abs=0.01)


@pytest.mark.parametrize(
    ("fading", "different"), [("symbol", 1000), ("packet", 1), ("block", 8), ("300", 4), (1, 1000), (2000, 1)]
)
def test_fading_is_drawn_as_often_as_asked(fading, different):
    h = channel.coefficients("rayleigh", 1000, np.random.default_rng(0), fading)
    assert h.shape == (1000,) and len(np.unique(h)) == different


def test_uncoded_qpsk_follows_theory_over_awgn_and_rayleigh():
    for esn0_db in (2.0, 7.0):
        gamma = 10 ** (esn0_db / 10) / 2  # Eb/N0
        assert error_rate("qpsk", "awgn", esn0_db) == pytest.approx(q(math.sqrt(2 * gamma)), rel=0.04)
        theory = 0.5 * (1 - math.sqrt(gamma / (1 + gamma)))
        assert error_rate("qpsk", "rayleigh", esn0_db) == pytest.approx(theory, rel=0.03)


def test_uncoded_16qam_follows_theory_over_awgn_and_rayleigh():
    # Gray-mapped four-level amplitudes: (3 Q(a) + 2 Q(3a) - Q(5a)) / 4 with a^2 = Es/N0 / 5.
    terms = ((3, 1), (2, 3), (-1, 5))
    for esn0_db in (6.0, 12.0):
        a2 = 10 ** (esn0_db / 10) / 5
        awgn = sum(c * q(m * math.sqrt(a2)) for c, m in terms) / 4
        fading = sum(c * 0.5 * (1 - math.sqrt(m * m * a2 / (2 + m * m * a2))) for c, m in terms) / 4
        assert error_rate("16qam", "awgn", esn0_db) == pytest.approx(awgn, rel=0.04)
        assert error_rate("16qam", "rayleigh", esn0_db) == pytest.approx(fading, rel=0.03)


@pytest.mark.parametrize("mcs", ["uncoded-bpsk", "uncoded-qpsk", "uncoded-16qam"])
@pytest.mark.parametrize(("model", "rician_k"), [("rayleigh", 0.0), ("rician", 5.0)])
@pytest.mark.parametrize("fading", ["symbol", "doppler"])
def test_error_rates_of_the_uncoded_chain_follow_theory_however_fast_it_fades(mcs, model, rician_k, fading):
    esn0_db, bits = 9.0, np.random.default_rng(1).integers(0, 2, 400_000, dtype=np.uint8)
    arrays, meta = (bits,), {}
    # Without a code only the distribution of the fades matters, not their order.
    for stage in (
        ChannelEncoder(mcs), Mapper(), Framer(), Channel(model, esn0_db, fading, rician_k, 2, 0.2), Equaliser(),
        Deframer(), SoftDemapper(), ChannelDecoder(),
    ):  # fmt: skip
        arrays, meta = stage.run(arrays, meta)
    expected = float(uncoded_ber(mcs.removeprefix("uncoded-"), esn0_db, model, rician_k))
    assert np.mean(arrays[0] != bits) == pytest.approx(expected, rel=0.05)


def test_uncoded_bpsk_follows_its_closed_form_over_rayleigh_fading():
    for esn0_db in (0.0, 10.0):
        gamma = 10 ** (esn0_db / 10)
        theory = 0.5 * (1 - math.sqrt(gamma / (1 + gamma)))
        assert error_rate("bpsk", "rayleigh", esn0_db) == pytest.approx(theory, rel=0.04)


@pytest.mark.parametrize("fading", ["packet", "doppler"])
@pytest.mark.parametrize(("model", "rician_k"), [("rayleigh", 0.0), ("rician", 3.0)])
def test_outage_of_slow_fading_follows_the_distribution_of_one_fade(model, rician_k, fading):
    # No code of rate R gets through where log2(1 + |h|^2 Es/N0) < R.
    rate, esn0_db = 1.0, 6.0
    threshold = (2**rate - 1) / 10 ** (esn0_db / 10)
    stage = Channel(model, esn0_db, fading, rician_k, doppler=1e-6)
    gains = [abs(stage.run((np.ones(4, np.complex64),), {"id": n})[0][1]) ** 2 for n in range(3000)]
    expected = stats.ncx2.cdf(2 * (rician_k + 1) * threshold, 2, 2 * rician_k) if rician_k else -math.expm1(-threshold)
    found = np.mean(np.array(gains)[:, 0] < threshold)
    assert found == pytest.approx(expected, abs=3 * math.sqrt(expected / 3000))
    np.testing.assert_allclose(gains, np.array(gains)[:, :1] * np.ones(4), rtol=1e-3, atol=1e-4)


def test_the_same_generator_gives_the_same_packet():
    burst = np.ones(1000, np.complex64)
    a = channel.transmit(burst, "rician", 3.0, np.random.default_rng([1, 2]), 64)
    b = channel.transmit(burst, "rician", 3.0, np.random.default_rng([1, 2]), 64)
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_equaliser_gives_back_the_symbols_and_survives_a_zero():
    y, variance = equalise(np.array([2j, 1, 0, 5], np.complex64), np.array([1j, 0.5, 0, 0], np.complex64), 0.1)
    np.testing.assert_allclose(y[:2], [2, 2])
    np.testing.assert_allclose(variance[:2], [0.1, 0.4], rtol=1e-6)
    assert np.isfinite(y).all() and np.isfinite(variance).all() and variance[2:].min() > 1e15
    with pytest.raises(ValueError, match="noise_var"):
        equalise(y, y, 0.0)
    with pytest.raises(ValueError, match="coefficients"):
        equalise(y, y[:2], 0.1)


def test_empty_bursts_pass():
    received, h = channel.transmit(np.zeros(0, np.complex64), "rayleigh", 3.0, np.random.default_rng(0), "packet")
    assert received.size == h.size == 0


def test_snr_conversions_agree_with_the_acceptance_table():
    assert snr.ebn0_db(3.0, 4, 1 / 3) == pytest.approx(1.75, abs=0.005)
    assert snr.esn0_db(1.75, 4, 1 / 3) == pytest.approx(3.0, abs=0.005)
    assert snr.esn0_db_from_noise_var(snr.noise_var(4.25)) == pytest.approx(4.25)
    assert snr.ebn0_db(0.0, 2, 0.5, pilot_share=0.5) == pytest.approx(3.0103, abs=1e-4)


def test_scrambling_is_the_gold_sequence_by_its_definition_and_undoes_itself():
    x1, x2 = [1] + [0] * 30, [(12345 >> i) & 1 for i in range(31)]
    for n in range(1600 + 3000):
        x1.append(x1[n + 3] ^ x1[n])
        x2.append(x2[n + 3] ^ x2[n + 2] ^ x2[n + 1] ^ x2[n])
    expected = [a ^ b for a, b in zip(x1, x2, strict=True)][1600 : 1600 + 3000]
    np.testing.assert_array_equal(gold_sequence(12345, 3000), expected)
    bits = np.zeros(100_000, np.uint8)
    assert np.mean(scramble(bits)) == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(scramble(scramble(bits)), bits)
    np.testing.assert_array_equal(descramble_llr((1 - 2.0 * scramble(bits)).astype(np.float32)), np.ones(100_000))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: channel.fades("nakagami", 1, np.random.default_rng(0)), "channel"),
        (lambda: channel.coherence("often"), "fading"),
        (lambda: channel.coherence(0), "fading"),
        (lambda: channel.coherence(float("inf")), "fading"),
        (lambda: channel.coherence("doppler", 0.6), "doppler"),
        (lambda: Channel(fading="doppler:0.1"), "fading"),
        (lambda: Channel(doppler=float("nan")), "doppler"),
        (lambda: Channel(seed=-1), "seed"),
        (lambda: channel.fades("rician", 1, np.random.default_rng(0), -1), "rician_k"),
        (lambda: snr.noise_var(float("nan")), "esn0_db"),
        (lambda: snr.noise_var(float("inf")), "esn0_db"),
        (lambda: snr.ebn0_db(0, 4, 1.5), "code_rate"),
        (lambda: snr.esn0_db_from_noise_var(0), "variance"),
    ],
)
def test_bad_arguments_are_refused_by_name(call, name):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        call()

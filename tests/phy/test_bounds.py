# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds: published and independently computed values, limits, monotony."""

import math

import numpy as np
import pytest

from gnuradio.semcom.phy import bounds
from gnuradio.semcom.phy.adaptation import choose_mcs, message_error_rate
from gnuradio.semcom.phy.channel import noise, transmit
from gnuradio.semcom.phy.mcs import get
from gnuradio.semcom.phy.segmentation import layout


def test_the_papers_scheme_has_the_stated_limits():
    rate = 4 / 3  # (1536, 4608), 16-QAM
    assert bounds.required_esn0_db(rate, "16qam", "gaussian") == pytest.approx(1.82, abs=0.005)
    assert bounds.required_esn0_db(rate, "16qam") == pytest.approx(2.36, abs=0.005)
    assert bounds.normal_approximation_esn0_db(rate, 1152, 1e-3, "16qam", "cm") == pytest.approx(2.56, abs=0.005)
    assert bounds.normal_approximation_esn0_db(rate, 1152, 1e-3) == pytest.approx(2.97, abs=0.02)


@pytest.mark.parametrize(
    ("modulation", "rate", "k", "shannon", "bicm", "normal"),
    [
        ("16qam", 8 / 3, 1536, 7.28, 7.95, 8.59),
        ("16qam", 2, 1536, 4.77, 5.28, 5.76), ("qpsk", 1, 1536, 0.00, 0.19, 0.75),
        ("qpsk", 2 / 3, 1536, -2.31, -2.26, -1.70), ("qpsk", 1 / 3, 768, -5.85, -5.84, -5.06),
        ("qpsk", 1 / 6, 384, -9.12, -9.12, -8.03),
    ],
)  # fmt: skip
def test_limits_of_other_schemes(modulation, rate, k, shannon, bicm, normal):
    assert bounds.required_esn0_db(rate, modulation, "gaussian") == pytest.approx(shannon, abs=0.006)
    assert bounds.required_esn0_db(rate, modulation) == pytest.approx(bicm, abs=0.006)
    found = bounds.normal_approximation_esn0_db(rate, round(k / rate), 1e-3, modulation, "cm")
    assert found == pytest.approx(normal, abs=0.006)


@pytest.mark.parametrize("modulation", ["bpsk", "qpsk", "16qam", "64qam", "256qam"])
def test_capacities_rise_in_order_to_the_number_of_bits(modulation):
    grid = np.arange(-20.0, 45.0, 1.0)
    bicm, cm, gaussian = (bounds.capacity(modulation, grid, kind) for kind in ("bicm", "cm", "gaussian"))
    assert np.all(bicm <= cm + 1e-9) and np.all(cm <= gaussian + 1e-9)
    assert np.all(np.diff(bicm) > -1e-9) and np.all(np.diff(cm) > -1e-9)
    full = bounds.Modulation(modulation).bits_per_symbol
    assert bicm[-1] == pytest.approx(full, abs=1e-3)
    assert bounds.required_esn0_db(full + 0.1, modulation) == math.inf


def test_capacity_agrees_with_a_simulation():
    rng = np.random.default_rng(3)
    modulation = bounds.Modulation("64qam")
    bits = rng.integers(0, 2, 600_000, dtype=np.uint8)
    variance = 10**-1.2
    sent = modulation.map(bits)
    received = sent + noise(sent.size, variance, rng)
    llr = modulation.llr(received, variance).astype(float)
    density = (1 - np.logaddexp(0, -(1 - 2.0 * bits) * llr) / math.log(2)).reshape(-1, 6).sum(axis=1)
    mean, dispersion = bounds.moments("64qam", 12.0)
    assert np.mean(density) == pytest.approx(float(mean), abs=0.01)
    assert np.var(density) == pytest.approx(float(dispersion), rel=0.02)


def test_the_table_interpolates_well():
    h = np.array([0.01, 0.33, 1.0, 2.2, 1e-9, 1e4], np.complex64)
    for modulation in ("qpsk", "256qam"):
        mean, _ = bounds.faded_moments(modulation, 7.1, h)
        exact = bounds.capacity(modulation, np.maximum(7.1 + 20 * np.log10(np.abs(h)), -100))
        np.testing.assert_allclose(mean, exact, atol=1e-3)


def test_outage_of_one_rayleigh_fade_follows_its_distribution():
    needed = bounds.required_esn0_db(4 / 3, "16qam")
    expected = 1 - math.exp(-(10 ** ((needed - 12.0) / 10)))
    assert bounds.outage_probability(4 / 3, 12.0) == pytest.approx(expected, rel=0.05)
    assert bounds.outage_probability(4 / 3, 12.0, diversity=8) < expected / 10
    assert bounds.outage_probability(4 / 3, 12.0, model="rician", rician_k=10) < expected / 2


@pytest.mark.parametrize(("model", "rician_k"), [("rayleigh", 0.0), ("rician", 4.0)])
@pytest.mark.parametrize("diversity", [1, 2, 3, 9, 300])
def test_computed_outage_agrees_with_drawn_fades(model, rician_k, diversity):
    for esn0_db in (3.0, 8.0):
        trials = 40_000 if diversity < 300 else 4_000
        drawn = bounds.outage_probability(4 / 3, esn0_db, "16qam", model, diversity, rician_k, trials, seed=5)
        computed = float(bounds.outage_bler(4 / 3, esn0_db, "16qam", model, diversity, rician_k))
        deviation = math.sqrt(max(computed * (1 - computed), 1 / trials) / trials)
        assert abs(drawn - computed) < 4 * deviation + (0.006 if diversity > bounds.MANY_FADES else 0.0)


def test_outage_of_coded_modulation_falls_with_the_published_diversity():
    # Knopp and Humblet, IEEE Trans. IT 2000: order 1 + floor(L (1 - R / bits)), here 1, 2, 3, 3 for L = 1 ... 4
    for fades, order in ((1, 1), (2, 2), (3, 3), (4, 3)):
        high, low = bounds.outage_bler(4 / 3, [25.0, 35.0], "16qam", "rayleigh", fades)
        assert math.log10(high / low) == pytest.approx(order, abs=0.25)


def test_outage_at_the_ends():
    assert bounds.outage_bler(2.0, [10.0, 60.0], "qpsk").tolist() == [1.0, 1.0]  # the constellation's full rate
    limit = bounds.required_esn0_db(1.0, "qpsk")
    assert bounds.outage_bler(1.0, [limit - 0.1, limit + 0.1], "qpsk", "awgn").tolist() == [1.0, 0.0]


def test_ergodic_capacity_of_rayleigh_fading_has_its_closed_form():
    from scipy.special import exp1

    for esn0_db in (-10.0, 0.0, 10.0, 30.0):  # Alouini and Goldsmith, IEEE Trans. VT 1999: exp(1/g) E1(1/g) / ln 2
        inverse = 10 ** (-esn0_db / 10)
        expected = math.exp(inverse) * exp1(inverse) / math.log(2)
        assert bounds.ergodic_capacity("qpsk", esn0_db, kind="gaussian") == pytest.approx(expected, abs=2e-4)
    awgn, rician, rayleigh = (
        bounds.required_esn0_db(4 / 3, "16qam", "bicm", model, 3.0) for model in ("awgn", "rician", "rayleigh")
    )
    assert awgn < rician < rayleigh
    assert bounds.ergodic_capacity("16qam", rayleigh) == pytest.approx(4 / 3, abs=1e-4)
    assert bounds.ergodic_capacity("16qam", awgn, "awgn") == pytest.approx(4 / 3, abs=1e-3)


def test_the_normal_approximation_as_a_curve_is_the_inverse_of_its_threshold():
    for kind in bounds.KINDS:
        threshold = bounds.normal_approximation_esn0_db(4 / 3, 1152, 1e-3, "16qam", kind)
        curve = bounds.normal_approximation_bler(4 / 3, 1152, [threshold - 1, threshold, threshold + 1], "16qam", kind)
        assert curve[1] == pytest.approx(1e-3, rel=1e-3)
        assert curve[0] > 0.1 > 1e-6 > curve[2]


@pytest.mark.parametrize(
    ("modulation", "at_1e5", "at_1e6"),
    [
        # Eb/N0 in dB of the bit error rate curves of Proakis, "Digital Communications", and of every textbook since
        ("bpsk", 9.59, 10.53), ("qpsk", 9.59, 10.53), ("16qam", 13.4, 14.4), ("64qam", 17.8, 18.8),
        ("256qam", 22.5, 23.5),
    ],
)  # fmt: skip
def test_uncoded_error_rates_lie_on_the_textbook_curves(modulation, at_1e5, at_1e6):
    shift = 10 * math.log10(bounds.Modulation(modulation).bits_per_symbol)
    for ebn0_db, target in ((at_1e5, 1e-5), (at_1e6, 1e-6)):
        above, below = bounds.uncoded_ber(modulation, [ebn0_db + shift - 0.05, ebn0_db + shift + 0.05])
        assert above > target > below


def test_uncoded_bpsk_over_rayleigh_fading_has_its_published_values():
    # Proakis: (1 - sqrt(g / (1 + g))) / 2, about 1 / (4 g): 2.327e-2 at 10 dB, 2.481e-3 at 20, 2.498e-4 at 30
    found = bounds.uncoded_ber("bpsk", [10.0, 20.0, 30.0], "rayleigh")
    np.testing.assert_allclose(found, [2.327e-2, 2.481e-3, 2.498e-4], rtol=5e-4)


@pytest.mark.parametrize("modulation", ["qpsk", "16qam", "64qam", "256qam"])
@pytest.mark.parametrize("esn0_db", [0.0, 12.0, 24.0])
def test_the_closed_form_equals_a_sum_over_decision_regions(modulation, esn0_db):
    levels = bounds.Modulation(modulation).levels
    order = np.argsort(levels)
    edges = np.concatenate(([-np.inf], (levels[order][1:] + levels[order][:-1]) / 2, [np.inf]))
    deviation = math.sqrt(0.5 * 10 ** (-esn0_db / 10))
    bits = len(levels).bit_length() - 1
    errors = wrong = 0.0
    for sent, level in enumerate(levels):
        tails = bounds.gaussian_tail((edges - level) / deviation)
        for place, region in enumerate(order):
            chance = (tails[place] - tails[place + 1]) / len(levels)
            errors += chance * bin(sent ^ int(region)).count("1") / bits
            wrong += chance * (sent != region)
    assert bounds.uncoded_ber(modulation, esn0_db) == pytest.approx(errors, rel=1e-7, abs=1e-15)
    assert bounds.uncoded_ser(modulation, esn0_db) == pytest.approx(1 - (1 - wrong) ** 2, rel=1e-7, abs=1e-15)


@pytest.mark.parametrize("model", ["awgn", "rayleigh", "rician"])
@pytest.mark.parametrize("modulation", ["bpsk", "qpsk", "16qam", "64qam", "256qam"])
def test_uncoded_theory_agrees_with_our_mapper_and_channel(modulation, model):
    rng = np.random.default_rng(11)
    mapping = bounds.Modulation(modulation)
    symbols, esn0_db = 60_000, 6.0 if modulation in ("bpsk", "qpsk") else 14.0
    bits = rng.integers(0, 2, symbols * mapping.bits_per_symbol, dtype=np.uint8)
    received, h = transmit(mapping.map(bits), model, esn0_db, rng, "symbol", 3.0)
    wrong = (mapping.decide(received / h) != bits).reshape(symbols, -1)
    ser = float(bounds.uncoded_ser(modulation, esn0_db, model, 3.0))
    ber = float(bounds.uncoded_ber(modulation, esn0_db, model, 3.0))
    # bits of one symbol err together at worst: the symbol's deviation bounds that of the mean bit
    deviation = math.sqrt(ser * (1 - ser) / symbols)
    assert abs(np.mean(wrong.any(axis=1)) - ser) < 4 * deviation
    assert abs(np.mean(wrong) - ber) < 4 * deviation
    assert ber < ser or modulation == "bpsk"


def test_rician_fading_lies_between_rayleigh_and_a_steady_channel():
    grid = np.array([-20.0, 0.0, 20.0, 40.0])
    for rate in (bounds.uncoded_ber, bounds.uncoded_ser):
        for modulation in ("bpsk", "64qam"):
            none = rate(modulation, grid, "rician", 0.0)
            np.testing.assert_allclose(none, rate(modulation, grid, "rayleigh"), rtol=1e-9)
            steady = rate(modulation, grid[:2], "rician", 1e6)
            np.testing.assert_allclose(steady, rate(modulation, grid[:2]), rtol=1e-3)


def test_a_block_without_a_code_fails_with_any_of_its_symbols():
    ser = float(bounds.uncoded_ser("qpsk", 12.0))
    assert bounds.uncoded_bler("qpsk", 1, 12.0) == pytest.approx(ser)
    assert bounds.uncoded_bler("qpsk", 1000, 12.0) == pytest.approx(1 - (1 - ser) ** 1000)
    assert bounds.uncoded_bler("qpsk", 1000, -30.0) == pytest.approx(1.0)


def test_capacity_airtime_of_a_kilobit_at_zero_db():
    assert bounds.capacity_airtime(1000, 0.0) == pytest.approx(1000)


def test_a_better_channel_never_gets_a_slower_scheme():
    for channel, fading in (("awgn", 128), ("rayleigh", 128), ("rayleigh", "packet"), ("rician", "symbol")):
        chosen = [get(choose_mcs(x, channel, fading, symbols=29491)).efficiency for x in np.arange(-8.0, 26.0, 2.0)]
        assert chosen == sorted(chosen)
        assert chosen[-1] > chosen[0]


def test_fading_costs_rate_and_interleaving_wins_it_back():
    awgn, fading, interleaved = (
        get(choose_mcs(10.0, *case, symbols=29491, interleave=last)).efficiency
        for case, last in ((("awgn", 128), False), (("rayleigh", 128), False), (("rayleigh", 128), True))
    )
    assert awgn > interleaved > fading


def test_a_hopeless_channel_gets_the_most_robust_scheme():
    assert choose_mcs(-40.0, bits=1000) == "qpsk-1/12"
    assert choose_mcs(30.0, symbols=3) == "qpsk-1/12"


def test_the_chosen_scheme_keeps_the_outage_by_its_own_estimate():
    name = choose_mcs(12.0, "rayleigh", 128, outage=0.1, bits=20_000, block_bits=1536)
    plan = layout(20_000, name)
    assert message_error_rate(name, 12.0, "rayleigh", 128, plan.blocks, plan.k, plan.n) <= 0.1


@pytest.mark.parametrize(
    "call",
    [
        lambda: bounds.capacity("16qam", 0.0, "best"), lambda: bounds.capacity("16qam", float("nan")),
        lambda: bounds.required_esn0_db(0), lambda: bounds.normal_approximation_esn0_db(1, 0),
        lambda: bounds.normal_approximation_esn0_db(1, 100, 0.0), lambda: bounds.outage_probability(1, 3, diversity=0),
        lambda: bounds.normal_approximation_bler(0, 10, 3.0), lambda: bounds.normal_approximation_bler(1, 0, 3.0),
        lambda: bounds.outage_bler(0, 3.0), lambda: bounds.outage_bler(1, 3.0, diversity=0),
        lambda: bounds.outage_bler(1, 3.0, model="cable"), lambda: bounds.ergodic_capacity("qpsk", 3.0, kind="cm"),
        lambda: bounds.required_esn0_db(1.0, "16qam", model="cable"), lambda: bounds.uncoded_ber("8psk", 3.0),
        lambda: bounds.uncoded_ber("qpsk", float("nan")), lambda: bounds.uncoded_ser("qpsk", 3.0, "cable"),
        lambda: bounds.uncoded_ser("qpsk", 3.0, "rician", -1.0), lambda: bounds.uncoded_bler("qpsk", 0, 3.0),
        lambda: choose_mcs(6.0), lambda: choose_mcs(6.0, symbols=100, bits=3), lambda: choose_mcs(6.0, "cable", bits=3),
        lambda: choose_mcs(6.0, bits=3, outage=1.0), lambda: choose_mcs(float("nan"), bits=3),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must be|needs either"):
        call()

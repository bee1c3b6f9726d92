# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds: published and independently computed values, limits, monotony."""

import math

import numpy as np
import pytest

from gnuradio.semcom.phy import bounds
from gnuradio.semcom.phy.adaptation import choose_mcs, message_error_rate
from gnuradio.semcom.phy.channel import noise
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
        lambda: choose_mcs(6.0), lambda: choose_mcs(6.0, symbols=100, bits=3), lambda: choose_mcs(6.0, "cable", bits=3),
        lambda: choose_mcs(6.0, bits=3, outage=1.0), lambda: choose_mcs(float("nan"), bits=3),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must be|needs either"):
        call()

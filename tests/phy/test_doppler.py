# SPDX-License-Identifier: GPL-3.0-or-later
"""Time-varying fading: Clarke's correlation and spectrum, amplitudes, level crossings, and Rician's direct path."""

import math

import numpy as np
import pytest
from scipy import special, stats

from gnuradio.semcom.phy import channel, doppler

FD = 0.01  # cycles a symbol


def ensemble(packets, count, fd, model="rayleigh", rician_k=1.0):
    """[packets, count]"""
    rng = np.random.default_rng(21)
    return np.array([channel.coefficients(model, count, rng, "doppler", rician_k, fd) for _ in range(packets)])


@pytest.mark.parametrize("fd", [0.002, 0.03, 0.5])
def test_autocorrelation_is_the_bessel_function_of_clarke(fd):
    h = ensemble(3000, 201, fd)
    lags = np.arange(201)
    found = np.mean(h * h[:, :1].conj(), axis=0)
    # Independent packets: a mean of 3000 products of variance 1 has a deviation of 0.018 (0.013 in each part).
    assert np.abs(found - special.j0(2 * np.pi * fd * lags)).max() < 4.5 * 0.013
    assert np.abs(np.mean(h * h[:, :1], axis=0)).max() < 0.08, "the two dimensions are independent and equally strong"


def test_one_long_packet_has_the_same_autocorrelation_as_the_ensemble():
    h = channel.coefficients("rayleigh", 400_000, np.random.default_rng(3), "doppler", doppler=FD)
    lags = np.arange(0, 300, 10)
    found = np.array([np.mean(h[lag:] * h[: h.size - lag].conj()) for lag in lags])
    assert np.abs(found - special.j0(2 * np.pi * FD * lags)).max() < 0.1
    assert np.mean(np.abs(h) ** 2) == pytest.approx(1, abs=0.02)


def test_the_spectrum_ends_at_the_largest_doppler_shift():
    h = channel.coefficients("rayleigh", 1 << 17, np.random.default_rng(5), "doppler", doppler=0.05)
    power = np.abs(np.fft.fft(h * np.blackman(h.size))) ** 2
    frequency = np.abs(np.fft.fftfreq(h.size))
    assert power[frequency > 0.0501].sum() < 1e-9 * power.sum()
    outer = power[(frequency > 0.025) & (frequency < 0.051)].sum() / power.sum()
    assert outer == pytest.approx(2 / 3, abs=0.05)  # 1 - 2 asin(1/2) / pi of the bowl lies in its outer half


@pytest.mark.parametrize(("model", "rician_k"), [("rayleigh", 0.0), ("rician", 0.0), ("rician", 3.0), ("rician", 20.0)])
def test_amplitudes_follow_rayleigh_and_rice(model, rician_k):
    h = ensemble(6000, 1, 0.1, model, rician_k)[:, 0]
    assert np.mean(np.abs(h) ** 2) == pytest.approx(1, abs=0.04)
    k = rician_k if model == "rician" else 0.0
    rice = stats.rice(math.sqrt(2 * k), scale=math.sqrt(0.5 / (k + 1)))
    assert stats.kstest(np.abs(h), rice.cdf).pvalue > 0.01


def test_deep_fades_are_as_frequent_as_stated():
    h = ensemble(40, 20_000, 0.4)
    gain = np.abs(h) ** 2
    n = doppler.SINUSOIDS
    assert np.mean(gain**2) == pytest.approx(2 - 1 / n, abs=0.01)
    for level in (0.003, 0.03, 0.3):
        # First terms of the Laguerre series around the exponential distribution of |h|^2.
        expected = 1 - math.exp(-level) - level * (1 - level / 2) * math.exp(-level) / (2 * n)
        assert np.mean(gain < level) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("rho", [0.1, 0.5, 1.0, 1.5])
def test_level_crossings_follow_jakes(rho):
    fd, count = 0.002, 1_000_000
    crossings = 0
    for seed in range(4):
        h = channel.coefficients("rayleigh", count, np.random.default_rng(seed), "doppler", doppler=fd)
        below = np.abs(h) < rho
        crossings += np.count_nonzero(below[:-1] & ~below[1:])
    expected = math.sqrt(2 * math.pi) * fd * rho * math.exp(-(rho**2))
    assert crossings / (4 * count) == pytest.approx(expected, rel=0.08)


def test_the_direct_path_stands_still_and_has_its_share():
    h = ensemble(3000, 41, 0.03, "rician", 4.0)
    assert np.abs(np.mean(h, axis=0) - math.sqrt(0.8)).max() < 0.03
    found = np.mean(h * h[:, :1].conj(), axis=0)
    assert np.abs(found - (4 + special.j0(2 * np.pi * 0.03 * np.arange(41))) / 5).max() < 0.06


def test_the_matrix_product_is_the_sum_of_sinusoids_it_stands_for():
    count, fd = 1_000_000, 0.3
    h = doppler.scattered(count, fd, np.random.default_rng(8))
    rng, n = np.random.default_rng(8), doppler.SINUSOIDS
    theta, phase = rng.uniform(-0.5, 0.5, n), rng.uniform(-0.5, 0.5, n)
    shifts = fd * np.cos(2 * np.pi * (np.arange(n) + theta) / n)
    t = np.array([0, 1, 255, 256, 257, 65_535, 123_456, count - 1])
    expected = np.exp(2j * np.pi * (t[:, None] * shifts + phase)).sum(axis=1) / math.sqrt(n)
    np.testing.assert_allclose(h[t], expected, atol=3e-6)


@pytest.mark.parametrize("count", [0, 1, 2, 1000, 1_000_000])
def test_packets_of_any_length(count):
    a, b = (channel.coefficients("rician", count, np.random.default_rng(4), "doppler", 2.0, FD) for _ in range(2))
    assert a.shape == (count,) and a.dtype == np.complex64 and np.array_equal(a, b) and np.isfinite(a).all()


def test_without_doppler_a_packet_has_one_coefficient():
    h = channel.coefficients("rayleigh", 1000, np.random.default_rng(0), "doppler", doppler=0.0)
    np.testing.assert_allclose(h, h[0], rtol=1e-6)
    assert channel.coherence("doppler", 0.0) == 0 and channel.coherence("doppler", FD) == 42
    assert channel.coherence("doppler", 0.5) == 1


def test_doppler_does_not_matter_over_awgn():
    assert np.all(channel.coefficients("awgn", 10, np.random.default_rng(0), "doppler", doppler=1e-9) == 1)


@pytest.mark.parametrize("wrong", [-0.001, 0.501, float("nan"), float("inf")])
def test_a_wrong_doppler_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match="^doppler must be from 0 to 0.5"):
        channel.coefficients("rayleigh", 10, np.random.default_rng(0), "doppler", doppler=wrong)
    with pytest.raises(ValueError, match="^doppler must be from 0 to 0.5"):
        doppler.scattered(10, wrong, np.random.default_rng(0))


def test_phasors_stay_exact_after_many_turns():
    cycles = np.array([0.0, 0.25, 1e6 + 0.125, -3e9 - 0.5])
    np.testing.assert_allclose(doppler.phasor(cycles), [1, 1j, math.sqrt(0.5) * (1 + 1j), -1], atol=5e-7)

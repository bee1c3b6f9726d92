# SPDX-License-Identifier: GPL-3.0-or-later
"""Tapped delay lines of TR 38.901: the tables, powers, delays, K factor, Doppler, and that the taps are the channel."""

import json
import math

import numpy as np
import pytest
from scipy import special, stats

from gnuradio.semcom.phy import tdl
from gnuradio.semcom.phy.channel_stages import MultipathChannel
from gnuradio.semcom.phy.fractional import HALF_WIDTH, windowed_sinc


def normal(count, seed=0):
    rng = np.random.default_rng(seed)
    return ((rng.standard_normal((count, 2)) @ [1, 1j]) * math.sqrt(0.5)).astype(np.complex64)


def draws(profile, count, spread_samples, doppler=0.0, length=1, seed=7):
    """Taps of `count` channels at a sample rate of 1 Hz, [count, snapshots, taps], and the first tap's delay."""
    rng = np.random.default_rng(seed)
    found = [tdl.impulse_response(profile, length, rng, spread_samples, 1.0, doppler) for _ in range(count)]
    return np.array([response.taps for response in found]), found[0]


@pytest.mark.parametrize(
    ("profile", "paths", "longest", "k_db"),
    [
        ("TDL-A", 23, 9.6586, None), ("TDL-B", 23, 4.7834, None), ("TDL-C", 24, 8.6523, None),
        ("TDL-D", 14, 12.525, 13.3), ("TDL-E", 15, 20.6519, 22.0),
    ],
)  # fmt: skip
def test_tables_have_the_rms_delay_spread_of_one_that_the_standard_gives_them(profile, paths, longest, k_db):
    delays, powers = tdl.power_delay_profile(profile)
    assert delays.size == powers.size == paths and delays.max() == longest and powers.sum() == pytest.approx(1)
    mean = np.sum(powers * delays)
    # Rounded to 0.1 dB, the direct path of D alone leaves half a per cent.
    rms = math.sqrt(np.sum(powers * (delays - mean) ** 2))
    assert rms == pytest.approx(1, abs=0.01 if profile == "TDL-D" else 1e-3)
    if k_db is not None:
        assert delays[0] == delays[1] == 0
        assert 10 * math.log10(powers[0] / powers[1]) == pytest.approx(k_db, abs=0.01)


@pytest.mark.parametrize("profile", tdl.PROFILES)
def test_measured_power_delay_profile_and_spread_follow_the_table(profile):
    spread = 40.0
    taps, response = draws(profile, 2000, spread)
    measured = np.mean(np.abs(taps[:, 0]) ** 2, axis=0)
    delay = response.first_tap + np.arange(measured.size)
    delays, powers = tdl.power_delay_profile(profile)
    # Power between the wide gaps of the table: a path stays within 16 samples of its delay.
    order = np.unique(delays * spread)
    gaps = np.flatnonzero(np.diff(order) > 20)
    edges = [-1e9, *(0.5 * (order[gaps] + order[gaps + 1])), 1e9]
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        expected = powers[(delays * spread > low) & (delays * spread < high)].sum()
        assert measured[(delay > low) & (delay < high)].sum() == pytest.approx(expected, rel=0.12)
    mean = np.sum(measured * delay) / measured.sum()
    rms = math.sqrt(np.sum(measured * (delay - mean) ** 2) / measured.sum())
    assert rms == pytest.approx(spread, rel=0.03)
    assert mean == pytest.approx(spread * np.sum(powers * delays), rel=0.05)


@pytest.mark.parametrize(
    ("profile", "spread"),
    [("TDL-A", 0.0), ("TDL-A", 0.7), ("TDL-B", 3.3), ("TDL-C", 11.0), ("TDL-D", 0.7), ("TDL-E", 3.3)],
)
def test_mean_power_gain_is_one_at_every_frequency_of_the_band(profile, spread):
    taps, _ = draws(profile, 3000, spread)
    for frequency in (-0.41, -0.2, 0.0, 0.3):
        turn = np.exp(-2j * np.pi * frequency * np.arange(taps.shape[2]))
        assert np.mean(np.abs(taps[:, 0] @ turn) ** 2) == pytest.approx(1, abs=0.07)
    energy = np.mean(np.sum(np.abs(taps[:, 0]) ** 2, axis=1))
    assert 10**-0.024 - 0.05 < energy < 1.05  # a white signal loses the band edge, as the docstring says


@pytest.mark.parametrize("frequency", [0.05, 0.2, 0.41])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.83])
def test_a_path_between_two_samples_delays_a_tone_by_exactly_that(frequency, fraction):
    offsets = np.arange(-HALF_WIDTH, HALF_WIDTH + 2)
    response = np.sum(windowed_sinc(offsets - fraction) * np.exp(-2j * np.pi * frequency * offsets))
    assert abs(response - np.exp(-2j * np.pi * frequency * fraction)) < 1.1e-3


@pytest.mark.parametrize(("profile", "k_db"), [("TDL-D", 13.3), ("TDL-E", 22.0)])
def test_the_first_tap_of_d_and_e_is_rician_with_the_tables_k(profile, k_db):
    taps, response = draws(profile, 2500, 200.0)  # so wide that the first tap is alone
    _, powers = tdl.power_delay_profile(profile)
    gain = np.abs(taps[:, 0, -response.first_tap]) ** 2
    assert np.mean(gain) == pytest.approx(powers[0] + powers[1], rel=0.02)
    direct = math.sqrt(2 * np.mean(gain) ** 2 - np.mean(gain**2))  # second and fourth moments give K
    assert 10 * math.log10(direct / (np.mean(gain) - direct)) == pytest.approx(k_db, abs=0.5)
    k = 10 ** (k_db / 10)
    rice = stats.rice(math.sqrt(2 * k), scale=math.sqrt((powers[0] + powers[1]) / (2 * (k + 1))))
    assert stats.kstest(np.sqrt(gain), rice.cdf).pvalue > 0.01


def test_the_direct_path_has_seven_tenths_of_the_doppler_shift():
    taps, response = draws("TDL-E", 1, 0.0, doppler=0.002, length=1 << 16)
    first = taps[0, :, 0]
    spectrum = np.abs(np.fft.fft(first))
    peak = np.fft.fftfreq(first.size, response.snapshot_samples)[np.argmax(spectrum)]
    assert peak == pytest.approx(0.7 * 0.002, abs=1 / 65_536)


def test_a_tap_varies_as_clarke_says():
    doppler, length = 1e-3, 2000
    taps, response = draws("TDL-A", 500, 4.0, doppler, length)
    first = taps[:, ::8, -response.first_tap]
    found = np.mean(first * first[:, :1].conj(), axis=0) / np.mean(np.abs(first) ** 2)
    lag = 8 * response.snapshot_samples * np.arange(found.size)
    assert np.abs(found - special.j0(2 * np.pi * doppler * lag)).max() < 0.12
    assert response.snapshot_samples * doppler <= 1 / 400 < 2 * response.snapshot_samples * doppler


def reconstruct(sent, taps, meta, length):
    """What the meta says the channel did, one output sample at a time."""
    h = taps.reshape(meta["snapshots"], meta["taps"])
    received = np.zeros(length, complex)
    for i in range(length):
        for k in range(meta["taps"]):
            source = i - meta["first_tap"] - k
            if 0 <= source < sent.size:
                received[i] += h[i // meta["snapshot_samples"], k] * sent[source]
    return received


@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize(
    ("profile", "spread_s", "doppler_hz"),
    [("TDL-A", 2e-6, 0), ("TDL-C", 3e-7, 300), ("TDL-D", 0, 5), ("TDL-E", 1e-7, 9e4)],
)
def test_the_second_output_is_the_channel_that_was_applied(profile, spread_s, doppler_hz, tail):
    sent = normal(500)
    stage = MultipathChannel(profile, 200.0, spread_s, 1e6, doppler_hz, tail)
    (received, taps), meta = stage.run((sent,), {"id": 4})
    json.dumps(meta, allow_nan=False)
    assert received.dtype == taps.dtype == np.complex64 and taps.shape == (meta["snapshots"] * meta["taps"],)
    assert received.size == (500 + meta["taps"] - 1 if tail else 500)
    np.testing.assert_allclose(received, reconstruct(sent, taps, meta, received.size), atol=3e-6)
    assert meta["channel"] == profile and meta["id"] == 4 and (doppler_hz < 300 or meta["snapshots"] > 1)


def test_a_standing_channel_is_numpys_convolution():
    sent = normal(20_000)
    received, response = tdl.transmit(sent, "TDL-B", 200.0, np.random.default_rng(2), 5e-6, 1e6, tail=True)
    assert response.taps.shape[0] == 1
    np.testing.assert_allclose(received, np.convolve(sent, response.taps[0]), atol=1e-5)
    cropped, response = tdl.transmit(sent, "TDL-B", 200.0, np.random.default_rng(2), 5e-6, 1e6)
    assert -HALF_WIDTH <= response.first_tap < 0
    np.testing.assert_allclose(cropped, received[-response.first_tap :][: sent.size], atol=1e-5)


def test_a_moving_channel_of_many_long_snapshots_is_applied_piece_by_piece():
    sent = normal(100_000)
    received, response = tdl.transmit(sent, "TDL-A", 200.0, np.random.default_rng(2), 1e-6, 1e6, 0.15)
    assert response.snapshot_samples == 16_384 and len(response.taps) == 7
    for snapshot, taps in enumerate(response.taps):
        piece = slice(snapshot * 16_384, min((snapshot + 1) * 16_384, sent.size))
        whole = np.convolve(sent, taps)[-response.first_tap :]
        np.testing.assert_allclose(received[piece], whole[piece], atol=1e-5)


@pytest.mark.parametrize("profile", ["TDL-A", "TDL-D"])
def test_without_delay_spread_it_is_flat_fading(profile):
    rng = np.random.default_rng(5)
    sent = normal(3)
    gains = []
    for _ in range(2000):
        received, response = tdl.transmit(sent, profile, 200.0, rng, 0.0)
        assert response.taps.shape == (1, 1) and response.first_tap == 0
        gains.append(response.taps[0, 0])
        np.testing.assert_allclose(received, gains[-1] * sent, atol=1e-6)
    _, powers = tdl.power_delay_profile(profile)
    k = powers[0] / powers[1:].sum() if profile == "TDL-D" else 0.0
    rice = stats.rice(math.sqrt(2 * k), scale=math.sqrt(0.5 / (k + 1)))
    assert stats.kstest(np.abs(gains), rice.cdf).pvalue > 0.01


@pytest.mark.parametrize("esn0_db", [0.0, 13.0])
def test_noise_has_the_stated_variance(esn0_db):
    sent = normal(200_000)
    stage = MultipathChannel("TDL-C", esn0_db, 1e-6, 1e6)
    (noisy, _), _ = stage.run((sent,), {})
    (clean, _), _ = MultipathChannel("TDL-C", 200.0, 1e-6, 1e6).run((sent,), {})
    assert np.var(noisy - clean) == pytest.approx(10 ** (-esn0_db / 10), rel=0.02)


@pytest.mark.parametrize("doppler_hz", [0.0, 1.0, 2000.0])
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_packets_of_any_length(count, doppler_hz):
    for tail in (False, True):
        stage = MultipathChannel(doppler_hz=doppler_hz, tail=tail, seed=3)
        (received, taps), meta = stage.run((normal(count),), {"id": 1})
        (again, _), _ = stage.run((normal(count),), {"id": 1})
        (other, _), _ = stage.run((normal(count),), {"id": 2})
        assert received.size == (count + meta["taps"] - 1 if tail and count else count)
        assert taps.size == meta["snapshots"] * meta["taps"] > 0
        assert np.array_equal(received, again) and (count == 0 or not np.array_equal(received, other))


def test_a_million_samples_pass():
    sent = np.ones(1_000_000, np.complex64)
    received, response = tdl.transmit(sent, "TDL-C", 20.0, np.random.default_rng(0), doppler_hz=5)
    assert received.shape == (1_000_000,) and np.isfinite(received).all() and response.taps.shape[0] == 3907


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profile": "TDL-F"}, "profile must be one of TDL-A, TDL-B, TDL-C, TDL-D, TDL-E"),
        ({"delay_spread_s": -1e-9}, "delay_spread_s must be from 0 to 256 samples, 0.000256 s at 1e.06 Hz"),
        ({"delay_spread_s": 1e-3}, "delay_spread_s must be from 0 to 256 samples"),
        ({"delay_spread_s": float("nan")}, "delay_spread_s must be from 0"),
        ({"sample_rate_hz": 0}, "sample_rate_hz must be above 0 Hz"),
        ({"sample_rate_hz": float("inf")}, "sample_rate_hz must be above 0 Hz"),
        ({"doppler_hz": -1}, "doppler_hz must be from 0 to half the sample rate, 500000 Hz"),
        ({"doppler_hz": 6e5}, "doppler_hz must be from 0"),
        ({"doppler_hz": float("nan")}, "doppler_hz must be from 0"),
        ({"doppler_hz": 2e5}, "doppler_hz must be from 0 to 0.01 over the delay spread, 100000 Hz"),
        ({"esn0_db": float("inf")}, "esn0_db must be a finite number"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_bad_arguments_are_refused_with_their_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        MultipathChannel(**arguments)


def test_taps_end_where_their_snapshots_do():
    response = tdl.impulse_response("TDL-A", 100, np.random.default_rng(0))
    with pytest.raises(ValueError, match="length must be at most 100 samples, not 101"):
        response.apply(normal(10), 101)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Radio impairments: offsets move what they should by how much they should, phase noise, clipping, IQ imbalance."""

import json
import math

import numpy as np
import pytest
from scipy import signal

from gnuradio.semcom.phy import fractional, impairments
from gnuradio.semcom.phy.channel_stages import RadioImpairments

OFF = {
    "carrier_offset": 0.0, "sampling_offset_ppm": 0.0, "linewidth": 0.0, "clip_db": 60.0, "iq_gain_db": 0.0,
    "iq_phase_deg": 0.0,
}  # fmt: skip


def normal(count, seed=0):
    rng = np.random.default_rng(seed)
    return ((rng.standard_normal((count, 2)) @ [1, 1j]) * math.sqrt(0.5)).astype(np.complex64)


def db(ratio):
    return 10 * math.log10(ratio)


@pytest.mark.parametrize("offset", [-0.5, -0.125, 1 / 4096, 0.3125])
def test_a_carrier_offset_moves_a_line_by_that_much(offset):
    tone = np.exp(2j * np.pi * 0.0625 * np.arange(4096)).astype(np.complex64)
    turn = impairments.phase_trajectory(4096, np.random.default_rng(0), offset)
    spectrum = np.abs(np.fft.fft(tone * turn))
    assert np.argmax(spectrum) == round((0.0625 + offset) * 4096) % 4096
    assert spectrum.max() == pytest.approx(4096, rel=1e-5)


def test_a_carrier_offset_keeps_its_phase_over_a_million_samples():
    turn = impairments.phase_trajectory(1_000_000, np.random.default_rng(0), 0.123456789)
    last = np.exp(2j * np.pi * math.fmod(0.123456789 * 999_999, 1.0))
    assert turn[0] == 1 and abs(turn[-1] - last) < 1e-6


def tones(instants):
    """A band-limited signal at any instants: nothing above 0.8 of the Nyquist frequency."""
    frequencies = np.array([-0.4, -0.287, -0.11, 0.03, 0.2, 0.39])
    return np.exp(2j * np.pi * (np.multiply.outer(instants, frequencies) + frequencies**2)).sum(axis=-1)


@pytest.mark.parametrize("ppm", [40.0, -40.0, 1.0, 999.0])
def test_a_sampling_offset_reads_the_signal_at_the_receivers_instants(ppm):
    count = 100_000
    received = impairments.sampling_offset(tones(np.arange(count)).astype(np.complex64), ppm)
    assert received.size == math.floor((count - 1) * (1 + ppm * 1e-6)) + 1
    inner = np.arange(20, received.size - 20 - (ppm > 0))
    wanted = tones(inner / (1 + ppm * 1e-6))
    assert np.mean(np.abs(received[inner] - wanted) ** 2) < 1e-5 * np.mean(np.abs(wanted) ** 2)


def test_40_ppm_move_the_last_of_100000_samples_by_four():
    pulse = np.zeros(100_000, np.complex64)
    pulse[-201:] = np.blackman(201)
    for ppm, moved in ((40.0, 4), (-40.0, -4)):
        received = impairments.sampling_offset(pulse, ppm)
        assert np.argmax(np.abs(received)) - np.argmax(pulse.real) == moved


def test_a_sampling_offset_agrees_with_resampling_by_fourier_transform():
    # One period of 25,000 samples read 25,001 times is an offset of exactly 40 ppm.
    spectrum = np.zeros(25_000, complex)
    band = np.abs(np.fft.fftfreq(25_000)) < 0.4
    spectrum[band] = normal(int(band.sum()))
    period = np.fft.ifft(spectrum) * 25_000 / math.sqrt(band.sum())
    received = impairments.sampling_offset(period.astype(np.complex64), 40.0)
    error = (received - signal.resample(period, 25_001)[: received.size])[16:-17]
    assert db(np.mean(np.abs(error) ** 2)) < -60


@pytest.mark.parametrize("frequency", [0.0, 0.25, 0.41])
def test_instants_between_samples_are_exact_in_the_stated_band(frequency):
    tone = np.exp(2j * np.pi * frequency * np.arange(2000)).astype(np.complex64)
    instants = np.sort(np.random.default_rng(1).uniform(20, 1979, 5000))
    error = fractional.sample_at(tone, instants) - np.exp(2j * np.pi * frequency * instants)
    assert np.abs(error).max() < 1.3e-3
    np.testing.assert_array_equal(fractional.sample_at(tone, np.arange(2000.0)), tone)


def phases(packets, count, linewidth):
    rng = np.random.default_rng(12)
    return np.array([impairments.phase_trajectory(count, rng, 0.0, linewidth) for _ in range(packets)])


def test_the_variance_of_phase_noise_grows_by_two_pi_linewidth_a_sample():
    linewidth, packets = 1e-4, 3000
    phase = np.unwrap(np.angle(phases(packets, 1001, linewidth)), axis=1)
    for lag in (10, 100, 1000):
        # The variance of a variance of 3000 Gaussian values: 2.6 %.
        assert np.var(phase[:, lag]) == pytest.approx(2 * math.pi * linewidth * lag, rel=0.1)
        assert np.var(phase[:, lag] - phase[:, lag // 2]) == pytest.approx(math.pi * linewidth * lag, rel=0.1)
    assert np.all(phase[:, 0] == 0)


def test_the_line_of_phase_noise_is_lorentzian_of_the_given_width():
    linewidth = 0.002
    turn = phases(40, 20_000, linewidth)
    lags = np.arange(0, 300, 20)
    found = np.array([np.mean(turn[:, lag:] * turn[:, : 20_000 - lag].conj()) for lag in lags])
    # The transform of a Lorentzian line is exp(-pi linewidth |lag|).
    np.testing.assert_allclose(found, np.exp(-math.pi * linewidth * lags), atol=0.05)


def test_phase_noise_far_from_the_carrier_has_the_stated_dbc_per_hertz():
    linewidth, offset = 1e-6, 0.01
    turn = phases(20, 1 << 14, linewidth)
    frequency, density = signal.welch(turn, nperseg=2048, return_onesided=False, detrend=False)
    near = np.abs(np.abs(frequency) - offset) < 0.001
    assert db(density[:, near].mean()) == pytest.approx(db(linewidth / (2 * math.pi * offset**2)), abs=0.7)


@pytest.mark.parametrize("clip_db", [0.0, 3.0, 7.0])
def test_clipping_limits_the_peak_and_takes_the_energy_that_theory_says(clip_db):
    x = normal(400_000)
    y = impairments.clip(x, clip_db)
    level = 10 ** (clip_db / 10)
    rms2 = np.mean(np.abs(x.astype(complex)) ** 2)
    assert np.abs(y).max() ** 2 == pytest.approx(level * rms2, rel=1e-5)
    # A Rayleigh envelope r clipped at A: E min(r, A)^2 = 1 - exp(-A^2).
    power = np.mean(np.abs(y.astype(complex)) ** 2)
    assert power == pytest.approx(1 - math.exp(-level), rel=0.01)
    assert db(np.abs(y).max() ** 2 / power) == pytest.approx(db(level / (1 - math.exp(-level))), abs=0.05)  # PAPR
    below = np.abs(x) ** 2 < 0.999 * level * rms2
    np.testing.assert_allclose(y[below], x[below], rtol=1e-6)
    np.testing.assert_allclose(np.angle(y * x.conj()), 0, atol=1e-5)


@pytest.mark.parametrize(("gain_db", "phase_deg"), [(1.0, 0.0), (0.0, 5.0), (-0.5, -3.0), (6.0, 45.0)])
def test_iq_imbalance_rejects_the_image_by_its_formula(gain_db, phase_deg):
    tone = np.exp(2j * np.pi * 0.125 * np.arange(4096)).astype(np.complex64)
    spectrum = np.abs(np.fft.fft(impairments.iq_imbalance(tone, gain_db, phase_deg))) ** 2
    g, phi = 10 ** (gain_db / 20), math.radians(phase_deg)
    rejection = (1 + 2 * g * math.cos(phi) + g * g) / (1 - 2 * g * math.cos(phi) + g * g)
    assert db(spectrum[512] / spectrum[4096 - 512]) == pytest.approx(db(rejection), abs=0.01)
    assert spectrum.sum() / 4096**2 == pytest.approx(1, rel=1e-5)


def test_iq_imbalance_is_that_of_a_mixer_with_two_branches():
    x, g, phi = normal(100), 10 ** (0.8 / 20), math.radians(7.0)
    mixed = x.real + 1j * g * (x.imag * math.cos(phi) - x.real * math.sin(phi))
    mixed /= math.sqrt((1 + g * g) / 2)
    np.testing.assert_allclose(impairments.iq_imbalance(x, 0.8, 7.0), mixed, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_all_is_off_by_default(count):
    x = normal(count)
    stage = RadioImpairments()
    (y, turn), meta = stage.run((x,), {"id": 2})
    assert np.array_equal(y, x) and np.all(turn == 1) and turn.shape == x.shape
    assert y.dtype == turn.dtype == np.complex64
    assert json.loads(json.dumps(meta, allow_nan=False)) == {"id": 2, "impairments": OFF}


@pytest.mark.parametrize("count", [0, 1, 2, 40, 1_000_000])
def test_all_at_once_on_packets_of_any_length(count):
    stage = RadioImpairments(0.01, 40.0, 1e-5, 5.0, 0.5, 2.0, seed=3)
    (y, turn), _ = stage.run((normal(count),), {"id": 1})
    (again, _), _ = stage.run((normal(count),), {"id": 1})
    assert y.size == turn.size == (count and math.floor((count - 1) * 1.00004) + 1)
    assert np.isfinite(y).all() and np.array_equal(y, again)
    np.testing.assert_allclose(np.abs(turn), 1, atol=1e-6)
    if count > 2:
        (other, _), _ = stage.run((normal(count),), {"id": 2})
        assert not np.array_equal(y, other)


def test_the_second_output_undoes_oscillator_and_offset():
    x = normal(5000)
    (y, turn), _ = RadioImpairments(carrier_offset=0.02, linewidth=1e-4).run((x,), {})
    np.testing.assert_allclose(y / turn, x, atol=2e-6)


def test_they_come_in_the_order_of_the_signals_way():
    x = normal(3000)
    (y, turn), _ = RadioImpairments(0.02, 100.0, 1e-5, 3.0, 1.0, -4.0).run((x,), {})
    expected = impairments.sampling_offset(impairments.clip(x, 3.0), 100.0)
    np.testing.assert_array_equal(y, impairments.iq_imbalance(expected * turn, 1.0, -4.0))


def test_silence_stays_silence():
    silence = np.zeros(100, np.complex64)
    (y, _), _ = RadioImpairments(0.1, 10.0, 1e-4, 0.0, 1.0, 1.0).run((silence,), {})
    assert not y.any()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf"), 1e9])
@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("carrier_offset", "from -0.5 to 0.5 cycles a sample"),
        ("sampling_offset_ppm", "from -1000 to 1000 ppm"),
        ("linewidth", "from 0 to 0.1 cycles a sample"),
        ("clip_db", "from -20 to 60 dB above the rms"),
        ("iq_gain_db", "from -6 to 6 dB"),
        ("iq_phase_deg", "from -45 to 45 degrees"),
    ],
)
def test_bad_arguments_are_refused_with_their_range(name, legal, wrong):
    with pytest.raises(ValueError, match=f"^{name} must be {legal}"):
        RadioImpairments(**{name: wrong})


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="^seed must be at least 0"):
        RadioImpairments(seed=-1)

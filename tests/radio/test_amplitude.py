# SPDX-License-Identifier: GPL-3.0-or-later
"""The amplitude of bursts: never above full scale, and a power that is told."""

import numpy as np
import pytest

from gnuradio.semcom.radio.amplitude import SILENCE_DBFS, PowerReport, power, scaled


def noise(count, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(count) + 1j * rng.standard_normal(count)).astype(np.complex64)


@pytest.mark.parametrize("peak", [0.01, 0.8, 1.0])
@pytest.mark.parametrize("gain", [1e-6, 1.0, 1e6])
def test_the_peak_is_what_was_asked_for_and_never_more(peak, gain):
    out, sent = scaled(gain * noise(10_000), peak)
    largest = np.abs(out.astype(np.complex128)).max()
    assert peak * (1 - 1e-5) < largest <= peak
    assert sent.peak_dbfs == pytest.approx(20 * np.log10(peak), abs=1e-3)
    assert out.dtype == np.complex64


def test_power_of_a_tone_and_of_a_square_wave():
    assert power(np.full(100, 0.5j, np.complex64)) == power(np.full(7, -0.5, np.complex64))
    half = power(np.array([1, 0] * 50, np.complex64))
    assert half.peak_dbfs == pytest.approx(0.0) and half.mean_dbfs == pytest.approx(-3.0103, abs=1e-3)
    assert half.peak_to_mean_db == pytest.approx(3.0103, abs=1e-3)


def test_silence_stays_silence():
    out, sent = scaled(np.zeros(5, np.complex64), 0.8)
    assert not out.any() and sent.peak_dbfs == SILENCE_DBFS
    assert scaled(np.zeros(0, np.complex64), 0.8)[0].size == 0


@pytest.mark.parametrize("peak", [0.0, 1.01, -1.0, float("nan")])
def test_more_than_full_scale_is_refused(peak):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        scaled(noise(3), peak)


def test_what_is_not_finite_is_not_sent():
    with pytest.raises(ValueError, match="finite"):
        scaled(np.array([1, np.nan], np.complex64), 0.5)


def test_the_report_has_the_extremes():
    report = PowerReport()
    assert str(report) == "no bursts"
    report.add(power(np.full(10, 0.5, np.complex64)))
    assert str(report) == "1 burst, peak -6.0 dBFS, mean -6.0 dBFS, peak over mean 0.0 dB"
    report.add(power(np.array([0.8, 0.0], np.complex64)))
    assert str(report) == "2 bursts, peak -1.9 dBFS, mean -6.0 to -4.9 dBFS, peak over mean 3.0 dB"

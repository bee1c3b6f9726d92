# SPDX-License-Identifier: GPL-3.0-or-later
"""The attention recogniser's filter banks against counts of the paper, tones, and numpy's straight lines."""

import numpy as np
import pytest

from gnuradio.semcom.speech.filterbanks import (
    BANDS,
    HIGHEST_HZ,
    LOWEST_HZ,
    differences,
    filterbanks,
    frame_count,
    hz_to_mel,
    log_mel,
)


@pytest.mark.parametrize(("samples", "frames"), [(160_000, 998), (880, 4), (1, 4), (0, 4), (881, 4), (1040, 5)])
def test_ten_seconds_are_998_frames_and_the_shortest_speech_is_four(samples, frames):
    assert frame_count(samples) == frames
    assert filterbanks(np.zeros(samples, np.float32)).shape == (frames, BANDS, 3)


@pytest.mark.parametrize("band", [6, 15, 25, 38])
def test_a_tone_is_loudest_in_the_band_around_its_frequency(band):
    mel = np.linspace(hz_to_mel(LOWEST_HZ), hz_to_mel(HIGHEST_HZ), BANDS + 2)[band + 1]
    hz = 700 * (10 ** (mel / 2595) - 1)
    powers = log_mel(np.sin(2 * np.pi * hz * np.arange(8000) / 16_000))
    assert (powers.argmax(1) == band).all()


def test_one_kilohertz_is_a_thousand_mel():
    assert float(hz_to_mel(1000.0)) == pytest.approx(1000, abs=0.1)


def test_differences_are_slopes_of_regression_lines_over_five_frames():
    values = np.random.default_rng(1).normal(size=(12, 3)).astype(np.float32)
    found = differences(values)
    for t in range(2, 10):
        assert found[t] == pytest.approx(np.polyfit(np.arange(5), values[t - 2 : t + 3], 1)[0], abs=1e-5)
    assert differences(np.ones((5, 2), np.float32)) == pytest.approx(np.zeros((5, 2)))


def test_each_value_is_normalised_over_the_utterance_whatever_the_level():
    speech = np.random.default_rng(2).normal(size=16_000).astype(np.float32) * np.linspace(0.1, 1, 16_000)
    found = filterbanks(speech)
    assert found.mean(0) == pytest.approx(np.zeros((BANDS, 3)), abs=1e-4)
    assert found.std(0) == pytest.approx(np.ones((BANDS, 3)), abs=1e-3)
    assert filterbanks(0.01 * speech) == pytest.approx(found, abs=2e-2)


def test_samples_that_are_no_numbers_count_as_silence():
    speech = np.random.default_rng(3).normal(size=4000)
    broken = speech.copy()
    broken[100:110], broken[200], speech[100:110], speech[200] = np.nan, np.inf, 0, 0
    assert np.array_equal(filterbanks(broken), filterbanks(speech))

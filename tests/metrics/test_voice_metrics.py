# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures of voices against cases worked by hand."""

import math

import numpy as np
import pytest

from gnuradio.semcom.metrics.voice import (
    centred_cosine,
    emotion_accuracy,
    emotion_cosine,
    feature_mse,
    phoneme_error_rate,
    rtf,
    speaker_cosine,
    style_cosine,
)

COSINES = [style_cosine, speaker_cosine, emotion_cosine]


def test_the_feature_error_is_the_mean_of_squares():
    assert feature_mse([1, 2, 3, 4], [1, 0, 3, 7]) == (4 + 9) / 4
    assert feature_mse([[1.0, 1.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 2.0]]) == 5 / 4


@pytest.mark.parametrize("cosine", COSINES)
def test_the_mean_is_removed_before_the_cosine(cosine):
    mean = np.array([10.0, 0.0, 5.0])
    sent, received = mean + [3.0, 4.0, 0.0], mean + [4.0, 3.0, 0.0]
    assert cosine(sent, received, mean) == pytest.approx(24 / 25)
    assert cosine(sent, mean - [3.0, 4.0, 0.0], mean) == pytest.approx(-1)
    assert cosine(sent, mean + [0, 0, 9.0], mean) == 0
    assert centred_cosine(sent, received, 0.0) > 0.98  # what it would be with the mean left in


@pytest.mark.parametrize("cosine", COSINES)
def test_a_constant_scores_nothing(cosine):
    random = np.random.default_rng(2)
    vectors = random.normal(0, 1, (4000, 24)) + random.normal(0, 5, 24)
    mean = vectors.mean(0)
    assert all(cosine(vector, mean, mean) == 0 for vector in vectors[:5])
    constant = vectors[7]
    assert np.mean([cosine(v, constant, mean) for v in vectors]) == pytest.approx(0, abs=0.03)
    assert np.mean([centred_cosine(v, constant) for v in vectors]) > 0.8


def test_independent_noise_lowers_the_cosine_as_theory_says():
    random = np.random.default_rng(3)
    sent = random.normal(0, 1, 200_000)
    received = sent + random.normal(0, 0.5, sent.size)
    assert style_cosine(sent, received, 0.0) == pytest.approx(1 / math.sqrt(1.25), abs=0.005)


def test_emotions_without_a_name_do_not_count():
    assert emotion_accuracy(["sad", "happy", None, "calm"], ["sad", "angry", "sad", "calm"]) == 2 / 3
    assert emotion_accuracy([None], ["sad"]) is None and emotion_accuracy([], []) is None
    with pytest.raises(ValueError, match="not 1 and 2"):
        emotion_accuracy(["sad", "sad"], ["sad"])


@pytest.mark.parametrize(
    ("sent", "received", "rate"),
    [
        ("h @ l oU".split(), "h @ l oU".split(), 0.0),
        ("h @ l oU".split(), "h E l oU".split(), 1 / 4),  # one substitution
        ("h @ l oU".split(), "@ l".split(), 2 / 4),  # two deletions
        ([3, 7, 9], [3, 3, 7, 1, 9], 2 / 3),  # two insertions
        ([1], [2, 3, 4], 3.0),
        ([1, 2], [], 1.0),
        ([], [1], None),
    ],
)
def test_phoneme_errors_worked_by_hand(sent, received, rate):
    assert phoneme_error_rate(sent, received) == rate


def test_the_real_time_factor_is_time_over_length():
    assert rtf(1.5, 6.0) == 0.25 and rtf(0.0, 2.0) == 0 and rtf(1.0, 0.0) is None
    with pytest.raises(ValueError, match="at least 0 s"):
        rtf(-1.0, 2.0)


@pytest.mark.parametrize(("sent", "received"), [([1.0, 2.0], [1.0]), ([], []), ([[1.0]], [1.0])])
def test_what_cannot_be_compared_is_refused(sent, received):
    with pytest.raises(ValueError, match="one shape"):
        feature_mse(sent, received)
    with pytest.raises(ValueError, match="one shape"):
        centred_cosine(sent, received)


def test_a_mean_of_another_length_is_refused():
    with pytest.raises(ValueError, match="mean must have the shape"):
        style_cosine([1.0, 2.0], [1.0, 2.0], [0.0, 0.0, 0.0])

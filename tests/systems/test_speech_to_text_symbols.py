# SPDX-License-Identifier: GPL-3.0-or-later
"""How symbols are dealt out to words, and their way to the air and back."""

import numpy as np
import pytest

from gnuradio.semcom.systems.speech_to_text.symbols import ERASED, from_air, layout, long_words, mask, to_air


@pytest.mark.parametrize("words", [0, 1, 2, 5, 8])
def test_unequal_layouts_take_the_airtime_of_equal_ones(words):
    long = long_words(np.random.default_rng(words).random(words))
    assert long.sum() == words // 2
    assert layout(words, 32).tolist() == [32] * words and layout(words, 32, 1).tolist() == [16] * words
    unequal = layout(words, 32, 2, long)
    assert unequal.sum() == 16 * words and set(unequal[long].tolist()) <= {24}
    assert sorted(unequal[~long].tolist()) == sorted([8] * (words // 2) + [16] * (words % 2))


def test_words_that_say_more_get_more():
    assert long_words(np.array([2.0, 9.0, 1.0, 8.0])).tolist() == [False, True, False, True]
    assert long_words(np.array([1.0, 1.0, 1.0])).tolist() == [True, False, False]


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("quality", [0, 1, 2])
def test_what_is_sent_has_unit_energy_and_comes_back(interleaved, quality):
    random = np.random.default_rng(quality)
    values = random.normal(size=(7, 16)).astype(np.float32)
    counts = layout(7, 8, quality, long_words(random.random(7)))
    sent = to_air(values, counts, interleaved)
    assert sent.size == counts.sum() and np.mean(np.abs(sent) ** 2) == pytest.approx(1, abs=1e-5)
    back, variances = from_air(sent, np.full(sent.size, 0.5, np.float32), counts, 8, interleaved)
    places = mask(counts, 8)
    assert (variances[places] == 0.5).all() and (variances[~places] == ERASED).all()
    on_air = np.repeat(places, 2, axis=1)
    scale = back[on_air] / values[on_air]
    assert scale == pytest.approx(np.full(scale.shape, scale[0]), rel=1e-4) and (back[~on_air] == 0).all()


def test_a_fade_takes_symbols_of_many_words():
    counts = layout(8, 32)
    marks = np.repeat(np.arange(1, 9), 64).reshape(8, 64).astype(np.float32)
    sent = to_air(marks, counts, True)
    first = np.round(np.abs(sent[:64]) / np.abs(sent).min()).astype(int)
    assert len(set(first.tolist())) == 8


def test_what_is_missing_or_no_number_is_erased():
    counts = layout(2, 4)
    received = np.array([1, np.nan, 1j, 1, 1], np.complex64)
    noise = np.array([0.1, 0.1, np.inf, -1, 0.1], np.float32)
    values, variances = from_air(received, noise, counts, 4, False)
    assert variances.tolist()[0] == pytest.approx([0.1, ERASED, ERASED, ERASED])
    assert variances.tolist()[1] == pytest.approx([0.1, ERASED, ERASED, ERASED])
    assert np.isfinite(values).all() and (values[0, 2:] == 0).all()


def test_no_words_are_no_symbols():
    assert to_air(np.zeros((0, 8), np.float32), layout(0, 4), True).size == 0
    values, variances = from_air(np.zeros(0, np.complex64), np.zeros(0, np.float32), layout(0, 4), 4, True)
    assert values.shape == (0, 8) and variances.shape == (0, 4)

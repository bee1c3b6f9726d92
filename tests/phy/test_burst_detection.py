# SPDX-License-Identifier: GPL-3.0-or-later
"""Preambles are found at any strength, delay and offset, and nowhere else."""

import math

import numpy as np
import pytest

from gnuradio.semcom.phy import detection, preamble
from gnuradio.semcom.phy.channel import noise

S = 256 / 208


def received(strength, esn0_db, seed, offset, delay, length=2000, at=700):
    """A preamble between two samples, in noise; `esn0_db` of a symbol of the band."""
    rng = np.random.default_rng(seed)
    time = np.arange(length)
    signal = preamble.preamble_at(strength, time - at - delay) * np.exp(2j * np.pi * (offset * time + rng.uniform()))
    return signal.astype(np.complex64) + noise(length, S * 10 ** (-esn0_db / 10), rng)


def test_the_preamble_has_constant_amplitude_and_at_most_256_symbols():
    for strength in preamble.STRENGTHS:
        assert np.allclose(np.abs(preamble.preamble(strength)), 1.0, atol=1e-6)
        assert preamble.preamble(strength).size / S <= 256


def test_its_two_sequences_differ_at_every_shift():
    first, second = (preamble.preamble(strength) for strength in preamble.STRENGTHS)
    own, cross = (np.abs(np.correlate(x, first, "full")) / first.size for x in (first, second))
    assert own.max() == pytest.approx(1.0) and cross.max() <= 0.52  # half of one is half of the other


@pytest.mark.parametrize("strength", preamble.STRENGTHS)
@pytest.mark.parametrize("offset", [-5e-3, 0.0, 2.2e-3, 5e-3])
def test_a_preamble_is_found_where_it_is(strength, offset):
    for seed, delay in enumerate((0.0, 0.25, 0.5, 0.75)):
        (found,) = detection.detect(received(strength, 20.0, seed, offset, delay))
        assert found.strength == strength
        assert found.start == pytest.approx(700 + delay, abs=0.14)
        assert found.carrier_offset == pytest.approx(offset, abs=4e-5)
        assert found.score == pytest.approx(0.985, abs=0.02)


def test_misses_are_rare_at_8_db_below_the_noise():
    rng = np.random.default_rng(1)
    missed = 0
    for number in range(200):
        strength = preamble.STRENGTHS[number % 2]
        x = received(strength, -8.0, number, rng.uniform(-5e-3, 5e-3), rng.uniform())
        missed += not any(abs(one.start - 700.5) < 3 and one.strength == strength for one in detection.detect(x))
    assert missed <= 6  # 1 % of 200 is 2, and more than 6 has a probability of 0.4 %


@pytest.mark.parametrize("level", [1e-4, 1.0, 1e3])
def test_false_alarms_do_not_depend_on_the_noise(level):
    x = noise(1_500_000, level**2, np.random.default_rng(2))
    # at this lower threshold there are enough to count; the same ones at every level
    assert len(detection.detect(x, 0.06)) == pytest.approx(10, abs=9)
    assert len(detection.detect(x)) <= 3


def test_noise_silence_tones_and_numbers_that_are_none_hold_nothing():
    time = np.arange(20_000)
    tone = np.exp(2j * np.pi * 0.0123 * time).astype(np.complex64)
    broken = noise(20_000, 1.0, np.random.default_rng(3))
    broken[::7] = np.nan
    broken[5::9] = np.inf
    for x in (np.zeros(20_000), tone, tone + 3, np.full(20_000, np.nan), broken, np.zeros(0), np.ones(5), 1e30 * tone):
        assert detection.detect(x) == []


def test_a_preamble_behind_silence_and_numbers_that_are_none_is_found():
    x = np.concatenate((np.zeros(5000), np.full(100, np.nan), preamble.preamble("short"), np.zeros(5000)))
    (found,) = detection.detect(x)
    assert found.start == pytest.approx(5100, abs=0.1) and found.strength == "short"


def test_a_threshold_that_is_none_is_refused():
    for bad in (0.0, -1.0, 1.5, math.nan):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            detection.detect(np.zeros(10), bad)

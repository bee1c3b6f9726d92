# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech enhancement against noise of which everything is known."""

import numpy as np
import pytest

from gnuradio.semcom.media.recordings import packaged_recordings
from gnuradio.semcom.media.speech import read_speech
from gnuradio.semcom.speech.enhance import LEAST_GAIN, enhanced, gains

SPEECH = read_speech(packaged_recordings("weather")).data


def snr_db(clean, found):
    return 10 * np.log10(np.sum(clean**2) / np.sum((found - clean) ** 2))


@pytest.mark.parametrize(("level_db", "gain_db"), [(0, 4.0), (5, 3.0), (10, 2.0)])
def test_white_noise_gets_less(level_db, gain_db):
    noise = np.random.default_rng(0).normal(0, 1, SPEECH.size)
    noisy = SPEECH + noise * SPEECH.std() * 10 ** (-level_db / 20)
    assert snr_db(SPEECH, enhanced(noisy)) > snr_db(SPEECH, noisy) + gain_db


def test_clean_speech_stays_as_it_is():
    assert snr_db(SPEECH, enhanced(SPEECH)) > 12


def test_noise_alone_falls_to_about_the_least_gain():
    noise = np.random.default_rng(1).normal(0, 0.1, 64_000)
    found = enhanced(noise)
    assert LEAST_GAIN < found[16_000:].std() / 0.1 < 2.5 * LEAST_GAIN


def test_noise_that_changes_is_followed():
    random = np.random.default_rng(2)
    noise = random.normal(0, 1, 96_000) * np.where(np.arange(96_000) < 32_000, 0.01, 0.1)
    found = enhanced(noise)
    assert found[80_000:].std() < 0.35 * 0.1


def test_gains_of_one_are_given_back_exactly(monkeypatch):
    from gnuradio.semcom.speech import enhance

    monkeypatch.setattr(enhance, "gains", np.ones_like)
    np.testing.assert_allclose(enhance.enhanced(SPEECH[:10_000]), SPEECH[:10_000], atol=1e-6)


def test_gains_look_at_no_frame_that_is_still_to_come():
    power = np.random.default_rng(3).exponential(1, (60, 9))
    changed = power.copy()
    changed[40:] *= 30
    np.testing.assert_array_equal(gains(power)[:20] > 0, True)
    first, second = gains(power), gains(changed)
    np.testing.assert_allclose(first[:40], second[:40], rtol=1e-6)


@pytest.mark.parametrize("samples", [0, 1, 100, 511, 513])
def test_any_length_comes_back_in_step(samples):
    found = enhanced(SPEECH[8000 : 8000 + samples])
    assert found.shape == (samples,) and found.dtype == np.float32 and np.isfinite(found).all()
    assert not enhanced(np.zeros(samples)).any() and np.isfinite(enhanced(np.full(samples, np.nan))).all()

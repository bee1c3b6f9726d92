# SPDX-License-Identifier: GPL-3.0-or-later
"""The log-mel spectrogram and Griffin-Lim."""

from __future__ import annotations

import numpy as np
import pytest

from gnuradio.semcom.speech import mel
from gnuradio.semcom.speech.vocoder import open_vocoder
from gnuradio.semcom.speech.vocoder.griffin_lim import overlap_add


def tone(hz: float, samples: int = 16_000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(samples) / mel.RATE)).astype(np.float32)


def test_slaneys_scale_is_linear_to_1_khz_and_has_27_steps_to_6400_hz():
    assert mel.hz_to_mel(1000.0) == pytest.approx(15)
    assert mel.hz_to_mel(6400.0) == pytest.approx(42)
    hz = np.linspace(0, 8000, 50)
    np.testing.assert_allclose(mel.mel_to_hz(mel.hz_to_mel(hz)), hz, atol=1e-8)


def test_bands_have_unit_area_in_hz():
    bands = mel.mel_bands(points=1 << 14)
    np.testing.assert_allclose(bands.sum(0) * mel.RATE / (1 << 14), 1, rtol=2e-3)


@pytest.mark.parametrize("samples", [0, 1, 255, 256, 512, 513, 16_000])
def test_a_frame_every_256_samples(samples):
    assert mel.log_mel(np.zeros(samples, np.float32)).shape == (1 + samples // 256, 80)


def test_silence_is_the_floor_and_samples_that_are_no_numbers_count_as_silence():
    np.testing.assert_allclose(mel.log_mel(np.full(2000, np.nan, np.float32)), np.log(1e-5), rtol=1e-6)


def test_a_tone_stands_in_its_band_at_its_level():
    frames = mel.log_mel(tone(1000))[10:50]
    edges = mel.mel_to_hz(np.linspace(0, mel.hz_to_mel(8000.0), 82))
    band = int(frames.mean(0).argmax())
    assert edges[band] < 1000 < edges[band + 2]
    # a sine of amplitude a has its peak at a N / 4 in a Hann window of N samples; unit area: a band is 2 / width high
    height = 2 / (edges[band + 2] - edges[band])
    assert 0.5 < np.exp(frames[:, band]).mean() / (0.5 * 1024 / 4 * height) < 2.1


def test_log_mel_wants_one_channel():
    with pytest.raises(ValueError, match="mono"):
        mel.log_mel(np.zeros((2, 100), np.float32))


def test_overlap_add_inverts_the_spectrum():
    samples = np.random.default_rng(0).standard_normal(5120).astype(np.float32)
    back = overlap_add(mel.spectrum(samples))
    np.testing.assert_allclose(back[512:4608], samples[512:4608], atol=1e-4)


def test_griffin_lim_gives_back_the_spectrogram_the_same_each_time():
    random = np.random.default_rng(1)
    speech = sum(tone(200.0 * k, 8000) / k for k in range(1, 12)) * 0.3 + 0.01 * random.standard_normal(8000)
    frames = mel.log_mel(speech.astype(np.float32))
    vocoder = open_vocoder("griffin_lim")
    spoken = vocoder.speak(frames)
    assert spoken.shape == (len(frames) * mel.HOP,) and spoken.dtype == np.float32
    assert np.abs(mel.log_mel(spoken)[2:-3] - frames[2:-2]).mean() < 0.4
    assert np.array_equal(spoken, vocoder.speak(frames))


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_few_frames_are_spoken(frames):
    assert open_vocoder().speak(np.full((frames, 80), -5, np.float32)).shape == (256 * frames,)


def test_vocoders_refuse_other_shapes_and_names():
    with pytest.raises(ValueError, match=r"\[T, 80\]"):
        open_vocoder().speak(np.zeros((80, 10), np.float32)[:, :7])
    with pytest.raises(ValueError, match="griffin_lim, hifi_gan"):
        open_vocoder("wavenet")

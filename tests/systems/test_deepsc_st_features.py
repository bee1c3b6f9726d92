# SPDX-License-Identifier: GPL-3.0-or-later
"""Features, symbol counts and the order of symbols of DeepSC-ST."""

import numpy as np
import pytest
from scipy.signal import get_window, stft

from gnuradio.semcom.speech.features import (
    SAMPLE_RATE,
    features,
    frame_count,
    mel_bands,
    output_frames,
    power_spectrogram,
    symbol_count,
)
from gnuradio.semcom.systems.deepsc_st.symbols import send_order, to_symbols, to_values


def speech(count: int, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.standard_normal(count) * np.sin(np.arange(count) / 900) * 0.2).astype(np.float32)


def test_second_of_speech_is_101_frames_26_and_520_symbols() -> None:
    assert (frame_count(16_000), output_frames(101), symbol_count(16_000)) == (101, 26, 520)
    assert symbol_count(10 * SAMPLE_RATE) == 5020  # 251 frames


@pytest.mark.parametrize("count", [1, 2, 159, 160, 161, 400, 16_000, 16_001])
@pytest.mark.parametrize("bands", [161, 40])
def test_features_have_a_frame_every_10_ms(count: int, bands: int) -> None:
    found = features(speech(count), bands)
    assert found.shape == (1 + count // 160, bands) and found.dtype == np.float32
    assert np.isfinite(found).all()


def test_power_is_that_of_scipys_short_time_transform() -> None:
    audio = speech(8000)
    window = np.hamming(320)
    padded = np.pad(audio.astype(float), 160, mode="reflect")
    _, _, wanted = stft(padded, window=window, nperseg=320, noverlap=160, boundary=None, padded=False)
    wanted = np.abs(wanted.T * window.sum()) ** 2
    assert np.allclose(power_spectrogram(audio), wanted, rtol=1e-3, atol=1e-4 * wanted.max())
    assert get_window("hamming", 320, fftbins=False) == pytest.approx(window)


def test_bands_are_normalised_and_do_not_depend_on_the_level() -> None:
    found = features(speech(32_000))
    assert np.abs(found.mean(0)).max() < 1e-4 and np.abs(found.std(0) - 1).max() < 1e-3
    assert np.abs(features(0.1 * speech(32_000)) - found).max() < 1e-2


def test_silence_and_what_is_no_number_give_numbers() -> None:
    assert np.isfinite(features(np.zeros(5000, np.float32))).all()
    broken = speech(5000)
    broken[100:110] = np.nan
    assert np.isfinite(features(broken)).all()
    with pytest.raises(ValueError, match="at least 1 sample"):
        features(np.zeros(0, np.float32))


def test_a_tone_lands_in_the_mel_band_of_its_frequency() -> None:
    bands = mel_bands(40)
    assert bands.sum(0) == pytest.approx(np.ones(40), abs=1e-5)
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / SAMPLE_RATE).astype(np.float32)
    best = int((power_spectrogram(tone) @ bands).mean(0).argmax())
    centre = 2595 * np.log10(1 + 1000 / 700)
    low, high = 2595 * np.log10(1 + 60 / 700), 2595 * np.log10(1 + 7600 / 700)
    assert best == round((centre - low) / (high - low) * 41) - 1  # evenly spaced in mel


@pytest.mark.parametrize("count", [20, 520, 1000, 5020])
def test_send_order_is_a_permutation_that_spreads_neighbours(count: int) -> None:
    order = send_order(count)
    assert sorted(order) == list(range(count))
    if count >= 520:
        frames = order[:128] // 20  # what one fade of 128 symbols takes
        assert np.bincount(frames).max() <= 128 * 20 // count + 8


@pytest.mark.parametrize("interleaved", [True, False])
def test_symbols_come_back_as_values(interleaved: bool) -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal((26, 40)).astype(np.float32)
    symbols = to_symbols(values, interleaved)
    assert symbols.shape == (520,) and symbols.dtype == np.complex64
    assert np.sum(np.abs(symbols) ** 2) == pytest.approx(np.sum(values**2), rel=1e-5)
    noise = np.arange(520, dtype=np.float32)
    back, variances = to_values(symbols, noise, interleaved)
    assert np.array_equal(back, values) and variances.shape == (26, 20)
    at = send_order(520) if interleaved else np.arange(520)
    assert np.array_equal(variances.reshape(-1)[at], noise)


def test_lost_symbols_are_erased_and_a_broken_frame_is_dropped() -> None:
    symbols = np.ones(45, np.complex64)
    symbols[3] = np.nan
    noise = np.full(45, 0.1, np.float32)
    noise[7] = np.inf
    values, variances = to_values(symbols, noise, interleaved=False)
    assert values.shape == (2, 40) and np.isfinite(values).all()
    assert (variances.reshape(-1)[[3, 7]] > 1e8).all() and variances.reshape(-1)[0] == pytest.approx(0.1)

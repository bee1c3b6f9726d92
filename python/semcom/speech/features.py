# SPDX-License-Identifier: GPL-3.0-or-later
"""The log spectrogram that DeepSC-ST reads: the same numbers in training and on a link. No torch here."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

SAMPLE_RATE = 16_000
WINDOW, HOP = 320, 160  # 20 ms and 10 ms
BINS = WINDOW // 2 + 1
FLOOR = 1e-5  # of the mean power: 50 dB below the speech, so that digital silence has a level
LOWEST_HZ, HIGHEST_HZ = 60.0, 7600.0

Frames = NDArray[np.float32]


def frame_count(samples: int) -> int:
    """Frames of 10 ms with centred windows: 101 for 16,000 samples."""
    return 1 + samples // HOP


def output_frames(frames: int) -> int:
    """Frames of 40 ms that leave the two convolutions of stride 2: 26 for 101."""
    return (((frames - 1) // 2 + 1) - 1) // 2 + 1


def symbol_count(samples: int) -> int:
    """Complex symbols of an utterance, 20 a frame of 40 ms: 520 for 16,000 samples (the paper's Table II)."""
    return 20 * output_frames(frame_count(samples))


def power_spectrogram(audio: NDArray[np.floating]) -> Frames:
    """Power of centred Hamming windows, float32 [T, 161], of 16 kHz mono samples [n], n >= 1; reflected at the ends.

    ValueError where there is no sample.
    """
    if audio.ndim != 1 or audio.size == 0:
        raise ValueError(f"features need at least 1 sample of mono speech, not an array of shape {audio.shape}")
    half = WINDOW // 2
    padded = np.pad(audio.astype(np.float32), half, mode="reflect" if audio.size > half else "symmetric")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: frame_count(audio.size)]
    spectrum = rfft(frames * np.hamming(WINDOW).astype(np.float32), axis=1)  # of SciPy: stays in float32
    return np.asarray(spectrum.real**2 + spectrum.imag**2, np.float32)


@lru_cache(maxsize=4)
def mel_bands(bands: int) -> NDArray[np.float32]:
    """Triangles evenly spaced in mel (HTK formula), float32 [161, bands], each of unit sum."""
    edges = _mel_to_hz(np.linspace(_hz_to_mel(LOWEST_HZ), _hz_to_mel(HIGHEST_HZ), bands + 2))
    hz = np.arange(BINS) * SAMPLE_RATE / WINDOW
    width = np.maximum(np.diff(edges), SAMPLE_RATE / WINDOW)  # low bands are not narrower than a bin
    centres = edges[1:-1, None]
    rising, falling = 1 - (centres - hz) / width[:-1, None], 1 - (hz - centres) / width[1:, None]
    triangles = np.clip(np.minimum(rising, falling), 0, None)
    return np.ascontiguousarray((triangles / triangles.sum(1, keepdims=True)).T, np.float32)


def features(audio: NDArray[np.floating], bands: int = BINS) -> Frames:
    """What the network reads, float32 [T, bands]: log power, each band brought to mean 0 and deviation 1.

    `audio` is 16 kHz mono [n] of any level; samples that are not finite count as 0. `bands` of 161 are the bins of the
    spectrum (preset paper), fewer are mel bands. T is `frame_count(n)`.
    """
    finite = np.nan_to_num(np.asarray(audio, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    power = power_spectrogram(finite)
    if bands != BINS:
        power = power @ mel_bands(bands)
    log = np.log(power + FLOOR * power.mean() + 1e-10)
    return ((log - log.mean(0)) / (log.std(0) + 1e-6)).astype(np.float32)


def _hz_to_mel(hz: float) -> float:
    return 2595 * float(np.log10(1 + hz / 700))


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return 700 * (10 ** (mel / 2595) - 1)

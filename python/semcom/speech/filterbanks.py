# SPDX-License-Identifier: GPL-3.0-or-later
"""What the attention recogniser reads: log-mel filter banks with their first and second differences. No torch here.

Frames of 25 ms every 10 ms, a Hamming window, 40 bands, differences over two frames on each side, mean and variance
normalised over the utterance.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

SAMPLE_RATE = 16_000
WINDOW, HOP, POINTS = 400, 160, 512  # 25 ms and 10 ms
BANDS = 40
LEAST_FRAMES = 4  # two poolings leave one of them
SHORTEST = WINDOW + (LEAST_FRAMES - 1) * HOP
LOWEST_HZ, HIGHEST_HZ = 20.0, 7600.0
FLOOR = 1e-5  # of the mean power: 50 dB below the speech, so that digital silence has a level

Frames = NDArray[np.float32]


def frame_count(samples: int) -> int:
    """Frames of whole windows: 998 of 10 s. Shorter speech than 880 samples is filled up to 4 frames."""
    return 1 + (max(samples, SHORTEST) - WINDOW) // HOP


def hz_to_mel(hz: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """O'Shaughnessy's formula, as HTK has it."""
    return 2595 * np.log10(1 + np.asarray(hz, np.float64) / 700)


@lru_cache(maxsize=1)
def mel_bands() -> NDArray[np.float32]:
    """Triangles evenly spaced in mel, of height 1, float32 [257, 40]."""
    edges = np.linspace(hz_to_mel(LOWEST_HZ), hz_to_mel(HIGHEST_HZ), BANDS + 2)
    mel = hz_to_mel(np.arange(POINTS // 2 + 1) * SAMPLE_RATE / POINTS)[:, None]
    rising = (mel - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)


def log_mel(audio: NDArray[np.floating]) -> Frames:
    """Log power in 40 bands, float32 [N, 40], of 16 kHz mono [n]; what is not finite counts as 0."""
    samples = np.nan_to_num(np.asarray(audio, np.float32).reshape(-1), nan=0.0, posinf=0.0, neginf=0.0)
    samples = np.pad(samples, (0, max(0, SHORTEST - samples.size)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    spectrum = rfft(frames * np.hamming(WINDOW).astype(np.float32), POINTS, axis=1)
    power = np.asarray(spectrum.real**2 + spectrum.imag**2, np.float32) @ mel_bands()
    return np.asarray(np.log(power + FLOOR * power.mean() + 1e-10), np.float32)


def differences(values: Frames) -> Frames:
    """Slope of the regression line over two frames on each side, [N, bands]; the ends are repeated."""
    padded = np.pad(values, ((2, 2), (0, 0)), mode="edge")
    return ((padded[3:-1] - padded[1:-3]) + 2 * (padded[4:] - padded[:-4])) / 10


def stacked(log_powers: Frames) -> Frames:
    """Bands, differences and differences of those, float32 [N, 40, 3], each of mean 0 and deviation 1."""
    first = differences(log_powers)
    values = np.stack([log_powers, first, differences(first)], -1)
    return ((values - values.mean(0)) / (values.std(0) + 1e-5)).astype(np.float32)


def filterbanks(audio: NDArray[np.floating]) -> Frames:
    """float32 [N, 40, 3] of 16 kHz mono [n], N = `frame_count(n)`."""
    return stacked(log_mel(audio))

# SPDX-License-Identifier: GPL-3.0-or-later
"""The log-mel spectrogram that HASCom's networks and the vocoders share. No torch here.

16 kHz, centred Hann windows of 1024 samples every 256 (62.5 frames a second), magnitudes in 80 triangular bands of the
Slaney scale from 0 to 8000 Hz, each of unit area in Hz, natural log of at least 1e-5: HiFi-GAN's choices (Kong et al.,
NeurIPS 2020) at 16 kHz. The paper names neither the edges nor the base of the log.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

RATE = 16_000
HOP, WINDOW = 256, 1024
BANDS, BINS = 80, WINDOW // 2 + 1
HIGHEST_HZ = 8000.0
FLOOR = 1e-5
SILENCE = float(np.log(FLOOR))

Samples = NDArray[np.float32]
LogMel = NDArray[np.float32]

_LINEAR_HZ, _BREAK_HZ = 200 / 3, 1000.0  # Slaney's scale: linear to 1 kHz, then logarithmic
_LOG_STEP = np.log(6.4) / 27


def hz_to_mel(hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Slaney's mel scale (Auditory Toolbox): 15 at 1 kHz."""
    values = np.asarray(hz, np.float64)
    above = _BREAK_HZ / _LINEAR_HZ + np.log(np.maximum(values, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(values < _BREAK_HZ, values / _LINEAR_HZ, above)


def mel_to_hz(mel: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """The inverse."""
    values = np.asarray(mel, np.float64)
    start = _BREAK_HZ / _LINEAR_HZ
    return np.where(values < start, values * _LINEAR_HZ, _BREAK_HZ * np.exp(_LOG_STEP * (values - start)))


@lru_cache(maxsize=4)
def mel_bands(rate: int = RATE, points: int = WINDOW, highest_hz: float = HIGHEST_HZ) -> NDArray[np.float32]:
    """Triangles of unit area in Hz, float32 [points / 2 + 1, 80]."""
    edges = mel_to_hz(np.linspace(0, hz_to_mel(highest_hz), BANDS + 2))
    hz = np.arange(points // 2 + 1)[:, None] * rate / points
    width = np.diff(edges)
    triangles = np.minimum((hz - edges[:-2]) / width[:-1], (edges[2:] - hz) / width[1:])
    return (np.clip(triangles, 0, None) * 2 / (edges[2:] - edges[:-2])).astype(np.float32)


@lru_cache(maxsize=1)
def window() -> NDArray[np.float32]:
    """The periodic Hann window, float32 [1024]."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def frame_count(samples: int) -> int:
    """Frames of so many samples: 63 for 16,000."""
    return 1 + samples // HOP


def spectrum(samples: Samples) -> NDArray[np.complex64]:
    """Centred windows, complex64 [T, 513], of samples [n]; reflected at the ends. `n` may be 0."""
    half = WINDOW // 2
    if samples.size <= half:  # too short to be reflected
        padded = np.pad(samples, half)
    else:
        padded = np.pad(samples, half, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: frame_count(samples.size)]
    return np.asarray(rfft(frames * window(), axis=1), np.complex64)


def log_mel(samples: NDArray[np.floating]) -> LogMel:
    """float32 [1 + n // 256, 80] of 16 kHz mono [n] in [-1, 1]; samples that are not finite count as 0.

    ValueError unless `samples` has one axis.
    """
    if samples.ndim != 1:
        raise ValueError(f"log_mel needs mono samples [n], not an array of shape {samples.shape}")
    finite = np.nan_to_num(np.asarray(samples, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    return np.log(np.maximum(np.abs(spectrum(finite)) @ mel_bands(), FLOOR)).astype(np.float32)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech enhancement without a network: less noise, the same speech.

The log-spectral amplitude estimator of Ephraim and Malah (IEEE TASSP 33(2), 1985) with their decision-directed a priori
SNR (IEEE TASSP 32(6), 1984); the noise is followed by the estimator of Gerkmann and Hendriks (IEEE TASLP 20(4), 2012),
which asks in each bin how probable speech is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

WINDOW, HOP = 512, 128  # 32 ms and 8 ms at 16 kHz
FIRST_FRAMES = 8  # taken for noise at the beginning
SMOOTHING = 0.98  # of the decision-directed estimate
XI_MIN = 10 ** (-25 / 10)
LEAST_GAIN = 10 ** (-18 / 20)  # some noise is left: holes sound worse
NOISE_SMOOTHING, PRESENCE_SMOOTHING = 0.8, 0.9
XI_SPEECH = 10 ** (15 / 10)  # the a priori SNR that speech typically has where it is

Samples = NDArray[np.float32]


def enhanced(speech: NDArray[np.floating]) -> Samples:
    """16 kHz [n] with less noise, float32 [n] in step with the input; what is not finite counts as 0."""
    samples = np.nan_to_num(np.asarray(speech, np.float64).reshape(-1), nan=0.0, posinf=0.0, neginf=0.0)
    if not samples.size or not samples.any():
        return samples.astype(np.float32)
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW))
    padded = np.pad(samples, (WINDOW, 2 * WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * window
    spectra = rfft(frames, axis=1)
    cleaned = irfft(spectra * gains(np.square(np.abs(spectra)))[:, :], WINDOW, axis=1) * window
    out, weight = np.zeros(padded.size), np.zeros(padded.size)
    square = window**2
    for number, frame in enumerate(cleaned):
        place = slice(number * HOP, number * HOP + WINDOW)
        out[place] += frame
        weight[place] += square
    return (out / np.maximum(weight, 1e-9))[WINDOW : WINDOW + samples.size].astype(np.float32)


def gains(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gains [T, bins] for power spectra [T, bins]; each frame uses only those before it."""
    from scipy.special import exp1

    floor = 1e-10 * float(power.mean()) + 1e-20
    said = power[power.sum(1) > floor * power.shape[1]]
    noise = np.maximum(said[:FIRST_FRAMES].mean(0), floor)
    presence = np.full(power.shape[1], 0.5)
    clean = XI_MIN * noise
    out = np.empty_like(power)
    for number, frame in enumerate(power):
        likelihood = np.minimum(frame / noise * XI_SPEECH / (1 + XI_SPEECH), 200)
        present = 1 / (1 + (1 + XI_SPEECH) * np.exp(-likelihood))
        presence = PRESENCE_SMOOTHING * presence + (1 - PRESENCE_SMOOTHING) * present
        present = np.where(presence > 0.99, np.minimum(present, 0.99), present)  # or it would stay for ever
        noise = NOISE_SMOOTHING * noise + (1 - NOISE_SMOOTHING) * ((1 - present) * frame + present * noise)
        noise = np.maximum(noise, floor)
        gamma = np.minimum(frame / noise, 1e4)
        xi = np.maximum(SMOOTHING * clean / noise + (1 - SMOOTHING) * np.maximum(gamma - 1, 0), XI_MIN)
        wiener = xi / (1 + xi)
        gain = np.minimum(wiener * np.exp(0.5 * exp1(np.maximum(wiener * gamma, 1e-8))), 1.0)
        clean = np.square(gain) * frame
        out[number] = np.maximum(gain, LEAST_GAIN)
    return out

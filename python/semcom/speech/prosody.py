# SPDX-License-Identifier: GPL-3.0-or-later
"""How something is said in 16 numbers, and a synthetic voice that says a text that way.

Pitch and its spread, length, level, and twelve cepstral coefficients of the mean spectrum: what a formant or a unit
voice can be told. The voice is flite's `slt`, whose pitch and pace are set; a filter brings its mean spectrum near the
speaker's.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct, irfft, rfft

from ..media.speech import decode_speech
from ..media.utterances import FRAME, levels_db, threshold_db
from ..message import SAMPLE_RATE
from .mel import BANDS, RATE, WINDOW, hz_to_mel, log_mel, mel_to_hz, spectrum
from .recognisers.base import silent
from .synthesis.voices import PAUSE, Flite
from .vocoder.griffin_lim import overlap_add

CEPSTRA = 12
COUNT = 4 + CEPSTRA
NAMES = ("pitch", "pitch_spread", "length", "level", *(f"cepstrum_{k}" for k in range(1, CEPSTRA + 1)))
LOWEST_HZ, HIGHEST_HZ = 60.0, 400.0
VOICED = 0.5  # of the normalised autocorrelation
HOP = 256
# Mean and spread of the raw numbers over the training speech of LibriSpeech, RAVDESS and kathleen.
MEAN = np.array(
    [5.138, -1.391, 1.103, -3.577, 10.719, -1.109, 2.348, -1.454, -0.532, -1.148, -1.175, -0.806, -0.355, -0.742,
     -0.267, -0.516], np.float32,
)  # fmt: skip
SPREAD = np.array(
    [0.323, 0.448, 0.677, 1.039, 3.03, 2.248, 1.559, 1.533, 0.918, 0.924, 0.865, 0.686, 0.64, 0.593, 0.673, 0.597],
    np.float32,
)  # fmt: skip
STRETCH, PITCH_HZ, FILTER = (0.5, 2.5), (70.0, 350.0), 1.6  # what the voice can be told; the filter in nepers

Floats = NDArray[np.float32]


def said(speech: NDArray[np.floating]) -> Floats:
    """The speech between its first and its last sound."""
    samples = np.nan_to_num(np.asarray(speech, np.float32).reshape(-1), nan=0.0, posinf=0.0, neginf=0.0)
    levels = levels_db(samples) if samples.size else np.zeros(0)
    loud = np.flatnonzero(levels > threshold_db(levels)) if samples.size else levels
    return samples[loud[0] * FRAME : (loud[-1] + 1) * FRAME] if loud.size else samples


def pitch_hz(speech: Floats) -> Floats:
    """The pitch of voiced frames in Hz, by autocorrelation; empty where there are none."""
    padded = np.pad(speech, (0, max(0, WINDOW - speech.size)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    frames = frames - frames.mean(1, keepdims=True)
    energy = np.square(frames).sum(1)
    frames = frames[energy > 0.02 * np.quantile(energy, 0.95) + 1e-9]
    if not len(frames):
        return np.zeros(0, np.float32)
    power = np.square(np.abs(rfft(frames, 2 * WINDOW, axis=1)))
    lags = np.arange(int(RATE / HIGHEST_HZ), int(RATE / LOWEST_HZ) + 1)
    correlation = irfft(power, axis=1)
    # fewer samples meet at a longer lag: without the correction low voices seem high
    shape = correlation[:, lags] / correlation[:, :1] / (1 - lags / WINDOW)
    best = shape.argmax(1)
    voiced = shape[np.arange(len(shape)), best] > VOICED
    return (RATE / lags[best[voiced]]).astype(np.float32)


def raw(speech: NDArray[np.floating]) -> Floats:
    """The numbers as measured, float32 [16], of 16 kHz speech [n] that is not silent."""
    samples = said(speech)
    pitch = np.log(pitch_hz(samples))
    middle = float(np.median(pitch)) if pitch.size else float(np.log(150))
    spread = float(np.quantile(pitch, 0.75) - np.quantile(pitch, 0.25)) if pitch.size else 0.15
    level = float(np.log(np.sqrt(np.mean(np.square(samples, dtype=np.float64))) + 1e-6))
    frames = log_mel(samples)
    loud = frames[frames.max(1) > np.quantile(frames.max(1), 0.5)]
    cepstra = dct((loud if len(loud) else frames).mean(0), norm="ortho")[1 : CEPSTRA + 1]
    length = float(np.log(max(samples.size, FRAME) / RATE))
    return np.array([middle, np.log(spread + 0.02), length, level, *cepstra], np.float32)


def prosody(speech: NDArray[np.floating]) -> Floats:
    """float32 [16] of mean 0 and spread 1 over the training speech; zeros, the mean, for silence."""
    samples = np.asarray(speech, np.float32).reshape(-1)
    return np.zeros(COUNT, np.float32) if silent(np.nan_to_num(samples)) else (raw(samples) - MEAN) / SPREAD


class PlainVoice(Flite):
    """flite with a pitch."""

    def say(self, text: str, pitch: float, stretch: float) -> Floats:
        """The text at a mean pitch in Hz and so many times as long."""
        words = " ".join(text.split())
        if not any(c.isalnum() for c in words):
            return np.zeros(PAUSE, np.float32)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "speech.wav"
            settings = (f"int_f0_target_mean={pitch:.1f}", f"duration_stretch={stretch:.3f}")
            told = [part for setting in settings for part in ("--setf", setting)]
            self.call("-voice", self.voice, *told, "-t", words, "-o", str(path))
            return decode_speech(path.read_bytes(), f"flite's {path.name}")


def speak(text: str, numbers: NDArray[np.floating]) -> Floats:
    """The text in the way that numbers [16] tell, 16 kHz float32 [n]; a fifth of a second of silence for no text.

    ValueError where flite is not installed.
    """
    finite = np.clip(np.nan_to_num(np.asarray(numbers, np.float32)), -4, 4)
    target = finite * SPREAD + MEAN
    voice = PlainVoice("slt")
    pitch = float(np.clip(np.exp(target[0]), *PITCH_HZ))
    plain = voice.say(text, pitch, 1.0)
    if silent(plain):
        return plain
    stretch = float(np.clip(np.exp(target[2]) * SAMPLE_RATE / max(said(plain).size, 1), *STRETCH))
    speech = said(voice.say(text, pitch, stretch))
    wanted = np.zeros(BANDS)
    wanted[1 : CEPSTRA + 1] = target[4:] - raw(speech)[4:]
    gain = np.clip(idct(wanted, norm="ortho"), -FILTER, FILTER)
    centres = mel_to_hz(np.linspace(0, hz_to_mel(RATE / 2), BANDS + 2))[1:-1]
    response = np.exp(np.interp(np.fft.rfftfreq(WINDOW, 1 / RATE), centres, gain))
    filtered = overlap_add((spectrum(speech) * response).astype(np.complex64))[: speech.size]
    level = float(np.exp(target[3])) / (float(np.sqrt(np.mean(np.square(filtered)))) + 1e-9)
    return np.clip(filtered * min(level, 0.98 / (float(np.abs(filtered).max()) + 1e-9)), -1, 1).astype(np.float32)

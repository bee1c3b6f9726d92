# SPDX-License-Identifier: GPL-3.0-or-later
"""Phonemes and style of speech, and speech of these, by ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct

from ...message import SAMPLE_RATE, Symbols
from ...speech.mel import BANDS, SILENCE, log_mel
from ...speech.phonemes import PAUSE
from ...speech.style import StyleEncoder
from ...speech.vocoder import open_vocoder
from ...zoo import Model, load
from . import forward
from .content import LOST
from .level import levelled

STYLE_SYMBOLS = 64
LOST_FRAMES = 6  # of a phoneme nobody received: about the mean, so that what follows comes in time
MOST_FRAMES = 40  # of one phoneme
NOISE_SEED = 0x4A5C
LONGEST_S = 120.0
QUANTISED_BITS = 3  # of a coordinate of the style, where it is sent as bits
QUANTISED_RANGE = 0.5
STEPS = 4

Floats = NDArray[np.float32]
Phonemes = NDArray[np.int64]


@dataclass(frozen=True)
class Spoken:
    """Log-mel frames float32 [T, 80], the prior they began from, and the frames of each phoneme."""

    mel: Floats
    mu: Floats
    frames: NDArray[np.int64]


class Codec:
    """One HASCom model."""

    def __init__(self, variant: str, device: str = "auto") -> None:
        self.model: Model = load("hascom", variant, device)
        self.style_encoder = StyleEncoder("hascom", variant, device)
        self.bases: Floats = self.model.arrays("style.npz")["bases"]
        speaking = self.model.card.get("speaking", {})
        self.temperature = float(speaking.get("temperature", 1.0))
        self.length_scale = float(speaking.get("length_scale", 1.0))
        self.contrast, self.variance = float(speaking.get("contrast", 1.0)), float(speaking.get("variance", 1.0))

    def style(self, samples: Floats) -> Floats:
        """Style float32 [512] of 16 kHz speech [n]."""
        return self.style_encoder.embed(log_mel(levelled(samples)))

    def style_symbols(self, style: Floats) -> Symbols:
        """complex64 [64] of mean energy 1."""
        values = self.model.run("jscc_encoder", style[None].astype(np.float32))[0][0]
        return np.ascontiguousarray(values[0::2] + 1j * values[1::2], np.complex64)

    def received_style(self, symbols: Symbols) -> Floats:
        """The style of 64 equalised symbols."""
        values = np.empty((1, 2 * STYLE_SYMBOLS), np.float32)
        values[0, 0::2], values[0, 1::2] = symbols.real, symbols.imag
        return np.asarray(self.model.run("jscc_decoder", values)[0][0], np.float32)

    def style_bits(self, style: Floats) -> NDArray[np.uint8]:
        """The style's 48 coordinates with 3 bits each, uint8 [144]."""
        coordinates = np.einsum("hrd,hd->hr", self.bases, style.reshape(2, -1)).reshape(-1)
        levels = 1 << QUANTISED_BITS
        index = np.clip((coordinates / QUANTISED_RANGE + 1) / 2 * levels, 0, levels - 1).astype(np.int64)
        shifts = np.arange(QUANTISED_BITS - 1, -1, -1)
        return ((index[:, None] >> shifts) & 1).astype(np.uint8).reshape(-1)

    def style_of_bits(self, bits: NDArray[np.uint8]) -> Floats:
        """The inverse: halves of length 1."""
        rows = bits.reshape(-1, QUANTISED_BITS).astype(np.int64)
        index = rows @ (1 << np.arange(QUANTISED_BITS - 1, -1, -1))
        coordinates = (((index + 0.5) / (1 << QUANTISED_BITS) * 2 - 1) * QUANTISED_RANGE).reshape(2, -1)
        coordinates /= np.linalg.norm(coordinates, axis=1, keepdims=True) + 1e-9
        return np.einsum("hrd,hr->hd", self.bases, coordinates).reshape(-1).astype(np.float32)

    @property
    def quantised_style_bits(self) -> int:
        """How many bits `style_bits` gives."""
        return self.bases.shape[0] * self.bases.shape[1] * QUANTISED_BITS

    def durations(self, phonemes: Phonemes, style: Floats) -> tuple[Floats, NDArray[np.int64]]:
        """Hidden values [128, n] of phonemes and the frames of each, at least 1."""
        hidden, log_frames = self.model.run("encoder", phonemes[None], style[None])
        wanted = np.exp(np.minimum(log_frames[0], np.log(MOST_FRAMES))) * self.length_scale
        ends = np.round(np.cumsum(wanted)).astype(np.int64)  # what is rounded off one goes to the next
        return hidden[0], np.maximum(np.diff(ends, prepend=0), 1)

    def speak(
        self, phonemes: Phonemes, style: Floats, steps: int = STEPS, solver: str = "multistep",
        frames: NDArray[np.int64] | None = None,
    ) -> Spoken:  # fmt: skip
        """Log-mel frames of phonemes [n], LOST among them, in a style. `frames` are predicted where not given."""
        said = np.where(phonemes == LOST, PAUSE, phonemes)
        hidden, predicted = self.durations(said, style)
        if frames is None:
            frames = np.where(phonemes == LOST, LOST_FRAMES, predicted)
        owner = np.repeat(np.arange(len(frames)), frames)
        mu = self.model.run("decoder", hidden[:, owner][None], places(frames)[None], style[None])[0]

        def noise(noisy: NDArray[np.floating], t: float) -> NDArray[np.floating]:
            at = np.array([t], np.float32)
            return self.model.run("denoiser", noisy.astype(np.float32, copy=False), mu, at, style[None])[0]

        random = np.random.default_rng(NOISE_SEED).standard_normal(mu.shape).astype(np.float32)
        start = mu + random / self.temperature
        solved = (forward.euler if solver == "euler" else forward.multistep)(start, mu, noise, steps)
        mel = sharpened(solved[0].T, self.contrast, self.variance)
        mel[phonemes[owner] == LOST] = SILENCE
        return Spoken(mel, np.ascontiguousarray(mu[0].T), frames)


def sharpened(mel: NDArray[np.floating], contrast: float, variance: float) -> Floats:
    """Log-mel frames [T, 80] against the flatness of estimates: their deviation from the mean over time times
    `variance` (Toda and Tokuda, Interspeech 2005), then their cepstra from the third on, formants and harmonics, times
    `contrast`."""
    cepstra = dct(mel, norm="ortho", axis=1)
    cepstra = cepstra.mean(0) + (cepstra - cepstra.mean(0)) * variance
    cepstra[:, 2:] *= contrast
    return np.ascontiguousarray(idct(cepstra, norm="ortho", axis=1), np.float32)


def places(frames: NDArray[np.int64]) -> Floats:
    """Where in its phoneme each frame is, float32 [3, T], as `network.spread` has it."""
    length = np.repeat(frames, frames).astype(np.float32)
    begun = np.repeat(np.cumsum(frames) - frames, frames)
    through = (np.arange(len(length)) - begun + 0.5) / length
    return np.stack([through, 0.5 * np.log(length), np.ones_like(length)]).astype(np.float32)


def with_edges(phonemes: Phonemes) -> Phonemes:
    """The pauses before and after what is said, which nobody sends."""
    return np.concatenate([[PAUSE], phonemes, [PAUSE]])


def silence(phonemes: int) -> Floats:
    """Silence as long as so many phonemes are, at least a fifth of a second, float32 [n]."""
    return np.zeros(max(SAMPLE_RATE // 5, phonemes * LOST_FRAMES * 256), np.float32)


def spoken_samples(mel: Floats, vocoder: str, device: str = "auto") -> Floats:
    """Samples of 16 kHz; where the frames are silent, so are they."""
    samples = open_vocoder(vocoder, device).speak(mel)
    quiet = np.repeat((mel <= SILENCE + 1e-3).sum(1) == BANDS, 256)
    return np.where(quiet, np.float32(0), samples)


@lru_cache(maxsize=2)
def codec(variant: str, device: str = "auto") -> Codec:
    """The codec of a model, made once a process."""
    return Codec(variant, device)

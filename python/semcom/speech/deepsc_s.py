# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech as analog symbols by a trained `deepsc_s` model, and back to log-mel frames; shared by its systems.

Two graphs: `encoder`, log-mel [1, 80, T] to planes [1, 256, T / 8]; `decoder`, planes and trust back to log-mel. Which
value travels in which symbol, and the scale of a message, are here. No torch.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .. import zoo
from .mel import HOP, SILENCE, log_mel

SYSTEM = "deepsc_s"
GROUP = 8  # frames of what one position of the planes stands for: 128 ms
SAMPLES = GROUP * HOP
PLANES = (32, 128, 256)  # real planes sent at quality 0, 1, 2: 125, 500 and 1,000 complex symbols a second
REFERENCE = 8  # symbols that show the receiver by what factor the message was scaled
SCALE_SPREAD = 0.3  # how far the factor is from 1, standard deviation: what a receiver that hears nothing takes it for
GOLDEN = (math.sqrt(5) - 1) / 2

Floats = NDArray[np.float32]
Symbols = NDArray[np.complex64]


def groups(samples: int) -> int:
    """Positions of an utterance, at least one; it is filled up with silence to 128 ms."""
    return max(1, -(-samples // SAMPLES))


def symbol_count(samples: int, quality: int) -> int:
    """Complex symbols of an utterance: 8 and 16, 64 or 128 for each 128 ms."""
    return REFERENCE + groups(samples) * PLANES[quality] // 2


def frames_of(speech: NDArray[np.floating]) -> Floats:
    """Log-mel float32 [80, 8 g] of 16 kHz mono [n], g = `groups(n)`."""
    count = groups(speech.size)
    padded = np.zeros(count * SAMPLES, np.float32)
    padded[: speech.size] = speech
    return np.ascontiguousarray(log_mel(padded)[: count * GROUP].T)


@lru_cache(maxsize=16)
def order(count: int) -> NDArray[np.int64]:
    """The symbol, in reading order of the planes, that is sent at each time, int64 [count].

    Steps of about the golden section of `count`: a fade takes a little of every plane and of every moment.
    """
    step = max(1, round(count * GOLDEN))
    while math.gcd(step, count) > 1:
        step += 1
    return np.arange(count, dtype=np.int64) * step % count


def to_symbols(planes: Floats, quality: int) -> Symbols:
    """float32 [256, g] to complex64 of mean energy 1: the reference, then two planes a symbol."""
    pairs = planes[: PLANES[quality]].reshape(PLANES[quality] // 2, 2, -1)
    flat = (pairs[:, 0] + 1j * pairs[:, 1]).ravel() * math.sqrt(0.5)
    whole = np.concatenate([np.ones(REFERENCE), flat[order(flat.size)]])
    return (whole / math.sqrt(float(np.mean(np.abs(whole) ** 2)))).astype(np.complex64)


def scale_of(reference: Symbols, noise_var: Floats) -> float:
    """By what factor a message was scaled: the mean of its reference under a prior around 1."""
    weights = 2 / np.maximum(noise_var.astype(np.float64), 1e-9)
    prior = SCALE_SPREAD**-2
    return float(np.clip((np.sum(weights * reference.real) + prior) / (np.sum(weights) + prior), 0.2, 5.0))


def to_planes(symbols: Symbols, noise_var: Floats, quality: int) -> tuple[Floats, Floats] | None:
    """Values and trust, float32 [256, g] each; None where no utterance has so many symbols.

    Trust is 1 / (1 + noise_var) at the scale of the planes, 0 where nothing was sent or what came is no number.
    """
    half = PLANES[quality] // 2
    count, rest = divmod(symbols.size - REFERENCE, half)
    if count < 1 or rest or noise_var.size != symbols.size:
        return None
    good = np.isfinite(symbols) & np.isfinite(noise_var) & (noise_var >= 0)
    first = good[:REFERENCE]
    scale = scale_of(symbols[:REFERENCE][first], noise_var[:REFERENCE][first])
    good = good[REFERENCE:]
    at = order(count * half)[good]
    values = symbols[REFERENCE:][good] * (math.sqrt(2) / scale)
    flat, trust = np.zeros((2, count * half), np.float32), np.zeros(count * half, np.float32)
    flat[0, at], flat[1, at] = values.real, values.imag
    trust[at] = 1 / (1 + noise_var[REFERENCE:][good] / scale**2)
    planes, trusts = np.zeros((2, PLANES[-1], count), np.float32)
    for part in range(2):
        planes[part : 2 * half : 2] = flat[part].reshape(half, count)
        trusts[part : 2 * half : 2] = trust.reshape(half, count)
    return planes, trusts


class Codec:
    """One model."""

    def __init__(self, variant: str, device: str = "auto") -> None:
        self.model = zoo.load(SYSTEM, variant, device)
        for part in ("encoder", "decoder"):
            self.model.session(part)

    def encode(self, speech: NDArray[np.floating], quality: int, esn0_db: float) -> Symbols:
        """complex64 of mean energy 1 of 16 kHz speech [n], made for a channel of that Es/N0 in dB."""
        finite = np.nan_to_num(np.asarray(speech, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        (planes,) = self.model.run("encoder", frames_of(finite)[None], _one(esn0_db), _one(quality))
        return to_symbols(planes[0], quality)

    def decode(self, symbols: Symbols, noise_var: Floats, quality: int) -> Floats | None:
        """Log-mel float32 [8 g, 80] of equalised symbols; None where no utterance has so many of them."""
        found = to_planes(symbols, noise_var, quality)
        if found is None:
            return None
        (frames,) = self.model.run("decoder", found[0][None], found[1][None], _one(quality))
        return np.ascontiguousarray(np.maximum(frames[0].T, SILENCE))


@lru_cache(maxsize=4)
def codec(variant: str, device: str = "auto") -> Codec:
    """The codec of a model, made once a process."""
    return Codec(variant, device)


def variants() -> list[str]:
    """Trained models that are here, `standard` first."""
    return sorted(zoo.available(SYSTEM), key=lambda name: (name != "standard", name))


def _one(value: float) -> Floats:
    return np.array([value], np.float32)



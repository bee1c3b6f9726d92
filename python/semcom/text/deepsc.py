# SPDX-License-Identifier: GPL-3.0-or-later
"""Text to analog symbols and back with the trained transformer of `systems/deepsc_text`, by ONNX Runtime.

A character is 8 complex symbols. A text goes through the network in pieces of nearly equal length, at most 96
characters; the receiver knows them from the number of symbols.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .. import zoo
from .alphabet import ALPHABET, INDEX

SYSTEM = "deepsc_text"
REALS = 16  # of a character
SYMBOLS = REALS // 2
PIECE = 96  # characters that the network sees at once, at most

Symbols = NDArray[np.complex64]
Floats = NDArray[np.float32]


def pieces(length: int) -> list[slice]:
    """Where a text of so many characters is cut."""
    count = max(1, -(-length // PIECE))
    ends = [length * k // count for k in range(count + 1)]
    return [slice(a, b) for a, b in zip(ends, ends[1:], strict=False) if b > a]


def to_values(symbols: Symbols, noise_var: Floats) -> Floats:
    """What the decoder reads of each character: 16 values after a linear estimator of least mean error, and how far
    each of its 8 symbols is to be trusted, float32 [L, 24]."""
    trust = (1 / (1 + np.asarray(noise_var, np.float32))).reshape(-1, SYMBOLS)
    values = np.ascontiguousarray(symbols, np.complex64).view(np.float32).reshape(-1, REALS)
    return np.concatenate([values * np.repeat(trust, 2, 1), trust], 1).astype(np.float32)


class TextCodec:
    """One trained model: graphs `encoder`, int64 [1, L] to [1, L, 16], and `decoder`, [1, L, 24] to [1, L, 28]."""

    def __init__(self, variant: str, device: str = "auto") -> None:
        self.model = zoo.load(SYSTEM, variant, device)
        for part in ("encoder", "decoder"):
            self.model.session(part)

    def encode(self, text: str) -> Symbols:
        """Text in the alphabet to complex64 [8 L] of mean energy 1; an empty text to none."""
        tokens = np.array([INDEX[c] for c in text], np.int64)
        if not tokens.size:
            return np.zeros(0, np.complex64)
        values = [self.model.run("encoder", tokens[None, piece])[0][0] for piece in pieces(tokens.size)]
        symbols = np.concatenate(values).astype(np.float32).ravel().view(np.complex64)
        return (symbols / np.sqrt(np.mean(np.abs(symbols) ** 2))).astype(np.complex64)

    def decode(self, symbols: Symbols, noise_var: Floats) -> str:
        """The most likely character at each place; symbols that make no whole character are left out."""
        length = symbols.size // SYMBOLS
        if not length:
            return ""
        values = to_values(symbols[: length * SYMBOLS], noise_var[: length * SYMBOLS])
        best = [self.model.run("decoder", values[None, piece])[0][0].argmax(1) for piece in pieces(length)]
        return "".join(ALPHABET[k] for k in np.concatenate(best))


@lru_cache(maxsize=4)
def text_codec(variant: str, device: str = "auto") -> TextCodec:
    """The codec of a model, made once a process."""
    return TextCodec(variant, device)


def variants() -> list[str]:
    """Trained models that are here."""
    return sorted(zoo.available(SYSTEM))

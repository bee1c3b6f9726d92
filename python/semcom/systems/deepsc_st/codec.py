# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech to symbols, and symbols to token logits, by ONNX Runtime."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...speech.beam import CharacterNgram, beam
from ...speech.ctc import TOKENS, greedy
from ...speech.features import BINS, features
from ...zoo import Model, load
from .symbols import SYMBOLS, to_symbols, to_values

NGRAM = "ngram.npz"
PARTS = ("recogniser", "channel_encoder", "channel_decoder")
Floats = NDArray[np.float32]
Symbols = NDArray[np.complex64]


class Codec:
    """One DeepSC-ST model."""

    def __init__(self, variant: str, device: str = "auto") -> None:
        self.model: Model = load("deepsc_st", variant, device)
        self.bands = int(self.model.card.get("bands", BINS))
        self.interleaved = bool(self.model.card.get("interleaved", True))
        self.adaptive = bool(self.model.card.get("snr_adaptive", True))
        for part in PARTS:
            self.model.session(part)
        self._ngram: CharacterNgram | None = None

    def logits(self, audio: Floats) -> Floats:
        """Token logits [L, 29] of 16 kHz speech [n], 25 frames a second, without a channel."""
        return self.model.run("recogniser", features(audio, self.bands)[None])[0][0]

    def encode(self, audio: Floats, esn0_db: float) -> Symbols:
        """complex64 [20 L] of mean energy 1 of speech [n], made for a channel of that Es/N0 in dB."""
        return self.symbols(self.logits(audio), esn0_db)

    def symbols(self, logits: Floats, esn0_db: float) -> Symbols:
        """The same of token logits [L, 29]."""
        powers = np.exp(logits - logits.max(1, keepdims=True))
        probabilities = (powers / powers.sum(1, keepdims=True))[None]
        told = [np.array([esn0_db], np.float32)] if self.adaptive else []
        (values,) = self.model.run("channel_encoder", probabilities, *told)
        return to_symbols(values[0], self.interleaved)

    def decode(self, symbols: Symbols, noise_var: Floats) -> Floats:
        """Token logits [L, 29] of equalised symbols [n] and the noise variance of each [n]; L = floor(n / 20)."""
        if symbols.size < SYMBOLS:
            return np.zeros((0, TOKENS), np.float32)
        values, variances = to_values(symbols, noise_var, self.interleaved)
        told = [variances[None]] if self.adaptive else []
        return self.model.run("channel_decoder", values[None], *told)[0][0]

    def text(self, logits: Floats) -> str:
        """What logits [L, 29] say: by a beam search with the model's n-gram, by greedy decoding where it has none."""
        if self._ngram is None:
            if NGRAM not in self.model.card["files"]:
                return greedy(logits)
            self._ngram = CharacterNgram.from_arrays(self.model.arrays(NGRAM))
        options = self.model.card.get("beam", {})
        doubted = logits * options.get("scale", 1.0)  # networks are surer of themselves than they are right
        return beam(doubted, self._ngram, weight=options.get("weight", 0.6), bonus=options.get("bonus", 0.8))


@lru_cache(maxsize=4)
def codec(variant: str, device: str = "auto") -> Codec:
    """The codec of a model, made once a process."""
    return Codec(variant, device)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech to the symbols of its words, and symbols to words, by ONNX Runtime."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...message import Meta
from ...speech.attention import MOST_WORDS, SYSTEM, SemanticEncoder, semantic_encoder
from ...text.vocabulary import SPECIAL
from .symbols import QUALITIES, Counts, from_air, layout, long_words, to_air

MEANS = "vectors.npz"
SURE, SURE_AT = 0.9, 1.0  # a vector is sent as it is if it is read with this probability at this noise variance

Floats = NDArray[np.float32]
Symbols = NDArray[np.complex64]


class Codec:
    """One model: its semantic encoder, channel encoder and decoder."""

    def __init__(self, variant: str, device: str = "auto") -> None:
        self.semantic: SemanticEncoder = semantic_encoder(variant, device)
        self.model = self.semantic.model
        self.symbols = int(self.model.card["symbols"])
        self.interleaved = bool(self.model.card["interleaved"])
        self.shorter = bool(self.model.card["aware"])  # whether its receiver can do with fewer symbols a word
        for part in ("channel_encoder", "decoder"):
            self.model.session(part)
        self.means: Floats | None = None
        if MEANS in self.model.card["files"]:
            self.means = self.model.arrays(MEANS)["means"].astype(np.float32)

    def encode(self, audio: Floats, quality: int) -> tuple[Symbols, Meta]:
        """The symbols of the words that are worth sending, complex64 of mean energy 1, and what the header says of
        their layout. Nothing said: no symbols."""
        heard = self.semantic.hear(audio)
        return self.send(heard.vectors[heard.kept], heard.ids[heard.kept], quality)

    def send(self, vectors: Floats, ids: NDArray[np.int64], quality: int) -> tuple[Symbols, Meta]:
        """The same for words that are chosen already: vectors [c, D] and numbers [c].

        The loop's vector is that of all it has heard so far, not of one word; where a search has chosen another one, or
        the receiver would not be sure, the mean vector of the word in training goes in its place.
        """
        if not len(ids):
            return np.zeros(0, np.complex64), {"layout": {"words": 0}}
        (values,) = self.model.run("channel_encoder", vectors[None])
        if self.means is not None:
            weak = self.read(values[0])[np.arange(len(ids)), ids] < SURE
            if weak.any():
                vectors = np.where(weak[:, None], self.means[ids], vectors)
                (values,) = self.model.run("channel_encoder", vectors[None])
        long = long_words(self.semantic.vocabulary.information[ids])
        header: Meta = {"layout": {"words": len(ids)}}
        if quality:
            header["layout"]["quality"] = quality
        if quality == 2:
            header["layout"]["long"] = "".join("01"[flag] for flag in long.tolist())
        return to_air(values[0], layout(len(ids), self.symbols, quality, long), self.interleaved), header

    def read(self, values: Floats) -> Floats:
        """The probability of each word [c, V] that the receiver finds in values [c, 2 S] over a fair channel."""
        values = values / np.sqrt(2 * np.mean(np.square(values)) + 1e-12)
        told = [np.full((1, len(values), self.symbols), SURE_AT, np.float32)] if self.shorter else []
        (logits,) = self.model.run("decoder", values[None].astype(np.float32), *told)
        logits = logits[0, :, : len(self.semantic.vocabulary)]
        logits[:, :SPECIAL] = -np.inf
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    def counts(self, received: int, header: Meta) -> Counts:
        """Symbols of each word, from how many symbols came and what the header says."""
        quality = header.get("quality", 0)
        if quality not in QUALITIES:
            quality = 0
        whole = self.symbols // 2 if quality else self.symbols
        words = min(received // whole, MOST_WORDS)
        flags = np.array([flag == "1" for flag in str(header.get("long", ""))[:words]], bool)
        long = np.pad(flags, (0, words - flags.size))
        if quality == 2 and int(long.sum()) != words // 2:
            quality = 1  # a header that is not ours
        return layout(words, self.symbols, quality, long)

    def decode(self, received: Symbols, noise_var: Floats, header: Meta) -> str:
        """The most likely word for each vector. A word of which nothing came at all is guessed, too."""
        counts = self.counts(received.size, header)
        if not counts.size:
            return ""
        values, variances = from_air(received, noise_var, counts, self.symbols, self.interleaved)
        told = [variances[None]] if self.shorter else []
        (logits,) = self.model.run("decoder", values[None], *told)
        vocabulary = self.semantic.vocabulary
        return vocabulary.decode((SPECIAL + logits[0, :, SPECIAL : len(vocabulary)].argmax(1)).tolist())


@lru_cache(maxsize=4)
def codec(variant: str, device: str = "auto") -> Codec:
    """The codec of a model, made once a process."""
    return Codec(variant, device)


__all__ = ["MOST_WORDS", "SYSTEM", "Codec", "codec"]

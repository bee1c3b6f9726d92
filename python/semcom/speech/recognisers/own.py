# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own recognisers: the Deep Speech 2 part of a trained `deepsc_st` model, through the zoo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ... import zoo
from ..beam import CharacterNgram, beam
from ..ctc import greedy
from ..features import BINS, features
from .base import Recogniser

SYSTEM = "deepsc_st"
PART = "recogniser"
GREEDY = "-greedy"  # ends the name of a recogniser that reads its logits without the model's n-gram
NGRAM = "ngram.npz"
Floats = NDArray[np.float32]


def own_names() -> list[str]:
    """The trained models that are here, `open` first, then each again without its n-gram."""
    trained = sorted(zoo.available(SYSTEM), key=lambda name: (name != "open", name))
    return [*trained, *(name + GREEDY for name in trained)]


def model_of(name: str) -> str:
    """The model that a recogniser's name stands for."""
    return name.removesuffix(GREEDY)


class OwnRecogniser(Recogniser):
    """A model folder with a graph `recogniser`: frames [1, T, bands] to logits [1, L, 29] and the last hidden layer
    [1, L, H]. A beam search with the model's n-gram, or greedy decoding where it has none or the name says so."""

    def __init__(self, name: str, device: str = "auto") -> None:
        self.name, self.device = name, device
        self._ngram: CharacterNgram | None = None

    @property
    def model(self) -> zoo.Model:
        """The verified files of the model."""
        return zoo.load(SYSTEM, model_of(self.name), self.device)

    @property
    def provider(self) -> str:
        """ONNX Runtime's provider."""
        return self.model.provider

    def prepare(self) -> None:
        """Verify the files and open the graph."""
        self.model.session(PART)

    def outputs(self, speech: Floats) -> tuple[Floats, Floats]:
        """Logits [L, 29] and hidden frames [L, H], 25 a second; of at least one sample."""
        audio = speech if speech.size else np.zeros(1, np.float32)
        frames = features(audio, int(self.model.card.get("bands", BINS)))
        logits, hidden = self.model.run(PART, frames[None])
        return logits[0], hidden[0]

    def logits(self, speech: Floats) -> Floats:
        """Token logits [L, 29]."""
        return self.outputs(speech)[0]

    def probabilities(self, speech: Floats) -> Floats:
        """Token probabilities [L, 29]."""
        logits = self.logits(speech).astype(np.float64)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return (powers / powers.sum(1, keepdims=True)).astype(np.float32)

    def vector(self, speech: Floats) -> NDArray[np.float64]:
        """The mean of the hidden frames [H]: the utterance as FDSD and KDSD see it."""
        return self.outputs(speech)[1].astype(np.float64).mean(0)

    def recognise(self, speech: Floats) -> str:
        """Text in the alphabet."""
        return self.text(self.logits(speech)) if speech.size else ""

    def text(self, logits: Floats) -> str:
        """What logits or log-probabilities [L, 29] say."""
        if self.name.endswith(GREEDY) or NGRAM not in self.model.card["files"]:
            return greedy(logits)
        if self._ngram is None:
            self._ngram = CharacterNgram.from_arrays(self.model.arrays(NGRAM))
        options = self.model.card.get("beam", {})
        doubted = logits * options.get("scale", 1.0)  # as in systems/deepsc_st/codec.py: rivals read no worse
        return beam(doubted, self._ngram, weight=options.get("weight", 0.6), bonus=options.get("bonus", 0.8))

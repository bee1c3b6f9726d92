# SPDX-License-Identifier: GPL-3.0-or-later
"""The semantic encoder of a trained `speech_to_text` model: speech to words and to the vector of each, by attention.

The loop and its stopping are here, around two graphs: `encoder`, frames [1, N, 40, 3] to states [1, n, E] and keys
[1, n, A]; `step`, one word. Shared by the systems that use this encoder.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .. import zoo
from ..text.vocabulary import EOS, Vocabulary, kept, read
from .filterbanks import filterbanks
from .recognisers.base import silent

SYSTEM = "speech_to_text"
VOCABULARY = "vocabulary.txt"
MOST_WORDS = 255  # of an utterance: what a header of one byte can say
SPARE_STEPS = 4
CACHED = 256

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Heard:
    """What the loop gave: `ids` int64 [steps], EOS the last of them unless it was `stopped` by the bound; `vectors`
    float32 [steps, D]; attention `weights` float32 [steps, n] over the n states; the probability of each word,
    `confidence` float32 [steps]."""

    ids: NDArray[np.int64]
    vectors: Floats
    weights: Floats
    confidence: Floats
    stopped: bool

    @property
    def kept(self) -> list[int]:
        """The steps that are sent."""
        return kept(self.ids.tolist())


class SemanticEncoder:
    """The encoder of one model. ValueError where its vocabulary is not that of its networks."""

    def __init__(self, variant: str, device: str = "auto") -> None:
        self.model = zoo.load(SYSTEM, variant, device)
        if self.model.card.get("unfinished"):
            raise ValueError(f"the {SYSTEM} model {variant!r} is not trained yet: {self.model.card['unfinished']}")
        self.vocabulary: Vocabulary = read(self.model.text(VOCABULARY), f"{variant}/{VOCABULARY}")
        step = self.model.session("step")
        classes = step.get_outputs()[0].shape[-1]
        if classes != self.model.card["classes"] or len(self.vocabulary) > classes:
            raise ValueError(
                f"{variant}/{VOCABULARY} has {len(self.vocabulary) - 3} words and the network {classes - 3}: "
                "they must be of one training; export the model again"
            )
        self.width = int(step.get_outputs()[1].shape[-1])
        self.model.session("encoder")
        self._heard: OrderedDict[bytes, Heard] = OrderedDict()

    def hear(self, audio: Floats) -> Heard:
        """The words of 16 kHz speech [n]; of digital silence none. The last utterances are remembered."""
        speech = np.ascontiguousarray(audio, np.float32).reshape(-1)
        key = hashlib.sha256(speech.tobytes()).digest()
        if key not in self._heard:
            self._heard[key] = self._loop(speech)
            while len(self._heard) > CACHED:
                self._heard.popitem(last=False)
        self._heard.move_to_end(key)
        return self._heard[key]

    def text(self, heard: Heard) -> str:
        """The words that are kept."""
        return self.vocabulary.decode(heard.ids[heard.kept].tolist())

    def _loop(self, speech: Floats) -> Heard:
        if silent(np.nan_to_num(speech)):
            nothing = np.zeros((1, self.width), np.float32)
            return Heard(np.array([EOS]), nothing, np.ones((1, 1), np.float32), np.ones(1, np.float32), False)
        states, keys = self.model.run("encoder", filterbanks(speech)[None])
        count = states.shape[1]
        weights = np.full((1, count), 1 / count, np.float32)
        h = c = np.zeros((1, self.width), np.float32)
        word = EOS
        ids, vectors, looks, confidence = [], [], [], []
        stopped = True
        for _ in range(most_steps(count)):
            logits, h, c, weights = self.model.run("step", states, keys, np.array([word]), h, c, weights)
            powers = np.exp(logits[0] - logits[0].max())
            word = int(logits[0, : len(self.vocabulary)].argmax())
            ids.append(word)
            vectors.append(h[0])
            looks.append(weights[0])
            confidence.append(powers[word] / powers.sum())
            if word == EOS:
                stopped = False
                break
        return Heard(
            np.array(ids), np.array(vectors), np.array(looks), np.array(confidence, np.float32), stopped
        )  # fmt: skip


def most_steps(states: int) -> int:
    """The bound of the loop, EOS included: two words a state and some to spare, never more than a header can say."""
    return min(MOST_WORDS, 2 * states + SPARE_STEPS)


@lru_cache(maxsize=4)
def semantic_encoder(variant: str, device: str = "auto") -> SemanticEncoder:
    """The encoder of a model, made once a process."""
    return SemanticEncoder(variant, device)


def variants() -> list[str]:
    """Trained models that are here."""
    return sorted(zoo.available(SYSTEM))

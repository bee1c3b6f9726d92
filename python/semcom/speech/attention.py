# SPDX-License-Identifier: GPL-3.0-or-later
"""The semantic encoder of a trained `speech_to_text` model: speech to words and to the vector of each, by attention.

The loop and its stopping are here, around two graphs: `encoder`, frames [1, N, 40, 3] to states [1, n, E], keys
[1, n, A] and, where the network has learnt them, log-probabilities of letters [1, N / 4, 29]; `step`, one word of each
of k sentences. Shared by the systems that use this encoder.

The paper's loop takes the most likely word at each step. A model whose card has `beam: {width, letters, bonus}` keeps
the `width` most likely beginnings instead, and of the sentences that ended takes the one with the largest
log-probability, `letters` times that of its spelling by CTC and `bonus` for each word added (Hori, Watanabe, Hershey,
ACL 2017).
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
from .ctc_score import log_likelihoods
from .filterbanks import filterbanks
from .recognisers.base import silent

SYSTEM = "speech_to_text"
VOCABULARY = "vocabulary.txt"
MOST_WORDS = 255  # of an utterance: what a header of one byte can say
MOST_PATHS = 32
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


@dataclass(frozen=True)
class _Path:
    """A beginning of a sentence: its log-probability, its last word and what the loop gave there."""

    score: float
    word: int
    h: Floats
    c: Floats
    weights: Floats
    confidence: float
    before: _Path | None = None

    def steps(self) -> list[_Path]:
        """From the first word on, without the start."""
        found: list[_Path] = []
        path: _Path | None = self
        while path is not None and path.before is not None:
            found.append(path)
            path = path.before
        return found[::-1]


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
        spells = len(self.model.session("encoder").get_outputs()) > 2
        beam = self.model.card.get("beam") or {}
        self.beam, self.letters = int(beam.get("width", 1)), float(beam.get("letters", 0.0))
        self.bonus = float(beam.get("bonus", 0.0))
        if not 1 <= self.beam <= MOST_PATHS or self.letters < 0 or (self.letters and not spells):
            raise ValueError(
                f"the card of {SYSTEM} {variant} asks for a beam of {self.beam} with letters of weight "
                f"{self.letters}: expected 1 to {MOST_PATHS}, and letters only where the encoder has them"
            )
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
        states, keys, *letters = self.model.run("encoder", filterbanks(speech)[None])
        ended, going = self._search(states, keys)
        texts = [self._spelled(path) for path in ended or going]
        totals = np.array([path.score for path in ended or going])
        totals += self.bonus * np.array([len(text.split()) for text in texts])
        if self.letters:
            totals += self.letters * log_likelihoods(letters[0][0], texts)
        best = (ended or going)[int(totals.argmax())]
        steps = best.steps()
        return Heard(
            np.array([step.word for step in steps]), np.array([step.h for step in steps]),
            np.array([step.weights for step in steps]), np.array([step.confidence for step in steps], np.float32),
            not ended,
        )  # fmt: skip

    def _search(self, states: Floats, keys: Floats) -> tuple[list[_Path], list[_Path]]:
        """Sentences that ended with EOS, and those that had not when the search did."""
        count = states.shape[1]
        zeros = np.zeros(self.width, np.float32)
        going = [_Path(0.0, EOS, zeros, zeros, np.full(count, 1 / count, np.float32), 1.0)]
        ended: list[_Path] = []
        for _ in range(most_steps(count)):
            words = np.array([path.word for path in going])
            h, c, weights = (np.stack([getattr(path, name) for path in going]) for name in ("h", "c", "weights"))
            logits, h, c, weights = self.model.run("step", states, keys, words, h, c, weights)
            peak = logits.max(1, keepdims=True)
            logs = logits - peak - np.log(np.exp(logits - peak).sum(1, keepdims=True))
            logs = logs[:, : len(self.vocabulary)]
            totals = logs + np.array([path.score for path in going])[:, None]
            best = np.argsort(-totals, axis=None, kind="stable")[: self.beam]
            found: list[_Path] = []
            for row, word in zip(*np.unravel_index(best, totals.shape), strict=True):
                score, sure = float(totals[row, word]), float(np.exp(logs[row, word]))
                path = _Path(score, int(word), h[row], c[row], weights[row], sure, going[row])
                (ended if word == EOS else found).append(path)
            going = found or going
            best_ended = max((path.score for path in ended), default=-np.inf)
            if not found or (len(ended) >= self.beam and best_ended > found[0].score):
                break
        return ended, going

    def _spelled(self, path: _Path) -> str:
        ids = [step.word for step in path.steps()]
        return self.vocabulary.decode([ids[k] for k in kept(ids)])


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

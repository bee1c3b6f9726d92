# SPDX-License-Identifier: GPL-3.0-or-later
"""A beam decoder for CTC that listens to a character n-gram; slower than the greedy decoder.

Prefix search as Hannun, Maas, Jurafsky, Ng, "First-pass large vocabulary continuous speech recognition using
bi-directional recurrent DNNs", 2014. The n-gram is interpolated after Witten and Bell (1991).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..text.alphabet import ALPHABET, BLANK, INDEX, TOKENS, normalise

SYMBOLS = len(ALPHABET)
BASE = SYMBOLS + 1  # 0 is the beginning of a text
LONGEST = 8  # largest order
MOST = 2_000_000  # n-grams of a file, and bytes of what it may unpack to, over 6
NEGLIGIBLE = -9.0  # natural logarithm of a probability below which a token is not tried
NEVER = -math.inf


class CharacterNgram:
    """Probabilities of the next character given those before, from counts."""

    def __init__(self, order: int, keys: NDArray[np.uint64], counts: NDArray[np.uint32]) -> None:
        """`keys` are n-grams of exactly `order` characters in base 29, sorted; `counts` how often each occurred.

        ValueError for what no n-gram has.
        """
        if not 1 <= order <= LONGEST:
            raise ValueError(f"the order of an n-gram must be 1 to {LONGEST}, not {order}")
        if keys.ndim != 1 or keys.shape != counts.shape or not 0 < keys.size <= MOST:
            raise ValueError(f"an n-gram needs 1 to {MOST} keys and as many counts")
        if int(keys.max()) >= BASE**order or not counts.min() > 0:
            raise ValueError("n-gram keys or counts are out of range")
        self.order, self.keys, self.counts = order, keys, counts
        self._following: dict[tuple[int, ...], Counter[int]] = {}
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            gram = []
            for _ in range(order):
                key, letter = divmod(key, BASE)
                gram.append(letter)
            *context, last = reversed(gram)
            for start in range(order):
                self._following.setdefault(tuple(context[start:]), Counter())[last] += count
        self._known: dict[tuple[int, ...], NDArray[np.float64]] = {}

    @classmethod
    def learn(cls, texts: Iterable[str], order: int = 6) -> CharacterNgram:
        """Counts of the n-grams of texts, a space after each."""
        found: Counter[int] = Counter()
        for text in texts:
            letters = [0] * (order - 1) + [INDEX[c] + 1 for c in normalise(text) + " "]
            for end in range(order, len(letters) + 1):
                key = 0
                for letter in letters[end - order : end]:
                    key = key * BASE + letter
                found[key] += 1
        keys = np.array(sorted(found), np.uint64)
        return cls(order, keys, np.array([found[int(k)] for k in keys], np.uint32))

    def save(self, path: Path) -> None:
        """As npz: `order`, differences of sorted `keys`, `counts`."""
        steps = np.diff(self.keys, prepend=np.uint64(0))
        np.savez_compressed(path, order=np.int64(self.order), steps=steps, counts=self.counts)

    @classmethod
    def load(cls, path: Path) -> CharacterNgram:
        """ValueError for a file that holds no n-gram; nothing of it is executed and its size is bounded."""
        import zipfile

        try:
            with zipfile.ZipFile(path) as archive:
                if sum(member.file_size for member in archive.infolist()) > 12 * MOST + 4096:
                    raise ValueError("too large")
            with np.load(path, allow_pickle=False) as arrays:
                return cls.from_arrays(dict(arrays))
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: holds no character n-gram: {error}") from error

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> CharacterNgram:
        """From what `save` wrote. ValueError or KeyError for anything else."""
        order, steps, counts = int(arrays["order"]), arrays["steps"], arrays["counts"]
        if steps.dtype != np.uint64 or counts.dtype != np.uint32:
            raise ValueError("keys must be uint64 and counts uint32")
        return cls(order, np.cumsum(steps, dtype=np.uint64), counts)

    def log_probabilities(self, before: str) -> NDArray[np.float64]:
        """Natural logarithms for each character of the alphabet after a text, float64 [28]."""
        known = self.order - 1
        context = [0] * known + [INDEX[c] + 1 for c in (before[-known:] if known else "")]
        return self._given(tuple(context[len(context) - known :]))

    def _given(self, context: tuple[int, ...]) -> NDArray[np.float64]:
        if context in self._known:
            return self._known[context]
        shorter = np.exp(self._given(context[1:])) if context else np.full(SYMBOLS, 1 / SYMBOLS)
        following = self._following.get(context)
        if following is None:
            result = np.log(shorter)
        else:
            counts = np.array([following.get(letter + 1, 0) for letter in range(SYMBOLS)], float)
            kinds = np.count_nonzero(counts)
            result = np.log((counts + kinds * shorter) / (counts.sum() + kinds))
        self._known[context] = result
        return result


def beam(
    logits: NDArray[np.floating],
    ngram: CharacterNgram | None = None,
    *,
    width: int = 16,
    weight: float = 0.6,
    bonus: float = 0.8,
) -> str:
    """The most probable text of logits [T, 29], summed over the ways to say it, with an n-gram's help.

    A text of n characters scores log p(text | speech) + weight log p(text) + bonus n. ValueError for a width below 1.
    """
    if width < 1:
        raise ValueError(f"the width of a beam must be at least 1, not {width}")
    scores = np.asarray(logits, np.float64).reshape(-1, TOKENS)
    logs = scores - scores.max(1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(1, keepdims=True))
    beams: dict[str, tuple[float, float]] = {"": (0.0, NEVER)}  # ended by a blank, by its last character
    language: dict[str, float] = {"": 0.0}
    for frame in logs.tolist():
        tried = [token for token, score in enumerate(frame[:BLANK]) if score > NEGLIGIBLE]
        found: dict[str, tuple[float, float]] = {}
        for text, (blank, letter) in beams.items():
            both = _sum(blank, letter)
            last = INDEX[text[-1]] if text else -1
            stays = letter + frame[last] if text else NEVER
            _add(found, text, both + frame[BLANK], stays)
            for token in tried:
                longer = text + ALPHABET[token]
                _add(found, longer, NEVER, (blank if token == last else both) + frame[token])
                if longer not in language:
                    gain = weight * float(ngram.log_probabilities(text)[token]) + bonus if ngram else 0.0
                    language[longer] = language[text] + gain
        if len(found) > width:
            best = sorted(found, key=lambda t: _sum(*found[t]) + language[t], reverse=True)[:width]
            found = {text: found[text] for text in best}
        beams = found
    top = max(beams, key=lambda t: _sum(*beams[t]) + language[t])
    return " ".join(top.split())


def _add(found: dict[str, tuple[float, float]], text: str, blank: float, letter: float) -> None:
    old = found.get(text)
    found[text] = (blank, letter) if old is None else (_sum(old[0], blank), _sum(old[1], letter))


def _sum(a: float, b: float) -> float:
    """Logarithm of the sum of two probabilities of these logarithms; ten times as fast as NumPy's for two numbers."""
    if a < b:
        a, b = b, a
    return a if b == NEVER else a + math.log1p(math.exp(b - a))

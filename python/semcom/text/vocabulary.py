# SPDX-License-Identifier: GPL-3.0-or-later
"""Words by number, as the speech-to-text system counts them: PAD, UNK, EOS, then words from the most frequent on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .alphabet import ALPHABET

PAD, UNK, EOS = 0, 1, 2
SPECIAL = 3


@dataclass(frozen=True)
class Vocabulary:
    """`words` from the most frequent on, and how often each was in the training texts."""

    words: tuple[str, ...]
    counts: tuple[int, ...]

    def __len__(self) -> int:
        return SPECIAL + len(self.words)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Word to number."""
        return {word: number for number, word in enumerate(self.words, SPECIAL)}

    @cached_property
    def information(self) -> NDArray[np.float64]:
        """-log2 of each word's share of the training texts, in bits [len(self)]; 0 for PAD, UNK and EOS."""
        total = sum(self.counts)
        return np.array([0.0] * SPECIAL + [-math.log2(count / total) for count in self.counts])

    def encode(self, text: str) -> NDArray[np.int64]:
        """Numbers of the words of a normalised text, int64 [n], without EOS; unknown ones are UNK."""
        return np.array([self.numbers.get(word, UNK) for word in text.split()], np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """The words of these numbers; special ones and numbers beyond the last word are left out."""
        return " ".join(self.words[k - SPECIAL] for k in ids if SPECIAL <= k < len(self))

    def write(self, path: Path) -> None:
        """One word a line with its count."""
        lines = (f"{word}\t{count}\n" for word, count in zip(self.words, self.counts, strict=True))
        path.write_text("".join(lines), encoding="utf-8")


def build(texts: Iterable[str], most: int) -> Vocabulary:
    """The `most` most frequent words of normalised texts; words as frequent as each other in alphabetical order."""
    counted = Counter(word for text in texts for word in text.split())
    chosen = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:most]
    if not chosen:
        raise ValueError("a vocabulary needs texts with at least one word")
    return Vocabulary(tuple(word for word, _ in chosen), tuple(count for _, count in chosen))


def extended(vocabulary: Vocabulary, texts: Iterable[str], most: int) -> Vocabulary:
    """The same with the words of `texts` that it lacks behind its own, whose numbers stay; at most `most` in all."""
    added = build(texts, most)
    pairs = [p for p in zip(added.words, added.counts, strict=True) if p[0] not in vocabulary.numbers]
    pairs = [*zip(vocabulary.words, vocabulary.counts, strict=True), *pairs][: max(most, len(vocabulary.words))]
    return Vocabulary(tuple(word for word, _ in pairs), tuple(count for _, count in pairs))


def read(content: str, name: str = "vocabulary.txt") -> Vocabulary:
    """The vocabulary in the text of a file. ValueError, which begins with `name`, for what is none."""
    words, counts = [], []
    for number, line in enumerate(content.splitlines(), 1):
        word, tab, count = line.partition("\t")
        if not tab or not word or set(word) - set(ALPHABET[:-1]) or not count.isdecimal() or int(count) < 1:
            raise ValueError(f"{name} line {number}: expected a word, a tab and its count, found {line[:40]!r}")
        words.append(word)
        counts.append(int(count))
    if not words or len(set(words)) != len(words):
        raise ValueError(f"{name}: expected each word once, and at least one")
    return Vocabulary(tuple(words), tuple(counts))


def kept(ids: Sequence[int]) -> list[int]:
    """Redundancy removal: the places, in order, before the first EOS that are not PAD or UNK."""
    places: list[int] = []
    for place, number in enumerate(ids):
        if number == EOS:
            break
        if number not in (PAD, UNK):
            places.append(place)
    return places

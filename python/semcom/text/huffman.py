# SPDX-License-Identifier: GPL-3.0-or-later
"""Text letter by letter in a Huffman code (Huffman 1952), the source code of the text transceiver.

The code is fixed: from the frequencies of letters in the training transcripts of LibriSpeech and of the CMU Arctic
sentences, canonical, with a code word for the end of the text. A decoder that begins inside a code word is in step
again after a few letters.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .alphabet import ALPHABET

END = len(ALPHABET)
# letters a to z, apostrophe, space, end of the text: of 100,000 in 3,037 transcripts
FREQUENCIES = (
    6357, 1177, 2038, 3518, 10332, 1861, 1651, 5179, 5657, 111, 601, 3344, 1993, 5590, 6183, 1376, 83, 4806, 5159, 7454,
    2329, 752, 1913, 115, 1650, 54, 218, 17300, 1201,
)  # fmt: skip

Bits = NDArray[np.uint8]


def code_lengths(frequencies: Sequence[int]) -> list[int]:
    """Lengths of the code words of an optimal prefix code for symbols with these frequencies; at least two symbols."""
    heap: list[tuple[int, int, list[int]]] = [(f, k, [k]) for k, f in enumerate(frequencies)]
    heapq.heapify(heap)
    lengths = [0] * len(frequencies)
    while len(heap) > 1:
        left, right = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in left[2] + right[2]:
            lengths[symbol] += 1
        heapq.heappush(heap, (left[0] + right[0], left[1], left[2] + right[2]))
    return lengths


@lru_cache(maxsize=1)
def code_words() -> tuple[str, ...]:
    """The code word of each letter and of the end, as strings of 0 and 1; canonical (shorter words come first)."""
    lengths = code_lengths(FREQUENCIES)
    words = [""] * len(lengths)
    value, before = 0, 0
    for symbol in sorted(range(len(lengths)), key=lambda s: (lengths[s], s)):
        value <<= lengths[symbol] - before
        words[symbol], before = f"{value:0{lengths[symbol]}b}", lengths[symbol]
        value += 1
    return tuple(words)


def encode(text: str) -> Bits:
    """Text in the alphabet to uint8 [n] of 0 and 1, the end included; ValueError for another character."""
    words = code_words()
    try:
        stream = "".join(words[ALPHABET.index(c)] for c in text) + words[END]
    except ValueError:
        strange = next(c for c in text if c not in ALPHABET)
        raise ValueError(f"text must be of a to z, apostrophe and space, found {strange!r}") from None
    return np.frombuffer(stream.encode(), np.uint8) & np.uint8(1)


def decode(bits: Bits, bits_ok: NDArray[np.bool_] | None = None) -> tuple[str, int]:
    """The text, and how many gaps were left in it because `bits_ok` is False there.

    A gap is a space; after it decoding goes on at the first good bit, mostly out of step for a letter or two. Good bits
    up to a word for the end are decoded, later ones are not.
    """
    good = np.ones(bits.size, bool) if bits_ok is None else np.asarray(bits_ok, bool)
    found: list[str] = []
    gaps = 0
    table = {word: symbol for symbol, word in enumerate(code_words())}
    word = ""
    for bit, ok, before in zip(bits.tolist(), good.tolist(), [True, *good.tolist()], strict=False):
        if not ok:
            if before:
                gaps += 1
                found.append(" ")
            word = ""
            continue
        word += "1" if bit else "0"
        symbol = table.get(word)
        if symbol is None:
            continue
        word = ""
        if symbol == END:
            if not gaps:
                break
            found.append(" ")  # out of step an end may be read where none is
            continue
        found.append(ALPHABET[symbol])
    return " ".join("".join(found).split()), gaps

# SPDX-License-Identifier: GPL-3.0-or-later
"""The 29 tokens of recognised text: a to z, the apostrophe, the space and the blank of CTC; and how text gets there."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
from numpy.typing import NDArray

from .numbers import spell_numbers

ALPHABET = "abcdefghijklmnopqrstuvwxyz' "
BLANK = len(ALPHABET)  # the 29th token
TOKENS = len(ALPHABET) + 1
INDEX = {letter: number for number, letter in enumerate(ALPHABET)}
WORDS = {"mr": "mister", "mrs": "missus", "dr": "doctor", "okay": "ok"}
_APOSTROPHES = str.maketrans({c: "'" for c in "\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}`´"})
_SIGNS = {"&": " and ", "%": " percent ", "+": " plus ", "@": " at "}
# an apostrophe that is no part of a word is a quotation mark
_QUOTES = re.compile(r"(?<![a-z])'+|'+(?![a-z])")


def normalise(text: str) -> str:
    """Text in the alphabet without the blank: what error rates compare and what systems send.

    Lower case; accents are dropped; numbers become English words; & % + @ and the titles Mr, Mrs, Dr are spelled out;
    apostrophes stay inside words only; every other character is a space; single spaces.
    """
    plain = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES).lower())
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    for sign, word in _SIGNS.items():
        letters = letters.replace(sign, word)
    letters = re.sub(r"[^a-z']+", " ", spell_numbers(letters))
    words = _QUOTES.sub(" ", letters).split()
    return " ".join(WORDS.get(word, word) for word in words)


def encode_text(text: str) -> NDArray[np.int64]:
    """Token numbers of normalised text, int64 [n]."""
    return np.array([INDEX[c] for c in normalise(text)], np.int64)

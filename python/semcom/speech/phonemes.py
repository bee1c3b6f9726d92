# SPDX-License-Identifier: GPL-3.0-or-later
"""Phonemes of English text, by espeak-ng's rules (voice en-us): what HASCom sends of what is said.

60 symbols: a pause, 26 consonants, 18 vowels, and 15 of these once more with stress. So 6 bits hold one, and all that
espeak-ng writes is put together of them (r-coloured vowels and diphthongs before schwa are two symbols).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

PAUSE = 0
STRESS = "ˈ"
CONSONANTS = tuple("n t d s l ɹ ð m z k w h v f p b ŋ ɡ ʃ ɾ j tʃ θ dʒ ʒ ʔ".split())
UNSTRESSABLE = ("ə", "ɚ", "i")
VOWELS = tuple("iː ɪ ɛ æ ʌ ɜː uː ʊ ɔː ɑː eɪ aɪ ɔɪ oʊ aʊ".split())
SYMBOLS: tuple[str, ...] = (
    "_", *CONSONANTS, *UNSTRESSABLE, *VOWELS, *(STRESS + vowel for vowel in VOWELS)
)  # fmt: skip
BITS = 6  # of one symbol
LONGEST_TEXT = 5000  # characters; more is cut, as no utterance says so much
TIMEOUT_S = 30.0

_PARTS = {
    "aɪɚ": "aɪ ɚ", "aɪə": "aɪ ə", "əl": "ə l", "ɔːɹ": "ɔː ɹ", "ɑːɹ": "ɑː ɹ", "oːɹ": "ɔː ɹ", "ɛɹ": "ɛ ɹ", "ɪɹ": "ɪ ɹ",
    "ʊɹ": "ʊ ɹ", "iə": "i ə", "n̩": "ə n", "ɐ": "ə", "ᵻ": "ɪ", "ɔ": "ɔː", "oː": "ɔː", "r": "ɹ", "x": "k", "ɬ": "l",
    "a": "æ", "e": "eɪ", "o": "oʊ", "u": "uː", "ɑ": "ɑː", "ɜ": "ɜː", "ɒ": "ɑː", "ɫ": "l", "g": "ɡ", "aː": "ɑː",
    "ɑ̃": "ɑː n", "ɔ̃": "ɔː n", "m̩": "ə m", "l̩": "ə l", "əʊ": "oʊ", "eə": "ɛ ə", "ʊə": "ʊ ə", "ɪə": "ɪ ə",
}  # fmt: skip
_INDEX = {symbol: number for number, symbol in enumerate(SYMBOLS)}
_UNSTRESSED = np.array([_INDEX[s.removeprefix(STRESS)] for s in SYMBOLS])


def unstressed(phonemes: NDArray[np.integer]) -> NDArray[np.int64]:
    """The same sounds without stress, int64 [n]."""
    return np.asarray(_UNSTRESSED[phonemes], np.int64)


def check_installed() -> None:
    """ValueError where there is no espeak-ng."""
    if shutil.which("espeak-ng") is None:
        raise ValueError("phonemes need espeak-ng: apt install espeak-ng")


def phonemes(text: str) -> NDArray[np.int64]:
    """Symbols of a text, int64 [n]: words without a mark between them, a pause between clauses. None of an empty one.

    ValueError where espeak-ng is not installed or fails.
    """
    return flat(words(text))


@lru_cache(maxsize=256)
def words(text: str) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """The symbols of each word, by clauses."""
    plain = " ".join(text.split())[:LONGEST_TEXT]
    return tuple(parsed(line) for line in transcribed(plain).splitlines() if line.strip())


def flat(clauses: Sequence[Sequence[Sequence[int]]]) -> NDArray[np.int64]:
    """Clauses of words as one row, a pause between clauses."""
    found: list[int] = []
    for clause in clauses:
        sounds = [symbol for word in clause for symbol in word]
        if sounds:
            found += [PAUSE] * bool(found) + sounds
    return np.array(found, np.int64)


def transcribed(text: str) -> str:
    """espeak-ng's phonetic alphabet for a text: a line for each clause, `_` between sounds."""
    check_installed()
    command = ["espeak-ng", "-q", "-v", "en-us", "--ipa", "--sep=_", "--stdin"]
    done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=TIMEOUT_S)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise ValueError(f"espeak-ng failed: {last[0]}")
    return done.stdout.decode(errors="replace")


def parsed(line: str) -> tuple[tuple[int, ...], ...]:
    """Words of one line of espeak-ng's; sounds that English has not are left out."""
    found = []
    for word in line.split():
        symbols: list[int] = []
        for sound in word.split("_"):
            bare = sound.replace("ˈ", "").replace("ˌ", "").replace("̃", "̃")
            stressed = bare != sound.replace("̃", "̃")
            for part in _PARTS.get(bare, bare).split():
                known = STRESS + part if stressed and part in VOWELS else part
                stressed = stressed and part not in VOWELS
                if known in _INDEX:
                    symbols.append(_INDEX[known])
        if symbols:
            found.append(tuple(symbols))
    return tuple(found)


def spelled(symbols: NDArray[np.integer]) -> str:
    """Readable: the symbols with spaces between them."""
    return " ".join(SYMBOLS[int(symbol)] for symbol in symbols)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Real speech for the domain: words that a woman recorded for telephone exchanges, put together as those do.

Debian's package asterisk-core-sounds-en-g722 (CC BY-SA 3.0): figures, days, months, the radio alphabet and a few more,
16 kHz. For tests only; no training uses it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...speech.features import SAMPLE_RATE
from ...text.numbers import ONES, TENS, ordinal
from .grammar import DAYS, LETTERS, MONTHS

FOLDER = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
QUIET = 0.02  # of the highest level: what is below at the ends of a word is cut off
GAP_S = (0.02, 0.09)


@lru_cache(maxsize=1)
def words() -> dict[str, str]:
    """Recordings by what is said in them, without the ending of the file; some say two words."""
    found = {word: f"digits/{number}" for number, word in enumerate(ONES)}
    found |= {word: f"digits/{10 * (number + 2)}" for number, word in enumerate(TENS)}
    found |= {ordinal(n): f"digits/h-{n}" for n in [*range(1, 21), *range(30, 91, 10)]}
    found |= {day: f"digits/day-{(number + 1) % 7}" for number, day in enumerate(DAYS)}
    found |= {month: f"digits/mon-{number}" for number, month in enumerate(MONTHS)}
    found |= {letter: f"phonetic/{letter[0]}_p" for letter in LETTERS}
    found |= {word: f"digits/{word}" for word in ("hundred", "thousand", "minus", "today", "tomorrow", "yesterday")}
    return found | {"a m": "digits/a-m", "p m": "digits/p-m", "o'clock": "digits/oclock", "niner": "phonetic/9_p"}


def files(text: str) -> list[str] | None:
    """The recordings that say a text, in order; None where a word was never recorded."""
    known, rest, found = words(), text.split(), []
    while rest:
        length = next((n for n in (2, 1) if " ".join(rest[:n]) in known), None)
        if length is None:
            return None
        found.append(known[" ".join(rest[:length])])
        rest = rest[length:]
    return found


@lru_cache(maxsize=256)
def recording(name: str) -> NDArray[np.float64]:
    """One recording without the quiet at its ends. ValueError where the package is not installed."""
    import av

    path = FOLDER / f"{name}.g722"
    if not path.is_file():
        raise ValueError(f"{path}: not there; recorded words need apt install asterisk-core-sounds-en-g722")
    with av.open(str(path), format="g722") as container:
        parts = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    samples = np.concatenate(parts).astype(np.float64) / 32768
    loud = np.flatnonzero(np.abs(samples) > QUIET * np.abs(samples).max())
    margin = SAMPLE_RATE // 50
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


def speak(text: str, random: np.random.Generator) -> NDArray[np.float64]:
    """The text, [n] at 16 kHz. ValueError where a word of it was never recorded."""
    names = files(text)
    if not names:
        raise ValueError(f"no recorded words for {text!r}")
    parts: list[NDArray[np.float64]] = []
    for name in names:
        parts += [recording(name), np.zeros(int(random.uniform(*GAP_S) * SAMPLE_RATE))]
    return np.concatenate(parts)

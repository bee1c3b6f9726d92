# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of a swept setting: `a:b:step` (b belongs to it), `a:b` (step 1), a list, or one value."""

from __future__ import annotations

import math
import re
from typing import Any

MOST_VALUES = 100_000
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*:\s*({_NUMBER})\s*(?::\s*({_NUMBER})\s*)?")
_INTEGER = re.compile(r"\s*[-+]?\d+\s*")


def scalar(text: str) -> Any:
    """A word of the command line: an integer, a number, true or false, else the word itself."""
    word = text.strip()
    if _INTEGER.fullmatch(word):
        return int(word)
    if re.fullmatch(_NUMBER, word):
        return float(word)
    return {"true": True, "false": False}.get(word.lower(), word)


def values(given: Any) -> list[Any]:
    """All values of a setting as a sweep file or the command line gives it. ValueError for an empty range."""
    if isinstance(given, list):
        found = [value for item in given for value in values(item)]
        if not found:
            raise ValueError("an empty list: expected at least one value")
        return found
    if isinstance(given, str) and (match := _RANGE.fullmatch(given)):
        return _range(given.strip(), *match.groups())
    return [given]


def words(text: str) -> list[Any]:
    """The same from one argument of the command line, where commas separate the items of a list."""
    items = text.split(",")
    if any(not item.strip() for item in items):
        raise ValueError(f"{text!r} has an empty value: expected a number, a word, a:b:step or a list with commas")
    return values([item if _RANGE.fullmatch(item) else scalar(item) for item in items])


def _range(text: str, first: str, last: str, step: str | None) -> list[Any]:
    whole = all(part is None or _INTEGER.fullmatch(part) for part in (first, last, step))
    low, high, width = float(first), float(last), 1.0 if step is None else float(step)
    if not all(map(math.isfinite, (low, high, width))):
        raise ValueError(f"the range {text} needs finite numbers")
    if width == 0 or (high - low) / width < -1e-9:
        raise ValueError(f"the range {text} is empty: expected first:last:step, where the step leads to the last")
    count = math.floor((high - low) / width + 1e-9) + 1
    if count > MOST_VALUES:
        raise ValueError(f"the range {text} has {count} values: expected at most {MOST_VALUES}")
    # multiples of the step, not sums: the values do not drift, and 0.1 * 3 reads 0.3
    numbers = [round(low + k * width, 10) for k in range(count)]
    return [int(number) for number in numbers] if whole else numbers

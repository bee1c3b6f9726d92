# SPDX-License-Identifier: GPL-3.0-or-later
"""Error rates of texts: edit distance (Levenshtein 1966) over the length of the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def edit_distance(reference: Sequence[Any], hypothesis: Sequence[Any]) -> int:
    """The least number of substitutions, deletions and insertions that make the reference the hypothesis.

    Of two strings in characters, of two lists of words in words.
    """
    numbers = {token: number for number, token in enumerate(dict.fromkeys([*reference, *hypothesis]))}
    other = np.array([numbers[token] for token in hypothesis], np.int64)
    places = np.arange(len(other) + 1)
    row = places.copy()
    for count, token in enumerate(reference, 1):
        best = np.empty_like(row)
        best[0] = count
        best[1:] = np.minimum(row[:-1] + (other != numbers[token]), row[1:] + 1)
        row = np.minimum.accumulate(best - places) + places  # insertions: at each place the best of all before it
    return int(row[-1])


def error_rate(reference: Sequence[Any], hypothesis: Sequence[Any]) -> float | None:
    """Edit distance over the length of the reference, which insertions can bring above 1; None for an empty one."""
    return edit_distance(reference, hypothesis) / len(reference) if len(reference) else None

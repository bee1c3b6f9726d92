# SPDX-License-Identifier: GPL-3.0-or-later
"""The greedy decoder of connectionist temporal classification (Graves et al., ICML 2006). No torch here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..text.alphabet import ALPHABET, BLANK, INDEX, TOKENS, encode_text, normalise

__all__ = ["ALPHABET", "BLANK", "INDEX", "TOKENS", "encode_text", "greedy", "normalise"]


def greedy(logits: NDArray[np.floating]) -> str:
    """The best token of each frame of logits or log-probabilities [T, 29], repeats merged, blanks dropped."""
    best = np.asarray(logits).argmax(1)
    kept = best[np.r_[True, best[1:] != best[:-1]]] if best.size else best
    return " ".join("".join(ALPHABET[k] for k in kept if k != BLANK).split())

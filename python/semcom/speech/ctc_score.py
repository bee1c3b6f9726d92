# SPDX-License-Identifier: GPL-3.0-or-later
"""How likely texts are by the letters that a network reads frame by frame (CTC, Graves et al., ICML 2006)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..text.alphabet import BLANK, encode_text

Floats = NDArray[np.float32]
NEVER = -1e30


def log_likelihoods(logs: Floats, texts: Sequence[str]) -> NDArray[np.float64]:
    """Natural logarithm of the probability of each normalised text, float64 [len(texts)], by log-probabilities of the
    letters and the blank, [T, 29]: the forward sums of all texts side by side."""
    letters = [encode_text(text) for text in texts]
    ends = np.array([2 * len(row) for row in letters])
    labels = np.full((len(texts), int(ends.max(initial=0)) + 1), BLANK)
    for row, found in zip(labels, letters, strict=True):
        row[1 : 2 * len(found) : 2] = found
    skips = np.zeros(labels.shape, bool)  # a blank between two letters may be left out unless they are equal
    skips[:, 2:] = (labels[:, 2:] != BLANK) & (labels[:, 2:] != labels[:, :-2])
    scores = np.asarray(logs, np.float64)[:, labels]  # [T, texts, places]
    alpha = np.full(labels.shape, NEVER)
    alpha[:, 0] = 0.0  # before the first frame; its letter is reached from here by one step
    for number, frame in enumerate(scores):
        one, two = np.full(alpha.shape, NEVER), np.full(alpha.shape, NEVER)
        one[:, 1:] = alpha[:, :-1]
        if number:
            two[:, 2:] = np.where(skips[:, 2:], alpha[:, :-2], NEVER)
        alpha = np.maximum(np.logaddexp(np.logaddexp(alpha, one), two) + frame, NEVER)
    rows = np.arange(len(texts))
    last = np.where(ends > 0, alpha[rows, np.maximum(ends - 1, 0)], NEVER)
    return np.logaddexp(alpha[rows, ends], last)

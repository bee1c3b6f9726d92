# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames say which phoneme: monotonic alignment search, and an aligner that needs nothing but speech and text.

The search is that of Glow-TTS (Kim et al., NeurIPS 2020), vectorised over the states, with states that may be left out
(pauses between words). The aligner estimates a Gaussian for each half of each phoneme from even cuts of the
utterances, searches, estimates again, as hidden Markov models are begun "flat": it stands for the MFA of the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from ...speech.phonemes import PAUSE

CEPSTRA = 13
ROUNDS = 10
LEAST_VARIANCE = 0.05

Floats = NDArray[np.float32]


def search(scores: NDArray[np.floating], skippable: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Frames of each state, int64 [S], on the path of the largest sum through `scores` [S, T], log densities.

    Each state takes at least one frame, `skippable` ones perhaps none; the order is kept. ValueError where there are
    fewer frames than states that must be passed.
    """
    states, frames = scores.shape
    free = np.zeros(states, np.bool_) if skippable is None else skippable
    if frames < int((~free).sum()) or not states or not frames:
        raise ValueError(f"{frames} frames are too few for {int((~free).sum())} states")
    columns = np.ascontiguousarray(scores.T, np.float64)
    best = np.full(states, -np.inf)
    best[0] = columns[0, 0]
    if free[0] and states > 1:
        best[1] = columns[0, 1]
    jump = np.concatenate([[False, False], free[1:-1]])[:states]  # from two before, over a state left out
    step = np.zeros((frames, states), np.int8)
    for frame in range(1, frames):
        one = np.concatenate([[-np.inf], best[:-1]])
        two = np.where(jump, np.concatenate([[-np.inf, -np.inf], best[:-2]])[:states], -np.inf)
        moved = np.maximum(one, two)
        step[frame] = np.where(best >= moved, 0, np.where(one >= two, 1, 2))
        best = np.maximum(best, moved) + columns[frame]
    state = states - 1
    if free[-1] and states > 1 and best[-2] > best[-1]:
        state -= 1
    counts = np.zeros(states, np.int64)
    for frame in range(frames - 1, -1, -1):
        counts[state] += 1
        state -= int(step[frame, state])
    return counts


def cepstra(log_mel: Floats) -> Floats:
    """13 cepstra and their slopes, of mean 0 and deviation 1 over the utterance, float32 [T, 26]."""
    values = dct(log_mel, norm="ortho", axis=1)[:, :CEPSTRA]
    slopes = np.gradient(values, axis=0) if len(values) > 1 else np.zeros_like(values)
    both = np.concatenate([values, slopes], 1)
    return ((both - both.mean(0)) / (both.std(0) + 1e-3)).astype(np.float32)


@dataclass
class Aligner:
    """Means and variances of two states a phoneme, float32 [phonemes, 2, 26]."""

    mean: Floats
    variance: Floats

    def align(self, log_mel: Floats, phonemes: NDArray[np.int64], optional: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Frames of each phoneme, int64 [n], of `optional` ones perhaps 0. ValueError for speech too short."""
        scores, owner = self._scores(cepstra(log_mel), phonemes)
        return np.bincount(owner, search(scores, optional[owner]), len(phonemes)).astype(np.int64)

    def _scores(self, values: Floats, phonemes: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
        owner, half = states(phonemes)
        mean, variance = self.mean[phonemes[owner], half], self.variance[phonemes[owner], half]
        weighed = (values**2) @ (0.5 / variance).T - values @ (mean / variance).T
        constant = 0.5 * (np.log(variance) + mean**2 / variance).sum(1)
        return -(weighed + constant).T, owner


def states(phonemes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The phoneme each state belongs to, and which half: sounds have two states, pauses one."""
    count = np.where(phonemes == PAUSE, 1, 2)
    owner = np.repeat(np.arange(len(phonemes)), count)
    half = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    return owner, half


def fit(
    mels: Sequence[Floats],
    phonemes: Sequence[NDArray[np.int64]],
    optional: Sequence[NDArray[np.bool_]],
    symbols: int,
    start: Aligner | None = None,
    rounds: int = ROUNDS,
) -> Aligner:
    """An aligner from utterances: even cuts first, unless there is a `start`; then search and estimate in turn."""
    values = [cepstra(mel) for mel in mels]
    aligner = start
    for number in range(rounds):
        sums = np.zeros((symbols, 2, 2 * CEPSTRA))
        squares, counts = np.zeros_like(sums), np.zeros((symbols, 2))
        for frames, sounds, free in zip(values, phonemes, optional, strict=True):
            if aligner is None:
                kept = sounds[~free]
                owner, half = states(kept)
                sounds = kept
                length = np.diff(np.linspace(0, len(frames), len(owner) + 1).astype(np.int64))
            else:
                scores, owner = aligner._scores(frames, sounds)
                half = states(sounds)[1]
                try:
                    length = search(scores, free[owner])
                except ValueError:  # fewer frames than states: somebody speaks too fast for this hop
                    continue
            at = np.repeat(sounds[owner] * 2 + half, length)
            flat_sums, flat_squares = sums.reshape(-1, sums.shape[2]), squares.reshape(-1, sums.shape[2])
            np.add.at(flat_sums, at, frames)
            np.add.at(flat_squares, at, frames**2)
            counts += np.bincount(at, minlength=2 * symbols).reshape(symbols, 2)
        weight = counts[..., None] + 20.0  # rare sounds lean on the mean of all speech
        mean = sums / weight
        variance = np.maximum((squares + 20.0) / weight - mean**2, LEAST_VARIANCE)
        aligner = Aligner(mean.astype(np.float32), variance.astype(np.float32))
        if number == 0 and start is None:
            aligner = Aligner(aligner.mean, np.maximum(aligner.variance, 0.5))
    assert aligner is not None
    return aligner

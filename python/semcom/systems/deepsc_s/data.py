# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech for training as log-mel frames, and random pieces of it at random levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...media.inputs import list_inputs
from ...media.speech import read_speech
from ...speech.deepsc_s import GROUP, frames_of
from ...speech.mel import BANDS, SILENCE

LEVEL_DB = (-15.0, 0.0)  # of the peak, dB of full scale
HELD_OUT = ("heldout", "dev")
VALIDATION = 24

Frames = NDArray[np.float16]


def load(folders: Sequence[Path]) -> tuple[list[Frames], list[Frames]]:
    """Log-mel [80, T] of utterances brought to a peak of 1: those to train on (split `train`, or all where there are no
    splits), and some that are kept out (a split `heldout`, else every 40th). ValueError where there is too little."""
    training: list[Frames] = []
    held: list[Frames] = []
    for folder in folders:
        items = list_inputs(folder, kind="speech")
        kept = [item for item in items if item.split in HELD_OUT]
        items = [item for item in items if item.split in ("", "train")]
        if not kept:
            kept, items = items[::40], [item for number, item in enumerate(items) if number % 40]
        training += [_frames(item.path) for item in items]
        held += [_frames(item.path) for item in kept[:: max(1, len(kept) // VALIDATION)][:VALIDATION]]
    if not training or not held:
        raise ValueError(f"training needs at least 2 recordings, found {len(training)} and {len(held)} to validate")
    return training, held


def _frames(path: Path) -> Frames:
    speech = read_speech(path).data
    return frames_of(speech / max(float(np.abs(speech).max()), 1e-3)).astype(np.float16)


class Pieces:
    """Seeded pieces of so many frames, at random places and levels; longer recordings are used more."""

    def __init__(self, recordings: Sequence[Frames], frames: int, seed: object) -> None:
        self.recordings, self.frames = recordings, frames
        self.random = np.random.default_rng(seed)  # type: ignore[arg-type]
        lengths = np.array([r.shape[1] for r in recordings], np.float64)
        self.shares = lengths / lengths.sum()

    def batch(self, count: int) -> NDArray[np.float32]:
        """float32 [count, 80, frames]."""
        chosen = self.random.choice(len(self.recordings), count, p=self.shares)
        return np.stack([self.piece(self.recordings[number]) for number in chosen])

    def piece(self, recording: Frames) -> NDArray[np.float32]:
        """float32 [80, frames]; what is shorter stands somewhere in silence."""
        out = np.full((BANDS, self.frames), SILENCE, np.float32)
        spare = recording.shape[1] - self.frames
        if spare > 0:
            start = int(self.random.integers(spare + 1))
            out[:] = recording[:, start : start + self.frames]
        else:
            start = int(self.random.integers(-spare + 1))
            out[:, start : start + recording.shape[1]] = recording
        level = self.random.uniform(*LEVEL_DB) * math.log(10) / 20
        return np.maximum(out + level, SILENCE)  # a factor on the samples is a sum on the logs

    def blocks(self, count: int) -> NDArray[np.float32]:
        """float32 [count, 80, 8]."""
        pieces = self.batch(-(-count * GROUP // self.frames))
        cut = pieces.reshape(len(pieces), BANDS, -1, GROUP).transpose(0, 2, 1, 3)
        return cut.reshape(-1, BANDS, GROUP)[:count]

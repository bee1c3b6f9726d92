# SPDX-License-Identifier: GPL-3.0-or-later
"""Long recordings in utterances: cut at pauses where there are any, else at the quietest place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..message import SAMPLE_RATE

Samples = NDArray[np.float32]

LONGEST_S = 20.0
SHORTEST_S = 2.0
PAUSE_S = 0.25
FRAME = SAMPLE_RATE // 100
_QUIET_DB = 25.0  # a pause is at least so much below the loud parts


def levels_db(speech: Samples) -> NDArray[np.float64]:
    """Level of each 10 ms in dB of full scale, at least -100."""
    frames = np.pad(speech, (0, -speech.size % FRAME)).reshape(-1, FRAME)
    return 10 * np.log10(np.maximum(np.mean(np.square(frames, dtype=np.float64), axis=1), 1e-10))


def threshold_db(levels: NDArray[np.float64]) -> float:
    """Below this level is a pause: 25 dB under the loud parts, but at least 6 dB above the quietest."""
    loud, quiet = np.quantile(levels, [0.95, 0.05])
    return float(min(max(loud - _QUIET_DB, quiet + 6), loud - 3))


def cut(speech: Samples, longest_s: float = LONGEST_S, shortest_s: float = SHORTEST_S) -> list[Samples]:
    """The utterances of a recording, in order; nothing is lost, and none is longer than `longest_s`.

    Each cut lies in the middle of the last pause of a quarter of a second that leaves at least `shortest_s` before it,
    or of the quietest quarter of a second. A recording of at most `longest_s` stays whole.
    """
    if not 0 < shortest_s < longest_s:
        raise ValueError(f"shortest_s must be above 0 and below longest_s {longest_s}, not {shortest_s}")
    longest, shortest = int(longest_s * SAMPLE_RATE) // FRAME, int(shortest_s * SAMPLE_RATE) // FRAME
    if speech.size <= longest * FRAME:
        return [speech]
    levels = levels_db(speech)
    width = int(PAUSE_S * SAMPLE_RATE) // FRAME
    # the loudest 10 ms of each quarter of a second, known at its middle
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(levels, (width // 2, width), mode="edge"), width)
    peaks = windows.max(axis=1)[: levels.size]
    limit = threshold_db(levels)
    pieces, start = [], 0
    while levels.size - start > longest:
        nearby = peaks[start + shortest : start + longest]
        pauses = np.flatnonzero(nearby < limit)
        place = int(pauses[-1]) if pauses.size else int(nearby.argmin())
        end = start + shortest + place
        pieces.append(speech[start * FRAME : end * FRAME])
        start = end
    return [*pieces, speech[start * FRAME :]]


class Cutter:
    """Utterances from a stream as it comes: each ends with a pause, or after `longest_s`.

    A speaker is heard where the level is `rise_db` above the noise, which is followed slowly; half a second before
    belongs to the utterance.
    """

    def __init__(self, pause_s: float = 0.6, longest_s: float = 15.0, rise_db: float = 12.0) -> None:
        if not 0.1 <= pause_s <= 5:
            raise ValueError(f"pause_s must be from 0.1 to 5 s, not {pause_s}")
        if not 1 <= longest_s <= 60:
            raise ValueError(f"longest_s must be from 1 to 60 s, not {longest_s}")
        self.pause, self.longest, self.rise_db = round(pause_s * 100), round(longest_s * 100), rise_db
        self.noise_db = -60.0
        self.kept: list[Samples] = []
        self.spoken = self.silent = 0
        self.rest = np.zeros(0, np.float32)

    def push(self, samples: Samples) -> list[Samples]:
        """Take more samples; the utterances that have ended."""
        found = []
        data = np.concatenate([self.rest, samples]).astype(np.float32, copy=False)
        whole = len(data) // FRAME * FRAME
        self.rest = data[whole:].copy()
        for frame, level in zip(data[:whole].reshape(-1, FRAME), levels_db(data[:whole]), strict=True):
            loud = level > max(self.noise_db + self.rise_db, -55.0)
            # down at once, up by 1 dB in a second: speech does not pass for noise
            self.noise_db = min(level, self.noise_db + 0.01) if level > -99 else self.noise_db
            self.noise_db = max(self.noise_db, -75.0)
            self.kept.append(frame)
            self.spoken += loud
            self.silent = 0 if loud else self.silent + 1
            if not self.spoken:
                del self.kept[:-50]
            elif self.silent >= self.pause or len(self.kept) >= self.longest:
                found += self.flush()
        return found

    def flush(self) -> list[Samples]:
        """What has been said so far; clicks below a tenth of a second are no speech."""
        utterance = [np.concatenate(self.kept)] if self.spoken >= 10 else []
        self.kept, self.spoken, self.silent = [], 0, 0
        return utterance

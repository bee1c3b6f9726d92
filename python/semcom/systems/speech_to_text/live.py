# SPDX-License-Identifier: GPL-3.0-or-later
"""Words on air while the speaker is still talking.

The speech since the last cut is heard anew every `hop_s`. A word is committed, and sent, as soon as two hearings in a
row agree on it and on all words before it; what follows may still change. A pause commits the rest and begins anew; in
speech without pauses the window is cut behind the last committed word once it is longer than `window_s`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...media.utterances import FRAME, levels_db, threshold_db
from ...message import SAMPLE_RATE, Meta
from ...speech.attention import Heard
from .codec import Codec, Symbols

Floats = NDArray[np.float32]
KEPT_BEFORE = SAMPLE_RATE // 4  # of silence before speech


@dataclass(frozen=True)
class Words:
    """Committed words: `text`, their `symbols` and `header` as of `Codec.encode`; for each when it was said (where
    attention looked most), in seconds since the stream began, and how much later it was committed."""

    text: str
    symbols: Symbols
    header: Meta
    said_s: tuple[float, ...]
    delays_s: tuple[float, ...]


class LiveEncoder:
    """Speech piece by piece to committed words, one object a stream. ValueError for a window shorter than the hop."""

    def __init__(
        self, codec: Codec, hop_s: float = 0.4, window_s: float = 6.0, pause_s: float = 0.6, quality: int = 0
    ) -> None:
        if not 0.1 <= hop_s < window_s <= 20:
            raise ValueError(f"expected 0.1 <= hop_s < window_s <= 20 s, not {hop_s} and {window_s}")
        if not hop_s / 2 <= pause_s <= 5:
            raise ValueError(f"pause_s must be from half a hop, {hop_s / 2} s, to 5 s, not {pause_s}")
        self.codec, self.quality = codec, quality
        self.hop, self.window, self.pause = (int(s * SAMPLE_RATE) for s in (hop_s, window_s, pause_s))
        self.buffer = np.zeros(0, np.float32)
        self.heard = 0  # samples since the stream began
        self.waiting = 0  # samples since the last hearing
        self.committed = 0  # words of the window that are sent already
        self.before: list[int] = []

    def push(self, samples: Floats) -> list[Words]:
        """Take more 16 kHz speech [n], of any length; the words that are now committed."""
        found = []
        for piece in self._pieces(np.asarray(samples, np.float32).reshape(-1)):
            self.buffer = np.concatenate([self.buffer, piece])
            self.heard += piece.size
            self.waiting += piece.size
            if self.waiting >= self.hop:
                found += self._listen()
        return found

    def flush(self) -> list[Words]:
        """The end of the stream: all that is left is committed."""
        found = self._commit(self._hear(), None)
        self._restart(self.buffer[:0])
        return found

    def _pieces(self, samples: Floats) -> list[Floats]:
        """Pieces that end where a hearing is due, so that the size of what is pushed changes nothing."""
        first = self.hop - self.waiting
        return [samples[:first], *(samples[k : k + self.hop] for k in range(first, samples.size, self.hop))]

    def _hear(self) -> Heard:
        self.waiting = 0
        return self.codec.semantic.hear(self.buffer)

    def _listen(self) -> list[Words]:
        if self._paused():
            found = self._commit(self._hear(), None)
            self._restart(self.buffer[-KEPT_BEFORE:])
            return found
        heard = self._hear()
        ids = heard.ids[heard.kept].tolist()
        agreed = 0
        while agreed < min(len(ids), len(self.before)) and ids[agreed] == self.before[agreed]:
            agreed += 1
        self.before = ids
        found = self._commit(heard, agreed)
        if self.buffer.size > self.window:
            self._cut(heard)
        return found

    def _commit(self, heard: Heard, until: int | None) -> list[Words]:
        """Send the words of the window from the last committed one up to `until` (None: all)."""
        steps = heard.kept[self.committed : until]
        if not steps:
            return []
        self.committed += len(steps)
        symbols, header = self.codec.send(heard.vectors[steps], heard.ids[steps], self.quality)
        delays = tuple((self.buffer.size - self._place(heard, step)) / SAMPLE_RATE for step in steps)
        said = tuple(self.heard / SAMPLE_RATE - delay for delay in delays)
        text = self.codec.semantic.vocabulary.decode(heard.ids[steps].tolist())
        return [Words(text, symbols, header, said, delays)]

    def _place(self, heard: Heard, step: int) -> float:
        """The sample in the window where attention looked most for a step."""
        return (float(heard.weights[step].argmax()) + 0.5) / heard.weights.shape[1] * self.buffer.size

    def _paused(self) -> bool:
        """Whether the last `pause` of the window is quiet and something louder came before."""
        if self.buffer.size < self.pause + FRAME:
            return False
        levels = levels_db(self.buffer)
        return bool((levels[-(self.pause // FRAME) :] < threshold_db(levels)).all())

    def _cut(self, heard: Heard) -> None:
        """Begin the window between the last committed word and the next. Without such a place it may grow to twice its
        length, and then begins in its middle."""
        kept, left = heard.kept, self.before[self.committed :]
        if 0 < self.committed < len(kept):
            last, after = (self._place(heard, kept[self.committed + k]) for k in (-1, 0))
            self._restart(self.buffer[int((last + max(last, after)) / 2) :])
            self.before = left
        elif self.buffer.size > 2 * self.window:
            self._restart(self.buffer[self.buffer.size // 2 :])

    def _restart(self, buffer: Floats) -> None:
        self.buffer, self.committed, self.before, self.waiting = buffer.copy(), 0, [], 0

# SPDX-License-Identifier: GPL-3.0-or-later
"""Bursts out of an endless stream of samples, the same ones whatever pieces the stream comes in.

Preambles are searched in regions that lie at fixed places of the stream, so pieces cannot matter. A header is read as
soon as it is whole, the payload when it is; a burst waits for its own end only, and memory holds no more than the
longest burst that a header can name (13 MB).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .burst import Burst, Opened, Refused, head_samples, open_burst, read_payload
from .detection import THRESHOLD, Detection, detect, sane
from .preamble import LENGTH

_REGION = 22_400  # samples searched at a time
_CONTEXT = 2 * LENGTH + 64  # looked at beside a region
_BEFORE = 64  # samples kept before a burst
_DRIFT = 128  # samples that sampling offset may lengthen a burst by


@dataclass
class BurstReceiver:
    """Takes samples by `push` and gives bursts, those whose headers lie as `Refused`; `flush` ends the stream.

    Places are counted from the stream's first sample. `counts` has what was seen: samples, preambles found, headers
    lost (their CRC failed), headers refused, bursts.
    """

    threshold: float = THRESHOLD
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("samples", "preambles", "headers_lost", "refused", "bursts"), 0)
    )

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold must be above 0 and at most 1, not {self.threshold!r}")
        self._pieces: list[NDArray[np.complex64]] = []
        self._buffer = np.zeros(0, np.complex64)
        self._base = 0  # place of the buffer's first sample
        self._searched = 0
        self._found: list[Detection] = []
        self._opened: list[Opened] = []

    def push(self, samples: ArrayLike) -> list[Burst | Refused]:
        """Takes more samples, complex [n]; gives what they completed, in the order of the bursts' ends."""
        return self._take(sane(samples), False)

    def flush(self) -> list[Burst | Refused]:
        """Ends the stream: what is left comes out, with erased symbols where samples are missing."""
        out = self._take(np.zeros(0, np.complex64), True)
        self.__post_init__()
        return out

    def _take(self, samples: NDArray[np.complex64], last: bool) -> list[Burst | Refused]:
        self.counts["samples"] += samples.size
        self._pieces.append(samples)
        end = self._base + self._buffer.size + sum(piece.size for piece in self._pieces)
        if not last and end < self._wanted():
            return []
        self._buffer = np.concatenate((self._buffer, *self._pieces))
        self._pieces = []
        done: list[tuple[float, Burst | Refused]] = []
        while self._searched < end and (last or end >= self._searched + _REGION + _CONTEXT):
            self._search()
        waiting = []
        for found in self._found:
            if last or end >= found.start + head_samples(found.strength) + _BEFORE:
                self._open(found, done)
            else:
                waiting.append(found)
        self._found = waiting
        still = []
        for opened in self._opened:
            if last or end >= self._end(opened):
                burst = read_payload(self._buffer, self._moved(opened))
                done.append((self._end(opened), self._placed(burst, opened)))
                self.counts["bursts"] += 1
            else:
                still.append(opened)
        self._opened = still
        self._forget()
        return [one for _, one in sorted(done, key=lambda pair: pair[0])]

    def _wanted(self) -> int:
        """The sample count at which there is something to do."""
        places = [self._searched + _REGION + _CONTEXT]
        places += [int(found.start) + head_samples(found.strength) + _BEFORE + 1 for found in self._found]
        places += [self._end(opened) for opened in self._opened]
        return min(places)

    def _search(self) -> None:
        begin, end = self._searched, self._searched + _REGION
        low = max(begin - _CONTEXT, self._base, 0)
        piece = self._buffer[low - self._base : end + _CONTEXT - self._base]
        for one in detect(piece, self.threshold):
            if begin <= one.start + low < end or (begin == 0 and one.start < 0):
                self._found.append(replace(one, start=one.start + low))
                self.counts["preambles"] += 1
        self._searched = end

    def _open(self, found: Detection, done: list[tuple[float, Burst | Refused]]) -> None:
        local = replace(found, start=found.start - self._base)
        opened = open_burst(self._buffer, local)
        if isinstance(opened, Opened):
            known = replace(opened.known, origin=opened.known.origin + self._base)
            self._opened.append(replace(opened, found=found, known=known))
        elif opened is None:
            self.counts["headers_lost"] += 1
        else:
            self.counts["refused"] += 1
            done.append((found.start + head_samples(found.strength), replace(opened, start=found.start)))

    def _end(self, opened: Opened) -> int:
        return opened.end + _DRIFT

    def _moved(self, opened: Opened) -> Opened:
        return replace(opened, known=replace(opened.known, origin=opened.known.origin - self._base))

    def _placed(self, burst: Burst, opened: Opened) -> Burst:
        return replace(burst, start=opened.found.start, end=opened.end)

    def _forget(self) -> None:
        keep = self._searched - _CONTEXT
        keep = min([keep, *(int(f.start) - _BEFORE for f in self._found)])
        keep = min([keep, *(o.known.origin - _BEFORE for o in self._opened)])
        if keep > self._base:
            self._buffer = self._buffer[keep - self._base :].copy()
            self._base = keep


def receive(samples: ArrayLike, threshold: float = THRESHOLD) -> Iterator[Burst | Refused]:
    """All bursts of a recording, complex [n], in the order of their ends."""
    receiver = BurstReceiver(threshold)
    yield from receiver.push(samples)
    yield from receiver.flush()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Utterances out of a stream that does not end, for example from a microphone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..message import SAMPLE_RATE, Message, Meta
from ..packets import PacketBlock, Reader
from ..stage import Port
from .originals import Original, originals

CHUNK = SAMPLE_RATE // 20  # items that are looked at together: 50 ms


class _ChunkReader(Reader):
    """Takes a stream without packets in pieces of one length."""

    def pull(self, window: NDArray[Any]) -> bool:
        """Copy what the window has of the piece; True when it is whole."""
        if self.packet is None:
            self.packet = np.empty(CHUNK, self.port.dtype)
        start = self.next - self.base
        count = min(len(window) - start, CHUNK - self.filled)
        self.packet[self.filled : self.filled + count] = window[start : start + count]
        self.filled += count
        self.next += count
        self.whole = self.filled == CHUNK
        return self.whole

    def more(self) -> bool:
        """Nothing begins in a stream without packets."""
        return False

    def check_end(self) -> None:
        """It may end anywhere; the last piece is not whole."""
        self.release()


class speech_cutter(PacketBlock):
    """Cuts a stream of speech, float32 of 16 kHz without packets, into utterances, one message each.

    An utterance ends with a pause of `pause_s`, or after `longest_s`. What comes before somebody speaks is left out,
    and so is what follows the last pause before the stream ends.
    """

    def __init__(self, pause_s: float = 0.6, longest_s: float = 15.0) -> None:
        from ..media.utterances import Cutter

        super().__init__("speech_cutter", (Port("speech", np.float32),), (Port("message", np.float32),))
        self._readers = [_ChunkReader(self.gateway, 0, Port("speech", np.float32))]
        self.pause_s, self.longest_s = pause_s, longest_s
        self._cutter = Cutter(pause_s, longest_s)
        self._number = 0

    def prepare(self) -> None:
        """Forget what was said in an earlier run."""
        from ..media.utterances import Cutter

        self._cutter = Cutter(self.pause_s, self.longest_s)
        self._number = 0
        originals.begin(self.gateway.unique_id())

    def process(self, *arrays: NDArray[Any], meta: Meta) -> Any:
        """50 ms of the stream to the utterances that end in it, mostly none."""
        return self._utterances(arrays[0])

    def _utterances(self, samples: NDArray[np.float32]) -> Iterator[tuple[Any, ...]]:
        source = self.gateway.unique_id()
        for speech in self._cutter.push(samples):
            name = f"utterance {self._number + 1}"
            about = {"name": name, "sample_rate": SAMPLE_RATE}
            message = Message("speech", speech, about)
            originals.keep(source, self._number, Original(name, message.data, "speech", about))
            yield speech, {"id": self._number, "source": source, "kind": "speech", "shape": [speech.size], **about}
            self._number += 1

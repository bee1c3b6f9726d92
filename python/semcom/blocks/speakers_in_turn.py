# SPDX-License-Identifier: GPL-3.0-or-later
"""Several speakers share one channel: one utterance of each, in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..message import Meta
from ..packets import PacketBlock
from ..stage import Port
from .originals import originals

MOST_SPEAKERS = 8


class speakers_in_turn(PacketBlock):
    """Sends one utterance, float32 [N], of each of `speakers` inputs, then the next of each.

    Numbers them anew, so that each meets noise of its own and the meter compares it with the right original; the meta
    tells who speaks, `speaker` from 0. All inputs must have equally many utterances.
    """

    def __init__(self, speakers: int = 3) -> None:
        if not 2 <= speakers <= MOST_SPEAKERS:
            raise ValueError(f"speakers must be from 2 to {MOST_SPEAKERS}, not {speakers}")
        inputs = [Port(f"speaker {number}", np.float32) for number in range(speakers)]
        super().__init__("speakers_in_turn", inputs, (Port("message", np.float32),))
        self.number = 0

    def prepare(self) -> None:
        """Begin to count."""
        self.number = 0
        originals.begin(self.gateway.unique_id())

    def process(  # type: ignore[override]
        self, *arrays: NDArray[Any], meta: Meta
    ) -> Iterator[tuple[Any, ...]]:
        """One utterance of each."""
        source = self.gateway.unique_id()
        for speaker, (array, reader) in enumerate(zip(arrays, self._readers, strict=True)):
            own = reader.meta
            original = originals.find(own.get("source", 0), own.get("id", 0))
            if original is not None:
                originals.keep(source, self.number, original)
            yield array, {**own, "source": source, "id": self.number, "speaker": speaker}
            self.number += 1

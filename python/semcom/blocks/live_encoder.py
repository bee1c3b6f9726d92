# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a stream of speech as symbols, sent while the speaker is still talking."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..message import SAMPLE_RATE, Meta
from ..packets import PacketBlock
from ..stage import Port
from ..systems import registry
from ..systems.base import Request
from .speech_cutter import _ChunkReader

if TYPE_CHECKING:
    from ..systems.speech_to_text.live import LiveEncoder

SYSTEM = "speech_to_text"


class live_encoder(PacketBlock):
    """Encodes a stream of speech, float32 of 16 kHz without packets, with the system speech_to_text: a message for each
    run of words as soon as two hearings of the last `window_s` agree on them.

    The speech is heard anew every `hop_s`; a pause of `pause_s` ends a sentence. What is said last goes out only if a
    pause follows it. `live` in the meta tells when each word was said, in seconds since the stream began, and by which
    clock that was.
    """

    def __init__(
        self,
        model: str = "",
        hop_s: float = 0.4,
        window_s: float = 6.0,
        pause_s: float = 0.6,
        quality: int = 0,
        device: str = "auto",
    ) -> None:
        super().__init__("live_encoder", (Port("speech", np.float32),), (Port("symbols", np.complex64),), heavy=True)
        self._readers = [_ChunkReader(self.gateway, 0, Port("speech", np.float32))]
        self.model, self.device = model, device
        self.hop_s, self.window_s, self.pause_s = hop_s, window_s, pause_s
        self._live: LiveEncoder | None = None
        self._number = 0
        self._began = np.inf
        self.set_quality(quality)

    @staticmethod
    def knows(model: str = "") -> bool:
        """Whether there is such a model; for Companion: a wrong one turns red."""
        try:
            registry.get(SYSTEM).check(Request(model=model))
        except ValueError:
            return False
        return True

    def set_quality(self, quality: int) -> None:
        """Change the symbols of a word from the next one on: 0 all, 1 half, 2 half on average, more for rare words."""
        if quality not in (0, 1, 2):
            raise ValueError(f"quality must be 0, 1 or 2, not {quality}")
        self.quality = quality
        if self._live is not None:
            self._live.quality = quality

    def prepare(self) -> None:
        """Load the model and forget what was said in an earlier run."""
        from ..systems.speech_to_text.codec import codec
        from ..systems.speech_to_text.live import LiveEncoder

        system = registry.get(SYSTEM)
        request = Request(model=self.model, quality=self.quality, device=self.device)
        system.check(request)
        system.prepare(request)
        found = codec(self.model or system.models()[0], self.device)
        self._live = LiveEncoder(found, self.hop_s, self.window_s, self.pause_s, self.quality)
        self._number = 0
        self._began = np.inf

    def process(self, *arrays: NDArray[Any], meta: Meta) -> Any:
        """50 ms of the stream to the words that are committed now, mostly none."""
        return self._words(arrays[0])

    def _words(self, samples: NDArray[np.float32]) -> Iterator[tuple[Any, ...]]:
        assert self._live is not None
        # when the first sample was said: pieces come late while the model is busy, never early
        self._began = min(self._began, time.time() - (self._live.heard + samples.size) / SAMPLE_RATE)
        for words in self._live.push(samples):
            said = [round(s, 3) for s in words.said_s]
            about: Meta = {"id": self._number, "source": self.gateway.unique_id(), "name": f"{said[0]:.1f} s"}
            about |= {"kind": "speech", "sample_rate": SAMPLE_RATE, "system": SYSTEM, "model": self.model, "bits": 0}
            yield words.symbols, {**about, **words.header, "live": {"said_s": said, "began": self._began}}
            self._number += 1

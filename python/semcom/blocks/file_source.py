# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sources of messages from files have in common."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from ..message import SAMPLE_RATE, Message
from ..packets import PacketBlock
from ..stage import Port
from .originals import Original, originals


class FileSource(PacketBlock):
    """Sends the messages of a file or a folder `repeat` times, for ever if 0, one every `interval_s` seconds at most.

    A block derives from it, says its `kind` and `dtype`, and where `input` may be empty what comes with the module.
    """

    kind: str
    dtype: type

    def __init__(self, input: str = "", repeat: int = 1, interval_s: float = 0.0) -> None:
        super().__init__(type(self).__name__, (), (Port("message", self.dtype),))
        if repeat < 0:
            raise ValueError(f"repeat must be a number of times, or 0 for ever, not {repeat}")
        self.input, self.repeat = input, repeat
        self.set_interval_s(interval_s)

    def set_interval_s(self, interval_s: float) -> None:
        """Change the least time between two messages, in seconds; stopping the flowgraph may take as long."""
        if not 0 <= interval_s <= 60:
            raise ValueError(f"interval_s must be 0 to 60 s, not {interval_s}")
        self.interval_s = interval_s

    def packaged(self) -> Path:
        """What an empty `input` means."""
        raise NotImplementedError

    def messages(self) -> Iterator[Message]:
        """The messages of one round, each read when it is needed."""
        from ..media.inputs import list_inputs
        from ..media.messages import read_messages

        for item in list_inputs(self.input or self.packaged(), kind=self.kind):
            yield from read_messages(item, self.kind)

    def packets(self) -> Iterator[tuple[Any, ...]]:
        """All rounds, numbered through, kept for the meter."""
        source = self.gateway.unique_id()
        originals.begin(source)
        number = 0
        for _ in range(self.repeat) if self.repeat else count():
            for message in self.messages():
                begun = time.monotonic()
                yield self.packet(source, number, message)
                number += 1
                time.sleep(max(0.0, self.interval_s - (time.monotonic() - begun)))

    def packet(self, source: int, number: int, message: Message) -> tuple[Any, ...]:
        """One message with its meta, kept for the meter."""
        data = np.ascontiguousarray(message.data)
        name = str(message.meta.get("name", ""))
        originals.keep(source, number, Original(name, data, self.kind, message.meta))
        meta = {"id": number, "source": source, "name": name, "kind": self.kind, "shape": list(data.shape)}
        return data.ravel(), meta | ({"sample_rate": SAMPLE_RATE} if self.kind == "speech" else {})

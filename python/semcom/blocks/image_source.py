# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures from files into a flowgraph."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

from ..message import Message
from ..packets import PacketBlock
from ..stage import Port
from .originals import Original, originals

CAMERA = "camera:"


class image_source(PacketBlock):
    """Sends pictures as messages, uint8 [H*W*3] with `shape` [H, W, 3] in the meta.

    `input` is a file or a folder, empty for a photograph that comes inside an installed package; "camera:" and a
    device or a film, for example "camera:/dev/video0", sends its pictures as they come. All pictures are sent `repeat`
    times, for ever if 0, one every `interval_s` seconds at most: a live display needs that, because queued pictures
    are delay.
    """

    def __init__(self, input: str = "", repeat: int = 1, interval_s: float = 0.0) -> None:
        super().__init__("image_source", (), (Port("message", np.uint8),))
        if repeat < 0:
            raise ValueError(f"repeat must be a number of times, or 0 for ever, not {repeat}")
        self.input, self.repeat = input, repeat
        self.set_interval_s(interval_s)

    def set_interval_s(self, interval_s: float) -> None:
        """Change the least time between two pictures, in seconds; stopping the flowgraph may take as long."""
        if not 0 <= interval_s <= 60:
            raise ValueError(f"interval_s must be 0 to 60 s, not {interval_s}")
        self.interval_s = interval_s

    def messages(self) -> Iterator[Message]:
        """The pictures of one round, each read when it is needed."""
        from ..media.images import read_image
        from ..media.inputs import list_inputs
        from ..media.photographs import packaged_photograph

        if self.input.startswith(CAMERA):
            from ..media.camera import frames

            yield from frames(self.input.removeprefix(CAMERA))
            return
        for item in list_inputs(self.input or packaged_photograph()):
            message = read_image(item.path)
            yield Message(message.kind, message.data, {**message.meta, "name": item.name})

    def packets(self) -> Iterator[tuple[Any, ...]]:
        """All rounds, numbered through, kept for the meter."""
        source = self.gateway.unique_id()
        originals.begin(source)
        number = 0
        for _ in range(self.repeat) if self.repeat else count():
            for message in self.messages():
                begun = time.monotonic()
                data = np.ascontiguousarray(message.data)
                name = str(message.meta.get("name", ""))
                originals.keep(source, number, Original(name, data))
                meta = {"id": number, "source": source, "name": name, "kind": message.kind, "shape": list(data.shape)}
                yield data.ravel(), meta
                number += 1
                time.sleep(max(0.0, self.interval_s - (time.monotonic() - begun)))

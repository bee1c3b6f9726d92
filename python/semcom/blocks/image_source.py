# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures from files into a flowgraph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..message import Message
from .file_source import FileSource

CAMERA = "camera:"


class image_source(FileSource):
    """Sends pictures as messages, uint8 [H*W*3] with `shape` [H, W, 3] in the meta.

    `input` is a file or a folder, empty for a photograph that comes inside an installed package; "camera:" and a
    device or a film, for example "camera:/dev/video0", sends its pictures as they come. All pictures are sent `repeat`
    times, for ever if 0, one every `interval_s` seconds at most: a live display needs that, because queued pictures
    are delay.
    """

    kind = "image"
    dtype = np.uint8

    def packaged(self) -> Path:
        """A photograph."""
        from ..media.photographs import packaged_photograph

        return packaged_photograph()

    def messages(self) -> Iterator[Message]:
        """The pictures of one round, each read when it is needed."""
        if not self.input.startswith(CAMERA):
            yield from super().messages()
            return
        from ..media.camera import frames

        yield from frames(self.input.removeprefix(CAMERA))

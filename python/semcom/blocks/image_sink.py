# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures from a flowgraph into files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..media.overlay import with_doubt
from ..message import Meta
from ..packets import PacketBlock
from ..stage import Port


class image_sink(PacketBlock):
    """Writes each picture, uint8 [H*W*3], as a PNG file into the folder `output`; nothing if that is empty.

    A file is called after message number and name, and appears under that name only when it is whole. `doubt` marks in
    red what the receiver is not sure of, for systems that tell (vq_deepsc).
    """

    def __init__(self, output: str = "", doubt: bool = False) -> None:
        super().__init__("image_sink", (Port("message", np.uint8),), ())
        self.output = output
        self.doubt = doubt
        self.files: list[Path] = []

    def prepare(self) -> None:
        """Make the folder."""
        self.files.clear()
        if self.output:
            Path(self.output).mkdir(parents=True, exist_ok=True)

    def process(self, *arrays: NDArray[Any], meta: Meta) -> None:
        """Write one picture."""
        if not self.output:
            return
        from ..media.images import write_png

        stem = re.sub(r"[^\w.-]+", "_", Path(meta.get("name") or "picture").stem)
        path = Path(self.output) / f"{meta.get('id', self.packet_count):04d}_{stem}.png"
        picture = arrays[0].reshape(meta["shape"])
        write_png(path, with_doubt(picture, meta.get("doubt")) if self.doubt else picture)
        self.files.append(path)

    def set_doubt(self, doubt: bool) -> None:
        """Mark doubtful parts from the next picture on, or no longer."""
        self.doubt = doubt

# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures from a flowgraph into files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..message import Meta
from ..packets import PacketBlock
from ..stage import Port


class image_sink(PacketBlock):
    """Writes each picture, uint8 [H*W*3], as a PNG file into the folder `output`; nothing if that is empty.

    A file is called after message number and name, and appears under that name only when it is whole.
    """

    def __init__(self, output: str = "") -> None:
        super().__init__("image_sink", (Port("message", np.uint8),), ())
        self.output = output
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
        write_png(path, arrays[0].reshape(meta["shape"]))
        self.files.append(path)

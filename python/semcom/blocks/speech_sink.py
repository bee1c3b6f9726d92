# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech from a flowgraph into files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..message import Message, Meta
from ..packets import PacketBlock
from ..stage import Port


class speech_sink(PacketBlock):
    """Writes each utterance, float32 [N] of 16 kHz, as a WAV file into the folder `output`, and its text, where it has
    been recognised, as a .txt file beside it; nothing if `output` is empty.

    A file is called after message number and name, and appears under that name only when it is whole. To hear it, use a
    Speech Player and GNU Radio's Audio Sink.
    """

    kind = "speech"
    dtype: type = np.float32

    def __init__(self, output: str = "") -> None:
        super().__init__(type(self).__name__, (Port("message", self.dtype),), ())
        self.output = output
        self.files: list[Path] = []

    def prepare(self) -> None:
        """Make the folder."""
        self.files.clear()
        if self.output:
            Path(self.output).mkdir(parents=True, exist_ok=True)

    def process(self, *arrays: NDArray[Any], meta: Meta) -> None:
        """Write one message."""
        if not self.output:
            return
        from ..media.messages import write_message

        stem = re.sub(r"[^\w.-]+", "_", Path(meta.get("name") or self.kind).stem)
        path = Path(self.output) / f"{meta.get('id', self.packet_count):04d}_{stem}"
        self.files += write_message(path, Message(self.kind, arrays[0], meta))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts from a flowgraph into files, or onto the terminal."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..message import Meta
from .speech_sink import speech_sink

TERMINAL = "-"


class text_sink(speech_sink):
    """Writes each text, UTF-8, uint8 [n], as a .txt file into the folder `output`, or as a line on standard error if
    that is "-"; nothing if it is empty."""

    kind = "text"
    dtype = np.uint8

    def prepare(self) -> None:
        """Make the folder."""
        if self.output != TERMINAL:
            super().prepare()

    def process(self, *arrays: NDArray[Any], meta: Meta) -> None:
        """Write one text."""
        if self.output != TERMINAL:
            super().process(*arrays, meta=meta)
            return
        text = arrays[0].tobytes().decode(errors="replace")
        print(f"{meta.get('name') or meta.get('id', '')}: {text}", file=sys.stderr, flush=True)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts into a flowgraph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..message import Message, text_message
from .file_source import FileSource


class text_source(FileSource):
    """Sends texts as messages, UTF-8, uint8 [n].

    `text` is one, or several in lines of their own; where it is empty, `input` is a file or a folder of .txt files, one
    message each. All are sent `repeat` times, for ever if 0, one every `interval_s` seconds at most.
    """

    kind = "text"
    dtype = np.uint8

    def __init__(self, text: str = "", input: str = "", repeat: int = 1, interval_s: float = 0.0) -> None:
        super().__init__(input, repeat, interval_s)
        if not text.strip() and not input:
            raise ValueError("text_source needs a text, or the input to read texts from")
        self.text = text

    def messages(self) -> Iterator[Message]:
        """The texts of one round."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        if not lines:
            yield from super().messages()
        for number, line in enumerate(lines):
            yield text_message(line, {"name": f"line {number + 1}"})

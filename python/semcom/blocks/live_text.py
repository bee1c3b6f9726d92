# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a Live Encoder as running text, with how late they came."""

from __future__ import annotations

import json
import time
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..message import Meta
from .text_view import text_view

SHOWN = 60  # words


class live_text(text_view):
    """Shows the latest words, UTF-8, uint8 [n], in a Qt widget, and below them the delay from when they were said until
    they came here. At the end the figures go as a line of JSON to the file `output` ("-": standard output, empty:
    nowhere)."""

    def __init__(self, title: str = "", output: str = "") -> None:
        super().__init__(title)
        self.output = output
        self.words: list[str] = []
        self.delays_s: list[float] = []
        self.last_s = 0.0

    def prepare(self) -> None:
        """Begin with an empty page."""
        super().prepare()
        self.words, self.delays_s, self.last_s = [], [], 0.0

    def process(self, *arrays: NDArray[Any], meta: Meta) -> None:
        """Take some words."""
        self.words += arrays[0].tobytes().decode(errors="replace").split()
        live = meta.get("live") or {}
        now = time.time() - live.get("began", 0.0)
        self.delays_s += [now - said for said in live.get("said_s", ())]
        self.last_s = now
        if self._widget is not None:
            text = escape(" ".join(self.words[-SHOWN:]))
            about = f"delay of the last word {self.delays_s[-1]:.1f} s" if self.delays_s else ""
            self._widget.arrived.emit(f"<p>{text}<br><small>{about}</small></p>")

    def figures(self) -> dict[str, Any]:
        """All words, how many a second there were, and the delay: median and 99 %."""
        late = np.quantile(self.delays_s, [0.5, 0.99]).round(3).tolist() if self.delays_s else [None, None]
        rate = round(len(self.words) / self.last_s, 3) if self.last_s > 0 else None
        found = {"text": " ".join(self.words), "words": len(self.words), "words_per_second": rate}
        return found | {"delay_median_s": late[0], "delay_99_percent_s": late[1]}

    def finish(self) -> None:
        """Write the figures."""
        line = json.dumps(self.figures())
        if self.output == "-":
            print(line, flush=True)
        elif self.output:
            with open(self.output, "w", encoding="utf-8") as file:
                file.write(line + "\n")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts from a flowgraph onto the screen."""

from __future__ import annotations

from collections import deque
from difflib import SequenceMatcher
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..message import Meta
from ..packets import PacketBlock
from ..stage import Port
from .originals import originals

WRONG = "#c0392b"


class text_view(PacketBlock):
    """Shows the latest texts, UTF-8, uint8 [n], in a Qt widget, the newest last, each with a line about it.

    Where a transcript of what was sent is known in this process, wrong words are red. `widget` makes the widget;
    without it texts are only counted.
    """

    def __init__(self, title: str = "", lines: int = 6) -> None:
        super().__init__("text_view", (Port("message", np.uint8),), ())
        if not 1 <= lines <= 100:
            raise ValueError(f"lines must be from 1 to 100, not {lines}")
        self.heading, self.lines = title, lines
        self._widget: Any = None
        self._shown: deque[str] = deque(maxlen=lines)

    def prepare(self) -> None:
        """Begin with an empty page."""
        self._shown.clear()

    def widget(self) -> Any:
        """The widget, made when first asked for, in the thread of the user interface; needs a QApplication."""
        if self._widget is None:
            self._widget = _widget_class()(self.heading)
        return self._widget

    def process(self, *arrays: NDArray[Any], meta: Meta) -> None:
        """Hand one text to the user interface's thread."""
        text = arrays[0].tobytes().decode(errors="replace")
        self._shown.append(described(text, meta))
        if self._widget is not None:
            self._widget.arrived.emit("".join(self._shown))


def described(text: str, meta: Meta) -> str:
    """A text as HTML: wrong words red, and in small letters what its meta tells."""
    from ..metrics.text import error_rate
    from ..speech.measure import reference_text
    from ..text.alphabet import normalise

    about = [str(meta.get("name") or f"message {meta.get('id', 0)}")]
    if meta.get("blocks"):
        about.append(f"{meta.get('blocks_failed', 0)} of {meta['blocks']} blocks failed")
    if "symbols_total" in meta:
        about.append(f"{meta['symbols_total']} symbols")
    sent = originals.find(meta.get("source", 0), meta.get("id", 0))
    reference = None if sent is None else reference_text(sent.message)
    shown = escape(text) or "(nothing was understood)"
    if sent is not None and reference is not None and "piece" not in sent.message.meta:
        shown = marked(reference, text)
        words = error_rate(reference.split(), normalise(text).split())
        about.append("" if words is None else f"word error rate {100 * words:.0f} %")
    return f"<p>{shown}<br><small>{escape(', '.join(part for part in about if part))}</small></p>"


def marked(reference: str, text: str) -> str:
    """The words of a text as HTML: those that are not the reference's in red, red dots for missing ones."""
    right, found = reference.split(), text.split()
    out = []
    for kind, i, j, k, n in SequenceMatcher(None, right, found, autojunk=False).get_opcodes():
        words = escape(" ".join(found[k:n]))
        if kind == "equal":
            out.append(words)
        elif kind == "delete" and j > i:
            out.append(f'<span style="color:{WRONG}">...</span>')
        else:
            out.append(f'<span style="color:{WRONG}">{words}</span>')
    return " ".join(out)


def _widget_class() -> type:
    """Made here, because Qt is imported only where it is used."""
    from PyQt5 import QtCore, QtWidgets

    class View(QtWidgets.QTextBrowser):
        arrived = QtCore.pyqtSignal(str)

        def __init__(self, title: str) -> None:
            super().__init__()
            self.title = title
            self.setMinimumSize(240, 120)
            self.setHtml(f"<b>{escape(title)}</b>")
            self.arrived.connect(self.show_texts)

        def show_texts(self, html: str) -> None:
            self.setHtml(f"<b>{escape(self.title)}</b>{html}")
            bar = self.verticalScrollBar()
            bar.setValue(bar.maximum())

    return View

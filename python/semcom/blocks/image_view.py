# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures from a flowgraph onto the screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..media.overlay import with_doubt
from ..message import Meta
from ..packets import PacketBlock
from ..stage import Port
from .originals import originals


class image_view(PacketBlock):
    """Shows the latest picture, uint8 [H*W*3], in a Qt widget with a line about it below.

    The line has what the meta tells (name, MCS, failed code blocks) and, where the picture was sent from this process
    and has come through a link, its PSNR. `widget` makes the widget; without it pictures are only counted. `doubt`
    marks in red what the receiver is not sure of, for systems that tell (vq_deepsc).
    """

    def __init__(self, title: str = "", doubt: bool = False) -> None:
        super().__init__("image_view", (Port("message", np.uint8),), ())
        self.heading = title
        self.doubt = doubt
        self._widget: Any = None

    def widget(self) -> Any:
        """The widget, made when first asked for, in the thread of the user interface; needs a QApplication."""
        if self._widget is None:
            self._widget = _widget_class()(self.heading)
        return self._widget

    def process(self, *arrays: NDArray[Any], meta: Meta) -> None:
        """Hand one picture to the user interface's thread."""
        if self._widget is not None:
            picture = np.ascontiguousarray(arrays[0].reshape(meta["shape"]))
            text = caption(picture, meta)
            self._widget.arrived.emit(with_doubt(picture, meta.get("doubt")) if self.doubt else picture, text)

    def set_doubt(self, doubt: bool) -> None:
        """Mark doubtful parts from the next picture on, or no longer."""
        self.doubt = doubt


def caption(picture: NDArray[np.uint8], meta: Meta) -> str:
    """What is worth saying of a picture in one line."""
    parts = [str(meta.get("name") or f"message {meta.get('id', 0)}")]
    if "blocks" in meta:
        parts.append(str(meta.get("mcs", "")))
        parts.append(f"{meta.get('blocks_failed', 0)} of {meta['blocks']} blocks failed")
        sent = originals.find(meta.get("source", 0), meta.get("id", 0))
        if sent is not None and sent.data.shape == picture.shape:
            from ..metrics.image import psnr_db

            parts.append(f"PSNR {psnr_db(sent.data, picture):.1f} dB")
    return ", ".join(part for part in parts if part)


def _widget_class() -> type:
    """Made here, because Qt is imported only where it is used."""
    from PyQt5 import QtCore, QtGui, QtWidgets

    class View(QtWidgets.QWidget):
        arrived = QtCore.pyqtSignal(object, str)

        def __init__(self, title: str) -> None:
            super().__init__()
            self.picture = QtWidgets.QLabel(title)
            self.picture.setAlignment(QtCore.Qt.AlignCenter)
            self.picture.setMinimumSize(240, 160)
            self.picture.setSizePolicy(QtWidgets.QSizePolicy.Ignored, QtWidgets.QSizePolicy.Ignored)
            self.text = QtWidgets.QLabel(title)
            self.text.setAlignment(QtCore.Qt.AlignCenter)
            self.text.setWordWrap(True)
            self.text.setSizePolicy(QtWidgets.QSizePolicy.Ignored, QtWidgets.QSizePolicy.Minimum)
            self.title = title
            layout = QtWidgets.QVBoxLayout(self)
            layout.addWidget(self.picture, 1)
            layout.addWidget(self.text)
            self.pixmap: Any = None
            self.arrived.connect(self.show_picture)

        def show_picture(self, picture: NDArray[np.uint8], text: str) -> None:
            height, width, _ = picture.shape
            image = QtGui.QImage(picture.tobytes(), width, height, 3 * width, QtGui.QImage.Format_RGB888)
            self.pixmap = QtGui.QPixmap.fromImage(image)
            self.text.setText(f"{self.title}: {text}" if self.title else text)
            self.fit()

        def resizeEvent(self, event: Any) -> None:
            super().resizeEvent(event)
            self.fit()

        def fit(self) -> None:
            if self.pixmap is not None:
                size = self.picture.size()
                self.picture.setPixmap(
                    self.pixmap.scaled(size, QtCore.Qt.KeepAspectRatio, QtCore.Qt.SmoothTransformation)
                )

    return View

# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures on the screen, and pictures from a camera."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from gnuradio import gr

from gnuradio.semcom import packets
from gnuradio.semcom.blocks.image_source import image_source
from gnuradio.semcom.blocks.image_view import caption, image_view
from gnuradio.semcom.blocks.originals import Original, originals
from gnuradio.semcom.media.camera import frames

SHOW = """
import sys
from PyQt5 import QtWidgets
from gnuradio import gr
application = QtWidgets.QApplication(sys.argv)
from gnuradio.semcom import packets
from gnuradio.semcom.blocks.image_source import image_source
from gnuradio.semcom.blocks.image_view import image_view
source, view = image_source(repeat=2), image_view("sent")
widget = view.widget()
widget.resize(400, 300)
widget.show()
tb = gr.top_block()
tb.connect(source, view)
packets.run(tb, 30)
application.processEvents()
assert widget.text.text().startswith("sent: coffee"), widget.text.text()
colour = widget.grab().toImage().pixelColor(200, 130)
assert colour.red() > 100 and colour.red() > colour.blue(), colour.getRgb()
widget.resize(200, 150)
application.processEvents()
print("shown", view.packet_count)
"""


def film(path, count=3):
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10, options={"qmin": "1", "qmax": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(count):
            picture = np.full((48, 64, 3), 60 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_the_latest_picture_is_on_the_screen():
    pytest.importorskip("PyQt5")
    import os

    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-c", SHOW]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["shown", "2"]


def test_without_a_widget_pictures_are_counted():
    source, view = image_source(), image_view()
    tb = gr.top_block()
    tb.connect(source, view)
    packets.run(tb, 30)
    assert view.packet_count == 1


def test_the_caption_tells_what_the_link_did():
    picture = np.zeros((4, 4, 3), np.uint8)
    assert caption(picture, {"id": 3}) == "message 3"
    originals.begin(-7)
    originals.keep(-7, 0, Original("x", picture + 1))
    meta = {"id": 0, "source": -7, "name": "x", "mcs": "qpsk-1/2", "blocks": 9, "blocks_failed": 2}
    assert caption(picture, meta) == "x, qpsk-1/2, 2 of 9 blocks failed, PSNR 48.1 dB"


def test_a_film_stands_for_a_camera(tmp_path):
    path = film(tmp_path / "film.avi")
    pictures = list(frames(str(path)))
    assert [round(float(p.data.mean()), -1) for p in pictures] == [0, 60, 120]
    source, view = image_source(f"camera:{path}", repeat=2), image_view()
    tb = gr.top_block()
    tb.connect(source, view)
    packets.run(tb, 30)
    assert view.packet_count == 6


@pytest.mark.parametrize("content", [None, b"", b"no film at all" * 100])
def test_what_is_no_film_is_refused(tmp_path, content):
    path = tmp_path / "film.avi"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"film.avi: "):
        next(frames(str(path)))

# SPDX-License-Identifier: GPL-3.0-or-later
"""The window of examples/hascom.grc runs, with both constellations of one burst."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gnuradio.semcom.paths import grc_environment
from gnuradio.semcom.systems.base import Request
from gnuradio.semcom.systems.hascom import SYSTEM

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "hascom.grc"
RUN = """
import sys
from PyQt5 import QtWidgets
application = QtWidgets.QApplication(sys.argv)
import hascom
from gnuradio.semcom import packets
from gnuradio.semcom.media.recordings import packaged_recordings
graph = hascom.hascom(input_path=str(packaged_recordings("kitchen")), repeat=1, output=sys.argv[1])
for esn0_db in (10.0, -8.0):
    graph.set_esn0_db(esn0_db)
    packets.run(graph, 90)
assert graph.words.nitems_read(0) > 100 and graph.voice.nitems_read(0) == 64
"""


@pytest.mark.slow
def test_the_window_shows_both_parts_and_words_fail_first(tmp_path):
    pytest.importorskip("PyQt5")
    try:
        SYSTEM.check(Request())
    except ValueError as error:
        pytest.skip(str(error))
    environment = grc_environment()
    done = subprocess.run(
        ["grcc", "-o", str(tmp_path), str(EXAMPLE)], env=environment, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path / "out")],
        env={**os.environ, **environment, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [(record["delivered"], record["reason"]) for record in records] == [(True, None), (False, "channel")]
    assert [path.suffix for path in sorted((tmp_path / "out").iterdir())].count(".wav") >= 1

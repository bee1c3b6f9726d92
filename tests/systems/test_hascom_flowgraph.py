# SPDX-License-Identifier: GPL-3.0-or-later
"""The windows of examples/hascom.grc and hascom_live.grc run, with both constellations of one burst."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gnuradio.semcom.media.recordings import packaged_recordings
from gnuradio.semcom.media.speech import read_speech, write_wav
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
LIVE = """
import sys
from PyQt5 import QtWidgets
application = QtWidgets.QApplication(sys.argv)
from gnuradio import audio, blocks
audio.source = lambda *arguments: blocks.wavfile_source(sys.argv[1], False)
audio.sink = lambda *arguments: blocks.wavfile_sink(sys.argv[2], 1, 16000, blocks.FORMAT_WAV, blocks.FORMAT_PCM_16)
import hascom_live
from gnuradio.semcom import packets
graph = hascom_live.hascom_live()
packets.run(graph, 120)
assert graph.words.nitems_read(0) > 100 and graph.voice.nitems_read(0) == 2 * 64, graph.voice.nitems_read(0)
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


@pytest.mark.slow
def test_the_live_example_speaks_each_utterance_that_a_microphone_hears(tmp_path):
    """A recording stands for the microphone, a file for the loudspeaker."""
    pytest.importorskip("PyQt5")
    try:
        SYSTEM.check(Request())
    except ValueError as error:
        pytest.skip(str(error))
    environment = grc_environment()
    done = subprocess.run(
        ["grcc", "-o", str(tmp_path), str(EXAMPLE.with_name("hascom_live.grc"))],
        env=environment, capture_output=True, text=True, timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    pause = np.zeros(16_000, np.float32)
    said = [read_speech(packaged_recordings(name)).data for name in ("weather", "kitchen")]
    sound = np.concatenate([pause, said[0], pause, said[1], pause])
    room = np.random.default_rng(1).standard_normal(sound.size)
    write_wav(tmp_path / "said.wav", sound + (1e-4 * room).astype(np.float32))
    done = subprocess.run(
        [sys.executable, "-c", LIVE, str(tmp_path / "said.wav"), str(tmp_path / "heard.wav")],
        env={**os.environ, **environment, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    heard = read_speech(tmp_path / "heard.wav").data
    assert 0.5 < heard.size / (said[0].size + said[1].size) < 2 and np.sqrt(np.mean(heard**2)) > 0.005

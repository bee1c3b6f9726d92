# SPDX-License-Identifier: GPL-3.0-or-later
"""The live example as Companion compiles it, a recording in the place of the microphone."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gnuradio.semcom.media.inputs import list_inputs
from gnuradio.semcom.media.recordings import packaged_recordings
from gnuradio.semcom.media.speech import read_speech, write_wav
from gnuradio.semcom.metrics.text import edit_distance
from gnuradio.semcom.paths import grc_environment
from gnuradio.semcom.text.alphabet import normalise
from gnuradio.semcom.zoo import available

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/deepsc_st_live.grc"
PROGRAM = """
import json, sys, time
from PyQt5 import QtWidgets
application = QtWidgets.QApplication(sys.argv)
from gnuradio import audio, blocks
audio.source = lambda *arguments: blocks.wavfile_source(sys.argv[1], False)
audio.sink = lambda *arguments: blocks.null_sink(4)
import deepsc_st_live
from gnuradio.semcom import packets
graph = deepsc_st_live.deepsc_st_live(user=sys.argv[2])
begun = time.process_time()
packets.run(graph, 100)
used = time.process_time() - begun
application.processEvents()
print(json.dumps({"seconds": used, "shown": graph.received.widget().toPlainText()}))
"""


@pytest.mark.skipif(not available("deepsc_st"), reason="no model is installed")
@pytest.mark.skipif(importlib.util.find_spec("PyQt5") is None, reason="PyQt5 is not installed")
@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_live_speech_is_cut_understood_and_shown_faster_than_it_is_spoken(tmp_path):
    compiled = subprocess.run(
        ["grcc", "-o", str(tmp_path), str(EXAMPLE)], env=grc_environment(), capture_output=True, text=True, timeout=170
    )
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr
    room = np.random.default_rng(1)
    pause = np.zeros(16_000, np.float32)
    items = list_inputs(packaged_recordings(), kind="speech")
    speech = np.concatenate([part for item in items for part in (pause, read_speech(item.path).data)] + [pause])
    write_wav(tmp_path / "said.wav", speech + (1e-4 * room.standard_normal(speech.size)).astype(np.float32))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "said.wav"), "anna"],
        env={**grc_environment(), "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    heading, *lines = [line for line in found["shown"].splitlines() if line]
    texts, about = lines[::2], lines[1::2]
    assert heading == "understood" and len(texts) == len(about) == len(items) and "symbols" in about[0]
    wanted = [normalise(item.columns["transcript"]) for item in items]
    errors = sum(edit_distance(left, right) for left, right in zip(wanted, texts, strict=True))
    assert errors < 0.5 * sum(map(len, wanted)), texts
    assert found["seconds"] < speech.size / 16_000  # of one core, all blocks together, loading the networks included

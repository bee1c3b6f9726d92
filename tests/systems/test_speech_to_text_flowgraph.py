# SPDX-License-Identifier: GPL-3.0-or-later
"""The live blocks and the live example: words come over the air while the speech goes on."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gnuradio import blocks, gr

from gnuradio.semcom import packets
from gnuradio.semcom.blocks.channel import channel
from gnuradio.semcom.blocks.collect_sink import collect_sink
from gnuradio.semcom.blocks.deframer import deframer
from gnuradio.semcom.blocks.equaliser import equaliser
from gnuradio.semcom.blocks.framer import framer
from gnuradio.semcom.blocks.live_encoder import live_encoder
from gnuradio.semcom.blocks.live_text import live_text
from gnuradio.semcom.blocks.semantic_decoder import semantic_decoder
from gnuradio.semcom.media.inputs import list_inputs
from gnuradio.semcom.media.speech import read_speech
from gnuradio.semcom.paths import grc_environment
from gnuradio.semcom.systems.speech_to_text.codec import codec
from gnuradio.semcom.systems.speech_to_text.live import LiveEncoder
from gnuradio.semcom.systems.speech_to_text.recordings import spoken_commands
from gnuradio.semcom.zoo import available

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/speech_to_text_live.grc"
trained = pytest.mark.skipif("domain" not in available("speech_to_text"), reason="no model is installed")


def stream() -> np.ndarray:
    """Two utterances with a second of silence after each."""
    items = list_inputs(spoken_commands(), kind="speech")[:2]
    return np.concatenate([part for i in items for part in (read_speech(i.path).data, np.zeros(16_000, np.float32))])


@trained
@pytest.mark.parametrize("quality", [0, 2])
def test_the_blocks_send_what_the_live_encoder_commits(quality):
    speech = stream()
    plain = LiveEncoder(codec("domain"), quality=quality)
    wanted = plain.push(speech)
    assert wanted
    top = gr.top_block()
    source = blocks.vector_source_f(speech.tolist())
    encoder, text = live_encoder("domain", quality=quality), live_text()
    air, equal, split = channel(esn0_db=30.0), equaliser(), deframer("symbols")
    decoder, sent = semantic_decoder("speech_to_text", "domain", payload="symbols", kind="text"), collect_sink()
    symbols = collect_sink(dtype=np.complex64)
    frame = framer("symbols")
    top.connect(source, encoder, frame, air, equal, split, decoder, text)
    top.connect(encoder, symbols)
    top.connect((air, 1), (equal, 1))
    top.connect((equal, 1), (split, 1))
    top.connect((split, 1), (decoder, 1))
    top.connect(decoder, sent)
    packets.run(top, 60)
    assert [len(array) for array, _ in symbols.received] == [words.symbols.size for words in wanted]
    for (array, meta), words in zip(symbols.received, wanted, strict=True):
        np.testing.assert_array_equal(array, words.symbols)
        assert meta["live"]["said_s"] == pytest.approx(words.said_s, abs=1e-3)
    received = " ".join(array.tobytes().decode() for array, _ in sent.received)
    assert text.figures()["text"] == received and len(received.split()) == sum(len(w.said_s) for w in wanted)
    assert len(text.delays_s) == text.figures()["words"]


def test_a_quality_that_is_none_is_refused():
    with pytest.raises(ValueError, match="quality must be 0, 1 or 2"):
        live_encoder(quality=3)
    assert not live_encoder.knows("no such model")


PROGRAM = """
import sys
from PyQt5 import QtWidgets
application = QtWidgets.QApplication(sys.argv)
import speech_to_text_live
from gnuradio.semcom import packets
graph = speech_to_text_live.speech_to_text_live(sample_rate=int(sys.argv[1]), model="domain")
packets.run(graph, 100)
application.processEvents()
print(graph.received.widget().toPlainText())
"""


@trained
@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("PyQt5") is None, reason="PyQt5 is not installed")
def test_the_live_example_shows_the_words_and_their_delay(tmp_path):
    done = subprocess.run(
        ["grcc", "-o", str(tmp_path), str(EXAMPLE)], env=grc_environment(), capture_output=True, text=True, timeout=170
    )
    assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "64000"],
        env={**grc_environment(), "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures, *shown = [line for line in done.stdout.splitlines() if line]
    found = json.loads(figures)
    assert found["words"] >= 10 and found["words"] == len(found["text"].split())
    assert shown[0] == "understood" and shown[1] == found["text"] and shown[2].startswith("delay of the last word")

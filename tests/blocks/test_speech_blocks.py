# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech and text in and out of flowgraphs."""

import gc
import json

import numpy as np
import pytest
from gnuradio import blocks, gr

from gnuradio.semcom import packets
from gnuradio.semcom.blocks.collect_sink import collect_sink
from gnuradio.semcom.blocks.link_meter import link_meter
from gnuradio.semcom.blocks.message_source import message_source
from gnuradio.semcom.blocks.semantic_decoder import semantic_decoder
from gnuradio.semcom.blocks.semantic_encoder import semantic_encoder
from gnuradio.semcom.blocks.speech_cutter import speech_cutter
from gnuradio.semcom.blocks.speech_sink import speech_sink
from gnuradio.semcom.blocks.speech_source import speech_source
from gnuradio.semcom.blocks.speech_synthesiser import speech_synthesiser
from gnuradio.semcom.blocks.text_sink import text_sink
from gnuradio.semcom.blocks.text_source import text_source
from gnuradio.semcom.blocks.text_view import marked, text_view
from gnuradio.semcom.media.speech import read_speech, write_wav
from gnuradio.semcom.message import text_message


def run(*chain):
    graph = gr.top_block()
    for left, right in zip(chain, chain[1:], strict=False):
        graph.connect(left, right)
    gc.collect()
    packets.run(graph, timeout_s=60)


def test_packaged_speech_comes_through_bit_for_bit_as_often_as_asked():
    sink = collect_sink(dtype=np.float32)
    run(speech_source(repeat=2), sink)
    assert [meta["id"] for _, meta in sink.received] == list(range(6))
    assert [meta["name"] for _, meta in sink.received][:3] == ["weather.flac", "kitchen.flac", "station.flac"]
    for first, again in zip(sink.received[:3], sink.received[3:], strict=True):
        np.testing.assert_array_equal(first[0], again[0])
        assert first[1]["kind"] == "speech" and first[1]["shape"] == [first[0].size]
        assert "transcript" not in first[1]  # nobody sends it


def test_speech_is_written_with_its_text(tmp_path):
    speech = np.sin(np.arange(8000) / 9).astype(np.float32)
    metas = [{"id": 0, "name": "a/one.flac", "text": "hello"}, {"id": 1, "name": "", "text": ""}]
    sink = speech_sink(str(tmp_path / "out"))
    run(message_source([(speech, meta) for meta in metas], np.float32), sink)
    assert [f.name for f in sink.files] == ["0000_one.txt", "0000_one.wav", "0001_speech.txt", "0001_speech.wav"]
    np.testing.assert_allclose(read_speech(sink.files[1]).data, speech, atol=1e-4)
    assert sink.files[0].read_text() == "hello\n"


def test_texts_go_from_lines_and_files_to_files_and_the_terminal(tmp_path, capfd):
    sink = text_sink(str(tmp_path / "out"))
    run(text_source("  Hello there. \n\nSecond line"), sink)
    assert [f.read_text() for f in sink.files] == ["Hello there.\n", "Second line\n"]
    run(text_source(input=str(tmp_path / "out"), repeat=2), text_sink("-"))
    lines = [line for line in capfd.readouterr().err.splitlines() if "line" in line]
    assert lines == ["0000_line_1.txt: Hello there.", "0001_line_2.txt: Second line"] * 2
    with pytest.raises(ValueError, match="needs a text"):
        text_source("  ")
    with pytest.raises(ValueError, match="repeat"):
        speech_source(repeat=-1)


def test_a_wrong_recording_stops_the_flowgraph_with_its_cause(tmp_path):
    (tmp_path / "x.wav").write_text("nothing to hear")
    with pytest.raises(packets.FlowgraphError, match="not a recording"):
        run(speech_source(str(tmp_path / "x.wav")), collect_sink(dtype=np.float32))


def test_a_stream_is_cut_into_utterances_whatever_the_buffers():
    rng = np.random.default_rng(0)
    parts = [np.zeros(9000)]
    for seconds in (1.0, 2.0, 0.7):
        parts += [rng.normal(0, 0.1, round(16000 * seconds)), np.zeros(16000)]
    stream = np.concatenate(parts).astype(np.float32)
    found = []
    for items in (0, 1024):
        source, cutter, sink = blocks.vector_source_f(stream.tolist()), speech_cutter(), collect_sink(dtype=np.float32)
        if items:
            source.set_max_output_buffer(items)
        run(source, cutter, sink)
        found.append([array for array, _ in sink.received])
        assert [meta["id"] for _, meta in sink.received] == [0, 1, 2]
    assert [round(u.size / 16000, 1) for u in found[0]] == [2.1, 3.0, 1.7]
    for left, right in zip(*found, strict=True):
        np.testing.assert_array_equal(left, right)


def test_kind_and_payload_are_checked_against_the_system():
    assert not semantic_encoder.knows("text_transceiver", "", "bits", "image")
    assert not semantic_decoder.knows("text_transceiver", "", "bits", "speech")
    with pytest.raises(ValueError, match="messages of webp are image here, not text"):
        semantic_decoder("webp", kind="text")
    with pytest.raises(ValueError, match="messages of speech_transceiver are speech here, not text"):
        semantic_decoder("speech_transceiver", kind="text")
    assert semantic_encoder("webp", kind="image").input_count == 1
    assert not speech_synthesiser.knows("mallory") and speech_synthesiser.knows("anna")


class Misheard(packets.PacketBlock):
    """Says what it is told about each utterance, and loses those it has nothing to say of."""

    def __init__(self, texts):
        from gnuradio.semcom.stage import Port

        super().__init__("misheard", (Port("message", np.float32),), (Port("message", np.uint8),))
        self.texts = texts

    def process(self, *arrays, meta):
        return self.told(meta)

    def told(self, meta):
        text = self.texts[meta["id"]]
        if text is not None:
            yield text_message(text).data, {**meta, "kind": "text", "delivered": True, "symbols_total": 50}


def test_the_meter_counts_wrong_words_of_all_texts_and_those_that_never_came(tmp_path):
    right = "the weather report says light rain this evening and a clear sky tomorrow"
    meter = link_meter(str(tmp_path / "records.jsonl"), kind="text")
    wrong = "this is the coast guard station the fort is open good morning"
    run(speech_source(), Misheard([right, None, wrong]), meter)
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert [(r["id"], r["erased"], r["metrics"]["wer"]) for r in records] == [
        (0, False, 0), (1, True, 1), (2, False, 4 / 15)
    ]  # fmt: skip
    assert records[2]["metrics"]["symbols_per_second"] == pytest.approx(50 / records[2]["seconds"])
    figures = meter.figures()
    assert figures["wer"] == (0 + 12 + 4) / (13 + 12 + 15) and (figures["messages"], figures["erased"]) == (3, 1)


def test_the_meter_compares_with_a_folder_where_the_source_is_elsewhere(tmp_path):
    write_wav(tmp_path / "x.wav", np.ones(16000, np.float32) * 0.1)
    (tmp_path / "x.txt").write_text("Good morning!")
    meter = link_meter("", str(tmp_path), kind="text")
    run(message_source([(text_message("good mourning").data, {"id": 0, "name": "x.wav", "source": 10**6})]), meter)
    assert meter.results[0]["metrics"]["wer"] == 1 / 2
    with pytest.raises(ValueError, match="kind must be one of image, speech, text"):
        link_meter(kind="film")


def test_wrong_words_are_marked():
    assert marked("a b c d", "a x d") == 'a <span style="color:#c0392b">x</span> d'
    assert marked("a b", "a") == 'a <span style="color:#c0392b">...</span>'
    assert "<script>" not in marked("a", "<script>")


def test_the_view_shows_the_latest_texts(monkeypatch):
    pytest.importorskip("PyQt5")
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    from PyQt5 import QtWidgets

    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    view = text_view("heard", lines=2)
    view.widget()
    run(text_source("first\nsecond\nthird < fourth"), view)
    application.processEvents()
    shown = view.widget().toPlainText()
    assert shown.startswith("heard") and "first" not in shown and "second" in shown and "third < fourth" in shown
    with pytest.raises(ValueError, match="lines"):
        text_view(lines=0)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The conventional systems beside DeepSC-ST, over their polar codes and 64-QAM."""

import numpy as np
import pytest

from gnuradio.semcom.codecs import amr_wb
from gnuradio.semcom.links import Link
from gnuradio.semcom.message import Message, message_text
from gnuradio.semcom.speech import recognisers
from gnuradio.semcom.speech.ctc import greedy
from gnuradio.semcom.speech.measure import reference_text
from gnuradio.semcom.systems import registry


def amr_installed():
    try:
        amr_wb.check_installed()
    except ValueError:
        return False
    return True


needs_amr = pytest.mark.skipif(not amr_installed(), reason="AMR-WB's libraries are not installed")
SYSTEMS = ["text_transceiver", pytest.param("speech_transceiver", marks=needs_amr)]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("esn0_db", [20.0, 11.0, 0.0])
def test_the_flowgraph_equals_the_plain_call_chain(listener, utterances, system, esn0_db):
    link = Link(system, "whisper", esn0_db=esn0_db, seed=3, judges=False)
    assert (link.mcs, link.code, link.list_size) == ("64qam-1/2", "polar-512", 4)
    direct = list(link.run(utterances))
    graph = list(link.run_flowgraph(utterances, 8192, timeout_s=60))
    assert len(direct) == len(graph) == len(utterances)
    for (left, first), (right, second) in zip(direct, graph, strict=True):
        np.testing.assert_array_equal(left.data, right.data)
        assert left.meta == right.meta and {**first, "elapsed_s": 0} == {**second, "elapsed_s": 0}
    if esn0_db == 20:
        assert all(record["delivered"] for _, record in direct)
        assert [message_text(received) for received, _ in direct] == [reference_text(m) for m in utterances]
    if esn0_db == 0:
        assert all(record["reason"] == "channel" and record["metrics"]["cer"] >= 0.9 for _, record in direct)


def test_a_system_takes_the_phy_it_is_told_before_its_own(listener):
    link = Link("text_transceiver", mcs="qpsk-1/3", code="ldpc", list_size=2)
    assert (link.mcs, link.code, link.list_size) == ("qpsk-1/3", "ldpc", 2)
    assert (Link("webp").mcs, Link("webp").code, Link("webp").list_size) == ("16qam-1/3", "ldpc", 8)


def test_an_empty_recognition_is_a_legal_message(listener):
    silence = Message("speech", np.zeros(16000, np.float32), {"name": "silence"})
    ((received, record),) = Link("text_transceiver", "whisper", esn0_db=20).run_flowgraph([silence], timeout_s=60)
    assert record["delivered"] and message_text(received) == "" and 0 < record["bits"] < 10


def test_what_does_not_fit_the_airtime_is_a_message_with_a_reason(listener, utterances):
    ((received, record),) = Link("text_transceiver", "whisper", airtime=50).run(utterances[:1])
    assert record["reason"] == "does_not_fit" and message_text(received) == "" and record["metrics"]["wer"] == 1


def test_received_text_is_spoken_for_a_user(listener, utterances, monkeypatch):
    from gnuradio.semcom.speech import synthesis

    class Tones:
        def prepare(self):
            pass

        def speak(self, text):
            return np.sin(np.arange(100 * len(text)) / 10).astype(np.float32)

    monkeypatch.setattr(synthesis.stage, "voice_of", lambda user: Tones())
    link = Link("text_transceiver", "whisper", esn0_db=20, user="anna", judges=False)
    assert link.delivers == "speech"
    ((received, record),) = link.run_flowgraph(utterances[:1], timeout_s=60)
    assert received.kind == "speech" and received.data.size == 100 * len(record["text"])
    assert received.meta["text"] == record["text"] == reference_text(utterances[0])
    assert record["metrics"]["cer"] == 0 and record["metrics"]["stoi"] is None


def test_wrong_settings_are_refused_in_one_line(own_model, monkeypatch):
    for arguments, words in (
        ({"system": "text_transceiver", "user": "mallory"}, "'mallory' is not registered"),
        ({"system": "speech_transceiver", "user": "anna"}, "delivers speech"),
        ({"system": "text_transceiver", "max_bpp": 0.1}, "max_bpp is for pictures"),
        ({"system": "text_transceiver", "model": "siri"}, "unknown model 'siri'"),
        ({"system": "text_transceiver", "quality": 3}, "has no qualities"),
        ({"system": "speech_transceiver", "model": "whisper", "quality": 9}, "must be 0 to 8"),
        ({"system": "feature_transceiver", "model": "whisper"}, "token probabilities, which whisper does not give"),
        ({"system": "text_transceiver", "list_size": 99}, "list_size must be"),
    ):
        with pytest.raises(ValueError, match=words):
            Link(**arguments).stages()


def test_the_feature_transceiver_sends_the_probabilities_as_they_are(own_model, utterances):
    own = recognisers.get("random")
    link = Link("feature_transceiver", "random", esn0_db=20, judges=False)
    ((received, record),) = link.run(utterances[1:2])
    expected = greedy(own.probabilities(utterances[1].data))
    assert record["delivered"] and message_text(received) == expected == own.recognise(utterances[1].data)
    assert record["bits"] == 29 * 32 * own.logits(utterances[1].data).shape[0]
    ((received, record),) = Link("feature_transceiver", "random", esn0_db=11, judges=False).run(utterances[1:2])
    assert 0 < record["concealed"] < record["bits"] / 928 and message_text(received) != expected


@needs_amr
@pytest.mark.parametrize("mode", range(9))
def test_amr_wb_comes_back_in_step_at_every_mode(utterances, mode):
    speech = utterances[1].data
    bits = amr_wb.encode(speech, mode)
    assert bits.shape == (-(-speech.size // 320), amr_wb.FRAME_BITS[mode]) and set(np.unique(bits)) == {0, 1}
    assert amr_wb.FRAME_BITS[mode] == round(amr_wb.RATES_KBIT_S[mode] * 20)
    heard = amr_wb.decode(bits, mode, np.zeros(len(bits), bool))[: speech.size]
    lags = np.arange(-40, 41)
    alike = [np.vdot(speech[100:-100], np.roll(heard, -lag)[100:-100]) for lag in lags]
    assert abs(lags[int(np.argmax(alike))]) <= 4  # its filters delay high and low frequencies differently
    assert np.corrcoef(speech, heard)[0, 1] > 0.85


@needs_amr
def test_amr_wb_conceals_lost_frames_and_bears_bad_arguments(utterances):
    speech = utterances[1].data
    bits = amr_wb.encode(speech, 6)
    lost = np.zeros(len(bits), bool)
    lost[60:63] = True
    whole = amr_wb.decode(bits, 6, ~lost & lost)
    ruined = bits.copy()
    ruined[lost] ^= 1
    heard = amr_wb.decode(ruined, 6, lost)
    np.testing.assert_array_equal(heard[: 59 * 320], whole[: 59 * 320])
    assert 0.002 < np.abs(heard[60 * 320 : 63 * 320]).max() <= 1
    assert amr_wb.encode(np.zeros(0, np.float32), 0).shape == (1, 132)
    with pytest.raises(ValueError, match="mode of AMR-WB must be 0 to 8"):
        amr_wb.encode(speech, 9)


def test_a_missing_library_is_one_line_that_says_what_to_install(monkeypatch):
    amr_wb._encoder.cache_clear()
    monkeypatch.setattr(amr_wb, "_ENCODER", ("libno-such.so.0", "no-such", "libvo-amrwbenc0"))
    try:
        with pytest.raises(ValueError, match="apt install libvo-amrwbenc0"):
            amr_wb.check_installed()
        assert "not usable here" in registry.get("speech_transceiver").title
    finally:
        amr_wb._encoder.cache_clear()


@needs_amr
def test_the_speech_transceiver_has_the_papers_airtime_and_lower_modes_fit_less(listener, utterances):
    ((_, record),) = Link("speech_transceiver", "whisper", esn0_db=20, judges=False).run(utterances[:1])
    assert record["symbols_payload"] / record["seconds"] == pytest.approx(6617, rel=0.01)
    ((_, less),) = Link("speech_transceiver", "whisper", esn0_db=20, airtime=15_000, judges=False).run(utterances[:1])
    assert less["delivered"] and less["symbols_total"] <= 15_000 < record["symbols_total"]

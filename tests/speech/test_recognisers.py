# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognisers behind one interface."""

import importlib.util

import numpy as np
import pytest

from gnuradio.semcom.message import Message
from gnuradio.semcom.metrics.text import error_rate
from gnuradio.semcom.speech import recognisers
from gnuradio.semcom.speech.ctc import greedy
from gnuradio.semcom.speech.distances import SpeechSets
from gnuradio.semcom.speech.measure import reference_text


def installed(name):
    return all(importlib.util.find_spec(package) for package in recognisers.get(name).packages)


@pytest.mark.parametrize("name", ["whisper", "moonshine"])
def test_a_public_recogniser_reads_every_packaged_utterance_whatever_came_before(name, utterances):
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    found = recognisers.get(name)
    for message in (utterances[2], utterances[0], utterances[2]):
        assert error_rate(reference_text(message).split(), found.recognise(message.data).split()) == 0
    assert found.recognise(np.zeros(16000, np.float32)) == "" == found.recognise(np.zeros(0, np.float32))
    assert found.provider == name


def test_a_missing_package_is_one_line_that_names_the_extra(monkeypatch):
    from gnuradio.semcom.speech.recognisers import base

    monkeypatch.setattr(base, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^moonshine needs moonshine_voice: pip install 'gr-semcom\[moonshine\]'$"):
        recognisers.get("moonshine").check_installed()


def test_an_unknown_recogniser_is_refused_with_the_names():
    with pytest.raises(ValueError, match="unknown recogniser 'siri': expected one of .*whisper, moonshine"):
        recognisers.get("siri")


def test_our_own_recogniser_tells_what_is_behind_its_text(own_model, utterances):
    assert "random" in recognisers.names()
    found = recognisers.get("random")
    speech = utterances[0].data
    logits, hidden = found.outputs(speech)
    frames = -(-(1 + speech.size // 160) // 4)
    assert logits.shape == (frames, 29) and hidden.shape == (frames, 16)
    probabilities = found.probabilities(speech)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(1), logits.argmax(1))
    assert found.recognise(speech) == greedy(logits) != ""
    assert found.recognise(np.zeros(0, np.float32)) == "" and found.outputs(np.zeros(3, np.float32))[0].shape == (1, 29)
    np.testing.assert_allclose(found.vector(speech), hidden.mean(0), atol=1e-6)


def test_an_utterance_is_recognised_once(listener, utterances):
    texts = [recognisers.recognise("whisper", utterances[k].data) for k in (0, 1, 0)]
    assert texts[0] == texts[2] != texts[1] and listener.heard == 2


def test_sets_of_speech_are_compared_with_the_features_of_our_recogniser(own_model, utterances, monkeypatch):
    monkeypatch.setattr(recognisers, "own_names", lambda: ["random"])
    same, other = SpeechSets(), SpeechSets()
    for message in utterances:
        same.add(message, message)
        noise = np.random.default_rng(0).normal(0, 0.1, message.data.size)
        other.add(message, Message("speech", (message.data + noise).astype(np.float32)))
        other.add(message, Message("text", np.zeros(0, np.uint8)))  # nothing to compare
    assert same.features == "random" and same.metrics()["fdsd"] == pytest.approx(0, abs=1e-5)
    assert len(other.sent) == 3 and other.metrics()["fdsd"] > 0.05 and other.metrics()["kdsd"] >= 0
    monkeypatch.setattr(recognisers, "own_names", lambda: [])
    assert SpeechSets().metrics() == {"fdsd": None, "kdsd": None}


def test_a_model_of_deepsc_st_is_compared_with_the_recogniser_inside_it(own_model):
    from gnuradio.semcom.systems import registry

    assert registry.get("deepsc_st").recogniser("random") == "random"
    assert registry.get("text_transceiver").recogniser("moonshine") == "moonshine"
    assert registry.get("webp").recogniser() == ""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Text is spoken with the voice of a registered user; others are refused by name."""

import importlib.util
import shutil

import numpy as np
import pytest

from gnuradio.semcom.message import text_message
from gnuradio.semcom.speech.synthesis import Synthesiser, users, voice_of
from gnuradio.semcom.speech.synthesis.voices import Espeak, Flite

NEEDS = {"flite": "flite", "espeak": "espeak-ng"}


def need(user):
    engine = users(user)[user]["engine"]
    if engine == "hibari" and not importlib.util.find_spec("hibari"):
        pytest.skip("hibari-tts is not installed")
    if engine in NEEDS and not shutil.which(NEEDS[engine]):
        pytest.skip(f"{NEEDS[engine]} is not installed")


@pytest.mark.parametrize("user", ["anna", "ema", "hibari"])
def test_a_voice_says_a_longer_text_for_longer_and_the_same_text_the_same_way(user):
    need(user)
    voice = voice_of(user)
    short, long = voice.speak("good morning"), voice.speak("good morning to all the ships at sea")
    assert short.dtype == np.float32 and 0.4 * 16000 < short.size < long.size < 6 * 16000
    assert 0.05 < np.abs(short).max() <= 1
    np.testing.assert_array_equal(voice.speak("good morning"), short)


@pytest.mark.parametrize("user", ["anna", "ema"])
def test_nothing_to_say_is_a_short_silence(user):
    need(user)
    for text in ("", "  ", "'"):
        assert voice_of(user).speak(text).size == 3200 and not voice_of(user).speak(text).any()


def test_the_stage_keeps_the_text(monkeypatch):
    need("anna")
    stage = Synthesiser("anna")
    stage.prepare()
    (speech,), meta = stage.run((text_message("hello").data,), {"id": 3, "kind": "text", "shape": [5]})
    assert meta == {"id": 3, "kind": "speech", "shape": [speech.size], "sample_rate": 16000, "text": "hello",
                    "user": "anna"}  # fmt: skip


def test_an_id_that_nobody_registered_is_refused_by_name():
    with pytest.raises(ValueError, match="user 'mallory' is not registered: expected one of hibari, anna"):
        Synthesiser("mallory")


def test_users_come_from_a_file_of_their_own(tmp_path, monkeypatch):
    path = tmp_path / "mine.yml"
    monkeypatch.setenv("SEMCOM_VOICES", str(path))
    with pytest.raises(ValueError, match="no such file of voices"):
        users()
    path.write_text("zoe: {engine: espeak, voice: en-gb, speed: 1.5}\n")
    assert users("zoe") == {"zoe": {"engine": "espeak", "voice": "en-gb", "speed": 1.5}}
    for number, (wrong, words) in enumerate((
        ("zoe: {engine: siri}", "engine of zoe must be one of hibari, flite, espeak"),
        ("zoe: {engine: flite, pitch: 3}", "zoe must be a mapping of engine, voice, speed"),
        ("zoe: {engine: flite, speed: 9}", "speed of zoe must be from 0.5 to 2"),
        ("- a list", "expected a mapping"),
        ("{", "cannot be read"),
    )):  # fmt: skip
        path = tmp_path / f"wrong{number}.yml"
        path.write_text(wrong)
        monkeypatch.setenv("SEMCOM_VOICES", str(path))
        with pytest.raises(ValueError, match=words) as caught:
            users()
        assert "\n" not in str(caught.value)


def test_a_missing_program_is_one_line_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="^espeak-ng is not installed: apt install espeak-ng$"):
        Espeak().speak("hello")
    with pytest.raises(ValueError, match="voice of flite must be one of slt, rms"):
        Flite("alice")


def test_speed_changes_the_length():
    need("anna")
    slow, fast = (Flite("slt", speed).speak("a few words to say") for speed in (0.8, 1.6))
    assert slow.size > 1.5 * fast.size

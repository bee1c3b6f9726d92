# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge of voices: what it hears, what it does without a reference, and its training."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from gnuradio.semcom.media.inputs import list_inputs
from gnuradio.semcom.media.messages import read_messages
from gnuradio.semcom.media.recordings import RECORDINGS, packaged_recordings
from gnuradio.semcom.media.speech import read_speech, write_wav
from gnuradio.semcom.message import Message
from gnuradio.semcom.speech import voice_probe
from gnuradio.semcom.speech.voice_probe import NAMES, probe, said, voice_metrics
from gnuradio.semcom.zoo import find

SPEECH = {name: read_speech(packaged_recordings(name)).data for name in RECORDINGS}


def message(speech, **meta):
    return Message("speech", np.asarray(speech, np.float32), meta)


def test_the_same_speech_is_the_same_voice_at_any_level():
    speech = SPEECH["weather"]
    for level in (1.0, 0.1):
        found = voice_metrics(message(speech), message(speech * level))
        assert found["speaker_cosine"] > 0.98 and found["emotion_cosine"] > 0.98 and found["emotion_accuracy"] is None


def test_noise_and_silence_are_no_voice():
    speech = SPEECH["weather"]
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000)
    assert voice_metrics(message(speech), message(noise))["speaker_cosine"] < 0.5
    silence = np.zeros(16_000, np.float32)
    worst = voice_metrics(message(speech, emotion="sad"), message(silence))
    assert worst == {"speaker_cosine": 0.0, "emotion_cosine": 0.0, "emotion_accuracy": 0.0}
    assert voice_metrics(message(silence), message(speech)) == dict.fromkeys(NAMES)
    assert voice_metrics(message(speech), message(np.full(9000, np.nan)))["speaker_cosine"] == 0


def test_an_emotion_is_right_only_where_it_is_heard_as_named():
    speech = SPEECH["kitchen"]
    heard = probe().listen(speech).named
    assert voice_metrics(message(speech, emotion=heard), message(speech))["emotion_accuracy"] == 1
    other = next(name for name in voice_probe.EMOTIONS if name != heard)
    assert voice_metrics(message(speech, emotion=other), message(speech))["emotion_accuracy"] == 0
    assert voice_metrics(message(speech, emotion="bored"), message(speech))["emotion_accuracy"] is None


def test_without_the_model_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(voice_probe, "probe", lambda: None)
    speech = message(SPEECH["weather"], emotion="sad")
    assert voice_metrics(speech, speech) == dict.fromkeys(NAMES)


@pytest.mark.parametrize("samples", [1, 100, 5000])
def test_speech_of_any_length_has_at_least_16_frames_of_mean_zero(samples):
    frames = said(SPEECH["weather"][8000 : 8000 + samples])
    assert frames.shape[0] == 80 and frames.shape[1] >= 16 and abs(float(frames.mean())) < 1e-4


def test_the_emotion_column_of_a_manifest_is_in_the_meta(tmp_path):
    write_wav(tmp_path / "a.wav", SPEECH["weather"][:4000])
    (tmp_path / "MANIFEST.tsv").write_text("file\temotion\na.wav\tsad\n")
    (item,) = list_inputs(tmp_path, kind="speech")
    (found,) = read_messages(item, "speech")
    assert found.meta["emotion"] == "sad"


def test_the_card_tells_the_licence_and_what_held_out_speakers_score():
    card = yaml.safe_load((find("voice_probe", "standard") / "card.yml").read_text())
    assert "non-commercial" in card["licence"] and card["emotions"] == list(voice_probe.EMOTIONS)
    assert card["measured"]["emotion_accuracy"] > 2 / 8 and card["measured"]["speaker_equal_error_rate"] < 0.2


def test_held_out_speakers_score_what_the_card_says():
    """The speakers of the set that no training saw; needs the data sets."""
    if not os.environ.get("SEMCOM_DATA"):
        pytest.skip("SEMCOM_DATA is not set")
    items = list_inputs(Path(os.environ["SEMCOM_DATA"]) / "ravdess", split="test", kind="speech")[::6]
    messages = [m for item in items for m in read_messages(item, "speech")]
    right = [voice_metrics(m, m)["emotion_accuracy"] for m in messages]
    assert len(right) >= 15 and np.mean(right) > 0.25  # twice what guessing would be right


def test_a_trained_probe_is_exported_and_runs(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from gnuradio.semcom.speech import voice_probe_train as training

    folder = tmp_path / "set"
    rows = ["file\tsplit\tspeaker\temotion"]
    for k, (name, speech) in enumerate(SPEECH.items()):
        for part in range(3):
            write_wav(folder / f"{name}{part}.wav", speech[9000 * part : 9000 * part + 16_000])
            split = "test" if k == 2 else "train"
            rows.append(f"{name}{part}.wav\t{split}\t{name}\t{('sad', 'happy', 'angry')[part]}")
    (folder / "MANIFEST.tsv").write_text("\n".join(rows) + "\n")
    found = training.train([folder], tmp_path / "run", time_budget_s=0.3)
    assert found["speakers"] == 1 and found["training_speakers"] == 2 and found["emotion_utterances"] == 3
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["steps"] >= 1
    training.export(tmp_path / "run", tmp_path / "models" / "voice_probe" / "own", {"name": "own"})
    monkeypatch.setenv("SEMCOM_MODELS", str(tmp_path / "models"))
    own = voice_probe.VoiceProbe("own")
    assert own.listen(SPEECH["weather"]).speaker.shape == (64,) and own.speaker_mean.shape == (64,)


def test_the_equal_error_rate_of_clusters_is_nothing_and_of_noise_a_half():
    pytest.importorskip("torch")
    from gnuradio.semcom.speech.voice_probe_train import equal_error_rate

    random = np.random.default_rng(0)
    speakers = np.repeat(np.arange(10), 12)
    centres = random.normal(0, 1, (10, 64))
    noise = random.normal(0, 1, (120, 64))
    assert equal_error_rate(centres[speakers] + 0.1 * noise, speakers, np.zeros(64)) == 0
    assert equal_error_rate(noise, speakers, np.zeros(64)) == pytest.approx(0.5, abs=0.05)

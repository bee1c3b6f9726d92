# SPDX-License-Identifier: GPL-3.0-or-later
"""Error rates against cases worked by hand and a public package; distances against their definitions."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from gnuradio.semcom.bench.speech import corpus_metrics, recordings, summarised
from gnuradio.semcom.media.recordings import packaged_recordings
from gnuradio.semcom.media.speech import read_speech
from gnuradio.semcom.message import Message, text_message
from gnuradio.semcom.metrics import audio
from gnuradio.semcom.metrics.deep_speech import fdsd, kdsd, kdsd_squared
from gnuradio.semcom.metrics.text import edit_distance, error_rate
from gnuradio.semcom.speech.measure import rates_beside, speech_metrics, speech_texts


@pytest.mark.parametrize(
    ("reference", "hypothesis", "distance"),
    [
        ("kitten", "sitting", 3),  # k->s, e->i, +g
        ("", "abc", 3),
        ("abc", "", 3),
        ("abc", "abc", 0),
        ("flaw", "lawn", 2),
        ("intention", "execution", 5),
    ],
)
def test_edit_distances_worked_by_hand(reference, hypothesis, distance):
    assert edit_distance(reference, hypothesis) == distance


def test_rates_may_exceed_one_through_insertions():
    assert error_rate("ab", "xxxxx") == 2.5
    assert error_rate(["one"], "one two three".split()) == 2.0
    assert error_rate("", "a") is None


def test_rates_agree_with_jiwer():
    jiwer = pytest.importorskip("jiwer")
    rng = np.random.default_rng(4)
    words = "the a cat dog sat on mat and ran away home".split()
    for _ in range(60):
        reference, hypothesis = (" ".join(rng.choice(words, rng.integers(1, 12))) for _ in range(2))
        assert error_rate(reference.split(), hypothesis.split()) == pytest.approx(jiwer.wer(reference, hypothesis))
        assert error_rate(reference, hypothesis) == pytest.approx(jiwer.cer(reference, hypothesis))


def record(reference, text, before=None, **more):
    texts = {"reference": reference, "text": text, "without_channel": before}
    return texts | {"seconds": 2.0, "symbols_total": 100} | more


def test_corpus_rates_are_of_summed_counts():
    records = [record("one two three four", "one two", "one two three"), record("five", "five six", "five")]
    found = corpus_metrics(records)
    assert (found["wer"]["value"], found["wer"]["errors"], found["wer"]["count"]) == (3 / 5, 3, 5)
    assert found["cer"]["value"] == (11 + 4) / (18 + 4)
    assert found["delta_wer"]["value"] == (3 - 1) / 5
    assert found["wer"]["low"] <= 3 / 5 <= found["wer"]["high"] and found["wer"]["interval"] == "bootstrap"
    assert found["symbols_per_second"]["value"] == 50
    flat = summarised(records)
    assert flat["wer"] == 3 / 5 and flat["wer_low"] == found["wer"]["low"]


def test_without_reference_texts_only_the_rest_is_given():
    records = [record(None, "anything")]
    assert set(corpus_metrics(records)) == {"symbols_per_second"}
    assert corpus_metrics([{"psnr_db": 3.0}]) == {}


def test_pieces_of_a_recording_count_as_one():
    whole = "one two three four"
    records = [record(whole, "one two", "one two", piece=[1, 2]), record(whole, "three five", "three", piece=[2, 2])]
    assert corpus_metrics(records)["wer"]["value"] == 1 / 4
    assert corpus_metrics(records)["delta_wer"]["value"] == 0
    assert recordings(records[:1]) == []


def sets(rng, count, other, size):
    mix = rng.normal(size=(size, size))
    return rng.normal(size=(count, size)) @ mix, rng.normal(size=(other, size)) @ mix * 1.3 + 0.4


def test_fdsd_is_the_frechet_distance_with_its_factor_of_two():
    rng = np.random.default_rng(0)
    for count, other in ((60, 80), (5, 7)):  # more vectors than dimensions, and fewer
        a, b = sets(rng, count, other, 12)
        s, t = np.cov(a.T), np.cov(b.T)
        cross = np.real(np.trace(sqrtm(s @ t + 1e-12 * np.eye(12))))
        expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(s) + np.trace(t) - 2 * cross
        assert fdsd(a, b) ** 2 == pytest.approx(expected, rel=1e-4)
    assert fdsd(a, a) == pytest.approx(0, abs=1e-6)
    assert fdsd([[0.0], [2.0]], [[3.0], [5.0]]) == pytest.approx(3.0)  # equal spread, means 3 apart


def test_kdsd_is_the_unbiased_discrepancy():
    rng = np.random.default_rng(1)
    a, b = sets(rng, 4, 3, 5)

    def k(x, y):
        return (x @ y / 5 + 1) ** 3

    expected = sum(k(a[i], a[j]) for i in range(4) for j in range(4) if i != j) / 12
    expected += sum(k(b[i], b[j]) for i in range(3) for j in range(3) if i != j) / 6
    expected -= 2 * sum(k(x, y) for x in a for y in b) / 12
    assert kdsd_squared(a, b) == pytest.approx(expected)
    assert kdsd(a, b) == pytest.approx(np.sqrt(max(expected, 0)))
    draws = [kdsd_squared(rng.normal(size=(8, 5)), rng.normal(size=(8, 5))) for _ in range(400)]
    assert min(draws) < 0 and abs(np.mean(draws)) < 3 * np.std(draws) / 20  # unbiased: no distance on average
    with pytest.raises(ValueError, match="at least 2"):
        fdsd(a[:1], b)


@pytest.fixture(scope="module")
def speech():
    return read_speech(packaged_recordings("weather")).data


def test_stoi_falls_with_noise_and_is_nothing_for_silence(speech):
    pytest.importorskip("pystoi")
    noise = np.random.default_rng(0).normal(0, 1, speech.size).astype(np.float32)
    values = [audio.stoi(speech, speech + level * noise) for level in (0, 0.02, 0.1, 1.0)]
    assert values[0] == pytest.approx(1, abs=1e-6) and sorted(values, reverse=True) == values and values[-1] < 0.5
    assert audio.stoi(speech, np.zeros(10, np.float32)) == 0
    assert audio.stoi(np.zeros(16000, np.float32), speech) is None and audio.stoi(speech[:100], speech) is None


def test_predicted_mos_prefers_speech_to_noisy_speech(speech):
    pytest.importorskip("torch")
    if not audio.judge_installed("distillmos", "predicted_mos"):
        pytest.skip("distillmos is not installed")
    noise = np.random.default_rng(0).normal(0, 0.05, 32000).astype(np.float32)
    clean, noisy = audio.predicted_mos(speech[:32000]), audio.predicted_mos(speech[:32000] + noise)
    assert 5 > clean > noisy + 0.5 > 1.5


def test_a_missing_judge_is_one_warning_that_names_the_extra(monkeypatch, caplog, speech):
    monkeypatch.setattr(audio, "find_spec", lambda name: None)
    audio.judge_installed.cache_clear()
    try:
        assert audio.stoi(speech, speech) is None and audio.stoi(speech, speech) is None
        (message,) = caplog.messages
        assert "gr-semcom[judges]" in message and "stoi" in message
    finally:
        audio.judge_installed.cache_clear()


def test_a_text_is_measured_against_what_was_said():
    sent = Message("speech", np.zeros(32000, np.float32), {"name": "x", "transcript": "Hello, big world!"})
    received = text_message("hello world")
    assert speech_metrics(sent, received) | {"similarity": None} == {"cer": 4 / 15, "wer": 1 / 3, "similarity": None}
    about = speech_texts(sent, received, "")
    assert about == {"seconds": 2.0, "text": "hello world", "reference": "hello big world"}
    about["without_channel"] = "hello big word"
    assert rates_beside(about, 600) == {"symbols_per_second": 300.0, "delta_wer": 0.0}
    unknown = Message("speech", sent.data, {"name": "x"})
    assert speech_metrics(unknown, received) == {"cer": None, "wer": None, "similarity": None}
    assert "delta_wer" not in rates_beside(speech_texts(unknown, received, ""), 600)

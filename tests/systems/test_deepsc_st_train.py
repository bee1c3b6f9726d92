# SPDX-License-Identifier: GPL-3.0-or-later
"""Training, its data and its texts for DeepSC-ST."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
soundfile = pytest.importorskip("soundfile")

from gnuradio.semcom.systems.deepsc_st import grammar, network, prompts, synthetic, tacotron2, tacotron2_train, train  # noqa: E402
from gnuradio.semcom.systems.deepsc_st.data import (  # noqa: E402
    Utterance,
    augment,
    batches,
    load,
    make_batch,
    needed_frames,
    read_manifest,
)
from gnuradio.semcom.systems.deepsc_st.symbols import SYMBOLS  # noqa: E402
from gnuradio.semcom.text.alphabet import encode_text, normalise  # noqa: E402

TONES = {"a": 400, "e": 900, "o": 1800, "u": 3500}


def tones(folder: Path, count: int, seed: int = 1) -> Path:
    """A language whose letters are tones of 120 ms: what a recogniser can learn in seconds."""
    random = np.random.default_rng(seed)
    (folder / "audio").mkdir(parents=True)
    rows = ["file\tsplit\tspeaker\ttranscript"]
    for number in range(count):
        text = "".join(random.choice(list(TONES), 4))
        at = np.arange(1920) / 16_000
        parts = [np.r_[0.4 * np.sin(2 * np.pi * TONES[c] * at), np.zeros(800)] for c in text]
        audio = np.concatenate(parts) + 0.003 * random.standard_normal(4 * 2720)
        soundfile.write(str(folder / f"audio/{number}.flac"), audio, 16_000)
        rows.append(f"audio/{number}.flac\ttrain\tvoice\t{text.upper()}!")
    (folder / "MANIFEST.tsv").write_text("\n".join(rows) + "\n")
    return folder


def test_training_learns_resumes_and_starts_from_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, output = tones(tmp_path / "tones", 60), tmp_path / "run"
    monkeypatch.setattr(train, "BATCH_S", 6.0)
    monkeypatch.setattr(train, "RECOGNISER_SHARE", {False: 0.0, True: 0.0})  # one loss from beginning to end
    tiny = network.Size(40, ((4, (5, 3), (2, 2)), (4, (5, 3), (2, 2))), 16, 1, True)
    monkeypatch.setitem(network.SIZES, "small", tiny)
    train.train([data], output, time_budget_s=0.3)
    first = json.loads((output / "log.jsonl").read_text().splitlines()[-1])
    for more_s in (2.5, 20.0):  # of wall time: a busy machine gets far fewer steps into it
        train.train([data], output, time_budget_s=first["elapsed_s"] + more_s, resume=True)
        second = json.loads((output / "log.jsonl").read_text().splitlines()[-1])
        if second["loss"] < first["loss"]:
            break
    assert second["step"] > first["step"] and second["elapsed_s"] >= first["elapsed_s"] + 2.5
    assert second["loss"] < first["loss"]
    assert set(second) >= {"tones_cer", "tones_cer_awgn_4_db", "final"}
    weights = torch.load(output / "weights.pt", weights_only=True)
    assert all(torch.isfinite(v).all() for v in weights.values() if v.is_floating_point())
    train.train([data], tmp_path / "again", time_budget_s=0.1, start=output / "weights.pt")
    started = torch.load(tmp_path / "again" / "weights.pt", weights_only=True)
    distance = max(float((started[k] - v).abs().max()) for k, v in weights.items() if "weight_hh" in k)
    assert distance < 0.05


def test_training_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"MANIFEST\.tsv"):
        train.train([tmp_path], tmp_path / "out", time_budget_s=1)
    (tmp_path / "MANIFEST.tsv").write_text("file\tsplit\n")
    with pytest.raises(ValueError, match="columns file and transcript"):
        train.train([tmp_path], tmp_path / "out", time_budget_s=1)
    data = tones(tmp_path / "tones", 2)
    soundfile.write(str(data / "audio/0.flac"), np.zeros(8000), 8000)
    with pytest.raises(ValueError, match="16000 Hz, not 8000"):
        train.train([data], tmp_path / "out", time_budget_s=1)


def test_test_splits_are_never_trained_on(tmp_path: Path) -> None:
    data = tones(tmp_path / "tones", 30)
    text = (data / "MANIFEST.tsv").read_text().splitlines()
    marked = [line.replace("\ttrain\t", "\ttest\t") if n % 3 == 1 else line for n, line in enumerate(text)]
    (data / "MANIFEST.tsv").write_text("\n".join(marked) + "\n")
    assert len(load(data, "train")) == 20 and len(load(data, "test")) == 10
    training, sets = train.load_sets([data, data])
    held = {u.audio.tobytes() for u in sets["tones"]}
    tested = {u.audio.tobytes() for u in load(data, "test")}
    seen = {u.audio.tobytes() for u in training}
    assert held and not held & seen and not tested & seen
    assert len(training) == 2 * (20 - len(held))


def test_batches_hold_each_utterance_once_and_their_features() -> None:
    random = np.random.default_rng(2)
    speech = [Utterance(np.full(int(random.integers(5000, 60_000)), n, np.int16), "abc") for n in range(50)]
    groups = list(batches(speech, 20.0, random))
    assert sorted(u.audio[0] for g in groups for u in g) == list(range(50))
    batch = make_batch(groups[0], 40)
    assert batch.frames.shape == (len(groups[0]), int(batch.lengths.max()), 40)
    assert batch.tokens.tolist() == [0, 1, 2] * len(groups[0])
    assert list(batch.lengths) == [1 + len(u.audio) // 160 for u in groups[0]]


def test_augmented_speech_keeps_room_for_its_text() -> None:
    random = np.random.default_rng(4)
    noise = (3000 * random.standard_normal(16_000)).astype(np.int16)
    for _ in range(30):
        out = augment(noise, random)
        assert 13_900 <= len(out) <= 30_000 and np.isfinite(out).all()
    assert needed_frames(encode_text("balloon")) == 9  # two pairs
    tight = Utterance(noise, "a" * 13)  # 25 of 26 frames: a faster copy would be too short
    for _ in range(10):
        assert make_batch([tight], 40, random).lengths[0] >= 97  # 25 frames of 40 ms


@pytest.mark.parametrize(("channel", "variance"), [("awgn", 0.0), ("rayleigh", 1.0), ("rician", 0.75)])
def test_fading_has_the_moments_of_theory(channel: str, variance: float) -> None:
    gains = train.fades(200_000, channel, np.random.default_rng(1))
    assert gains.mean() == pytest.approx(1, abs=0.01)
    assert gains.var() == pytest.approx(variance, abs=0.03)  # (1 + 2 K) / (1 + K)^2, K = 1


def test_a_fade_takes_128_symbols_in_the_order_sent() -> None:
    random = np.random.default_rng(5)
    variance = train.noise_variances(np.array([26, 13]), np.array([8.0, 0.0]), ["rayleigh"] * 2, random, False)
    assert variance.shape == (2, 26, SYMBOLS)
    flat = variance[0].reshape(-1)
    assert all(len(set(flat[n : n + 128])) == 1 for n in range(0, 520, 128)) and len(set(flat)) == 5
    assert (variance[1, 13:] == 1).all()
    awgn = train.noise_variances(np.array([4]), np.array([8.0]), ["awgn"], random, True)
    assert awgn == pytest.approx(10**-0.8)


def test_texts_are_in_the_alphabet_and_split_without_overlap() -> None:
    random = np.random.default_rng(0)
    for make in (grammar.domain, grammar.row, grammar.sentence):
        for text in [make(random) for _ in range(500)]:
            assert text and normalise(text) == text
    sets = {}
    for split in ("train", "test"):
        source = synthetic.texts("domain", split, np.random.default_rng(1), [])
        sets[split] = {next(source) for _ in range(300)}
    assert not sets["train"] & sets["test"]
    voices = [set(synthetic.FLITE[s]) | set(synthetic.VARIANTS[s].split()) for s in ("train", "test")]
    assert not voices[0] & voices[1]
    if "espeak" in synthetic.installed():  # which would speak a variant that it lacks with the plain voice
        assert set(" ".join(synthetic.VARIANTS.values()).split()) <= synthetic._variants()


def test_transcripts_of_test_splits_are_never_spoken(tmp_path: Path) -> None:
    rows = ["file\tsplit\ttranscript", "a\ttrain\tone two three four five six", "b\ttest\tnever never never never"]
    (tmp_path / "MANIFEST.tsv").write_text("\n".join(rows) + "\n")
    source = synthetic.texts("transcripts", "train", np.random.default_rng(1), [tmp_path])
    spoken = [next(source) for _ in range(50)]
    assert all("one two three four five six".find(text) >= 0 for text in spoken)


@pytest.mark.skipif("espeak" not in synthetic.installed(), reason="espeak-ng is not installed")
def test_synthetic_speech_is_a_folder_that_training_reads(tmp_path: Path) -> None:
    seen: list[int] = []
    synthetic.generate(tmp_path, "domain", 3, voices=["espeak"], progress=lambda done, total: seen.append(done))
    assert seen == [1, 2, 3] and len(read_manifest(tmp_path)) == 3
    found = load(tmp_path, "train")
    assert len(found) == 3 and all(not grammar.held_out(u.text) for u in found)
    assert all(np.abs(u.audio).max() > 3000 for u in found)


def test_recorded_words_say_the_text() -> None:
    assert prompts.files("monday march twenty first") == [
        "digits/day-1", "digits/mon-2", "digits/20", "digits/h-1",
    ]  # fmt: skip
    assert prompts.files("three p m") == ["digits/3", "digits/p-m"]
    assert prompts.files("open the door") is None
    if not prompts.FOLDER.is_dir():
        pytest.skip("the recorded words are not installed")
    audio = prompts.speak("alpha seven", np.random.default_rng(0))
    assert 8000 < audio.size < 40_000 and 0.05 < np.abs(audio).max() <= 1


def test_tacotron_2_learns_for_a_few_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WIDTH": 32, "DECODER": 48, "PRENET": 16, "ATTENTION": 16}.items():
        monkeypatch.setattr(tacotron2, name, value)
    monkeypatch.setattr(tacotron2_train, "BATCH", 2)
    data, output = tones(tmp_path / "tones", 6), tmp_path / "run"
    train.train([data], output, time_budget_s=0.1, preset="tacotron2")
    first = json.loads((output / "log.jsonl").read_text().splitlines()[-1])
    train.train([data], output, time_budget_s=first["elapsed_s"] + 2, preset="tacotron2", resume=True)
    second = json.loads((output / "log.jsonl").read_text().splitlines()[-1])
    assert second["step"] > first["step"] and second["loss"] < first["loss"]
    assert json.loads((output / "speakers.json").read_text()) == ["voice"]
    weights = torch.load(output / "weights.pt", weights_only=True)
    model = tacotron2.Tacotron2().eval()
    model.load_state_dict(weights)
    text = torch.from_numpy(tacotron2.symbols_of("aeo"))[None]
    with torch.no_grad():
        _, mel, gates, attention = model(text, torch.tensor([4]), torch.tensor([0]), most=12)
    assert mel.shape[2] == 80 and mel.shape[1] == gates.shape[1] <= 12
    assert torch.allclose(attention.sum(2), torch.ones(attention.shape[:2]), atol=1e-5)

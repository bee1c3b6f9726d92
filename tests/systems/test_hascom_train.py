# SPDX-License-Identifier: GPL-3.0-or-later
"""Training and export of HASCom on a few tones that stand for phonemes."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from gnuradio.semcom.speech import phonemes as sounds
from gnuradio.semcom.systems.hascom import data

torch = pytest.importorskip("torch")
soundfile = pytest.importorskip("soundfile")
TEXTS = ("the cat sat", "no man is here", "all is well, my friend", "we came too late")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Each phoneme is a chord of its own; two speakers."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    path = tmp_path_factory.mktemp("speech")
    random = np.random.default_rng(0)
    with (path / "MANIFEST.tsv").open("w") as manifest:
        manifest.write("file\tsplit\tspeaker\temotion\ttranscript\n")
        for number in range(12):
            text = TEXTS[number % len(TEXTS)]
            pieces = []
            for symbol in sounds.phonemes(text):
                size = int(random.integers(1200, 2400))
                at = np.arange(size) / 16_000
                tone = sum(np.sin(2 * np.pi * hz * at) for hz in (200 + 50 * symbol, 500 + 90 * symbol))
                pieces.append(0.1 * tone if symbol else np.zeros(size))
            name = f"{number}.wav"
            soundfile.write(str(path / name), np.concatenate(pieces), 16_000)
            manifest.write(f"{name}\ttrain\t{number % 2}\t{('happy', 'sad')[number % 2]}\t{text}\n")
    return path


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    from gnuradio.semcom.systems.hascom import train as training

    output = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "STYLE_STEPS", 2)
        patch.setattr(training, "JSCC_STEPS", 2)
        patch.setattr(training, "BATCH", 2)
        training.train([folder], output, time_budget_s=2.0)
        training.train([folder], output, time_budget_s=3.0, resume=True)
    return output


def test_utterances_are_aligned_once_and_read_again(run):
    utterances = data.load(run / "data.npz")
    assert len(utterances) == 12
    for utterance in utterances:
        assert utterance.frames.sum() == len(utterance.mel) and utterance.frames.min() >= 1
        assert len(utterance.frames) == len(utterance.phonemes) and utterance.mel.shape[1] == 80
    assert {u.speaker for u in utterances} == {0, 1} and {u.emotion for u in utterances} == {2, 3}


def test_training_goes_on_where_it_stopped_and_tells_its_losses(run):
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [row["stage"] for row in rows if row["stage"] in ("style", "I")] == ["style", "I"]
    last = [row for row in rows if row.get("final")]
    assert len(last) == 2 and last[1]["step"] > last[0]["step"] and last[1]["stage"] == "IIb"
    assert all(np.isfinite(last[1][name]) for name in ("prior", "coarse", "frames", "diffusion"))


def test_exported_weights_speak(run, tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    from gnuradio.semcom import zoo
    from gnuradio.semcom.systems.hascom import codec
    from gnuradio.semcom.systems.hascom.export import export

    export(run / "weights.pt", tmp_path / "hascom" / "tones", {"name": "tones", "speaking": {"temperature": 1.5}})
    size = sum(path.stat().st_size for path in (tmp_path / "hascom" / "tones").iterdir())
    assert size < 12e6
    monkeypatch.setenv("SEMCOM_MODELS", str(tmp_path))
    assert "tones" in zoo.available("hascom")
    coder = codec.Codec("tones")
    assert coder.temperature == 1.5
    for count in (1, 7, 90):
        spoken = coder.speak(np.full(count, 5), coder.style_encoder.neutral, 2)
        assert spoken.mel.shape == (spoken.frames.sum(), 80) and np.isfinite(spoken.mel).all()


def test_the_paper_preset_takes_a_step(run, tmp_path):
    from gnuradio.semcom.systems.hascom.paper import PaperHascom
    from gnuradio.semcom.systems.hascom.paper_train import aligned, losses

    torch.manual_seed(0)
    utterances = data.load(run / "data.npz")[:1]
    found = losses(PaperHascom(), utterances, torch.zeros(1, 512), torch.Generator().manual_seed(0))
    assert set(found) == {"prior", "frames", "diffusion"} and all(torch.isfinite(v) for v in found.values())
    means = torch.zeros(1, 80, 3)
    mel = torch.zeros(1, 80, 9)
    for state, (first, last) in enumerate(((0, 2), (2, 7), (7, 9))):
        means[0, state, state] = mel[0, state, first:last] = 1.0
    assert aligned(means, mel, torch.tensor([3]), torch.tensor([9])).tolist() == [[2, 5, 2]]


def test_folders_without_transcripts_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"MANIFEST\.tsv"):
        data.read_rows(tmp_path)
    (tmp_path / "MANIFEST.tsv").write_text("file\na.wav\n")
    with pytest.raises(ValueError, match="transcript"):
        data.read_rows(tmp_path)

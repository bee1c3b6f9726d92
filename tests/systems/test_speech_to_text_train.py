# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the speech-to-text system: losses by hand, both stages, going on, and that it learns words of tones."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gnuradio.semcom.media.speech import write_wav  # noqa: E402
from gnuradio.semcom.systems.speech_to_text import network  # noqa: E402
from gnuradio.semcom.systems.speech_to_text.channel import draw, noise_variances  # noqa: E402
from gnuradio.semcom.systems.speech_to_text.data import augment, batches, load, make_batch  # noqa: E402
from gnuradio.semcom.systems.speech_to_text.symbols import ERASED  # noqa: E402
from gnuradio.semcom.systems.speech_to_text.train import (  # noqa: E402
    Vectors,
    encoder_loss,
    guide_loss,
    kept_loss,
    optimiser_of,
    over_channel,
    packed,
    train,
    validate,
    words_loss,
)
from gnuradio.semcom.text.vocabulary import EOS, PAD, UNK, build  # noqa: E402

TINY = replace(
    network.SIZES["small"], channels=(4, 8), hidden=24, attention=24, location=(4, 15), decoder=32, embedding=16,
    channel=32, symbols=8,
)  # fmt: skip
TONES = {"low": 400, "middle": 1000, "high": 2500, "top": 5000}


def tones(text, random):
    parts = [np.sin(2 * np.pi * TONES[word] * np.arange(4000) / 16_000) for word in text.split()]
    speech = np.concatenate([np.concatenate([part, np.zeros(1200)]) for part in parts])
    return (0.3 * speech + 0.002 * random.standard_normal(speech.size)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sentences of one to three tones, a word each."""
    path = tmp_path_factory.mktemp("tones")
    random = np.random.default_rng(1)
    lines = ["file\ttranscript\n"]
    for number in range(40):
        text = " ".join(random.choice(list(TONES), int(random.integers(1, 4))))
        write_wav(path / f"{number}.wav", tones(text, random))
        lines.append(f"{number}.wav\t{text}\n")
    (path / "MANIFEST.tsv").write_text("".join(lines))
    return path


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setitem(network.SIZES, "small", TINY)


def test_losses_count_words_only():
    logits = torch.randn(1, 4, 6)
    targets = torch.tensor([[4, UNK, EOS, PAD]])
    logs = logits[0].log_softmax(-1)
    assert float(words_loss(logits, targets)) == pytest.approx(-float(logs[0, 4] + logs[1, UNK] + logs[2, EOS]) / 3)
    assert float(kept_loss(logits, targets)) == pytest.approx(-float(logs[0, 4]))
    assert float(kept_loss(logits, torch.tensor([[UNK, EOS, PAD, PAD]]))) == 0


def test_attention_at_its_place_costs_nothing():
    weights = torch.zeros(1, 2, 10)
    weights[0, 0, 2], weights[0, 1, 9] = 1, 1
    targets = torch.tensor([[5, EOS]])
    assert float(guide_loss(weights, torch.tensor([10]), targets, torch.tensor([[0.25, 1.0]]))) == pytest.approx(0)
    far = float(guide_loss(weights, torch.tensor([10]), targets, torch.tensor([[0.25 + 0.15, 1.0]])))
    assert far == pytest.approx(1 - np.exp(-0.5), abs=1e-5)


def test_removal_of_a_batch_keeps_the_words_before_the_end():
    ids = torch.tensor([[5, UNK, 6, EOS, 7], [EOS, EOS, EOS, EOS, EOS], [3, 4, 5, 6, 7]])
    vectors = torch.arange(15.0).reshape(3, 5, 1)
    sent, numbers, counts = packed(vectors, ids)
    assert counts == [2, 5] and sent[0, :2, 0].tolist() == [0, 2] and numbers.tolist()[0] == [5, 6, PAD, PAD, PAD]
    assert packed(vectors[1:2], ids[1:2])[2] == []


def test_noise_has_the_variance_that_is_asked_for():
    sent = np.ones((40, 8), bool)
    assert noise_variances(sent, 3.0, "awgn", np.random.default_rng(0), True) == pytest.approx(10**-0.3)
    faded = noise_variances(np.ones((8000, 16), bool), 0.0, "rayleigh", np.random.default_rng(0), False)
    faded = faded.reshape(-1, 128)
    assert (faded == faded[:, :1]).all()
    assert np.mean(1 / faded[:, 0]) == pytest.approx(1, abs=0.1)  # E|h|^2
    masks, variances = draw([2, 5], 8, np.random.default_rng(1), True)
    assert masks.shape == (2, 5, 8) and (variances[masks == 0] == ERASED).all() and (variances[masks == 1] < 1e6).all()


def test_a_message_over_a_channel_has_its_es_n0():
    class Receiver(network.SpeechToText):
        def receive(self, values, noise_var):
            self.seen = values
            return super().receive(values, noise_var)

    torch.manual_seed(0)
    model = Receiver(TINY, 8)
    vectors = torch.randn(4, 200, 32)
    with torch.no_grad():
        over_channel(model, vectors, [200] * 4, np.random.default_rng(0), 3.0, "awgn")
        clean = model.send(vectors, torch.ones(4, 200, 8))
    noise = (model.seen - clean).view(4, 200, 8, 2).square().sum(-1)
    assert float(noise.mean()) == pytest.approx(10**-0.3, rel=0.05)
    assert float(clean.view(4, 200, 8, 2).square().sum(-1).mean()) == pytest.approx(1, abs=1e-4)


def test_batches_hold_every_utterance_once_and_targets_end_with_eos(folder):
    utterances = load(folder, "train")
    assert len(utterances) == 40
    random = np.random.default_rng(0)
    groups = list(batches(utterances, 5.0, random))
    assert sorted(id(u) for g in groups for u in g) == sorted(map(id, utterances))
    words = build((u.text for u in utterances), 3)
    batch = make_batch(groups[0], words, random)
    for text, row, places in zip(batch.texts, batch.targets, batch.places, strict=True):
        count = len(text.split())
        assert row[:count].tolist() == words.encode(text).tolist() and row[count] == EOS
        assert (row[count + 1 :] == PAD).all() and (np.diff(places[:count]) > 0).all() and 0 < places[0] < 1
    assert batch.counts.sum() == batch.letters.size
    with pytest.raises(ValueError, match="MANIFEST"):
        load(folder.parent / "nowhere", "train")


def test_augmentation_keeps_the_form():
    powers = np.random.default_rng(0).normal(size=(50, 40)).astype(np.float32)
    random = np.random.default_rng(1)
    for _ in range(20):
        found = augment(powers, random)
        assert found.shape[1] == 40 and 40 <= len(found) <= 60 and np.isfinite(found).all()


@pytest.mark.parametrize("one_go", [False, True])
def test_both_stages_are_logged_and_a_run_goes_on(folder, tmp_path, small, one_go):
    train([folder], tmp_path, time_budget_s=1.5, one_go=one_go)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["stage"] for row in rows] == ([0] if one_go else [1, 2]) and rows[-1]["final"]
    assert 0 <= rows[-1][f"{folder.name}_wer_awgn_4_db"] < 20
    words = (tmp_path / "vocabulary.txt").read_text()
    train([folder], tmp_path, time_budget_s=2.0, one_go=one_go, resume=True)
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] > rows[-1]["step"] and (tmp_path / "vocabulary.txt").read_text() == words


def test_stage_two_leaves_the_encoder_as_it_is(folder, tmp_path, small):
    train([folder], tmp_path, time_budget_s=1.0, optimiser="adadelta")
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[0][f"{folder.name}_wer"] == rows[-1][f"{folder.name}_wer"] and rows[0]["optimiser"] == "adadelta"


def test_unknown_options_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="optimiser must be adam or adadelta"):
        train([folder], tmp_path, optimiser="sgd")
    with pytest.raises(ValueError, match="no rate to weigh"):
        train([folder], tmp_path, rate_lambda=1.0)


def test_it_learns_words_of_tones(folder, small):
    torch.manual_seed(0)
    utterances = load(folder, "train")
    words = build((u.text for u in utterances), 10)
    model = network.make("small", len(words.words))
    updates = optimiser_of("adam", list(model.parameters()), 1e-2)
    random = np.random.default_rng(0)
    batch = make_batch(utterances, words)
    for step in range(100):
        loss, vectors, targets = encoder_loss(model, batch, 0.0, 3.0 if step < 50 else 0.0)
        loss = loss + kept_loss(model.semantic_decoder(vectors), targets)
        updates.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        updates.step()
    kept = Vectors()
    model.eval()
    kept.add(model, batch)
    assert kept.words == sum(len(u.text.split()) for u in utterances)
    coder = [p for m in (model.channel_encoder, model.channel_decoder, model.semantic_decoder) for p in m.parameters()]
    updates = optimiser_of("adam", coder, 1e-2)
    for _ in range(60):
        sent, numbers, counts = kept.batch(random)
        loss = kept_loss(over_channel(model, sent, counts, random), numbers)
        updates.zero_grad()
        loss.backward()
        updates.step()
    rates = validate(model, {"tones": utterances}, words)
    assert rates["tones_wer"] < 0.15 and rates["tones_wer_awgn_4_db"] < 0.25

# SPDX-License-Identifier: GPL-3.0-or-later
"""The speech-to-text system and its rivals on links, with small untrained networks exported for the purpose."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from gnuradio.semcom import cli  # noqa: E402
from gnuradio.semcom.links import Link  # noqa: E402
from gnuradio.semcom.media.speech import write_wav  # noqa: E402
from gnuradio.semcom.message import Message, Received, message_text  # noqa: E402
from gnuradio.semcom.speech import recognisers  # noqa: E402
from gnuradio.semcom.speech.attention import MOST_WORDS, most_steps, semantic_encoder  # noqa: E402
from gnuradio.semcom.speech.ctc_score import log_likelihoods  # noqa: E402
from gnuradio.semcom.speech.filterbanks import filterbanks  # noqa: E402
from gnuradio.semcom.systems import registry  # noqa: E402
from gnuradio.semcom.systems.base import Request  # noqa: E402
from gnuradio.semcom.systems.speech_to_text import export as exporting  # noqa: E402
from gnuradio.semcom.systems.speech_to_text import network  # noqa: E402
from gnuradio.semcom.systems.speech_to_text.codec import codec  # noqa: E402
from gnuradio.semcom.systems.speech_to_text.symbols import layout, to_air  # noqa: E402
from gnuradio.semcom.text.vocabulary import EOS, UNK, Vocabulary  # noqa: E402

TINY = replace(
    network.SIZES["small"], channels=(3, 4), hidden=6, attention=5, location=(2, 7), decoder=8, embedding=4, channel=9,
    symbols=8,
)  # fmt: skip
WORDS = Vocabulary(("the", "turn", "on", "light", "off"), (50, 20, 15, 10, 5))
BEAM = {"width": 32, "letters": 0.5, "bonus": 0.25}
BIASES = {"talker": {EOS: -1e4, UNK: -1e4}, "quiet": {EOS: 1e4}, "unknown": {UNK: 1e4}}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of models: one that talks until the bound, one that hears nothing, one that knows no word."""
    folder = tmp_path_factory.mktemp("models")
    patch = pytest.MonkeyPatch()
    patch.setitem(network.SIZES, "small", TINY)
    for name, biases in BIASES.items():
        torch.manual_seed(3)
        model = network.make("small", len(WORDS.words))
        with torch.no_grad():
            for word, value in biases.items():
                model.removal.bias[word] = value
        weights = folder / "weights" / name
        weights.mkdir(parents=True)
        torch.save(model.state_dict(), weights / "weights.pt")
        WORDS.write(weights / "vocabulary.txt")
        exporting.export(weights / "weights.pt", folder / "speech_to_text" / name, {"name": name})
    (folder / "weights/searcher").mkdir()
    with torch.no_grad():
        model.removal.bias[:] = torch.tensor([-1e4, -1e4, -1.0, 0, 0, 0, 0, 0])
        model.removal.weight[:] = 6 * torch.randn(model.removal.weight.shape)
    means = np.random.default_rng(0).random((len(WORDS), TINY.decoder)).astype(np.float16)
    np.savez(folder / "weights/searcher/vectors.npz", means=means)
    torch.save(model.state_dict(), folder / "weights/searcher/weights.pt")
    WORDS.write(folder / "weights/searcher/vocabulary.txt")
    exporting.export(
        folder / "weights/searcher/weights.pt", folder / "speech_to_text/searcher", {"name": "searcher", "beam": BEAM}
    )
    patch.setenv("SEMCOM_MODELS", str(folder))
    codec.cache_clear()
    semantic_encoder.cache_clear()
    yield folder
    patch.undo()
    codec.cache_clear()
    semantic_encoder.cache_clear()


@pytest.fixture(scope="module")
def speech():
    random = np.random.default_rng(5)
    said = {"transcript": "turn on the light"}
    return Message("speech", (0.1 * random.standard_normal(8000)).astype(np.float32), said)


def test_exported_graphs_give_what_the_networks_give(models, speech):
    model = network.SpeechToText(TINY, len(WORDS)).eval()
    model.load_state_dict(torch.load(models / "weights/talker/weights.pt", weights_only=True))
    found = codec("talker")
    heard = found.semantic.hear(speech.data)
    with torch.no_grad():
        states, _, _ = model.states(torch.from_numpy(filterbanks(speech.data)[None]))
        ids, vectors = model.hear(states, torch.tensor([states.shape[1]]), len(heard.ids))
    assert ids[0].tolist() == heard.ids.tolist() and heard.stopped
    assert heard.vectors == pytest.approx(vectors[0].numpy(), abs=2e-3)
    assert heard.weights.sum(1) == pytest.approx(np.ones(len(heard.ids)), abs=1e-5)
    symbols, header = found.encode(speech.data, 0)
    assert symbols.size == 8 * len(heard.ids) and np.mean(np.abs(symbols) ** 2) == pytest.approx(1, abs=1e-5)
    clean = np.full(symbols.size, 1e-6, np.float32)
    with torch.no_grad():
        ones = torch.ones(1, len(heard.ids), 8)
        logits = model.receive(model.send(vectors, ones), 1e-6 * ones)
    words = 3 + logits[0, :, 3:].argmax(1).numpy()
    assert found.decode(symbols, clean, header["layout"]) == WORDS.decode(words.tolist())


def every_sentence(model, states, most):
    """All sentences of at most `most` words with their log-probability, vectors and own words, by brute force."""
    found = []

    def follow(ids, score, vectors, own, h, c, weights, word):
        keys = model.attention.keys(states)
        logits, h, c, weights = model.step(states, keys, torch.tensor([word]), h, c, weights)
        logs = torch.log_softmax(logits[0], -1)
        vectors, own = [*vectors, h[0].numpy()], [*own, int(logs.argmax())]
        found.append((score + float(logs[EOS]), ids, vectors, own))
        for word in range(3, len(WORDS)) if len(ids) < most else ():
            follow([*ids, word], score + float(logs[word]), vectors, own, h, c, weights, word)

    zeros = torch.zeros(1, TINY.decoder)
    with torch.no_grad():
        follow([], 0.0, [], [], zeros, zeros, torch.full((1, states.shape[1]), 1 / states.shape[1]), EOS)
    return found


def test_the_beam_finds_what_the_words_and_their_spelling_make_likely(models, speech):
    model = network.SpeechToText(TINY, len(WORDS)).eval()
    model.load_state_dict(torch.load(models / "weights/searcher/weights.pt", weights_only=True))
    encoder = semantic_encoder("searcher")
    with torch.no_grad():
        states, _, first = model.states(torch.from_numpy(filterbanks(speech.data)[None]))
        letters = torch.log_softmax(model.letters(first), -1)[0].numpy()
    sentences = every_sentence(model, states, 4)
    spelled = log_likelihoods(letters, [WORDS.decode(ids) for _, ids, _, _ in sentences])
    scores = [one[0] + 0.25 * len(one[1]) for one in sentences]
    best = int(np.argmax(np.array(scores) + 0.5 * spelled))
    heard = encoder.hear(speech.data)
    _, ids, vectors, own = sentences[best]
    assert heard.ids.tolist() == [*ids, EOS] and not heard.stopped
    assert 1 <= len(ids) <= 3 and [*ids, EOS] != own  # another sentence than the most likely words, not cut off
    assert heard.vectors == pytest.approx(np.array(vectors), abs=5e-3)


def test_words_that_the_receiver_would_not_read_are_sent_as_their_mean_vectors(models, speech):
    found = codec("searcher")
    heard = found.semantic.hear(speech.data)
    vectors, ids = heard.vectors[heard.kept], heard.ids[heard.kept]
    (values,) = found.model.run("channel_encoder", vectors[None])
    sure = found.read(values[0])
    assert sure.sum(1) == pytest.approx(np.ones(len(ids)), abs=1e-5) and (sure[:, :3] == 0).all()
    mixed = np.where((sure[np.arange(len(ids)), ids] < 0.9)[:, None], found.means[ids], vectors)
    assert not np.array_equal(mixed, vectors)
    (values,) = found.model.run("channel_encoder", mixed[None])
    wanted = to_air(values[0], layout(len(ids), found.symbols), found.interleaved)
    np.testing.assert_array_equal(found.send(vectors, ids, 0)[0], wanted)


def test_a_card_that_asks_too_much_of_the_search_is_refused(models, tmp_path, monkeypatch):
    import shutil

    for name, beam in (("wide", {"width": 99}), ("odd", {"width": 2, "letters": -1.0})):
        folder = tmp_path / "speech_to_text" / name
        shutil.copytree(models / "speech_to_text/searcher", folder)
        card = yaml.safe_load((folder / "card.yml").read_text())
        (folder / "card.yml").write_text(yaml.safe_dump({**card, "beam": beam}))
        monkeypatch.setenv("SEMCOM_MODELS", str(tmp_path))
        with pytest.raises(ValueError, match="asks for a beam"):
            semantic_encoder(name)
    with pytest.raises(ValueError, match="vectors that stage 2 writes"):
        exporting.export(models / "weights/talker/weights.pt", tmp_path / "out", {"beam": BEAM})


def test_attention_that_never_ends_is_bounded(models, speech):
    heard = semantic_encoder("talker").hear(speech.data)
    assert heard.stopped and len(heard.ids) == most_steps(heard.weights.shape[1]) <= MOST_WORDS
    assert most_steps(1) == 6 and most_steps(10_000) == 255


@pytest.mark.parametrize("model", ["quiet", "unknown"])
@pytest.mark.parametrize("flowgraph", [False, True])
def test_nothing_worth_sending_is_an_empty_message_that_arrives(models, speech, model, flowgraph):
    link = Link("speech_to_text", model, esn0_db=0.0, judges=False)
    ((received, record),) = (link.run_flowgraph if flowgraph else link.run)([speech])
    assert message_text(received) == "" and record["delivered"] and record["symbols_total"] == 0
    assert record["removal"]["sent"] == 0 and record["metrics"]["wer"] == 1


def test_digital_silence_says_nothing(models):
    link = Link("speech_to_text", "talker", judges=False)
    ((received, record),) = link.run([Message("speech", np.zeros(4000, np.float32))])
    assert message_text(received) == "" and record["delivered"] and record["symbols_total"] == 0


def test_the_flowgraph_gives_what_the_call_chain_gives(models, speech):
    link = Link("speech_to_text", "talker", channel="rayleigh", esn0_db=5.0, judges=False)
    short = Message("speech", speech.data[:1], {})
    plain, graph = list(link.run([speech, short])), list(link.run_flowgraph([speech, short]))
    for (one, left), (two, right) in zip(plain, graph, strict=True):
        assert message_text(one) == message_text(two)
        assert left | {"elapsed_s": 0} == right | {"elapsed_s": 0}


@pytest.mark.parametrize("quality", [1, 2])
def test_shorter_layouts_send_half_and_are_read_by_what_the_header_says(models, speech, quality):
    found = codec("talker")
    whole, _ = found.encode(speech.data, 0)
    symbols, header = found.encode(speech.data, quality)
    assert symbols.size == whole.size // 2
    words = header["layout"]["words"]
    counts = found.counts(symbols.size, header["layout"])
    assert counts.size == words and counts.sum() == symbols.size
    if quality == 2:
        information = found.semantic.vocabulary.information[found.semantic.hear(speech.data).ids]
        assert information[counts > 4].min() >= information[counts < 4].max()
    noise = np.full(symbols.size, 0.1, np.float32)
    assert len(found.decode(symbols, noise, header["layout"]).split()) == words


@pytest.mark.parametrize(
    "header", [{}, {"quality": 7}, {"quality": 2, "long": "111111"}, {"quality": 2, "long": 5}, {"words": "x"}]
)
@pytest.mark.parametrize("count", [0, 3, 41, 80_000])
def test_a_receiver_takes_whatever_arrives(models, header, count):
    random = np.random.default_rng(count)
    symbols = (random.standard_normal(count) + 1j * random.standard_normal(count)).astype(np.complex64)
    symbols[::7] = np.nan
    noise = random.random(count).astype(np.float32)
    noise[::5] = np.inf
    system = registry.get("speech_to_text")
    message, concealed = system.decode(Received(symbols=symbols, noise_var=noise), {"layout": header}, "talker")
    assert len(message_text(message).split()) <= MOST_WORDS and concealed == 0


def test_bad_requests_are_refused_by_name(models, speech):
    system = registry.get("speech_to_text")
    with pytest.raises(ValueError, match="quality of speech_to_text must be 0"):
        system.check(Request(quality=3))
    with pytest.raises(ValueError, match="sends symbols, no bits"):
        system.check(Request(max_bits=100))
    with pytest.raises(ValueError, match="unknown model"):
        system.check(Request(model="none"))
    assert system.encode(speech, Request(model="talker", max_symbols=7)) is None


def test_a_vocabulary_of_another_model_is_refused(models, tmp_path, monkeypatch):
    import hashlib
    import shutil

    folder = tmp_path / "speech_to_text" / "mixed"
    shutil.copytree(models / "speech_to_text/talker", folder)
    Vocabulary(("a", "b", "c", "d", "e", "f"), (6, 5, 4, 3, 2, 1)).write(folder / "vocabulary.txt")
    card = yaml.safe_load((folder / "card.yml").read_text())
    card["files"]["vocabulary.txt"] = hashlib.sha256((folder / "vocabulary.txt").read_bytes()).hexdigest()
    (folder / "card.yml").write_text(yaml.safe_dump(card))
    monkeypatch.setenv("SEMCOM_MODELS", str(tmp_path))
    with pytest.raises(ValueError, match="has 6 words and the network 5"):
        semantic_encoder("mixed")


def test_an_unfinished_model_is_refused_by_name(models, tmp_path, monkeypatch):
    import shutil

    folder = tmp_path / "speech_to_text" / "begun"
    shutil.copytree(models / "speech_to_text/talker", folder)
    with (folder / "card.yml").open("a") as file:
        file.write("unfinished: resume its training\n")
    monkeypatch.setenv("SEMCOM_MODELS", str(tmp_path))
    with pytest.raises(ValueError, match="'begun' is not trained yet: resume its training"):
        registry.get("speech_to_text").prepare(Request(model="begun"))


def test_the_upper_bound_is_the_encoders_text_and_costs_nothing(models, speech):
    link = Link("upper_bound", "talker", esn0_db=-30.0, judges=False)
    ((received, record),) = link.run([speech])
    encoder = semantic_encoder("talker")
    assert message_text(received) == encoder.text(encoder.hear(speech.data)) != ""
    assert record["delivered"] and record["symbols_total"] == 0


def test_the_encoder_is_a_recogniser_that_the_text_transceiver_can_have(models, speech):
    assert "attention-talker" in recognisers.names()
    link = Link("text_transceiver", "attention-talker", esn0_db=30.0, mcs="qpsk-1/3", code="ldpc", judges=False)
    ((received, record),) = link.run([speech])
    encoder = semantic_encoder("talker")
    assert message_text(received) == encoder.text(encoder.hear(speech.data)) and record["delivered"]
    ((_, record),) = Link("speech_to_text", "talker", esn0_db=30.0).run([speech])
    assert record["without_channel"] == encoder.text(encoder.hear(speech.data))


def test_rivals_without_their_models_say_which(models):
    with pytest.raises(ValueError, match=r"(deepsc_st model|models of deepsc_st|unknown model)"):
        registry.get("deepsc_sr").check(Request(model="none"))
    with pytest.raises(ValueError, match=r"(text model|unknown model)"):
        registry.get("se_deepsc").check(Request(model="none"))


def test_the_command_draws_attention_and_tells_what_was_removed(models, speech, tmp_path, capfd):
    pytest.importorskip("matplotlib")
    write_wav(tmp_path / "one.wav", speech.data)
    run = ["run", "speech_to_text", "--model", "talker", "--input", str(tmp_path / "one.wav"), "--direct"]
    assert cli.main([*run, "--output", str(tmp_path / "out"), "--figure", "attention", "--json"]) == 0
    summary = json.loads(capfd.readouterr().out)["summary"]
    assert summary["removed_share"] == 0 and 0 < summary["symbols_total"] == 8 * most_steps(12 // 2)
    assert (tmp_path / "out/attention.png").read_bytes()[:4] == b"\x89PNG"
    assert cli.main([*run, "--output", str(tmp_path / "out"), "--figure", "other"]) == 2
    assert "expected one of attention" in capfd.readouterr().err


def test_weights_go_back_from_the_exported_files(models):
    state = torch.load(models / "weights/talker/weights.pt", weights_only=True)
    patch = pytest.MonkeyPatch()
    patch.setitem(network.SIZES, "small", TINY)
    found = exporting.restore(models / "speech_to_text/talker")
    patch.undo()
    assert set(state) == set(found)
    assert all(torch.allclose(found[name], state[name], atol=1e-2, rtol=1e-3) for name in found)

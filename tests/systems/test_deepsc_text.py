# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepSC for text: the network learns, exports as it is, and its symbols go through a link; SR+DeepSC stands on it."""

import json

import numpy as np
import pytest

from gnuradio.semcom import zoo
from gnuradio.semcom.links import Link
from gnuradio.semcom.message import message_text, text_message
from gnuradio.semcom.systems.stages import forget_payloads
from gnuradio.semcom.text.alphabet import ALPHABET
from gnuradio.semcom.text.deepsc import PIECE, TextCodec, pieces, to_values

SHIPPED = zoo.available("deepsc_text")
needs_model = pytest.mark.skipif(not SHIPPED, reason="no deepsc_text model is installed")


def test_a_text_is_cut_into_pieces_of_nearly_one_length():
    for length in (1, 96, 97, 500):
        found = pieces(length)
        sizes = [piece.stop - piece.start for piece in found]
        assert sum(sizes) == length and max(sizes) <= PIECE and max(sizes) - min(sizes) <= 1
    assert pieces(0) == []


def test_the_decoder_reads_values_weighted_by_their_trust():
    symbols = np.full(8, 1 + 2j, np.complex64)
    noise = np.array([0, 1, 3, 0, 0, 0, 0, 1e9], np.float32)
    values = to_values(symbols, noise)[0]
    np.testing.assert_allclose(values[16:], [1, 0.5, 0.25, 1, 1, 1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(values[:6], [1, 2, 0.5, 1, 0.25, 0.5])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A few steps on a few texts, and a folder as it would be shipped."""
    torch = pytest.importorskip("torch")
    from gnuradio.semcom.systems.deepsc_text.export import export
    from gnuradio.semcom.systems.deepsc_text.network import DeepScText
    from gnuradio.semcom.systems.deepsc_text.train import train

    folder = tmp_path_factory.mktemp("deepsc_text")
    (folder / "texts").mkdir()
    words = "the quick brown fox jumps over the lazy dog and runs away from here to there".split()
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(words, 12)) for _ in range(60)]
    (folder / "texts" / "a.txt").write_text("\n".join(lines))
    threads = torch.get_num_threads()
    train([folder / "texts"], folder / "run", time_budget_s=1.5, threads=1)
    torch.set_num_threads(threads)
    export(folder / "run" / "weights.pt", folder / "models" / "deepsc_text" / "small", {"name": "test"})
    model = DeepScText()
    model.load_state_dict(torch.load(folder / "run" / "weights.pt", weights_only=True))
    return folder, model.eval()


def test_a_few_steps_lower_the_loss():
    torch = pytest.importorskip("torch")
    from gnuradio.semcom.systems.deepsc_text.network import DeepScText
    from gnuradio.semcom.systems.deepsc_text.train import Batches

    torch.manual_seed(0)
    model, batches = DeepScText(), Batches(["the lazy dog", "a quick fox"] * 20, 0)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(30):
        tokens = batches.tokens(16, 16)
        noise_var = torch.full((16, 16, 8), 0.1)
        loss = model.loss(tokens, noise_var, torch.randn(16, 16, 16))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 3 and np.mean(losses[-3:]) < 0.6 * losses[0]


def test_batches_are_seeded_and_their_channels_have_unit_mean_gain():
    torch = pytest.importorskip("torch")
    from gnuradio.semcom.systems.deepsc_text.train import Batches, fading_gains

    texts = ["the lazy dog", "a quick fox"] * 20
    left, right = (Batches(texts, 3) for _ in range(2))
    assert torch.equal(left.tokens(8, 16), right.tokens(8, 16))
    assert torch.equal(left.noise_var(8, 16), right.noise_var(8, 16))
    gains = fading_gains(np.random.default_rng(0), 4000, 256)
    assert gains.shape == (4000, 256) and gains.mean() == pytest.approx(1, abs=0.03)
    assert gains[1::2].var() == pytest.approx(1, abs=0.1)  # Rayleigh: an exponential power
    assert gains[::2].var() == pytest.approx(0.75, abs=0.1)  # Rician, K = 1: (1 + 2 K) / (1 + K)^2


def test_training_logs_and_resumes(trained, capsys):
    pytest.importorskip("torch")
    from gnuradio.semcom.systems.deepsc_text.train import train

    folder, _ = trained
    rows = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["final"] and len(rows[-1]["validation"]) == 12
    train([folder / "texts"], folder / "run", time_budget_s=2.0, resume=True)
    assert json.loads((folder / "run" / "log.jsonl").read_text().splitlines()[-1])["step"] >= rows[-1]["step"]
    (folder / "few").mkdir(exist_ok=True)
    (folder / "few" / "a.txt").write_text("too little")
    with pytest.raises(ValueError, match="at least 2000 characters"):
        train([folder / "few"], folder / "no", time_budget_s=1)


def test_exported_graphs_compute_what_the_network_does_at_every_length(trained, monkeypatch):
    import torch

    from gnuradio.semcom.systems.deepsc_text.export import restore

    folder, model = trained
    monkeypatch.setenv("SEMCOM_MODELS", str(folder / "models"))
    codec = TextCodec("small", "cpu")
    rng = np.random.default_rng(1)
    for length in (1, 7, 96):
        tokens = rng.integers(0, len(ALPHABET), (1, length))
        values = rng.normal(size=(1, length, 24)).astype(np.float32)
        with torch.no_grad():
            np.testing.assert_allclose(
                codec.model.run("encoder", tokens)[0], model.encoder(torch.from_numpy(tokens)), atol=2e-5
            )
            np.testing.assert_allclose(
                codec.model.run("decoder", values)[0], model.decoder(torch.from_numpy(values)), atol=2e-4
            )
    restored = restore(folder / "models" / "deepsc_text" / "small")
    assert all(torch.equal(value, restored[name]) for name, value in model.state_dict().items())


def test_symbols_have_unit_energy_and_any_text_comes_to_an_end(trained, monkeypatch):
    folder, _ = trained
    monkeypatch.setenv("SEMCOM_MODELS", str(folder / "models"))
    codec = TextCodec("small", "cpu")
    for text in ("a", "the lazy dog", "the quick fox " * 30):
        symbols = codec.encode(text)
        assert symbols.shape == (8 * len(text),) and np.mean(np.abs(symbols) ** 2) == pytest.approx(1, abs=1e-5)
        heard = codec.decode(symbols, np.full(symbols.size, 0.01, np.float32))
        assert len(heard) == len(text) and set(heard) <= set(ALPHABET)
    assert codec.encode("").size == 0 and codec.decode(codec.encode(""), np.zeros(0, np.float32)) == ""
    assert len(codec.decode(symbols[:21], np.ones(21, np.float32))) == 2


@needs_model
@pytest.mark.parametrize("channel", ["awgn", "rayleigh"])
def test_the_shipped_model_carries_unseen_texts_and_fails_gently(channel):
    texts = [
        "the weather report says light rain this evening and a clear sky tomorrow",
        "please turn on the light in the kitchen and open the window",
        "this is the coast guard station the port is open good morning to all ships",
    ] * 4
    rates = []
    for esn0_db in (-9.0, 0.0, 15.0):
        link = Link("deepsc_text", esn0_db=esn0_db, channel=channel, seed=1)
        records = [record for _, record in link.run(text_message(text, {"name": text}) for text in texts)]
        rates.append(np.mean([record["metrics"]["cer"] for record in records]))
    assert rates[0] > rates[1] > rates[2] and rates[2] < (0.005 if channel == "awgn" else 0.1)


@needs_model
def test_the_flowgraph_equals_the_plain_call_chain():
    forget_payloads()
    messages = [text_message(text, {"name": text}) for text in ("Hello, world!", "", "a text of 42 words")]
    link = Link("deepsc_text", esn0_db=3.0, channel="rician", seed=5)
    direct, graph = list(link.run(messages)), list(link.run_flowgraph(messages, 4096, timeout_s=60))
    for (left, first), (right, second) in zip(direct, graph, strict=True):
        assert message_text(left) == message_text(right) and {**first, "elapsed_s": 0} == {**second, "elapsed_s": 0}
    assert direct[0][1]["symbols_total"] == 8 * len("hello world")
    assert (direct[1][1]["symbols_total"], direct[1][1]["delivered"]) == (0, True)  # an empty text is a legal message

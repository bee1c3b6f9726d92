# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepSC-S and the systems around it: any speech to any number of symbols and back, and from speech to a model."""

import json
import shutil

import numpy as np
import pytest
import yaml

from gnuradio.semcom.links import Link
from gnuradio.semcom.media.recordings import RECORDINGS, packaged_recordings
from gnuradio.semcom.media.speech import read_speech, write_wav
from gnuradio.semcom.message import Message, Received
from gnuradio.semcom.speech.deepsc_s import (
    PLANES,
    REFERENCE,
    SAMPLES,
    codec,
    frames_of,
    order,
    scale_of,
    symbol_count,
    to_planes,
    to_symbols,
)
from gnuradio.semcom.systems import registry
from gnuradio.semcom.systems.base import Request
from gnuradio.semcom.zoo import find

SPEECH = read_speech(packaged_recordings("weather")).data[:32_000]
SPOKEN = Message("speech", SPEECH, {"name": "weather"})
FAMILY = ["deepsc_s", "enhance_deepsc_s", "deepsc_s_enhance"]
SYSTEM = registry.get("deepsc_s")


def log_error_db(quality, esn0_db, seed=0, level=1.0):
    """Root mean squared error of the log-mel values of the speech over AWGN, in dB."""
    found = codec("standard")
    symbols = found.encode(SPEECH * level, quality, esn0_db)
    random = np.random.default_rng(seed)
    noise_var = 10 ** (-esn0_db / 10)
    noise = random.normal(0, np.sqrt(noise_var / 2), (symbols.size, 2)).astype(np.float32).view(np.complex64)[:, 0]
    frames = found.decode(symbols + noise, np.full(symbols.size, noise_var, np.float32), quality)
    return float(np.sqrt(np.mean(np.square(frames.T - frames_of(SPEECH * level))))) * 8.686


def test_quality_grows_with_symbols_and_with_the_snr_and_never_falls_off_a_cliff():
    errors = np.array([[log_error_db(q, e) for e in (-6.0, 0.0, 6.0, 12.0, 18.0)] for q in range(3)])
    assert (np.diff(errors, axis=0) < 0).all() and (np.diff(errors, axis=1) < 0).all()
    assert (np.diff(errors, axis=1) > -4).all() and errors[2, 4] < 3.5 and errors[0, 0] < 16


@pytest.mark.parametrize("level", [0.03, 0.3, 1.0])
def test_the_level_of_speech_survives_although_each_message_has_unit_energy(level):
    found = codec("standard")
    symbols = found.encode(SPEECH * level, 2, 15.0)
    frames = found.decode(symbols, np.full(symbols.size, 0.01, np.float32), 2)
    wanted = frames_of(SPEECH * level).T
    loud = wanted.max(1) > np.quantile(wanted.max(1), 0.6)
    assert np.mean(frames[loud] - wanted[loud]) * 8.686 == pytest.approx(0, abs=1.5)


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("quality", [0, 1, 2])
@pytest.mark.parametrize("samples", [1, 2048, 2049, 20_000])
def test_speech_of_any_length_has_the_symbols_it_should_at_unit_energy(name, quality, samples):
    system = registry.get(name)
    payload = system.encode(Message("speech", SPEECH[-samples:]), Request(quality=quality, esn0_db=5.0))
    groups = -(-samples // SAMPLES)
    assert payload.symbols.dtype == np.complex64
    assert payload.symbols.size == symbol_count(samples, quality) == 8 + groups * (16, 64, 128)[quality]
    assert np.mean(np.abs(payload.symbols.astype(complex)) ** 2) == pytest.approx(1, abs=1e-4)
    if quality == 0 and samples <= 2049:
        received = Received(symbols=payload.symbols, noise_var=np.full(payload.symbols.size, 0.1, np.float32))
        message, concealed = system.decode(received, dict(payload.header))
        assert concealed == 0 and message.data.size == groups * SAMPLES and np.isfinite(message.data).all()


@pytest.mark.parametrize("speech", [np.zeros(4000, np.float32), np.full(4000, np.nan, np.float32), np.ones(4000)])
def test_silence_and_what_is_no_speech_go_through(speech):
    message = Message("speech", np.asarray(speech, np.float32))
    ((received, record),) = Link("deepsc_s", esn0_db=10, judges=False).run([message])
    assert record["delivered"] and np.isfinite(received.data).all()
    if not np.nan_to_num(speech).any():
        assert np.abs(received.data).max() < 0.05


def test_an_airtime_takes_the_largest_rate_that_fits():
    sizes = [symbol_count(SPEECH.size, q) for q in range(3)]
    for airtime, size in ((sizes[0], sizes[0]), (sizes[1], sizes[1]), (sizes[2] - 1, sizes[1]), (10**6, sizes[2])):
        ((_, record),) = Link("deepsc_s", airtime=airtime, judges=False).run([SPOKEN])
        assert record["symbols_total"] == record["symbols_payload"] == size and record["bits"] == 0
    ((received, record),) = Link("deepsc_s", airtime=sizes[0] - 1, judges=False).run([SPOKEN])
    assert record["reason"] == "does_not_fit" and not received.data.any()


@pytest.mark.parametrize("name", FAMILY)
def test_the_flowgraph_equals_the_plain_call_chain(name):
    messages = [Message("speech", SPEECH[: 3000 + 2500 * k], {"name": str(k)}) for k in range(3)]
    link = Link(name, channel="rayleigh", esn0_db=6.0, quality=0, seed=4, judges=False)
    direct, graph = list(link.run(messages)), list(link.run_flowgraph(messages, 4096, timeout_s=60))
    assert len(direct) == len(graph) == 3
    for (left, first), (right, second) in zip(direct, graph, strict=True):
        np.testing.assert_array_equal(left.data, right.data)
        assert {**first, "elapsed_s": 0} == {**second, "elapsed_s": 0} and first["text"] is None


@pytest.mark.parametrize("size", [0, 1, REFERENCE, 100])
def test_a_burst_of_another_length_is_concealed_not_raised(size):
    received = Received(symbols=np.ones(size, np.complex64), noise_var=np.ones(size, np.float32))
    message, concealed = SYSTEM.decode(received, {"deepsc_s_rate": 1})
    assert concealed == 1 and not message.data.any() and message.data.size == SAMPLES


def test_symbols_that_are_no_numbers_cost_little():
    found = codec("standard")
    symbols = found.encode(SPEECH, 2, 15.0).copy()
    noise_var = np.full(symbols.size, 0.03, np.float32)
    clean = found.decode(symbols, noise_var, 2)
    symbols[300:330], noise_var[3:6] = np.nan, np.inf
    hurt = found.decode(symbols, noise_var, 2)
    assert np.isfinite(hurt).all() and np.sqrt(np.mean(np.square(hurt - clean))) * 8.686 < 3


def test_planes_become_symbols_and_come_back_at_their_scale():
    random = np.random.default_rng(5)
    for quality, planes_sent in enumerate(PLANES):
        planes = random.normal(0, 1.7, (256, 9)).astype(np.float32)
        symbols = to_symbols(planes, quality)
        noise_var = np.full(symbols.size, 1e-6, np.float32)
        back, trust = to_planes(symbols, noise_var, quality)
        np.testing.assert_allclose(back[:planes_sent], planes[:planes_sent], rtol=1e-3, atol=1e-4)
        assert not back[planes_sent:].any() and not trust[planes_sent:].any() and trust[:planes_sent].min() > 0.99


def test_the_scale_is_the_mean_of_the_reference_under_its_prior():
    reference = np.full(8, 0.6, np.complex64)
    assert scale_of(reference, np.full(8, 1e-9, np.float32)) == pytest.approx(0.6, abs=1e-3)
    assert scale_of(reference, np.full(8, 1e9, np.float32)) == pytest.approx(1, abs=1e-3)
    halfway = 16 * 0.3**2  # noise variance at which eight symbols weigh as much as the prior
    assert scale_of(reference, np.full(8, halfway, np.float32)) == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize("count", [1, 16, 400, 1024, 12_345])
def test_the_order_of_symbols_is_a_permutation(count):
    assert np.array_equal(np.sort(order(count)), np.arange(count))


def test_wrong_requests_are_refused_in_one_line():
    for request, words in (
        (Request(quality=3), "0 .125 symbols a second., 1 .500. or 2"),
        (Request(model="other"), "standard"),
        (Request(max_bits=100), "limit it in symbols"),
    ):
        with pytest.raises(ValueError, match=words):
            SYSTEM.check(request)


@pytest.mark.parametrize("frames", [8, 48, 120])
def test_shipped_graphs_agree_with_torch(frames):
    torch = pytest.importorskip("torch")
    from gnuradio.semcom.systems.deepsc_s.export import restore
    from gnuradio.semcom.systems.deepsc_s.network import DeepScS, parameter_count
    from gnuradio.semcom.zoo import load

    shipped = load("deepsc_s", "standard", "cpu")
    network = DeepScS().eval()
    network.load_state_dict(restore(shipped.folder))
    random = np.random.default_rng(7)
    mel = random.normal(-5, 2, (3, 80, frames)).astype(np.float32)
    esn0_db, quality = np.array([-3.0, 5.0, 18.0], np.float32), np.arange(3, dtype=np.float32)
    with torch.no_grad():
        planes = network.encoder(*map(torch.from_numpy, (mel, esn0_db, quality))).numpy()
    (found,) = shipped.run("encoder", mel, esn0_db, quality)
    np.testing.assert_allclose(found, planes, atol=3e-4)
    assert not found[0, 32:].any() and not found[1, 128:].any() and found[2, 128:].any()
    trust = random.random(planes.shape, np.float32) * (planes != 0)
    with torch.no_grad():
        wanted = network.decoder(*map(torch.from_numpy, (planes, trust, quality))).numpy()
    (found,) = shipped.run("decoder", planes, trust, quality)
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    card = yaml.safe_load((find("deepsc_s", "standard") / "card.yml").read_text())
    assert card["parameters"] == parameter_count() and "non-commercial" in card["licence"]


def test_training_begins_at_the_best_linear_code():
    """Eckart and Young: k principal components leave the variance of the others as squared error."""
    torch = pytest.importorskip("torch")
    from gnuradio.semcom.systems.deepsc_s.network import DeepScS

    whole = np.concatenate([frames_of(read_speech(packaged_recordings(name)).data) for name in RECORDINGS], 1)
    blocks = np.lib.stride_tricks.sliding_window_view(whole, 8, 1)[:, ::2].transpose(1, 0, 2)
    network = DeepScS().eval()
    network.start_linear(blocks)
    mean, spread = network.encoder.mean.numpy(), network.encoder.spread.numpy()
    flat = ((blocks - mean) / spread).reshape(len(blocks), -1)
    values = np.linalg.eigvalsh(flat.T @ flat)[::-1]
    x = torch.from_numpy(blocks.copy())
    with torch.no_grad():
        for quality, count in enumerate(PLANES):
            told = torch.full((len(x),), float(quality))
            planes = network.encoder(x, torch.full((len(x),), 20.0), told)
            out = network.decoder(planes, (planes != 0).float(), told)
            error = float(((out - x) / torch.from_numpy(spread)).square().sum())
            assert error == pytest.approx(float(values[count:].sum()), rel=0.03)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Some steps of training in two parts."""
    pytest.importorskip("torch")
    from gnuradio.semcom.systems.deepsc_s import train as training

    folder = tmp_path_factory.mktemp("train")
    for number in range(8):
        speech = read_speech(packaged_recordings(RECORDINGS[number % 3])).data
        write_wav(folder / "data" / f"{number}.wav", speech[1000 * number : 1000 * number + 24_000])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "CHECKED", 3)
        training.train([folder / "data"], folder / "run", time_budget_s=60, max_steps=3)
        training.train([folder / "data"], folder / "run", time_budget_s=60, max_steps=6, resume=True)
    return folder


def test_a_resumed_run_goes_on_counting(run):
    rows = [json.loads(line) for line in (run / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [3, 6] and len(rows[1]["validation"]) == 15
    found = {(row["quality"], row["esn0_db"]): row["rmse_db"] for row in rows[1]["validation"]}
    assert found[2, 18.0] < found[0, 18.0] < found[0, -6.0]


def test_an_exported_model_runs_and_can_be_trained_further(run, monkeypatch):
    import torch

    from gnuradio.semcom.speech.deepsc_s import Codec
    from gnuradio.semcom.systems.deepsc_s.export import export, restore

    folder = run / "models" / "deepsc_s" / "own"
    export(run / "run" / "weights.pt", folder, {"name": "own"})
    monkeypatch.setenv("SEMCOM_MODELS", str(run / "models"))
    own = Codec("own")
    symbols = own.encode(SPEECH[:5000], 1, 10.0)
    assert own.decode(symbols, np.full(symbols.size, 0.1, np.float32), 1).shape == (24, 80)
    trained, state = torch.load(run / "run" / "weights.pt", weights_only=True), restore(folder)
    assert state.keys() == trained.keys()
    for name, value in trained.items():
        assert torch.equal(state[name], value), name


def test_what_cannot_be_trained_is_refused(run, tmp_path):
    from gnuradio.semcom.systems.deepsc_s.train import train

    with pytest.raises(ValueError, match="ms_ssim"):
        train([run / "data"], tmp_path / "run", loss="ms_ssim")
    (tmp_path / "data").mkdir()
    shutil.copy(run / "data" / "0.wav", tmp_path / "data")
    with pytest.raises(ValueError, match="at least 2 recordings"):
        train([tmp_path / "data"], tmp_path / "run")
    assert not (tmp_path / "run").exists()

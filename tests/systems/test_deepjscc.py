# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepJSCC: pictures as symbols, through the whole link, and from photographs to a model that works."""

import json
import math

import numpy as np
import pytest

from gnuradio.semcom.links import Link
from gnuradio.semcom.media.images import read_image, write_png
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.message import Message, Received
from gnuradio.semcom.metrics import image_metrics
from gnuradio.semcom.systems import registry
from gnuradio.semcom.systems.base import Request
from gnuradio.semcom.systems.deepjscc import SYSTEM
from gnuradio.semcom.systems.deepjscc.geometry import order, symbol_count, to_planes, to_symbols
from gnuradio.semcom.zoo import find

WHOLE = read_image(packaged_photograph()).data
PHOTOGRAPH = Message("image", np.ascontiguousarray(WHOLE[60:316, 100:356]), {"name": "coffee"})


def psnr(messages, **link):
    """Mean PSNR of messages through a link, and the records."""
    records = [record for _, record in Link("deepjscc", **link).run(messages)]
    return float(np.mean([record["metrics"]["psnr_db"] for record in records])), records


def clean(message, quality=0, esn0_db=20.0):
    """A message that met noise 40 dB down."""
    symbols = SYSTEM.encode(message, Request(quality=quality, esn0_db=esn0_db)).symbols
    received = Received(symbols=symbols, noise_var=np.full(symbols.size, 1e-4, np.float32))
    return SYSTEM.decode(received, {"shape": list(message.data.shape)})


def test_it_is_a_system_of_the_registry_that_sends_symbols_and_wants_the_snr():
    assert registry.get("deepjscc") is SYSTEM
    assert SYSTEM.payload == "symbols" and SYSTEM.snr_aware and SYSTEM.models()[0] == "standard"
    assert SYSTEM.provider() == "CPUExecutionProvider"


@pytest.mark.parametrize(("quality", "floors"), [(0, (21.0, 24.5, 29.5)), (1, (22.0, 26.0, 32.5))])
def test_quality_grows_with_the_snr_and_never_falls_off_a_cliff(quality, floors):
    found = {}
    for esn0_db in (-5, 0, 5, 10, 15, 20):
        found[esn0_db], (record,) = psnr([PHOTOGRAPH], esn0_db=esn0_db, quality=quality, seed=1)
        assert record["delivered"] and record["reason"] is None
    assert (found[-5], found[0], found[20]) > floors and found[0] > floors[1] and found[20] > floors[2]
    steps = np.diff(list(found.values()))
    assert (steps > 0).all() and (steps < 6).all()


def test_twice_the_symbols_are_better_at_every_snr():
    for esn0_db in (-5, 5, 15):
        assert psnr([PHOTOGRAPH], esn0_db=esn0_db, quality=1)[0] > psnr([PHOTOGRAPH], esn0_db=esn0_db)[0] + 0.3


@pytest.mark.parametrize("fading", ["symbol", "128"])
def test_a_fading_channel_costs_a_few_decibels(fading):
    still, _ = psnr([PHOTOGRAPH], esn0_db=10, seed=3)
    fading_db, (record,) = psnr([PHOTOGRAPH], channel="rayleigh", fading=fading, esn0_db=10, seed=3)
    assert record["delivered"] and still - 4.5 < fading_db < still


def test_a_transmitter_that_knows_the_channel_does_better_than_one_that_is_wrong():
    for truth, wrong in ((-3.0, 20.0), (20.0, -3.0)):
        right, _ = psnr([PHOTOGRAPH], esn0_db=truth)
        mistaken, _ = psnr([PHOTOGRAPH], esn0_db=truth, assumed_esn0_db=wrong)
        assert 18 < mistaken < right - 0.3


@pytest.mark.parametrize("quality", [0, 1])
@pytest.mark.parametrize("size", [(256, 256), (96, 200), (61, 45), (8, 8), (1, 1), (3, 130)])
def test_any_size_is_sent_in_the_symbols_it_should_have_at_unit_energy(size, quality):
    height, width = size
    message = Message("image", np.ascontiguousarray(WHOLE[:height, :width]))
    for esn0_db in (-5.0, 20.0):
        symbols = SYSTEM.encode(message, Request(quality=quality, esn0_db=esn0_db)).symbols
        assert symbols.dtype == np.complex64
        assert symbols.size == math.ceil(height / 8) * math.ceil(width / 8) * 16 * (quality + 1)
        assert np.mean(np.abs(symbols.astype(complex)) ** 2) == pytest.approx(1, abs=1e-4)
    decoded, concealed = clean(message, quality)
    assert decoded.data.shape == (height, width, 3) and decoded.data.dtype == np.uint8 and concealed == 0
    if min(size) > 40:
        assert image_metrics(message.data, decoded.data)["psnr_db"] > 25


def test_the_bandwidth_ratios_are_exact():
    for quality, ratio in ((0, 1 / 12), (1, 1 / 6)):
        _, (record,) = psnr([PHOTOGRAPH], quality=quality)
        assert record["symbols_total"] == record["symbols_payload"] == ratio * 256 * 256 * 3
        assert record["metrics"]["bandwidth_ratio"] == ratio and record["bits"] == 0


def test_an_airtime_takes_the_largest_ratio_that_fits():
    for airtime, symbols in ((16_384, 16_384), (32_767, 16_384), (32_768, 32_768), (10**6, 32_768)):
        assert psnr([PHOTOGRAPH], airtime=airtime)[1][0]["symbols_total"] == symbols
    assert psnr([PHOTOGRAPH], airtime=10**6, quality=0)[1][0]["symbols_total"] == 16_384


def test_an_airtime_that_is_too_short_is_a_grey_picture_with_a_reason():
    ((received, record),) = Link("deepjscc", airtime=16_383).run([PHOTOGRAPH])
    assert record["reason"] == "does_not_fit" and record["symbols_total"] == 0 and not record["delivered"]
    assert (received.data == 128).all()


@pytest.mark.parametrize("quality", [-1, 2, 80])
def test_an_unknown_quality_is_refused_with_those_there_are(quality):
    with pytest.raises(ValueError, match="0 .*1/12.* or 1 .*1/6"):
        SYSTEM.check(Request(quality=quality))


def test_an_unknown_model_and_a_limit_in_bits_are_refused():
    with pytest.raises(ValueError, match="standard"):
        SYSTEM.check(Request(model="other"))
    with pytest.raises(ValueError, match="airtime"):
        list(Link("deepjscc", max_bpp=0.1).run([PHOTOGRAPH]))


@pytest.mark.parametrize("channel", ["awgn", "rayleigh"])
def test_the_flowgraph_equals_the_plain_call_chain(channel):
    messages = [Message("image", np.ascontiguousarray(WHOLE[k : k + 50 + 9 * k, k : k + 70])) for k in range(4)]
    link = Link("deepjscc", channel=channel, esn0_db=4.0, airtime=1500, seed=2)
    direct, graph = list(link.run(messages)), list(link.run_flowgraph(messages, 4096, timeout_s=60))
    assert len(direct) == len(graph) == 4
    for (left, first), (right, second) in zip(direct, graph, strict=True):
        np.testing.assert_array_equal(left.data, right.data)
        assert {**first, "elapsed_s": 0} == {**second, "elapsed_s": 0}


@pytest.mark.parametrize("contrast", [0.25, 0.5, 1.0])
def test_brightness_and_contrast_survive_although_each_message_has_unit_energy(contrast):
    flat = np.rint(160 + (PHOTOGRAPH.data.astype(float) - 128) * contrast * 0.4).astype(np.uint8)
    decoded, _ = clean(Message("image", flat))
    assert decoded.data.mean() == pytest.approx(flat.mean(), abs=1.5)
    assert decoded.data.std() == pytest.approx(flat.std(), rel=0.06)


def test_a_picture_of_one_colour_comes_back():
    plain = np.full((64, 64, 3), (200, 40, 90), np.uint8)
    decoded, _ = clean(Message("image", plain))
    assert np.abs(decoded.data.astype(int) - plain).mean() < 6


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_385])
def test_a_burst_of_another_length_is_concealed_not_raised(size):
    received = Received(symbols=np.ones(size, np.complex64), noise_var=np.ones(size, np.float32))
    decoded, concealed = SYSTEM.decode(received, {"shape": [256, 256, 3]})
    assert concealed == 1 and (decoded.data == 128).all()


def test_symbols_that_are_no_numbers_cost_little():
    symbols = SYSTEM.encode(PHOTOGRAPH, Request(esn0_db=15.0)).symbols.copy()
    noise_var = np.full(symbols.size, 0.03, np.float32)
    symbols[5_000:5_400] = np.nan
    noise_var[9_000:9_200] = np.inf
    decoded, _ = SYSTEM.decode(Received(symbols=symbols, noise_var=noise_var), {"shape": [256, 256, 3]})
    assert image_metrics(PHOTOGRAPH.data, decoded.data)["psnr_db"] > 24


@pytest.mark.parametrize("count", [16, 32, 64, 400, 16_384, 32_768, 98_304, 12_345])
def test_the_order_of_symbols_is_a_permutation_that_spreads_fades(count):
    places = order(count)
    assert np.array_equal(np.sort(places), np.arange(count))
    if count >= 16_384:
        gaps = np.diff(np.sort(places[1000:1128]))
        assert gaps.min() > count / 128 / 4 and gaps.max() < 4 * count / 128


@pytest.mark.parametrize("quality", [0, 1])
def test_planes_become_symbols_and_come_back(quality):
    random = np.random.default_rng(5)
    planes = random.normal(0, 1, (64, 5, 7)).astype(np.float32)
    symbols = to_symbols(planes, quality)
    noise_var = random.uniform(0, 9, symbols.size).astype(np.float32)
    assert symbols.size == symbol_count(40, 56, quality) == symbol_count(33, 49, quality)
    back, trust = to_planes(symbols, noise_var, quality, 5, 7)
    sent = 32 * (quality + 1)
    np.testing.assert_allclose(back[:sent], planes[:sent], rtol=1e-6)
    assert not back[sent:].any() and not trust[sent:].any()
    np.testing.assert_allclose(np.sort(trust[:sent:2].ravel()), np.sort(1 / (1 + noise_var)), rtol=1e-6)
    np.testing.assert_array_equal(trust[:sent:2], trust[1:sent:2])


def test_the_card_says_what_the_weights_may_be_used_for():
    import yaml

    card = yaml.safe_load((find("deepjscc", "standard") / "card.yml").read_text())
    assert "non-commercial" in card["licence"] and all(d["licence"] for d in card["training_data"])
    torch = pytest.importorskip("torch")
    from gnuradio.semcom.systems.deepjscc.export import restore
    from gnuradio.semcom.systems.deepjscc.network import parameter_count

    assert card["parameters"] == parameter_count()
    assert sum(v.numel() for v in restore(find("deepjscc", "standard")).values()) == parameter_count()
    assert torch


@pytest.mark.parametrize("size", [(8, 8), (64, 80), (120, 72)])
def test_shipped_graphs_agree_with_torch(size):
    """At the size of the export and at two others, both qualities in one batch."""
    torch = pytest.importorskip("torch")
    from gnuradio.semcom.systems.deepjscc.export import restore
    from gnuradio.semcom.systems.deepjscc.network import DeepJscc
    from gnuradio.semcom.zoo import load

    shipped = load("deepjscc", "standard", "cpu")
    network = DeepJscc().eval()
    network.load_state_dict(restore(shipped.folder))
    random = np.random.default_rng(7)
    picture = random.random((2, 3, *size), np.float32)
    esn0_db, quality = np.array([-3.0, 12.0], np.float32), np.array([0.0, 1.0], np.float32)
    with torch.no_grad():
        planes = network.encoder(*map(torch.from_numpy, (picture, esn0_db, quality))).numpy()
    (found,) = shipped.run("encoder", picture, esn0_db, quality)
    np.testing.assert_allclose(found, planes, atol=2e-4)
    assert not found[0, 32:].any()
    trust = random.random(planes.shape, np.float32) * (planes != 0)
    noisy = planes + random.normal(0, 0.5, planes.shape).astype(np.float32)
    with torch.no_grad():
        wanted = network.decoder(*map(torch.from_numpy, (noisy, trust, quality))).numpy()
    (found,) = shipped.run("decoder", noisy, trust, quality)
    np.testing.assert_allclose(found, wanted, atol=2e-4)


def test_training_begins_at_the_best_linear_code():
    """Eckart and Young: k principal components leave the variance of the others as squared error."""
    torch = pytest.importorskip("torch")
    from torch.nn.functional import pixel_shuffle, pixel_unshuffle

    from gnuradio.semcom.systems.deepjscc.network import DeepJscc

    network = DeepJscc().eval()
    network.start_linear([WHOLE])
    blocks = np.lib.stride_tricks.sliding_window_view(WHOLE, (8, 8, 3))[::3, ::3, 0].reshape(-1, 8, 8, 3) / 255 - 0.5
    flat = blocks.reshape(-1, 192)
    values = np.linalg.eigvalsh(flat.T @ flat)[::-1]
    x = torch.from_numpy(blocks.transpose(0, 3, 1, 2).copy()).float()
    for count in (32, 64):
        with torch.no_grad():
            planes = network.encoder.linear(pixel_unshuffle(x, 8))
            planes[:, count:] = 0
            out = pixel_shuffle(network.decoder.linear(planes), 8)
        error = float((out - x).square().sum())
        assert 10 * math.log10(error / float(np.sum(values[count:]))) == pytest.approx(0.1, abs=0.1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Some steps of training in two parts, on six crops of a photograph: two of them validate."""
    pytest.importorskip("torch")
    from gnuradio.semcom.systems.deepjscc import train

    folder = tmp_path_factory.mktemp("train")
    for k in range(6):
        write_png(folder / "data" / f"{k:02}.png", WHOLE[k * 8 : k * 8 + 128, k * 8 : k * 8 + 136])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "VALIDATION", 2)
        train.train([folder / "data"], folder / "run", time_budget_s=0.4)
        begun = json.loads((folder / "run" / "log.jsonl").read_text())["elapsed_s"]
        train.train([folder / "data"], folder / "run", time_budget_s=begun + 0.5, resume=True)
    return folder


def test_a_resumed_run_goes_on_counting_and_is_better_than_noise(run):
    rows = [json.loads(line) for line in (run / "run" / "log.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    assert rows[1]["step"] > rows[0]["step"] > 0
    assert rows[1]["elapsed_s"] >= rows[0]["elapsed_s"] + 0.3
    found = {(row["quality"], row["esn0_db"]): row["psnr_db"] for row in rows[1]["validation"]}
    assert found[0, -5.0] > 10 and found[1, 20.0] > found[0, 5.0] > found[0, -5.0]


def test_an_exported_model_runs_and_can_be_trained_further(run, monkeypatch):
    import torch

    from gnuradio.semcom.systems.deepjscc import train
    from gnuradio.semcom.systems.deepjscc.codec import Codec
    from gnuradio.semcom.systems.deepjscc.export import export, restore

    folder = run / "models" / "deepjscc" / "own"
    export(run / "run" / "weights.pt", folder, {"name": "own"})
    monkeypatch.setenv("SEMCOM_MODELS", str(run / "models"))
    own = Codec("own")
    symbols = own.encode(WHOLE[:130, :200], 1, 10.0)
    assert own.decode(symbols, np.full(symbols.size, 0.1, np.float32), 130, 200).shape == (130, 200, 3)
    trained = torch.load(run / "run" / "weights.pt", weights_only=True)
    state = restore(folder)
    assert state.keys() == trained.keys()
    for name, value in trained.items():
        assert torch.equal(state[name], value), name
    monkeypatch.setattr(train, "VALIDATION", 2)
    train.train([run / "data"], run / "again", time_budget_s=0, start=folder)
    for name, value in torch.load(run / "again" / "weights.pt", weights_only=True).items():
        assert torch.equal(state[name], value), name


def test_what_cannot_be_trained_is_refused(tmp_path):
    pytest.importorskip("torch")
    from gnuradio.semcom.systems.deepjscc.train import train

    with pytest.raises(ValueError, match="no photographs of at least 128x128"):
        train([tmp_path], tmp_path / "run", time_budget_s=1)
    with pytest.raises(ValueError, match="ms_ssim"):
        train([tmp_path], tmp_path / "run", time_budget_s=1, loss="ms_ssim")
    write_png(tmp_path / "one.png", WHOLE[:128, :128])
    with pytest.raises(ValueError, match="more than 12 photographs, found 1"):
        train([tmp_path], tmp_path / "run", time_budget_s=1)
    assert not (tmp_path / "run").exists()

# SPDX-License-Identifier: GPL-3.0-or-later
"""VQ-DeepSC: training, resuming, the unquantised twin, the discriminator, and export to graphs that agree."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gnuradio.semcom.media.images import read_image, write_png
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.metrics.image import ssim

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Ten steps and four more, with 6 crops of a photograph, of which one validates."""
    from gnuradio.semcom.systems.vq_deepsc.train import RECIPES, train

    RECIPES["small"] = replace(RECIPES["small"], batch=3)  # a second instead of ten
    folder = tmp_path_factory.mktemp("train")
    whole = read_image(packaged_photograph()).data
    for k in range(6):
        write_png(folder / "data" / f"{k:02}.png", whole[k * 16 : k * 16 + 128, k * 32 : k * 32 + 128])
    for resume in (False, True):
        train([folder / "data"], folder / "run", max_steps=14 if resume else 10, resume=resume)
    return folder


def rows(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_resumed_run_goes_on_counting_and_tells_the_figure_that_counts(run):
    first, second = rows(run / "run")
    assert (first["step"], second["step"]) == (10, 14)
    assert second["elapsed_s"] >= first["elapsed_s"] and second["final"]
    assert 0 < second["ssim"] < 1 and second["psnr_db"] > 5
    assert set(second["least_usage"]) == {"1", "2", "3", "4"}


def test_the_rate_is_flat_and_then_falls_to_nothing():
    from gnuradio.semcom.systems.vq_deepsc.train import DECAY_FROM, rate_share

    assert rate_share(0.0, 0) == 0.01 and rate_share(0.3, 500) == rate_share(DECAY_FROM, 900) == 1
    assert rate_share((1 + DECAY_FROM) / 2, 900) == pytest.approx(0.5)
    assert rate_share(1.0, 900) == rate_share(1.2, 900) == 0


def test_the_twin_goes_on_where_the_quantised_one_branched_off(run):
    from gnuradio.semcom.systems.vq_deepsc.train import train

    branch = run / "run" / "branch.pt"
    at = torch.load(branch, weights_only=True)["step"]
    assert 5 <= at <= 8  # six tenths of ten steps
    train([run / "data"], run / "twin", max_steps=at + 2, start=branch, unquantised=True)
    (row,) = rows(run / "twin")
    assert row["step"] == at + 2 and "least_usage" not in row


def test_three_scales_start_from_four_and_the_discriminator_takes_part(run):
    from gnuradio.semcom.systems.vq_deepsc.train import train

    start = run / "run" / "weights.pt"
    train([run / "data"], run / "gan", max_steps=2, start=start, scales="three_scales", gan_from=0)
    critic = torch.load(run / "gan" / "checkpoint.pt", weights_only=True)["critic"]
    assert any(float((v != critic[k]).sum()) == 0 and v.numel() for k, v in critic.items())
    (row,) = rows(run / "gan")
    assert set(row["least_usage"]) == {"2", "3", "4"}


def test_what_cannot_be_trained_is_refused(run, tmp_path):
    from gnuradio.semcom.systems.vq_deepsc.train import train

    data, out = [run / "data"], tmp_path / "out"
    for options, message in (
        ({"preset": "large"}, "small or paper"),
        ({"scales": "five"}, "four_scales or three_scales"),
        ({"loss": "ms_ssim"}, "own loss"),
        ({"rate_lambda": 1.0}, "variable rate"),
        ({"start": run / "run" / "branch.pt", "scales": "three_scales"}, "another network"),
    ):
        with pytest.raises(ValueError, match=message):
            train(data, out, **options)
    with pytest.raises(ValueError, match="no two photographs"):
        train([tmp_path], out)
    with pytest.raises(ValueError, match="another network"):
        train(data, run / "run", resume=True, unquantised=True)


@pytest.fixture(scope="module")
def model(run):
    from gnuradio.semcom.systems.vq_deepsc.export import export

    export(run / "run" / "weights.pt", run / "models" / "own", {"name": "own"})
    return run / "models" / "own"


def test_graphs_agree_with_torch_for_a_batch(run, model):
    """Vectors and pictures of three at once, though the export saw one; codes chosen outside are those inside."""
    import onnxruntime as ort

    from gnuradio.semcom.systems.vq_deepsc.export import load_model, round_weights
    from gnuradio.semcom.systems.vq_deepsc.quantiser import distances

    network, _ = load_model(run / "run" / "weights.pt")
    round_weights(network)
    options = {"providers": ["CPUExecutionProvider"]}
    encoder = ort.InferenceSession(str(model / "encoder.onnx"), **options)
    decoder = ort.InferenceSession(str(model / "decoder.onnx"), **options)
    picture = torch.rand(3, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    names = [output.name for output in encoder.get_outputs()]
    assert names == [f"scale{k}" for k in (1, 2, 3, 4)]
    sent = {}
    with np.load(model / "codebooks.npz", allow_pickle=False) as codebooks:
        for name, vectors in zip(names, encoder.run(None, {"picture": picture.numpy()}), strict=True):
            codes = torch.from_numpy(codebooks[name])
            index = distances(torch.from_numpy(vectors).permute(0, 2, 3, 1), codes).argmin(3)
            sent[name] = np.ascontiguousarray(codes[index].permute(0, 3, 1, 2).numpy())
    (received,) = decoder.run(None, sent)
    with torch.no_grad():
        wanted = network(picture)[0].clamp(0, 1).numpy()
    assert received.shape == wanted.shape
    assert np.abs(received - wanted).max() < 2e-3


def test_training_goes_on_from_an_exported_model(run, model):
    from gnuradio.semcom.systems.vq_deepsc.export import load_model, restore, round_weights
    from gnuradio.semcom.systems.vq_deepsc.train import train

    network, _ = load_model(run / "run" / "weights.pt")
    round_weights(network)
    back = restore(model)
    for name, value in network.state_dict().items():
        if not name.endswith("usage"):
            torch.testing.assert_close(back[name], value, rtol=1e-5, atol=1e-6)
    train([run / "data"], run / "on", max_steps=1, start=model)
    assert rows(run / "on")[0]["step"] == 1


def test_a_twin_and_strange_files_are_not_exported(run, tmp_path):
    from gnuradio.semcom.systems.vq_deepsc.export import export
    from gnuradio.semcom.systems.vq_deepsc.train import build

    meta = {"preset": "small", "scales": "four_scales", "quantised": False, "steps": 0}
    twin = build("small", "four_scales", False)
    torch.save({"meta": meta, "model": twin.state_dict()}, tmp_path / "twin.pt")
    torch.save({"a": torch.zeros(3)}, tmp_path / "strange.pt")
    with pytest.raises(ValueError, match="no bits to send"):
        export(tmp_path / "twin.pt", tmp_path / "out", {})
    with pytest.raises(ValueError, match="holds no weights"):
        export(tmp_path / "strange.pt", tmp_path / "out", {})


@pytest.mark.slow
def test_the_papers_network_learns(tmp_path):
    """Its 111 million parameters, a step of quantised training and one with the discriminator, on two crops."""
    from gnuradio.semcom.systems.vq_deepsc.train import RECIPES, build, optimisers

    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = build("paper", "three_scales", True)
    (stepper,) = optimisers(network, RECIPES["paper"])
    whole = read_image(packaged_photograph()).data
    x = torch.from_numpy(np.stack([whole[:128, :128], whole[100:228, 100:228]]).transpose(0, 3, 1, 2)).float() / 255
    errors = []
    for _ in range(6):
        out, loss, _ = network(x)
        error = (out - x).abs().mean()
        stepper.zero_grad()
        (error + loss).backward()
        stepper.step()
        errors.append(error.item())
    assert errors[-1] < errors[0]


@pytest.mark.parametrize("name", ["four_scales", "three_scales", "four_scales_general", "three_scales_general"])
def test_shipped_models_rebuild_a_photograph_from_their_codes(name):
    import onnxruntime as ort

    from gnuradio.semcom.systems.vq_deepsc.quantiser import distances
    from gnuradio.semcom.zoo import Model, load

    shipped = load("vq_deepsc", name)
    assert isinstance(shipped, Model) and ort is not None
    whole = read_image(packaged_photograph()).data
    size = min(whole.shape[:2]) // 128 * 128
    tile = whole[:size, :size].reshape(128, size // 128, 128, size // 128, 3).mean((1, 3)).round().astype(np.uint8)
    vectors = shipped.run("encoder", tile.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    codebooks = shipped.arrays("codebooks.npz")
    sent = []
    for key, features in zip(sorted(codebooks), vectors, strict=True):
        codes = torch.from_numpy(codebooks[key])
        index = distances(torch.from_numpy(features).permute(0, 2, 3, 1), codes).argmin(3)
        sent.append(np.ascontiguousarray(codes[index].permute(0, 3, 1, 2).numpy()))
    received = shipped.run("decoder", *sent)[0][0].transpose(1, 2, 0)
    assert ssim(tile, np.rint(received * 255).astype(np.uint8)) > (0.7 if name.startswith("four") else 0.5)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Training, resuming and exporting, from photographs to a codec that works."""

import json

import numpy as np
import pytest

from gnuradio.semcom.media.images import read_image, write_png
from gnuradio.semcom.media.photographs import packaged_photograph

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A few seconds of training in two parts, with 14 crops of a photograph: 12 of them validate."""
    from gnuradio.semcom.systems.ncsc.train import train

    folder = tmp_path_factory.mktemp("train")
    whole = read_image(packaged_photograph()).data
    for k in range(14):
        write_png(folder / "data" / f"{k:02}.png", whole[k * 8 : k * 8 + 192, k * 8 : k * 8 + 256])
    train([folder / "data"], folder / "run", time_budget_s=3, threads=1)
    train([folder / "data"], folder / "run", time_budget_s=6, threads=1, resume=True)
    return folder


def test_a_resumed_run_goes_on_counting(run):
    rows = [json.loads(line) for line in (run / "run" / "log.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    assert rows[1]["step"] > rows[0]["step"] > 0
    assert rows[1]["elapsed_s"] >= 6


def test_an_exported_model_encodes_and_decodes_a_photograph(run, monkeypatch):
    from gnuradio.semcom.systems.ncsc.codec import Codec
    from gnuradio.semcom.systems.ncsc.export import export

    export(run / "run" / "weights.pt", run / "models" / "ncsc" / "own", {"name": "own"})
    monkeypatch.setenv("SEMCOM_MODELS", str(run / "models"))
    own = Codec("own")
    picture = read_image(packaged_photograph()).data[:130, :200]
    data = own.encode(picture)
    decoded = own.decode(data, np.ones(len(data), bool), picture.shape[:2])
    assert decoded.concealed == 0 and decoded.picture.shape == picture.shape


def test_exported_graphs_agree_with_torch(run):
    """Indices exactly; pictures to rounding. At sizes the export never saw."""
    import onnxruntime as ort

    from gnuradio.semcom.systems.ncsc.export import export, restore
    from gnuradio.semcom.systems.ncsc.network import ExactConv, Small

    folder = run / "models" / "ncsc" / "own"
    if not folder.exists():
        export(run / "run" / "weights.pt", folder, {"name": "own"})
    model = Small().eval()
    model.load_state_dict(restore(folder))  # weights as they are stored
    model.set_exact(True)
    for module in model.modules():
        if isinstance(module, ExactConv):
            module.freeze()
    random = np.random.default_rng(1)
    for size in (1, 3):
        z = random.integers(-31, 32, (2, 32, size, size + 1)).astype(np.float32)
        session = ort.InferenceSession(str(folder / "entropy_first.onnx"), providers=["CPUExecutionProvider"])
        hyper, mean, index = session.run(None, {"z": z})
        with torch.no_grad():
            expected = model.hyper_synthesis(torch.from_numpy(z))
            np.testing.assert_array_equal(hyper, expected.numpy())
            for found, wanted in zip((mean, index), model.split(model.first(expected)), strict=True):
                np.testing.assert_array_equal(found, wanted.numpy())
        y = random.normal(0, 2, (1, 128, 4 * size, 4 * size + 4)).astype(np.float32)
        session = ort.InferenceSession(str(folder / "synthesis.onnx"), providers=["CPUExecutionProvider"])
        with torch.no_grad():
            wanted = (model.synthesis(torch.from_numpy(y)) + 0.5).clamp(0, 1).numpy()
        np.testing.assert_allclose(session.run(None, {"latents": y})[0], wanted, atol=2e-3)


def test_an_exported_model_can_be_restored_for_further_training(run):
    from gnuradio.semcom.systems.ncsc.export import export, restore
    from gnuradio.semcom.systems.ncsc.network import Small

    folder = run / "models" / "ncsc" / "again"
    export(run / "run" / "weights.pt", folder, {"name": "own"})
    state = restore(folder)
    Small().load_state_dict(state)
    trained = torch.load(run / "run" / "weights.pt", weights_only=True)
    assert state.keys() == trained.keys()
    for name, value in trained.items():
        tolerance = 0.5 if name == "hyper_index" else 2e-3
        np.testing.assert_allclose(state[name].numpy(), value.float().numpy(), atol=tolerance, err_msg=name)


def test_exact_convolutions_do_not_depend_on_the_order_of_summation():
    from gnuradio.semcom.systems.ncsc.network import CLIP, STEP, ExactConv

    torch.manual_seed(2)
    conv = ExactConv(64, 16, 3, CLIP)
    conv.freeze()
    x = torch.randint(0, 256, (1, 64, 8, 8)).float() * STEP
    order = torch.randperm(64)
    with torch.no_grad():
        shuffled = torch.nn.functional.conv2d(x[:, order], conv.weight[:, order], conv.bias, padding=1)
        double = torch.nn.functional.conv2d(x.double(), conv.weight.double(), conv.bias.double(), padding=1)
    assert torch.equal(conv(x), shuffled)
    assert torch.equal(conv(x).double(), double)


def test_the_small_preset_has_the_documented_number_of_parameters():
    from gnuradio.semcom.systems.ncsc.network import parameter_count

    assert parameter_count() == 5_933_200


def test_a_folder_without_photographs_is_refused(tmp_path):
    from gnuradio.semcom.systems.ncsc.train import train

    with pytest.raises(ValueError, match="no training photographs"):
        train([tmp_path], tmp_path / "run", time_budget_s=1)


def test_weights_in_int8_lose_little_and_stay_where_they_are():
    from gnuradio.semcom.systems.exporting import int8_grid

    sizes = torch.logspace(-3, 1, 16)[:, None, None, None]
    weights = torch.randn(16, 8, 3, 3, generator=torch.Generator().manual_seed(1)) * sizes
    once = int8_grid(weights)
    noise = (once - weights).square().sum((1, 2, 3)) / weights.square().sum((1, 2, 3))
    assert (noise < 1e-4).all()
    torch.testing.assert_close(int8_grid(once), once, rtol=1e-6, atol=0)
    for channel in once:
        steps = channel / (channel.abs().max() / 127)
        assert (steps - steps.round()).abs().max() < 1e-3

# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to a codebook is fitted on photographs: from an exported model to one with labels and priors."""

import shutil

import numpy as np
import pytest
import yaml

from gnuradio.semcom.media.images import read_image, write_png
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.systems.vq_deepsc import prior as exact
from gnuradio.semcom.systems.vq_deepsc.codec import Codec
from gnuradio.semcom.zoo import find

WHOLE = read_image(packaged_photograph()).data


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The model of three scales as exported, fitted for a moment on crops of one photograph."""
    pytest.importorskip("torch")
    from gnuradio.semcom.systems.vq_deepsc import fit

    folder = tmp_path_factory.mktemp("fit")
    for k in range(4):
        write_png(folder / "data" / f"{k}.png", WHOLE[60 * k : 60 * k + 160, 50 * k : 50 * k + 200])
    model = folder / "mine"
    shutil.copytree(find("vq_deepsc", "three_scales"), model)
    card = yaml.safe_load((model / "card.yml").read_text())
    card["files"] = {k: v for k, v in card["files"].items() if k in ("encoder.onnx", "decoder.onnx", "codebooks.npz")}
    card.pop("prior", None)
    (model / "card.yml").write_text(yaml.safe_dump(card))
    measured = fit.fit(model, [folder / "data"], seconds=1.0, most=24)
    return model, measured


def test_a_fitted_model_loads_and_all_its_ways_to_send_work(fitted):
    model, measured = fitted
    card = yaml.safe_load((model / "card.yml").read_text())
    assert card["prior"] == measured and {"bits.npz", "prior.npz", "repair.onnx"} <= set(card["files"])
    one = Codec(model)
    picture = np.ascontiguousarray(WHOLE[100:228, 100:228])
    bits = one.encode(picture)
    whole = one.decode(bits, 128, 128).picture
    short = one.encode_short(picture)
    np.testing.assert_array_equal(one.decode_short(short, 128, 128).picture, whole)
    lost = np.arange(bits.size) > 900
    assert one.decode(bits, 128, 128, lost).concealed > 0
    assert one.encode(picture, "natural").size == bits.size == 1904


def test_the_rounded_tables_say_what_was_trained():
    torch = pytest.importorskip("torch")
    from gnuradio.semcom.systems.vq_deepsc import fit
    from gnuradio.semcom.systems.vq_deepsc.presets import get_geometry

    geometry = get_geometry("three_scales")
    rng = np.random.default_rng(0)
    indices = [rng.integers(0, s.codes, (2, s.grid, s.grid)).astype(np.uint8) for s in geometry.scales]
    torch.manual_seed(0)
    models = [fit.SmoothPrior(geometry, number).eval() for number in range(3)]
    arrays = {k: v for number, m in enumerate(models) for k, v in m.rounded(geometry, number).items()}
    prior = exact.Prior(arrays, geometry)
    for number, model in enumerate(models):
        near, far, place, wanted = fit.contexts(indices, geometry, number)
        with torch.no_grad():
            logits = model(near.long(), [one.long() for one in far], place.long())
        smooth = torch.softmax(logits * np.log(2), 1).numpy()
        shares = prior.shares(indices, number).reshape(len(smooth), -1)
        np.testing.assert_allclose(shares / shares.sum(1, keepdims=True), smooth, rtol=0.12)
        np.testing.assert_array_equal(wanted.numpy(), indices[number].reshape(-1))

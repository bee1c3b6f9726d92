# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's network: its size, its shapes, its density, its training and its exported parts."""

import json
import math

import numpy as np
import pytest

from gnuradio.semcom.media.images import read_image, write_png
from gnuradio.semcom.media.photographs import packaged_photograph

torch = pytest.importorskip("torch")

# of the public layer tables: the K=1 totals of the same layers are CompressAI's `cheng2020_anchor`
PARTS = {
    128: {"analysis": 1_857_664, "synthesis": 5_228_812, "hyper_analysis": 737_920, "hyper_synthesis": 2_729_792,
          "context": 819_456, "head": 1_476_992, "density": 7_424 + 384},
    192: {"analysis": 4_175_040, "synthesis": 11_750_796, "hyper_analysis": 1_659_840, "hyper_synthesis": 6_140_640,
          "context": 1_843_584, "head": 3_321_408, "density": 11_136 + 576},
}  # fmt: skip


def tiny(channels=8):
    from gnuradio.semcom.systems.ncsc.paper import Paper

    torch.manual_seed(5)
    return Paper(channels)


@pytest.mark.parametrize(("name", "channels", "total"), [("paper", 128, 12_858_444), ("paper-192", 192, 28_903_020)])
def test_the_paper_presets_have_the_papers_number_of_parameters(name, channels, total):
    from gnuradio.semcom.systems.ncsc.paper import parameter_count
    from gnuradio.semcom.systems.ncsc.presets import get_preset

    model = get_preset(name).build()
    found = {part: sum(p.numel() for p in module.parameters()) for part, module in model.named_children()}
    assert found == PARTS[channels]
    assert sum(found.values()) == parameter_count(channels) == total


def test_latents_are_16_and_hyper_latents_64_times_smaller():
    model = tiny().eval()
    with torch.no_grad():
        y = model.analysis(torch.rand(2, 3, 128, 192))
        z = model.hyper_analysis(y)
        assert y.shape == (2, 8, 8, 12) and z.shape == (2, 8, 2, 3)
        assert model.hyper_synthesis(z).shape == (2, 16, 8, 12)
        assert model.synthesis(y).shape == (2, 3, 128, 192)
        picture, bits_y, bits_z = model(torch.rand(2, 3, 128, 192))
    assert picture.shape == (2, 3, 128, 192) and bits_y.shape == bits_z.shape == (2,)
    assert (bits_y > 0).all() and (bits_z > 0).all()


def test_what_the_context_says_of_a_position_comes_from_those_before_it():
    """In reading order, within two rows and columns: what a decoder has when it is there."""
    context = tiny().context
    latents = torch.randn(1, 8, 13, 13, requires_grad=True)
    row, column = 4, 5  # of the result; of the padded input two more
    context(latents)[0, :, row, column].abs().sum().backward()
    seen = latents.grad.abs().sum((0, 1)) > 0
    expected = torch.zeros(13, 13, dtype=torch.bool)
    expected[row : row + 2, column : column + 5] = True
    expected[row + 2, column : column + 2] = True
    assert torch.equal(seen, expected)
    assert int(expected.sum()) == 12


def test_mixture_probabilities_sum_to_one_and_match_scipy():
    from scipy.stats import norm

    from gnuradio.semcom.systems.ncsc.paper import mixture_bits

    weight = torch.tensor([0.5, 0.3, 0.2]).view(1, 3, 1, 1, 1)
    mean = torch.tensor([-2.3, 0.4, 7.0]).view(1, 3, 1, 1, 1)
    scale = torch.tensor([0.11, 1.0, 4.0]).view(1, 3, 1, 1, 1)
    x = torch.arange(-30.0, 41.0).view(-1, 1, 1, 1)
    found = torch.exp2(-mixture_bits(x.double(), weight.double(), mean.double(), scale.double())).flatten().numpy()
    w, m, s = (t.flatten().double().numpy()[:, None] for t in (weight, mean, scale))
    at = x.flatten().numpy()
    expected = (w * (norm.sf((at - 0.5 - m) / s) - norm.sf((at + 0.5 - m) / s))).sum(0)
    np.testing.assert_allclose(found, np.maximum(expected, 1e-9), rtol=1e-6, atol=1e-12)
    assert found.sum() == pytest.approx(1, abs=1e-6)


def test_the_factorised_density_is_a_distribution_and_its_quantiles_are_where_it_has_them():
    density = tiny().density
    z = torch.linspace(-300, 300, 1201)[None].repeat(8, 1)
    logits = density.logits(z)
    assert (logits.diff(dim=1) > 0).all()
    whole = torch.arange(-300.0, 301.0)[None].repeat(8, 1)
    torch.testing.assert_close(density.mass(whole).sum(1), torch.ones(8), atol=1e-4, rtol=0)
    with torch.no_grad():
        density.biases[-1] += 3.0  # the distribution moves, the quantiles follow
        density.fit()
        below = torch.sigmoid(density.logits(density.quantiles))
        above = torch.sigmoid(-density.logits(density.quantiles))
    torch.testing.assert_close(below[:, 0], torch.full((8,), 5e-10), atol=0, rtol=1e-3)
    torch.testing.assert_close(below[:, 1], torch.full((8,), 0.5), atol=1e-5, rtol=0)
    torch.testing.assert_close(above[:, 2], torch.full((8,), 5e-10), atol=0, rtol=1e-3)


def test_divisive_normalisation_and_its_inverse_follow_their_formula():
    from gnuradio.semcom.systems.ncsc.paper import DivisiveNorm

    torch.manual_seed(1)
    x = torch.randn(1, 4, 3, 3, dtype=torch.float64)
    for inverse in (False, True):
        norm = DivisiveNorm(4, inverse).double()
        with torch.no_grad():
            norm.gamma.copy_(torch.rand(4, 4).sqrt())
            norm.beta.copy_(torch.tensor([1.0, 2.0, 0.5, 0.0]))
        beta = norm.beta.detach().square().clamp_min(1e-6).numpy()
        root = np.sqrt(beta[:, None, None] + np.einsum("oi,ihw->ohw", norm.gamma.detach().square(), x[0] ** 2))
        expected = x[0].numpy() * root if inverse else x[0].numpy() / root
        np.testing.assert_allclose(norm(x)[0].detach().numpy(), expected, rtol=1e-6)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    whole = read_image(packaged_photograph()).data
    for k in range(14):
        write_png(folder / f"{k:02}.png", whole[k * 8 : k * 8 + 64, k * 8 : k * 8 + 128])
    return folder


def preset_of(channels, error=0.05):
    from gnuradio.semcom.systems.ncsc.paper import Paper
    from gnuradio.semcom.systems.ncsc.presets import Goal, Preset

    goal = Goal(0.0, error, 0.0)
    return Preset("paper-tiny", lambda: Paper(channels), 2e-3, lambda chooser: goal, (64, 2))


@pytest.fixture(scope="module")
def run(photographs, tmp_path_factory):
    """A few seconds of training in two parts."""
    from gnuradio.semcom.systems.ncsc.train import train

    folder = tmp_path_factory.mktemp("paper")
    for seconds, resume in ((1.5, False), (3, True)):
        train([photographs], folder, time_budget_s=seconds, preset=preset_of(8), threads=1, resume=resume)
    return folder


def test_a_resumed_run_of_the_paper_goes_on_counting(run):
    first, second = (json.loads(line) for line in (run / "log.jsonl").read_text().splitlines())
    assert second["step"] > first["step"] > 0 and second["final"]
    assert len(second["validation"]) == 1 and math.isfinite(second["validation"][0]["psnr_db"])


def test_a_checkpoint_of_another_preset_is_refused(run, photographs):
    from gnuradio.semcom.systems.ncsc.train import train

    with pytest.raises(ValueError, match="is of preset paper-tiny, not small"):
        train([photographs], run, time_budget_s=9, threads=1, resume=True)
    with pytest.raises(ValueError, match="weights of another network"):
        train([photographs], run, time_budget_s=9, threads=1, preset=preset_of(10), start=run / "weights.pt")
    with pytest.raises(ValueError, match=r"weights\.pt of a run"):
        train([photographs], run, time_budget_s=9, threads=1, preset=preset_of(8), start=run)


def test_photographs_smaller_than_a_crop_are_refused(photographs, tmp_path):
    from gnuradio.semcom.systems.ncsc.train import train

    with pytest.raises(ValueError, match="at least 256 pixels"):
        train([photographs], tmp_path, time_budget_s=1, threads=1, preset="paper")


def test_unknown_presets_losses_and_lambdas_are_refused():
    from gnuradio.semcom.systems.ncsc.presets import get_preset

    for arguments, message in (
        (("huge",), "small, paper or paper-192"),
        (("paper", "l1"), "mse or ms_ssim"),
        (("paper", "mse", -1.0), "above 0"),
        (("paper", "mse", math.nan), "above 0"),
        (("small", "mse", 0.01), "all its rates"),
    ):
        with pytest.raises(ValueError, match=message):
            get_preset(*arguments)
    assert get_preset("paper", "ms_ssim").goal(None).structure == 2.4
    assert get_preset("paper").goal(None).error == 0.0018
    assert get_preset("paper", "mse", 0.0483).goal(None).error == 0.0483


def test_the_loss_of_the_papers_network_falls():
    """Rate and distortion of one photograph, 60 steps at 16 channels."""
    model, goal = tiny(16), preset_of(16).goal(None)
    picture = read_image(packaged_photograph()).data[128:192, 128:256]
    x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(60):
        out, bits_y, bits_z = model(x)
        error = torch.nn.functional.mse_loss(out, x)
        loss = (bits_y + bits_z).mean() / (64 * 128) + goal.error * 255**2 * error
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.3 * np.mean(losses[:5])


@pytest.fixture(scope="module")
def exported(run):
    from gnuradio.semcom.systems.ncsc.export import export

    export(run / "weights.pt", run / "parts", {"name": "tiny"})
    return run / "parts"


def loaded(run):
    from gnuradio.semcom.systems.ncsc.paper import Paper

    model = Paper(8).eval()
    model.load_state_dict({k: v.float() for k, v in torch.load(run / "weights.pt", weights_only=True).items()})
    return model


@pytest.mark.parametrize("size", [(64, 64), (128, 192), (320, 64)])
def test_exported_parts_agree_with_torch_at_sizes_the_export_never_saw(run, exported, size):
    """All of the serial decoder's way: picture, latents, hyper latents, mixtures, picture."""
    from gnuradio.semcom.systems.ncsc.paper import REACH
    from gnuradio.semcom.zoo import Model

    model, zoo = loaded(run), Model(exported)
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(size[0]))

    def agrees(part, expected, *inputs):
        found = zoo.run(part, *(t.numpy() for t in inputs))
        for left, right in zip(found, expected, strict=True):
            np.testing.assert_allclose(left, right.numpy(), atol=1e-5 * max(1, float(right.abs().max())), rtol=1e-4)

    with torch.no_grad():
        y = model.analysis(x)
        agrees("analysis", [y], x)
        z = model.hyper_analysis(y)
        agrees("hyper_analysis", [z], y)
        hyper = model.hyper_synthesis(z.round())
        agrees("hyper_synthesis", [hyper], z.round())
        known = torch.nn.functional.pad(y.round(), (REACH,) * 4)
        context = model.context(known)
        agrees("context", [context], known)
        mixture = [t.flatten(1, 2) for t in model.head.mixture(hyper, context)]
        agrees("entropy_parameters", mixture, hyper, context)
        agrees("synthesis", [model.synthesis(y.round()).clamp(0, 1)], y.round())


def test_one_step_of_the_serial_decoder_gives_what_the_whole_picture_gives(run, exported):
    """To rounding: why these floats choose no coding tables."""
    from gnuradio.semcom.zoo import Model

    zoo = Model(exported)
    random = np.random.default_rng(2)
    latents = random.integers(-9, 10, (1, 8, 8 + 4, 12 + 4)).astype(np.float32)
    hyper = random.normal(size=(1, 16, 8, 12)).astype(np.float32)
    whole = zoo.run("entropy_parameters", hyper, zoo.run("context", latents)[0])
    for row, column in ((0, 0), (3, 7), (7, 11)):
        (context,) = zoo.run("context", np.ascontiguousarray(latents[:, :, row : row + 5, column : column + 5]))
        step = zoo.run("entropy_parameters", np.ascontiguousarray(hyper[:, :, row, column, None, None]), context)
        for left, right in zip(step, whole, strict=True):
            np.testing.assert_allclose(left[0, :, 0, 0], right[0, :, row, column], atol=1e-5)


def test_exported_constants_hold_the_distribution_of_the_hyper_latents(run, exported):
    from gnuradio.semcom.zoo import Model

    zoo = Model(exported)
    constants = zoo.arrays("constants.npz")
    assert zoo.card["preset"] == "paper" and zoo.card["channels"] == 8 and zoo.card["runs_in_codec"] is False
    assert (constants["mass"] >= 0).all()
    np.testing.assert_allclose(constants["mass"].sum(1), 1, atol=1e-6)
    density = loaded(run).density
    density.fit()
    torch.testing.assert_close(torch.from_numpy(constants["median"]).float(), density.quantiles[:, 1])
    values = constants["first"][:, None] + np.arange(3) + constants["median"][:, None]
    with torch.no_grad():
        expected = density.mass(torch.from_numpy(values).float()).numpy()
    np.testing.assert_allclose(constants["mass"][:, :3], expected, rtol=1e-3, atol=1e-7)


def test_weights_of_no_ncsc_network_are_refused(tmp_path):
    from gnuradio.semcom.systems.ncsc.export import export

    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="no weights of an NCSC network"):
        export(tmp_path / "weights.pt", tmp_path / "out", {})
    assert not (tmp_path / "out").exists()

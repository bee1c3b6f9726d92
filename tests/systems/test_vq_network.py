# SPDX-License-Identifier: GPL-3.0-or-later
"""VQ-DeepSC: sizes of the paper's network, codebooks, the loss and the optimiser, against independent figures."""

import numpy as np
import pytest

from gnuradio.semcom.systems.vq_deepsc.presets import get_geometry

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("name", "bits"), [("four_scales", 5008), ("three_scales", 1904)])
@pytest.mark.parametrize("preset", ["small", "paper"])
def test_bits_are_those_of_the_papers_table(name, bits, preset):
    geometry = get_geometry(name, preset)
    assert geometry.bits == bits == sum(s.grid**2 * s.bits_per_index for s in geometry.scales)


def test_names_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match="four_scales or three_scales"):
        get_geometry("five_scales")
    with pytest.raises(ValueError, match="small or paper"):
        get_geometry("four_scales", "large")


@pytest.mark.parametrize(
    ("name", "decoder", "codebooks"), [("four_scales", 60_916_236, 8_192), ("three_scales", 59_957_260, 40_960)]
)
def test_the_papers_network_has_its_sizes(name, decoder, codebooks):
    from gnuradio.semcom.systems.vq_deepsc.paper import Paper

    geometry = get_geometry(name, "paper")
    with torch.device("meta"):
        model = Paper(geometry)
        assert count(model.encoder) == 50_156_045
        assert count(model.decoder) == decoder
        assert count(model.quantisers) == codebooks
        features = model.encode(torch.empty(2, 3, 128, 128))
        assert {k: tuple(f.shape) for k, f in features.items()} == {
            s.level: (2, s.dimension, s.grid, s.grid) for s in geometry.scales
        }
        assert model.decoder(features).shape == (2, 3, 128, 128)


def test_the_discriminator_has_its_size():
    from gnuradio.semcom.systems.vq_deepsc.discriminator import PatchGan

    with torch.device("meta"):
        critic = PatchGan()
        assert count(critic) == 2_765_633
        assert critic(torch.empty(2, 3, 128, 128)).shape == (2, 1, 14, 14)


@pytest.mark.parametrize("name", ["four_scales", "three_scales"])
def test_the_small_network_has_about_two_million_parameters(name):
    from gnuradio.semcom.systems.vq_deepsc.network import Small

    with torch.device("meta"):
        assert 1.8e6 < count(Small(get_geometry(name))) < 2.4e6


def test_nearest_codes_are_those_of_all_distances_and_the_lowest_of_equals():
    from gnuradio.semcom.systems.vq_deepsc.quantiser import Quantiser

    torch.manual_seed(0)
    quantiser = Quantiser(16, 8, True)
    features = torch.randn(3, 8, 5, 7)
    rows = features.permute(0, 2, 3, 1).reshape(-1, 8).double().numpy()
    gaps = ((rows[:, None] - quantiser.codes.detach().double().numpy()[None]) ** 2).sum(2)
    assert np.array_equal(quantiser.indices(features).ravel().numpy(), gaps.argmin(1))
    with torch.no_grad():
        quantiser.codes[9] = quantiser.codes[4]
    at = quantiser.codes[9].detach().view(1, 8, 1, 1)
    assert quantiser.indices(at).item() == 4


@pytest.mark.parametrize("soft", [False, True])
def test_what_is_passed_on_are_codes_and_gradients_reach_the_encoder(soft):
    from gnuradio.semcom.systems.vq_deepsc.quantiser import Quantiser

    torch.manual_seed(0)
    quantiser = Quantiser(4, 3, soft)
    features = torch.randn(2, 3, 4, 4, requires_grad=True)
    out, loss = quantiser(features)
    expected = quantiser.lookup(quantiser.indices(features))
    torch.testing.assert_close(out, expected)
    weight = torch.randn_like(out)
    (grad,) = torch.autograd.grad((out * weight).sum(), features, retain_graph=True)
    if soft:
        assert float(grad.norm()) > 0.1
        assert not torch.allclose(grad, weight)
    else:
        torch.testing.assert_close(grad, weight)  # straight through
    errors = (expected - features).square().mean().item()
    balance = 0 if soft else None
    if balance is None:
        assert loss.item() == pytest.approx(1.25 * errors, rel=1e-5)  # codebook, and commitment at 0.25


def test_soft_gradients_are_those_of_the_weighted_mean():
    """Against numerical differences of the mean of the codes under the softmax."""
    from gnuradio.semcom.systems.vq_deepsc.quantiser import SHARPNESS, Quantiser

    torch.manual_seed(1)
    quantiser = Quantiser(4, 2, True).double()
    features = torch.randn(1, 2, 1, 3, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(quantiser(features)[0].sum(), features)
    codes = quantiser.codes.detach().numpy()
    at = features.detach()[0, :, 0].T.numpy()
    gaps = ((at[:, None] - codes[None]) ** 2).sum(2)
    spread = (gaps.mean(1) - gaps.min(1)).mean()

    def mean(point):
        weight = np.exp(-SHARPNESS / spread * ((point - codes) ** 2).sum(1))
        return (weight / weight.sum()) @ codes

    for place, point in enumerate(at):
        for axis in range(2):
            step = np.zeros(2)
            step[axis] = 1e-5
            slope = (mean(point + step) - mean(point - step)).sum() / 2e-5
            assert grad[0, axis, 0, place].item() == pytest.approx(slope, rel=1e-3, abs=1e-6)


def test_k_means_finds_clusters_and_dead_codes_come_back():
    from gnuradio.semcom.systems.vq_deepsc.quantiser import Quantiser

    torch.manual_seed(0)
    centres = torch.eye(8)[:4] * 10
    chosen = torch.randint(4, (400,))
    features = (centres[chosen] + 0.1 * torch.randn(400, 8)).T.reshape(1, 8, 20, 20)
    quantiser = Quantiser(4, 8, True)
    quantiser.start(features)
    gaps = torch.cdist(quantiser.codes.detach(), centres)
    assert sorted(gaps.argmin(1).tolist()) == [0, 1, 2, 3] and gaps.amin(1).max() < 0.1
    kept = quantiser.codes.detach().clone()
    with torch.no_grad():
        quantiser.codes[2] = 1e3  # nothing is near it
    for _ in range(400):
        quantiser(features)
    assert quantiser.revive(features) == 1
    moved = quantiser.codes.detach()
    assert torch.equal(moved[[0, 1, 3]], kept[[0, 1, 3]])
    assert quantiser.revive(features) == 0
    assert torch.cdist(moved[2:3], features[0].reshape(8, -1).T).min() < 1e-3


def test_scarce_codes_are_made_attractive():
    """The balance term pulls features towards a code that is used less than the floor."""
    from gnuradio.semcom.systems.vq_deepsc.quantiser import Quantiser

    quantiser = Quantiser(2, 1, True)
    with torch.no_grad():
        quantiser.codes.copy_(torch.tensor([[0.0], [4.0]]))
        quantiser.usage.copy_(torch.tensor([1.0, 0.0]))
    features = torch.full((1, 1, 4, 4), 0.0).add_(torch.linspace(0, 0.1, 16).view(1, 1, 4, 4)).requires_grad_()
    quantiser(features)[1].backward()
    commitment = 0.25 * 2 * features.detach() / 16
    assert (features.grad < commitment).all()


def test_the_similarity_is_that_of_an_independent_package():
    package = pytest.importorskip("pytorch_msssim")
    from gnuradio.semcom.systems.vq_deepsc.losses import ssim, windows

    torch.manual_seed(0)
    x = torch.rand(2, 3, 40, 52)
    y = (x + 0.1 * torch.randn_like(x)).clamp(0, 1)
    wanted = package.ssim(x, y, data_range=1.0, win_size=11, win_sigma=1.5)
    assert float(ssim(x, y)) == pytest.approx(float(wanted), abs=2e-5)
    quarters = [ssim(x, y, windows(40, 2, r), windows(52, 2, c)) for r in (0, 1) for c in (0, 1)]
    assert float(torch.stack(quarters).mean()) == pytest.approx(float(wanted), abs=2e-5)


def test_muon_makes_steps_orthogonal_and_keeps_their_directions():
    from gnuradio.semcom.systems.vq_deepsc.optimiser import orthogonal

    torch.manual_seed(0)
    for shape in ((24, 200), (96, 48)):
        matrix = torch.randn(shape)
        u, _, v = torch.linalg.svd(matrix, full_matrices=False)
        found = u.T @ orthogonal(matrix) @ v.T
        assert 0.6 < found.diagonal().min() and found.diagonal().max() < 1.3
        assert (found - torch.diag(found.diagonal())).abs().max() < 0.1


@pytest.mark.parametrize("name", ["four_scales", "three_scales"])
def test_fine_vectors_follow_the_coarse_codes_and_the_twin_sends_vectors_as_they_are(name):
    from gnuradio.semcom.systems.vq_deepsc.network import Small

    torch.manual_seed(0)
    geometry = get_geometry(name)
    model = Small(geometry).eval()
    picture = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        out, loss, features = model(picture)
        sent = {k: model.quantisers.level(k).lookup(model.quantisers.level(k).indices(f)) for k, f in features.items()}
        torch.testing.assert_close(model.synthesis(sent), out)
        assert loss.item() == 0
        for level, vectors in model.encode(picture).items():
            torch.testing.assert_close(vectors, features[level])
        model.quantisers.level(4).codes.add_(1.0)
        other = model.encode(picture)
        assert torch.equal(other[4], features[4])
        assert not torch.allclose(other[geometry.scales[0].level], features[geometry.scales[0].level])
        model.quantised = False
        out, _, features = model(picture)
        torch.testing.assert_close(model.synthesis(features), out)

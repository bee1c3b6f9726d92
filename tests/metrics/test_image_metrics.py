# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture metrics against independent implementations."""

import numpy as np
import pytest

from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.metrics import image_metrics, ms_ssim, psnr_db, ssim


@pytest.fixture(scope="module")
def pair():
    original = read_image(packaged_photograph()).data[:301, :400]
    noise = np.random.default_rng(1).normal(0, 12, original.shape)
    return original, np.clip(original + noise, 0, 255).astype(np.uint8)


def _tensor(torch, picture):
    return torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float64))


def test_ssim_and_ms_ssim_equal_the_public_torch_package(pair):
    torch = pytest.importorskip("torch")
    reference = pytest.importorskip("pytorch_msssim")
    x, y = (_tensor(torch, p) for p in pair)
    assert ssim(*pair) == pytest.approx(float(reference.ssim(x, y, data_range=255)), abs=1e-5)
    assert ms_ssim(*pair) == pytest.approx(float(reference.ms_ssim(x, y, data_range=255)), abs=1e-5)


def test_psnr_equals_scikit_image(pair):
    reference = pytest.importorskip("skimage.metrics")
    assert psnr_db(*pair) == pytest.approx(reference.peak_signal_noise_ratio(*pair), abs=1e-9)


def test_identical_pictures_have_the_best_values(pair):
    values = image_metrics(pair[0], pair[0])
    assert values == {"psnr_db": 100.0, "ssim": pytest.approx(1), "ms_ssim": pytest.approx(1)}


def test_a_message_that_never_came_counts_its_worst(pair):
    values = image_metrics(pair[0], None)
    assert values["ssim"] == values["ms_ssim"] == 0
    assert values["psnr_db"] == psnr_db(pair[0], np.full_like(pair[0], 128))


@pytest.mark.parametrize(("side", "defined"), [(160, False), (161, True)])
def test_ms_ssim_is_defined_from_161_pixels_on(side, defined):
    picture = np.random.default_rng(2).integers(0, 256, (side, 200, 3)).astype(np.uint8)
    assert (ms_ssim(picture, picture) is not None) == defined


def test_tiny_pictures_have_psnr_alone():
    picture = np.zeros((1, 1, 3), np.uint8)
    assert image_metrics(picture, picture) == {"psnr_db": 100.0, "ssim": None, "ms_ssim": None}


def test_pictures_of_two_shapes_are_refused(pair):
    with pytest.raises(ValueError, match="differ in shape"):
        image_metrics(pair[0], pair[0][:100])

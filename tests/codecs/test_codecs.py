# SPDX-License-Identifier: GPL-3.0-or-later
"""Every classic codec: round trip, budgets, damage; and the published Kodak figures."""

import os
from pathlib import Path

import numpy as np
import pytest

from gnuradio.semcom.codecs import get_codec, names
from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.metrics import ms_ssim, psnr_db


def usable(name):
    try:
        get_codec(name).check_installed()
    except ValueError as error:
        return pytest.param(name, marks=pytest.mark.skip(reason=str(error)))
    return name


ALL = [usable(name) for name in names()]
LOSSY = [usable(name) for name in names() if name != "raw"]


@pytest.fixture(scope="module")
def photograph():
    return np.ascontiguousarray(read_image(packaged_photograph()).data[40:260, 100:400])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(200, 300), (201, 299), (33, 17), (1, 1), (1, 40)])
def test_a_picture_of_any_size_comes_back(photograph, name, shape):
    picture = np.ascontiguousarray(photograph[: shape[0], : shape[1]])
    codec = get_codec(name)
    found = codec.decode(codec.encode(picture, quality=codec.qualities[-1]), shape)
    assert found.shape == picture.shape and found.dtype == np.uint8
    assert psnr_db(picture, found) > (24 if shape != (1, 1) else 15)  # a single pixel is no job for a wavelet


@pytest.mark.parametrize("name", LOSSY)
def test_a_budget_is_kept_and_mostly_used(photograph, name):
    budget = 4000
    data = get_codec(name).encode(photograph, max_bytes=budget)
    assert 0.75 * budget < len(data) <= budget
    assert psnr_db(photograph, get_codec(name).decode(data, photograph.shape[:2])) > 20


@pytest.mark.parametrize("name", ALL)
def test_what_cannot_fit_is_none(photograph, name):
    assert get_codec(name).encode(photograph, max_bytes=20) is None


@pytest.mark.parametrize("name", ALL)
def test_the_same_picture_gives_the_same_file(photograph, name):
    codec = get_codec(name)
    assert codec.encode(photograph) == codec.encode(photograph)


@pytest.mark.parametrize("name", LOSSY)
def test_damaged_files_raise_value_error_and_nothing_else(photograph, name):
    codec = get_codec(name)
    data = codec.encode(photograph)
    random = np.random.default_rng(7)
    for _ in range(60):
        broken = bytearray(data)
        for place in random.integers(0, len(data), 4):
            broken[place] = random.integers(256)
        if random.integers(2):
            del broken[random.integers(len(data)) :]
        try:
            found = codec.decode(bytes(broken), photograph.shape[:2])
        except ValueError:
            continue
        assert found.shape == photograph.shape


@pytest.mark.parametrize("name", ALL)
def test_a_file_of_another_size_is_refused(photograph, name):
    data = get_codec(name).encode(photograph)
    with pytest.raises(ValueError):
        get_codec(name).decode(data, (100, 100))


def test_an_interrupted_jpeg_shows_its_first_rows(photograph):
    codec = get_codec("jpeg")
    data = codec.encode(photograph, quality=60)
    whole = codec.decode(data, photograph.shape[:2])
    shown = codec.conceal(data, len(data) * 2 // 3, photograph.shape[:2])
    rows = np.flatnonzero((shown == 128).all((1, 2)))[0]
    assert 40 < rows < 220
    np.testing.assert_array_equal(shown[: rows - 32], whole[: rows - 32])


def test_an_interrupted_webp_shows_more_the_more_of_it_arrived(photograph):
    codec = get_codec("webp")
    data = codec.encode(photograph, quality=20)
    shown = [codec.conceal(data, int(part * len(data)), photograph.shape) for part in (0, 0.8, 0.95, 1)]
    quality = [psnr_db(photograph, picture) for picture in shown]
    assert quality == sorted(quality) and quality[1] > quality[0] + 1


def test_raw_pixels_that_arrived_are_kept(photograph):
    codec = get_codec("raw")
    shown = codec.conceal(codec.encode(photograph), 4 + 50 * photograph.shape[1] * 3, photograph.shape)
    np.testing.assert_array_equal(shown[:50], photograph[:50])
    assert (shown[50:] == 128).all()


@pytest.mark.parametrize("name", LOSSY)
def test_concealment_never_fails_wherever_the_file_broke(photograph, name):
    codec = get_codec(name)
    data = codec.encode(photograph, max_bytes=5000)
    for good in np.random.default_rng(3).integers(-1, len(data) + 10, 25):
        assert codec.conceal(data, int(good), photograph.shape).shape == photograph.shape


def test_headers_that_announce_a_huge_picture_are_refused(photograph):
    webp = bytearray(get_codec("webp").encode(photograph))
    webp[26:30] = b"\xff\x3f\xff\x3f"
    j2k = bytearray(get_codec("jpeg2000").encode(photograph))
    j2k[8:16] = (60000).to_bytes(4, "big") * 2
    hevc = get_codec("hevc").encode(np.zeros((2160, 4096, 3), np.uint8))
    for name, data in (("webp", webp), ("jpeg2000", j2k), ("hevc", hevc)):
        with pytest.raises(ValueError, match="not"):
            get_codec(name).decode(bytes(data), photograph.shape)


def test_a_jpeg_xl_file_that_announces_another_size_extra_channels_or_an_animation_is_refused(photograph):
    imagecodecs = pytest.importorskip("imagecodecs")
    codec = get_codec("jpeg_xl")
    for shape in ((200, 300), (201, 299), (64, 64), (33, 17), (1, 1)):  # each form of the size header
        data = codec.encode(np.ascontiguousarray(photograph[: shape[0], : shape[1]]))
        assert codec.decode(data, shape).shape[:2] == shape
        with pytest.raises(ValueError, match=f"not {shape[1]}x{shape[0] + 8}"):
            codec.decode(data, (shape[0] + 8, shape[1]))
    alpha = np.dstack([photograph, photograph[:, :, :1]])
    film = np.stack([photograph, photograph])
    container = imagecodecs.jpegxl_encode(photograph, distance=3, usecontainer=True)
    for data in (imagecodecs.jpegxl_encode(alpha, distance=3), imagecodecs.jpegxl_encode(film, distance=3), container):
        with pytest.raises(ValueError, match="8-bit RGB, one picture"):
            codec.decode(data, photograph.shape)
    # not small, 30 bits of height, width the same, default metadata: a square of 2^30 pixels a side
    huge = (0b11 << 1 | (2**30 - 1) << 3 | 1 << 33 | 1 << 36).to_bytes(5, "little")
    with pytest.raises(ValueError, match="broken JPEG XL"):
        codec.decode(b"\xff\x0a" + huge + bytes(40), photograph.shape)


def test_without_its_package_jpeg_xl_says_what_to_install(photograph, monkeypatch):
    import sys

    from gnuradio.semcom.links import Link
    from gnuradio.semcom.systems import registry

    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ValueError, match="pip install -c constraints.txt imagecodecs"):
        get_codec("jpeg_xl").encode(photograph)
    assert "not usable here: jpeg_xl needs the package imagecodecs" in registry.get("jpeg_xl").title
    with pytest.raises(ValueError, match="needs the package imagecodecs"):
        for stage in Link("jpeg_xl").stages():
            stage.prepare()


def test_hevc_spends_less_than_a_hundred_bytes_on_parameter_sets(photograph):
    units = get_codec("hevc").encode(photograph).split(b"\x00\x00\x01")[1:]
    kinds = [(unit[0] >> 1) & 63 for unit in units]
    assert kinds == [32, 33, 34, 20]  # video, sequence and picture parameter set, one intra slice
    assert sum(len(unit) + 3 for unit in units[:3]) < 100


@pytest.mark.parametrize("name", LOSSY)
def test_concealment_without_anything_is_grey(photograph, name):
    shape = photograph.shape[:2]
    assert (get_codec(name).conceal(b"", 0, shape) == 128).all()


def test_hevc_streams_carry_no_text_of_the_encoder(photograph):
    assert b"x265" not in get_codec("hevc").encode(photograph)


def test_unknown_names_and_qualities_are_refused(photograph):
    with pytest.raises(ValueError, match="expected one of jpeg"):
        get_codec("gif")
    with pytest.raises(ValueError, match="1 to 100"):
        get_codec("jpeg").encode(photograph, quality=101)
    with pytest.raises(ValueError, match="optimized, standard"):
        get_codec("jpeg").encode(photograph, model="huffman")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "model", "quality", "max_bpp", "expected"),
    [
        ("jpeg", "standard", 1, None, (0.1731, 21.48, 0.715)),
        ("jpeg", "optimized", None, 0.173, (0.1617, 25.05, 0.840)),
        ("webp", "", None, 0.125, (0.1233, 26.52, 0.878)),
        ("webp", "", None, 0.173, (0.1640, 27.57, 0.902)),
    ],
)
def test_the_kodak_figures_of_jpeg_and_webp_are_reproduced(name, model, quality, max_bpp, expected):
    """Means over 24 pictures; pictures that fit no budget count at the lowest quality, as in the published figures."""
    folder = os.environ.get("SEMCOM_DATA")
    if not folder:
        pytest.skip("SEMCOM_DATA is not set: no Kodak photographs")
    rows = []
    for path in sorted((Path(folder) / "kodak").glob("*.png")):
        picture = read_image(path).data
        pixels = picture.shape[0] * picture.shape[1]
        codec = get_codec(name)
        max_bytes = None if max_bpp is None else int(max_bpp * pixels) // 8
        data = codec.encode(picture, quality=quality, max_bytes=max_bytes, model=model)
        data = data or codec.encode(picture, quality=codec.qualities[0], model=model)
        found = codec.decode(data, picture.shape[:2])
        rows.append((len(data) * 8 / pixels, psnr_db(picture, found), ms_ssim(picture, found)))
    np.testing.assert_allclose(np.mean(rows, 0), expected, rtol=0.01, atol=0.004)

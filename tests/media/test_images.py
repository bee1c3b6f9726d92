# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of every mode come in with the right colours; what cannot be read is refused in one line."""

import numpy as np
import pytest
from PIL import Image

from gnuradio.semcom.media import images
from gnuradio.semcom.media.images import read_image, write_png
from gnuradio.semcom.media.inputs import list_inputs
from gnuradio.semcom.media.photographs import packaged_photograph


@pytest.fixture
def colours():
    """Four flat quarters: white, red, green, dark blue."""
    data = np.zeros((64, 64, 3), np.uint8)
    data[:32, :32], data[:32, 32:], data[32:, :32], data[32:, 32:] = 255, (255, 0, 0), (0, 255, 0), (0, 0, 100)
    return data


def test_rgb_png_comes_back_exactly(tmp_path, colours):
    write_png(tmp_path / "a" / "b.png", colours)
    np.testing.assert_array_equal(read_image(tmp_path / "a" / "b.png").data, colours)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK"])
def test_other_modes_keep_their_colours(tmp_path, colours, mode):
    grey = mode in ("L", "1", "LA")
    picture = Image.fromarray(colours)
    picture = (
        picture.quantize(16) if mode == "P" else picture.convert("L").convert(mode) if grey else picture.convert(mode)
    )
    suffix = ".tif" if mode == "CMYK" else ".png"
    picture.save(tmp_path / f"x{suffix}")
    found = read_image(tmp_path / f"x{suffix}").data
    assert found.shape == (64, 64, 3) and found.dtype == np.uint8
    if not grey:
        assert np.abs(found.astype(int) - colours).max() < 30
    assert (found[8, 8] == 255).all()


def test_a_cmyk_jpeg_is_not_inverted(tmp_path, colours):
    Image.fromarray(colours).convert("CMYK").save(tmp_path / "x.jpg", quality=95)
    found = read_image(tmp_path / "x.jpg").data.astype(int)
    assert found[8, 8].min() > 230 and found[8, 56, 0] > 200 > 60 > found[8, 56, 1]


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "x.png")
    found = read_image(tmp_path / "x.png").data[:, :, 0]
    np.testing.assert_array_equal(found, np.round(ramp / 257.0).astype(np.uint8))


def test_transparency_is_put_on_white(tmp_path):
    data = np.zeros((20, 20, 4), np.uint8)
    Image.fromarray(data).save(tmp_path / "x.png")
    assert (read_image(tmp_path / "x.png").data == 255).all()


def test_the_rotation_of_the_camera_is_applied(tmp_path, colours):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colours[:, :48]).save(tmp_path / "x.png", exif=exif)
    assert read_image(tmp_path / "x.png").data.shape == (48, 64, 3)


@pytest.mark.parametrize("size", [(1, 1), (3000, 2000)])
def test_small_and_large_pictures_are_read(tmp_path, size):
    Image.new("RGB", size, "navy").save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png").data.shape == (size[1], size[0], 3)


def test_a_picture_beyond_the_bound_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    Image.new("RGB", (100, 100)).save(tmp_path / "x.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 9999)
    with pytest.raises(ValueError, match="100x100"):
        read_image(tmp_path / "x.png")


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "cut", "empty", "float"])
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, kind):
    path = tmp_path / "x.png"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("hello")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut":
        Image.effect_noise((64, 64), 50).save(path)
        path.write_bytes(path.read_bytes()[:500])
    elif kind == "float":
        path = tmp_path / "x.tif"
        Image.new("F", (20, 20), 0.5).save(path)
    with pytest.raises(ValueError, match="x[.](png|tif)") as error:
        read_image(path)
    assert "\n" not in str(error.value)


def test_a_folder_without_manifest_is_read_in_order(tmp_path, colours):
    (tmp_path / "b").mkdir()
    for name in ("b/2.png", "a.png", "b/1.png"):
        write_png(tmp_path / name, colours)
    (tmp_path / "notes.txt").write_text("no picture")
    assert [item.name for item in list_inputs(tmp_path)] == ["a.png", "b/1.png", "b/2.png"]


def test_a_manifest_names_files_and_splits(tmp_path, colours):
    write_png(tmp_path / "x.png", colours)
    write_png(tmp_path / "y.png", colours)
    (tmp_path / "MANIFEST.tsv").write_text('file\tsplit\ttranscript\ny.png\ttest\t"odd quote\nx.png\ttrain\t\n')
    assert [(item.name, item.split) for item in list_inputs(tmp_path)] == [("y.png", "test"), ("x.png", "train")]
    assert [item.name for item in list_inputs(tmp_path, split="train")] == ["x.png"]


def test_a_split_that_is_not_there_is_refused_with_those_that_are(tmp_path, colours):
    write_png(tmp_path / "x.png", colours)
    (tmp_path / "MANIFEST.tsv").write_text("file\tsplit\nx.png\ttest\n")
    with pytest.raises(ValueError, match="'dev'.*test"):
        list_inputs(tmp_path, split="dev")


@pytest.mark.parametrize("text", ["name\nx.png\n", "", "file\nmissing.png\n", "file\n\udcff\n"])
def test_a_broken_manifest_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "MANIFEST.tsv").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError) as error:
        list_inputs(tmp_path)
    assert "\n" not in str(error.value)


def test_an_adobe_cmyk_file_with_inverted_inks_keeps_its_colours(tmp_path, colours):
    Image.fromarray(colours).convert("CMYK").save(tmp_path / "x.jpg", quality=95)
    with Image.open(tmp_path / "x.jpg") as picture:
        assert "adobe" in picture.info
    found = read_image(tmp_path / "x.jpg").data.astype(int)
    assert np.abs(found[48, 8] - (0, 255, 0)).max() < 40 and np.abs(found[48, 56] - (0, 0, 100)).max() < 40


def test_an_animation_gives_its_first_picture(tmp_path):
    first, second = Image.new("RGB", (30, 20), "red"), Image.new("RGB", (30, 20), "blue")
    first.save(tmp_path / "x.gif", save_all=True, append_images=[second])
    assert tuple(read_image(tmp_path / "x.gif").data[5, 5]) == (255, 0, 0)


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path, colours):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ValueError, match="cannot write"):
        write_png(tmp_path / "file" / "x.png", colours)


@pytest.mark.parametrize("name", ["../x.png", "/etc/passwd", ""])
def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path, name):
    (tmp_path / "MANIFEST.tsv").write_text(f"file\tsplit\n{name}\ttest\n")
    with pytest.raises(ValueError, match="outside the folder|names no file"):
        list_inputs(tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no picture"):
        list_inputs(tmp_path)


def test_the_packaged_photograph_is_a_photograph():
    data = read_image(packaged_photograph()).data
    assert min(data.shape[:2]) >= 384 and data.std() > 30

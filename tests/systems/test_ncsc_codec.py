# SPDX-License-Identifier: GPL-3.0-or-later
"""The trained codec on real photographs and on hostile streams."""

import numpy as np
import pytest

from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.metrics import image_metrics
from gnuradio.semcom.systems.ncsc.codec import GREY, codec


@pytest.fixture(scope="module")
def photograph():
    return read_image(packaged_photograph()).data[:384, :512]


@pytest.fixture(scope="module")
def stream(photograph):
    return codec().encode(photograph)


def _decode(data, shape, ok=None):
    return codec().decode(data, np.ones(len(data), bool) if ok is None else ok, shape)


def test_a_photograph_survives_the_round_trip(photograph, stream):
    decoded = _decode(stream, photograph.shape[:2])
    assert decoded.concealed == 0
    assert decoded.picture.shape == photograph.shape
    assert image_metrics(photograph, decoded.picture)["psnr_db"] > 22
    assert len(stream) * 8 / photograph[..., 0].size < 0.35


def test_quality_raises_rate_and_fidelity(photograph):
    rows = []
    for quality in (0, 100, 255):
        data = codec().encode(photograph, quality=quality)
        psnr = image_metrics(photograph, _decode(data, photograph.shape[:2]).picture)["psnr_db"]
        rows.append((len(data), psnr))
    assert rows == sorted(rows)


@pytest.mark.parametrize("max_bytes", [2500, 4000, 9000])
def test_a_budget_is_kept_and_used(photograph, max_bytes):
    data = codec().encode(photograph, max_bytes=max_bytes)
    highest = data[1] == 255
    assert len(data) <= max_bytes and (highest or len(data) > 0.95 * max_bytes)


def test_what_cannot_fit_is_none(photograph):
    assert codec().encode(photograph, max_bytes=100) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (65, 63), (64, 64), (130, 257), (321, 481)])
def test_any_size_is_padded_and_cut_back(photograph, shape):
    picture = np.resize(photograph, (*shape, 3)) if shape[0] == 1 else photograph[: shape[0], : shape[1]]
    decoded = _decode(codec().encode(picture), shape)
    assert decoded.picture.shape == picture.shape
    assert decoded.concealed == 0


def test_a_lost_segment_is_concealed_and_others_hardly_change(photograph, stream):
    whole = _decode(stream, photograph.shape[:2]).picture
    ok = np.ones(len(stream), bool)
    ok[40] = False  # inside the first segment
    decoded = _decode(stream, photograph.shape[:2], ok)
    assert decoded.concealed == 1
    far = np.s_[256 + 64 :, 256 + 64 :]  # near the end of the transforms' reach
    np.testing.assert_allclose(decoded.picture[far].astype(int), whole[far], atol=1)
    lost = image_metrics(photograph, decoded.picture)["psnr_db"]
    grey = image_metrics(photograph, np.full_like(photograph, GREY))["psnr_db"]
    assert lost > grey


def test_any_single_code_block_may_be_lost_and_a_picture_remains(photograph, stream):
    grey = image_metrics(photograph, np.full_like(photograph, GREY))["psnr_db"]
    for start in range(0, len(stream), 189):  # 1512 bits
        ok = np.ones(len(stream), bool)
        ok[start : start + 189] = False
        decoded = _decode(stream, photograph.shape[:2], ok)
        assert decoded.concealed < decoded.segments
        assert image_metrics(photograph, decoded.picture)["psnr_db"] > grey


def test_a_stream_of_another_size_or_model_counts_as_lost(photograph, stream):
    assert (_decode(stream, (100, 100)).picture == GREY).all()
    other = bytearray(stream)
    other[3] ^= 1
    assert (_decode(bytes(other[:40]), photograph.shape[:2]).picture == GREY).all()


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_streams_never_crash_the_decoder(photograph, count):
    picture = photograph[:128, :128]
    stream = codec().encode(picture)
    random = np.random.default_rng(5)
    for _ in range(count):
        data = bytearray(stream)
        kind = random.integers(4)
        if kind == 0:
            del data[random.integers(len(data)) :]
        elif kind == 1:
            data += bytes(random.integers(0, 256, random.integers(1, 50), dtype=np.uint8))
        else:
            for place in random.integers(0, len(data), random.integers(1, 6)):
                data[place] ^= 1 << random.integers(8)
        decoded = _decode(bytes(data), picture.shape[:2])
        assert decoded.picture.shape == picture.shape


def test_mutated_symbols_behind_valid_checks_never_crash_the_decoder(photograph):
    """An attacker can make CRCs right: the range decoder itself must stand every input."""
    from gnuradio.semcom.systems.ncsc.stream import pack, parse

    picture = photograph[:128, :128]
    stream = codec().encode(picture)
    header, segments = parse(stream, np.ones(len(stream), bool))
    random = np.random.default_rng(6)
    for _ in range(200):
        broken = []
        for segment in segments:
            data = bytearray(segment)
            for place in random.integers(0, len(data), 3):
                data[place] = random.integers(256)
            if random.integers(2):
                del data[random.integers(4, len(data) + 1) :]
            broken.append(bytes(data))
        assert _decode(pack(header, broken), picture.shape[:2]).picture.shape == picture.shape

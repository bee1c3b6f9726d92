# SPDX-License-Identifier: GPL-3.0-or-later
"""The trained codec on real photographs and on hostile streams."""

import copy

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


def test_a_picture_too_large_for_a_stream_is_refused():
    with pytest.raises(ValueError, match="16384 pixels a side"):
        codec().encode(np.zeros((1, 16385, 3), np.uint8))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (65, 63), (64, 64), (130, 257), (321, 481)])
def test_any_size_is_padded_and_cut_back(photograph, shape):
    picture = np.resize(photograph, (*shape, 3)) if shape[0] == 1 else photograph[: shape[0], : shape[1]]
    decoded = _decode(codec().encode(picture), shape)
    assert decoded.picture.shape == picture.shape
    assert decoded.concealed == 0


def test_a_lost_segment_is_concealed_and_others_hardly_change(photograph, stream):
    whole = _decode(stream, photograph.shape[:2]).picture
    ok = np.ones(len(stream), bool)
    ok[30] = False  # at the beginning of the first segment
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


def test_of_a_stream_for_another_size_or_model_only_the_thumbnail_is_shown(photograph, stream):
    for decoded in (_decode(stream, (96, 128)), _other_model().decode(stream, np.ones(len(stream), bool), (96, 128))):
        assert decoded.segments == decoded.concealed == 1
        small = photograph.reshape(96, 4, 128, 4, 3).mean((1, 3))
        assert np.abs(decoded.picture - small).mean() < 0.7 * np.abs(GREY - small).mean()


def _other_model():
    """The same networks under another number, the channels in the same order."""
    other = copy.copy(codec())
    other.identity ^= 1
    return other


def test_rubbish_is_shown_as_grey(photograph):
    random = np.random.default_rng(8)
    for length in (0, 1, 17, 18, 40, 5000):
        data = random.integers(0, 256, length, dtype=np.uint8).tobytes()
        decoded = _decode(data, photograph.shape[:2])
        assert decoded.concealed == 1 and (decoded.picture == GREY).all()


@pytest.mark.parametrize("count", [250, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_streams_never_crash_the_decoder(photograph, count):
    """Streams of every kind, mutated, with and without telling the decoder which bytes are wrong."""
    picture = photograph[:128, :128]
    budgets = ((250, False), (400, True), (40, False))
    streams = [codec().encode(picture), *(codec().encode(picture, max_bytes=n, repeat=again) for n, again in budgets)]
    random = np.random.default_rng(5)
    for number in range(count):
        data = bytearray(streams[number % 4])
        kind = random.integers(4)
        if kind == 0:
            del data[random.integers(len(data)) :]
        elif kind == 1:
            data += bytes(random.integers(0, 256, random.integers(1, 50), dtype=np.uint8))
        ok = np.ones(len(data), bool)
        if kind > 1:
            for place in random.integers(0, len(data), random.integers(1, 6)):
                data[place] ^= 1 << random.integers(8)
                ok[place] = kind == 2
        if kind == 3:
            start = random.integers(len(data))
            ok[start : start + random.integers(len(data))] = False
        decoded = _decode(bytes(data), picture.shape[:2], ok)
        assert decoded.picture.shape == picture.shape


def test_mutated_symbols_behind_valid_checks_never_crash_the_decoder(photograph):
    """An attacker can make CRCs right: the range decoder itself must stand every input."""
    from gnuradio.semcom.systems.ncsc.stream import pack, parse

    picture = photograph[:128, :128]
    stream = codec().encode(picture)
    header, segments = parse(stream, np.ones(len(stream), bool), codec().identity, 128, 128)
    random = np.random.default_rng(6)
    for _ in range(200):
        broken = []
        for segment in segments:
            data = bytearray(segment.data)
            for place in random.integers(0, len(data), 3):
                data[place] = random.integers(256)
            if random.integers(2):
                del data[random.integers(4, len(data) + 1) // 2 * 2 :]
            broken.append(bytes(data))
        assert _decode(pack(header, broken), picture.shape[:2]).picture.shape == picture.shape

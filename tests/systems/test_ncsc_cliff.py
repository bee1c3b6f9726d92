# SPDX-License-Identifier: GPL-3.0-or-later
"""No cliff: at every budget and after every kind of damage there is a picture, and less damage is a better one."""

import numpy as np
import pytest

from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.message import Message
from gnuradio.semcom.metrics import psnr_db
from gnuradio.semcom.systems import registry, stages
from gnuradio.semcom.systems.base import Request
from gnuradio.semcom.systems.ncsc import thumbnail
from gnuradio.semcom.systems.ncsc.codec import GREY, codec

AIRTIME = 29952 * 384 * 512 // (512 * 768)  # as many symbols a pixel as the Kodak photographs are given


@pytest.fixture(scope="module")
def photograph():
    return read_image(packaged_photograph()).data[:384, :512]


@pytest.fixture(scope="module")
def stream(photograph):
    return codec().encode(photograph)


def _psnr(photograph, data, ok=None):
    ok = np.ones(len(data), bool) if ok is None else ok
    return psnr_db(photograph, codec().decode(data, ok, photograph.shape[:2]).picture)


def test_every_budget_from_18_bytes_on_gives_a_picture_and_more_bytes_a_better_one(photograph):
    assert codec().encode(photograph, max_bytes=17) is None
    rows = []
    for max_bytes in (18, 36, 72, 150, 300, 600, 1200, 2400, 4800):
        data = codec().encode(photograph, max_bytes=max_bytes)
        assert len(data) <= max_bytes
        rows.append(_psnr(photograph, data))
    assert all(b >= a for a, b in zip(rows, rows[1:], strict=False))
    assert rows[0] > psnr_db(photograph, np.full_like(photograph, GREY)) + 3
    assert rows[4] > rows[0] + 3 and rows[-1] > rows[4] + 4


def test_a_budget_is_used_at_every_scale(photograph):
    scales = set()
    for max_bytes in range(150, 3000, 190):
        data = codec().encode(photograph, max_bytes=max_bytes)
        assert 0.9 * max_bytes < len(data) <= max_bytes
        scales.add(data[0] & 15)
    assert len(scales) >= 6 and 0 in scales


def test_the_quality_limits_what_a_budget_may_take(photograph):
    data = codec().encode(photograph, quality=10, max_bytes=100_000)
    assert data == codec().encode(photograph, quality=10)
    assert len(codec().encode(photograph, quality=10, max_bytes=700)) <= 700


@pytest.mark.parametrize("shape", [(1, 1), (2, 200), (65, 63), (321, 181)])
@pytest.mark.parametrize("max_bytes", [20, 60, 200])
def test_any_size_comes_back_at_any_budget(photograph, shape, max_bytes):
    picture = photograph[: shape[0], : shape[1]]
    data = codec().encode(picture, max_bytes=max_bytes)
    decoded = codec().decode(data, np.ones(len(data), bool), shape)
    assert decoded.picture.shape == picture.shape and decoded.concealed == 0


def test_the_longer_the_undamaged_beginning_of_segments_the_better_the_picture(photograph, stream):
    """What is lost is always the end of each segment; nothing at all is the thumbnail."""
    from gnuradio.semcom.systems.ncsc.stream import parse

    whole = np.ones(len(stream), bool)
    header, segments = parse(stream, whole, codec().identity, *photograph.shape[:2])
    starts = [stream.find(segment.data[:8]) for segment in segments]
    rows = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        ok = whole.copy()
        for start, segment in zip(starts, segments, strict=True):
            ok[start + int(share * len(segment.data)) : start + len(segment.data)] = False
        ok[[*range(30), *range(-(-len(stream) // 2), -(-len(stream) // 2) + 30)]] = True
        rows.append(_psnr(photograph, stream, ok if share < 1 else None))
    assert header.copies == 2 and rows == sorted(rows)
    assert rows[1] > rows[0] + 1 and rows[2] > rows[0] + 2


def test_a_lost_segment_looks_better_with_the_thumbnail_than_without(photograph, stream, monkeypatch):
    ok = np.ones(len(stream), bool)
    ok[28] = False
    with_it = _psnr(photograph, stream, ok)
    monkeypatch.setattr(thumbnail, "render", lambda values, height, width: np.full((height, width, 3), GREY, np.uint8))
    assert with_it > _psnr(photograph, stream, ok) + 0.3


def test_damage_that_no_block_reports_costs_its_own_segment_only(photograph, stream):
    damaged = bytearray(stream)
    damaged[200] ^= 8
    decoded = codec().decode(bytes(damaged), np.ones(len(stream), bool), photograph.shape[:2])
    assert decoded.concealed == 1


def test_three_of_four_repeats_may_be_lost(photograph):
    data = codec().encode(photograph, max_bytes=600, repeat=True)
    assert len(data) <= 600 and len(data) % 4 == 0
    whole = _psnr(photograph, data)
    for quarter in range(4):
        ok = np.repeat(np.arange(4) == quarter, len(data) // 4)
        damaged = np.where(ok, np.frombuffer(data, np.uint8), 0x5A).astype(np.uint8).tobytes()
        assert _psnr(photograph, damaged, ok) == whole


def test_what_the_highest_quality_leaves_of_a_budget_repairs_lost_blocks(photograph):
    highest = codec().encode(photograph, quality=255)
    data = codec().encode(photograph, max_bytes=int(1.3 * len(highest)))
    assert data.startswith(highest) and len(data) == len(highest) * 5 // 4
    whole = _psnr(photograph, highest)
    for start in range(0, len(data) - 189, 911):
        ok = np.ones(len(data), bool)
        ok[start : start + 189] = False
        damaged = np.where(ok, np.frombuffer(data, np.uint8), 0).astype(np.uint8).tobytes()
        decoded = codec().decode(damaged, ok, photograph.shape[:2])
        assert decoded.concealed == 0 and psnr_db(photograph, decoded.picture) == whole


@pytest.mark.parametrize("repeat", [False, True])
def test_bits_that_are_often_wrong_still_show_a_thumbnail(photograph, repeat):
    data = codec().encode(photograph, max_bytes=600, repeat=repeat)
    grey = psnr_db(photograph, np.full_like(photograph, GREY))
    random = np.random.default_rng(2)
    for share, least in ((0.03, 3), (0.1, 2 + repeat), (0.2, 1 + repeat)):
        gains = []
        for _ in range(8):
            wrong = np.packbits(random.random(8 * len(data)) < share)
            damaged = (np.frombuffer(data, np.uint8) ^ wrong).tobytes()
            gains.append(_psnr(photograph, damaged, np.zeros(len(data), bool)) - grey)
        assert np.mean(gains) > least, (share, gains)


def test_a_thumbnail_holds_colours_and_structure():
    """A ramp in each direction and a colour, and its size is fixed."""
    rows, columns = np.mgrid[0:90, 0:160] / 100
    picture = np.stack([40 + 90 * columns, 60 + 80 * rows, 120 - 30 * columns], 2).astype(np.uint8)
    data = thumbnail.encode(picture)
    assert len(data) == 14
    assert psnr_db(picture, thumbnail.render(thumbnail.decode(data), 90, 160)) > 20


def test_wrong_bits_of_a_thumbnail_change_only_their_coefficient():
    data = thumbnail.encode(np.full((40, 60, 3), 99, np.uint8))
    for bit in range(112):
        changed = bytearray(data)
        changed[bit // 8] ^= 128 >> bit % 8
        assert np.count_nonzero(thumbnail.decode(bytes(changed)) != thumbnail.decode(data)) == 1


def test_what_are_no_copies_are_not_combined():
    random = np.random.default_rng(3)
    unrelated = [random.integers(0, 256, 14, dtype=np.uint8).tobytes() for _ in range(4)]
    assert thumbnail.combine(unrelated) is None and thumbnail.combine(unrelated[:1]) is None
    same = thumbnail.combine(unrelated[:1] * 4)
    assert np.abs(same - thumbnail.decode(unrelated[0])).max() < 0.1


def test_the_system_repeats_itself_only_where_no_scheme_is_safe(photograph):
    ncsc, message = registry.get("ncsc"), Message("image", photograph)

    def bits(esn0_db, max_bits=4896):
        return ncsc.encode(message, Request(max_bits=max_bits, esn0_db=esn0_db)).bits

    quarters = bits(-8.0).reshape(4, -1)
    assert (quarters == quarters[0]).all()
    np.testing.assert_array_equal(bits(-7.0), bits(None))
    assert stages.Encoder(max_bits=4896, esn0_db=-9.0).request(0).esn0_db == -8.0  # a link tells it
    assert len(bits(-7.0)) <= 4896 and ncsc.heeds(3.0) is None and ncsc.heeds(-9.0) == ncsc.heeds(-20.0)


def test_pictures_over_a_link_get_better_with_every_step_of_esn0_db(photograph):
    from gnuradio.semcom.links import Link

    message = Message("image", photograph)
    rows = []
    for esn0_db in (-9, -8, -7, -4, 0, 5, 10, 15):
        ((_, record),) = Link("ncsc", esn0_db=esn0_db, mcs="auto", airtime=AIRTIME).run([message])
        assert record["symbols_total"] <= AIRTIME and record["reason"] != "does_not_fit"
        assert record["delivered"] or esn0_db <= -8
        rows.append(record["metrics"]["psnr_db"])
    assert rows == sorted(rows)
    assert rows[2] > 19 and rows[-1] > 26

# SPDX-License-Identifier: GPL-3.0-or-later
"""The NCSC container: what is written is read, what is damaged is named, nothing else happens."""

import numpy as np
import pytest

from gnuradio.semcom.systems.ncsc.stream import (
    COPIES,
    REPEATS,
    SCALES,
    STRIPES,
    THUMBNAIL_ONLY,
    Header,
    Segment,
    _crc,
    _number,
    check_size,
    choose_tile,
    merged,
    overhead,
    pack,
    parse,
    protected,
    repaired,
    thumbnails,
)

MODEL, SHAPE = 0xBEEF, (512, 768)
HEAD = 18 + 5  # six segments below 256 bytes


def _stream(scale=0, copies=2):
    header = Header(scale, 60, MODEL, *SHAPE, bytes(range(14)), copies)
    segments = [bytes([k] * (20 + 2 * k)) for k in range(len(header.boxes()))]
    return header, segments, pack(header, segments)


def _ok(data, *lost):
    ok = np.ones(len(data), bool)
    for part in lost:
        ok[part] = False
    return ok


def _parse(data, ok=None, model=MODEL, shape=SHAPE):
    return parse(data, _ok(data) if ok is None else ok, model, *shape)


@pytest.mark.parametrize("copies", COPIES)
@pytest.mark.parametrize("scale", range(THUMBNAIL_ONLY + 1))
def test_a_stream_comes_back_as_it_was_written(scale, copies):
    header, segments, data = _stream(scale, copies)
    assert _parse(data) == (header, [Segment(segment, True) for segment in segments])
    assert (scale == THUMBNAIL_ONLY) == (not segments)


@pytest.mark.parametrize("scale", [0, 7, THUMBNAIL_ONLY])
def test_overhead_is_what_the_container_adds(scale):
    header, segments, data = _stream(scale)
    assert len(data) - sum(map(len, segments)) == overhead(header, [len(s) for s in segments])


@pytest.mark.parametrize("place", range(4))
def test_any_single_head_is_enough(place):
    header, segments, data = _stream(copies=4)
    damaged = bytearray(data)
    starts = [-(-k * len(data) // 4) for k in range(4)]
    for k, start in enumerate(starts):
        damaged[start + 1] ^= 0x55 if k != place else 0
    assert _parse(bytes(damaged)) == (header, [Segment(segment, True) for segment in segments])


def test_all_heads_lost_is_an_error_in_one_line():
    _, _, data = _stream()
    damaged = bytearray(data)
    for start in (0, -(-len(data) // 2)):
        damaged[start + 3] ^= 1
    with pytest.raises(ValueError, match="not an NCSC stream: .*"):
        _parse(bytes(damaged))


@pytest.mark.parametrize("change", [{"model": 1}, {"shape": (512, 767)}, {"shape": (768, 512)}, {"shape": (10**5, 9)}])
def test_what_the_receiver_knows_must_agree(change):
    with pytest.raises(ValueError, match="CRC|picture"):
        _parse(_stream()[2], **change)


def test_a_stream_that_lost_or_gained_bytes_is_none():
    _, _, data = _stream()
    for wrong in (data[:-1], data + b"\0", data[1:]):
        with pytest.raises(ValueError, match="not an NCSC stream"):
            _parse(wrong)


def test_of_a_damaged_segment_the_beginning_is_left_and_others_are_whole():
    _, segments, data = _stream()
    found = _parse(data, _ok(data, slice(HEAD + 7, HEAD + 9)))[1]
    assert found == [Segment(segments[0][:7], False), *(Segment(segment, True) for segment in segments[1:])]


def test_a_head_in_the_middle_of_a_segment_is_no_damage():
    _, segments, data = _stream()
    middle = -(-len(data) // 2)
    assert data[middle : middle + HEAD] == data[:HEAD]
    found = _parse(data, _ok(data, slice(middle, middle + HEAD)))[1]
    assert found == [Segment(segment, True) for segment in segments]


def test_of_a_stream_sent_four_times_one_good_copy_of_each_byte_is_enough():
    header, segments, data = _stream(copies=1)
    sent = data * REPEATS
    random = np.random.default_rng(1)
    ok = np.zeros((REPEATS, len(data)), bool)
    ok[random.integers(REPEATS, size=len(data)), np.arange(len(data))] = True
    wrong = np.where(ok.ravel(), 0, random.integers(1, 256, len(sent))).astype(np.uint8)
    damaged = np.frombuffer(sent, np.uint8) ^ wrong
    with pytest.raises(ValueError, match="not an NCSC stream"):
        _parse(damaged.tobytes(), ok.ravel())
    found, good = merged(damaged.tobytes(), ok.ravel())
    assert found == data and good.all()
    assert _parse(found, good) == (header, [Segment(segment, True) for segment in segments])


def test_thumbnails_are_found_without_any_check():
    header, _, data = _stream(copies=2)
    assert thumbnails(data, 2) == [header.thumbnail] * 2
    assert thumbnails(b"", 4) == thumbnails(bytes(10), 2) == []


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x10" * 7, b"\x20" * 100, b"\xff" * 100, bytes(65536)])
def test_rubbish_is_refused(data):
    with pytest.raises(ValueError, match="not an NCSC stream"):
        _parse(data)
    _parse_merged = merged(data, np.ones(len(data), bool))
    with pytest.raises(ValueError, match="not an NCSC stream"):
        _parse(*_parse_merged)


@pytest.mark.parametrize("number", [b"\x7f", b"\xff\x7f", b"\xff\xff\x7f", b"\xff\xff\xff"])
@pytest.mark.parametrize("copies", [1, 2])
def test_lengths_that_cannot_be_are_refused_behind_a_valid_check(number, copies):
    header = Header(0, 60, MODEL, *SHAPE, bytes(14), copies)
    head = bytes([0x20, 60]) + bytes(14) + number * 5
    data = head + _crc(head, len(head) + 12, header) + bytes(10)
    with pytest.raises(ValueError, match="not an NCSC stream"):
        _parse(data)


def test_numbers_take_a_byte_for_each_seven_bits():
    assert [_number(n).hex() for n in (0, 127, 128, 16383, 16384)] == ["00", "7f", "8100", "ff7f", "818000"]


@pytest.mark.parametrize("size", [(1, 1), (511, 769), (16384, 4096), (3, 10000)])
def test_a_reduced_picture_has_at_least_a_pixel_and_the_right_shape(size):
    for scale, quarters in enumerate(SCALES):
        height, width = Header(scale, 0, MODEL, *size, bytes(14), 2).reduced
        assert abs(height - size[0] * 4 / quarters) <= 0.5 or height == 1
        assert abs(width - size[1] * 4 / quarters) <= 0.5 or width == 1


@pytest.mark.parametrize(
    ("shape", "tile", "reduced"),
    [((512, 768), 256, 256), ((321, 481), 256, 256), ((128, 192), 64, 128), ((128, 128), 64, 128), ((1, 1), 64, 128)],
)
def test_a_picture_is_cut_into_four_segments_or_two_where_it_is_large_enough(shape, tile, reduced):
    assert (choose_tile(*shape), choose_tile(*shape, reduced=True)) == (tile, reduced)


def test_a_picture_too_large_is_refused_with_the_limits():
    with pytest.raises(ValueError, match="16384 pixels a side and 67108864 in all, not 20000x10"):
        check_size(10, 20000)


@pytest.mark.parametrize("spare", [1.0, 0.5, 0.25, 0.13, 0.07])
def test_a_stream_with_parity_stands_the_loss_of_any_run_as_long_as_a_stripe(spare):
    header, segments, data = _stream(copies=1)
    sent = protected(data, int(np.ceil(len(data) * (1 + spare))) + 1)
    size = len(sent) - len(data)
    assert 0 < size <= spare * len(data) + 1
    stripes = next(n for n in STRIPES if -(-len(data) // n) == size)
    for start in [*range(0, len(data) - size, 7), len(data)]:
        ok = _ok(sent, slice(start, start + size))
        damaged = np.where(ok, np.frombuffer(sent, np.uint8), 0xA5).astype(np.uint8).tobytes()
        found, good = repaired(damaged, ok, stripes)
        assert found == data and good.all()
        assert _parse(found, good) == (header, [Segment(segment, True) for segment in segments])


def test_parity_that_does_not_suffice_leaves_damage_marked():
    data = _stream()[2]
    sent = protected(data, 2 * len(data))
    ok = _ok(sent, 5, 6, len(data) + 6)
    found, good = repaired(sent[:5] + b"xy" + sent[7:], ok, 1)
    assert found[:6] == data[:6] and list(np.flatnonzero(~good)) == [6]


def test_without_room_for_parity_there_is_none():
    data = _stream()[2]
    assert protected(data, len(data) + len(data) // 17) == data
    for stripes in STRIPES:
        for length in range(40):
            found, good = repaired(bytes(length), np.zeros(length, bool), stripes)
            assert len(found) == len(good) == length * stripes // (stripes + 1)

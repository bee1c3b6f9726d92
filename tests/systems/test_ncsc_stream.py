# SPDX-License-Identifier: GPL-3.0-or-later
"""The NCSC container: what is written is read, what is damaged is named, nothing else happens."""

import numpy as np
import pytest

from gnuradio.semcom.systems.ncsc.stream import Header, choose_tile, overhead, pack, parse


def _stream():
    header = Header(256, 60, 0xBEEF, 512, 768)
    segments = [bytes([k] * (20 + k)) for k in range(6)]
    return header, segments, pack(header, segments)


def _ok(data, *lost):
    ok = np.ones(len(data), bool)
    for part in lost:
        ok[part] = False
    return ok


def test_a_stream_comes_back_as_it_was_written():
    header, segments, data = _stream()
    assert parse(data, _ok(data)) == (header, segments)


def test_overhead_is_what_the_container_adds():
    _, segments, data = _stream()
    assert len(data) - sum(map(len, segments)) == overhead(512, 768)


@pytest.mark.parametrize("end", ["front", "back"])
def test_one_lost_header_is_replaced_by_the_other(end):
    header, segments, data = _stream()
    damaged = bytearray(data)
    damaged[0 if end == "front" else -8] ^= 0x55
    assert parse(bytes(damaged), _ok(data)) == (header, segments)


def test_both_headers_lost_is_an_error_in_one_line():
    _, _, data = _stream()
    damaged = bytearray(data)
    damaged[3] ^= 1
    damaged[-6] ^= 1
    with pytest.raises(ValueError, match="not an NCSC stream"):
        parse(bytes(damaged), _ok(data))


def test_a_segment_in_a_lost_block_is_missing_and_the_others_are_not():
    _, segments, data = _stream()
    found = parse(data, _ok(data, slice(30, 32)))[1]
    assert found == [None, *segments[1:]]


def test_a_flipped_bit_in_a_segment_is_caught_by_its_crc():
    _, segments, data = _stream()
    damaged = bytearray(data)
    damaged[23] ^= 4
    assert parse(bytes(damaged), _ok(data))[1] == [None, *segments[1:]]


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x10" * 7, b"\xff" * 100, bytes(65536)])
def test_rubbish_is_refused(data):
    with pytest.raises(ValueError, match="not an NCSC stream"):
        parse(data, np.ones(len(data), bool))


@pytest.mark.parametrize(("shape", "tile"), [((512, 768), 256), ((321, 481), 256), ((128, 128), 64), ((1, 1), 64)])
def test_a_picture_is_cut_into_four_segments_or_more_where_it_is_large_enough(shape, tile):
    assert choose_tile(*shape) == tile

# SPDX-License-Identifier: GPL-3.0-or-later
"""The NCSC bit stream, version 1: header, one segment a tile, the header again. See docs/ncsc.md.

header   = version and tile (1 byte), quality (1), model (2), height (2), width (2), segment lengths (2 each),
           CRC-16 of the foregoing (2); all big-endian
stream   = header, segments, header, length of the header (2)
segment  = range-coded symbols, CRC-16 (2)

The copy of the header at the end is why no single lost code block can take the whole picture along.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VERSION = 1
TILES = (64, 128, 256)  # side of a tile in pixels
LARGEST_PICTURE = 64 * 2**20  # pixels
LARGEST_SIDE = 16384


@dataclass(frozen=True)
class Header:
    """What the decoder must know before the first segment."""

    tile: int
    quality: int
    model: int
    height: int
    width: int

    def boxes(self) -> list[tuple[slice, slice]]:
        """Rows and columns of each tile in the padded picture, in units of 64 pixels, in reading order."""
        rows, columns = -(-self.height // 64), -(-self.width // 64)
        step = self.tile // 64
        return [
            (slice(r, min(r + step, rows)), slice(c, min(c + step, columns)))
            for r in range(0, rows, step)
            for c in range(0, columns, step)
        ]


def choose_tile(height: int, width: int) -> int:
    """The largest tile that still gives four segments, so that one lost code block costs a part only."""
    for tile in reversed(TILES):
        if -(-height // tile) * -(-width // tile) >= 4:
            return tile
    return TILES[0]


def _crc(data: bytes) -> bytes:
    return struct.pack(">H", binascii.crc_hqx(data, 0xFFFF))


def pack(header: Header, segments: list[bytes]) -> bytes:
    """The whole stream of a picture; a segment is limited to 65,533 bytes."""
    bodies = [segment + _crc(segment) for segment in segments]
    if max(map(len, bodies)) > 0xFFFF:
        raise ValueError("NCSC segment longer than 65,535 bytes: choose a lower quality")
    first = (VERSION << 4) | TILES.index(header.tile)
    head = struct.pack(">BBHHH", first, header.quality, header.model, header.height, header.width)
    head += struct.pack(f">{len(bodies)}H", *map(len, bodies))
    head += _crc(head)
    return head + b"".join(bodies) + head + struct.pack(">H", len(head))


def overhead(height: int, width: int) -> int:
    """Bytes of a stream beside its range-coded symbols."""
    count = len(Header(choose_tile(height, width), 0, 0, height, width).boxes())
    return 2 * (10 + 2 * count) + 2 + 2 * count


def _parse_head(data: bytes, at: int) -> tuple[Header, list[int], int]:
    fixed = data[at : at + 8]
    if len(fixed) < 8:
        raise ValueError("too short for a header")
    first, quality, model, height, width = struct.unpack(">BBHHH", fixed)
    if first >> 4 != VERSION or (first & 15) >= len(TILES):
        raise ValueError(f"stream version {first >> 4}, expected {VERSION}")
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE and height * width <= LARGEST_PICTURE):
        raise ValueError(f"picture of {width}x{height} pixels")
    header = Header(TILES[first & 15], quality, model, height, width)
    rows, columns = -(-height // header.tile), -(-width // header.tile)
    length = 8 + 2 * rows * columns + 2
    head = data[at : at + length]
    if len(head) < length or _crc(head[:-2]) != head[-2:]:
        raise ValueError("CRC of the header fails")
    return header, list(struct.unpack(f">{rows * columns}H", head[8:-2])), length


def parse(data: bytes, bytes_ok: NDArray[np.bool_]) -> tuple[Header, list[bytes | None]]:
    """Header and segments of a stream; a segment that is damaged is None. ValueError where both headers are lost."""
    problem = "empty stream"
    places = [0]
    if len(data) >= 2:
        places.append(len(data) - 2 - struct.unpack(">H", data[-2:])[0])
    for at in places:
        if at < 0:
            continue
        try:
            header, lengths, length = _parse_head(data, at)
        except ValueError as error:
            problem = str(error)
            continue
        if len(data) != 2 * length + sum(lengths) + 2:
            problem = f"{len(data)} bytes where the header says {2 * length + sum(lengths) + 2}"
            continue
        segments: list[bytes | None] = []
        start = length
        for size in lengths:
            body = data[start : start + size]
            intact = size >= 6 and bool(bytes_ok[start : start + size].all()) and _crc(body[:-2]) == body[-2:]
            segments.append(body[:-2] if intact else None)
            start += size
        return header, segments
    raise ValueError(f"not an NCSC stream: {problem}")

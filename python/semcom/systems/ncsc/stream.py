# SPDX-License-Identifier: GPL-3.0-or-later
"""The NCSC bit stream, version 2: one segment a tile, and copies of the head between them. See docs/ncsc.md.

head    = version and scale (1 byte), quality (1), thumbnail (14), half the length of each segment but the last
          (1 to 3 each), CRC-16 (2) of the foregoing and of what the receiver knows
stream  = the segments one after another, cut by the heads: one, two or four, at the beginning of equal parts

A whole stream may be sent four times over, or be followed by the parity of its stripes. Equal parts are what code
blocks are made of: at the lowest rates each block then holds a head, or all of the stream.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from .thumbnail import THUMBNAIL_BYTES

VERSION = 2
SCALES = (4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48, 64)  # quarters by which a picture is reduced
THUMBNAIL_ONLY = len(SCALES)  # scale code of a stream without segments
COPIES = (4, 2, 1)  # of the head in a stream
REPEATS = 4  # of a stream that is sent more than once
STRIPES = (1, 2, 4, 8, 16)  # of a stream with parity
TILES = (64, 128, 256)  # side of a tile in pixels
SHORTEST_HEAD = 2 + THUMBNAIL_BYTES + 2
LARGEST_PICTURE = 64 * 2**20  # pixels
LARGEST_SIDE = 16384


@dataclass(frozen=True)
class Header:
    """What the decoder must know before the first segment; `scale` is the index in SCALES or THUMBNAIL_ONLY.

    `model`, `height` and `width` (of the original picture) are known to the receiver: not sent, but checked, as is the
    number of `copies` of the head.
    """

    scale: int
    quality: int
    model: int
    height: int
    width: int
    thumbnail: bytes
    copies: int

    @property
    def reduced(self) -> tuple[int, int]:
        """Height and width of the picture that the segments hold."""
        quarters = 4 if self.scale == THUMBNAIL_ONLY else SCALES[self.scale]
        height, width = ((8 * side + quarters) // (2 * quarters) for side in (self.height, self.width))
        return max(height, 1), max(width, 1)

    def boxes(self) -> list[tuple[slice, slice]]:
        """Rows and columns of each tile in the padded reduced picture, in units of 64 pixels, in reading order."""
        if self.scale == THUMBNAIL_ONLY:
            return []
        height, width = self.reduced
        rows, columns = -(-height // 64), -(-width // 64)
        step = choose_tile(height, width, self.scale > 0) // 64
        return [
            (slice(r, min(r + step, rows)), slice(c, min(c + step, columns)))
            for r in range(0, rows, step)
            for c in range(0, columns, step)
        ]


@dataclass(frozen=True)
class Segment:
    """The undamaged beginning of a segment; `whole` where that is all of it."""

    data: bytes
    whole: bool


def choose_tile(height: int, width: int, reduced: bool = False) -> int:
    """The largest tile that still gives four segments, so that one lost code block costs a part only.

    Reduced pictures have two: there the bits that each segment costs by itself weigh more.
    """
    sides, least = (TILES[1:], 2) if reduced else (TILES, 4)
    for tile in reversed(sides):
        if -(-height // tile) * -(-width // tile) >= least:
            return tile
    return sides[0]


def check_size(height: int, width: int) -> None:
    """ValueError for a picture that a stream cannot hold."""
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE and height * width <= LARGEST_PICTURE):
        limits = f"{LARGEST_SIDE} pixels a side and {LARGEST_PICTURE} in all"
        raise ValueError(f"an NCSC picture has 1 to {limits}, not {width}x{height}")


def _number(value: int) -> bytes:
    """7 bits a byte, the highest first; all bytes but the last have bit 7 set."""
    out = [value & 127]
    while value := value >> 7:
        out.append(value & 127 | 128)
    return bytes(reversed(out))


def _places(length: int, copies: int) -> list[int]:
    """Where the copies of the head begin: at the beginning of equal parts, never before it."""
    return [-(-k * length // copies) for k in range(copies)]


def _crc(head: bytes, length: int, header: Header) -> bytes:
    known = struct.pack(">IHHHB", length, header.model, header.height, header.width, header.copies)
    return struct.pack(">H", binascii.crc_hqx(head + known, 0xFFFF))


def pack(header: Header, segments: list[bytes]) -> bytes:
    """The stream of a picture; the lengths of segments are even."""
    head = bytes([VERSION << 4 | header.scale, header.quality]) + header.thumbnail
    head += b"".join(_number(len(segment) // 2) for segment in segments[:-1])
    body = b"".join(segments)
    length = header.copies * (len(head) + 2) + len(body)
    head += _crc(head, length, header)
    out, taken = b"", 0
    for place in _places(length, header.copies):
        gap = place - len(out)
        out += body[taken : taken + gap] + head
        taken += gap
    return out + body[taken:]


def overhead(header: Header, lengths: list[int]) -> int:
    """Bytes of a stream beside its segments of such lengths."""
    return header.copies * (SHORTEST_HEAD + sum(len(_number(length // 2)) for length in lengths[:-1]))


def _parse_head(data: bytes, at: int, expected: Header) -> tuple[Header, list[int], int]:
    """Header, lengths of all segments but the last, and the length of the head."""
    start = data[at : at + 2 + THUMBNAIL_BYTES]
    if len(start) < 2 + THUMBNAIL_BYTES or start[0] >> 4 != VERSION or (start[0] & 15) > THUMBNAIL_ONLY:
        raise ValueError(f"no head of version {VERSION}")
    header = replace(expected, scale=start[0] & 15, quality=start[1], thumbnail=start[2:])
    lengths: list[int] = []
    end = at + len(start)
    for _ in header.boxes()[1:]:
        value = 0
        for byte in data[end : end + 3]:
            value, end = value << 7 | byte & 127, end + 1
            if byte < 128:
                break
        lengths.append(2 * value)
    if data[end : end + 2] != _crc(data[at:end], len(data), header):
        raise ValueError("CRC of the head fails")
    return header, lengths, end + 2 - at


def parse(
    data: bytes, bytes_ok: NDArray[np.bool_], model: int, height: int, width: int
) -> tuple[Header, list[Segment]]:
    """Header and segments of the stream of a picture of that size; ValueError where no head is intact."""
    check_size(height, width)
    problem = "no room for a head"
    for copies in COPIES:
        for at in _places(len(data), copies):
            try:
                header, lengths, size = _parse_head(data, at, Header(0, 0, model, height, width, b"", copies))
                return header, _segments(data, bytes_ok, header, lengths, size)
            except ValueError as error:
                problem = str(error)
    raise ValueError(f"not an NCSC stream: {problem}")


def _segments(data: bytes, bytes_ok: NDArray[np.bool_], header: Header, lengths: list[int], size: int) -> list[Segment]:
    last = len(data) - header.copies * size - sum(lengths)
    if len(data) // header.copies < size or last < 0:
        raise ValueError("segments longer than the stream")
    if not header.boxes():
        return []
    keep = np.ones(len(data), np.bool_)
    for place in _places(len(data), header.copies):
        keep[place : place + size] = False
    body, good = np.frombuffer(data, np.uint8)[keep], bytes_ok[keep]
    found = []
    for a, b in pairwise(accumulate([*lengths, last], initial=0)):
        whole = bool(good[a:b].all())
        found.append(Segment(body[a : b if whole else a + int(good[a:b].argmin())].tobytes(), whole))
    return found


def merged(data: bytes, bytes_ok: NDArray[np.bool_]) -> tuple[bytes, NDArray[np.bool_]]:
    """One stream of one that may have been sent four times: of each byte, a copy that is good if there is one."""
    size = len(data) // REPEATS
    rows = np.frombuffer(data, np.uint8)[: REPEATS * size].reshape(REPEATS, size)
    good = bytes_ok[: REPEATS * size].reshape(REPEATS, size)
    return rows[good.argmax(0), np.arange(size)].tobytes(), good.any(0)


def protected(data: bytes, max_bytes: int) -> bytes:
    """The stream and the parity (exclusive or) of its stripes, as few as fit; the stream alone where none do."""
    for stripes in STRIPES:
        size = -(-len(data) // stripes)
        if len(data) + size <= max_bytes:
            rows = np.frombuffer(data + bytes(stripes * size - len(data)), np.uint8).reshape(stripes, size)
            return data + np.bitwise_xor.reduce(rows, 0).tobytes()
    return data


def repaired(data: bytes, bytes_ok: NDArray[np.bool_], stripes: int) -> tuple[bytes, NDArray[np.bool_]]:
    """The stream of one that may have parity; a byte comes back where no other is bad at its place in the stripes."""
    length = len(data) * stripes // (stripes + 1)
    gap = bytes(stripes * (len(data) - length) - length)
    rows = np.frombuffer(data[:length] + gap + data[length:], np.uint8).reshape(stripes + 1, len(data) - length)
    good = np.insert(bytes_ok, length, np.ones(len(gap), np.bool_)).reshape(rows.shape)
    lonely = ~good & (np.count_nonzero(~good, axis=0) == 1)
    rows = rows ^ np.where(lonely, np.bitwise_xor.reduce(rows, 0), 0).astype(np.uint8)
    return rows.tobytes()[:length], (good | lonely).ravel()[:length]


def thumbnails(data: bytes, copies: int) -> list[bytes]:
    """What stands where thumbnails would, with so many copies of the head (or repeats of the stream)."""
    starts = [data[at : at + 2 + THUMBNAIL_BYTES] for at in _places(len(data), copies)]
    return [start[2:] for start in starts if len(start) == 2 + THUMBNAIL_BYTES]

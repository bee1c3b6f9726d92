# SPDX-License-Identifier: GPL-3.0-or-later
"""A system in a package of its own: a pair encode/decode, and nothing of gr-semcom is changed for it.

The picture is sent as the mean colour of each square of pixels, 8 bits a colour; the quality is the square's side.
"""

from __future__ import annotations

import numpy as np

from gnuradio.semcom.message import Message, Meta, Payload, Received
from gnuradio.semcom.systems.base import Request, System

SIDES = (32, 16, 8, 4)  # by quality, in pixels
DEFAULT = 1


class Thumbnail(System):
    """Mean colours of squares."""

    name = "thumbnail"
    title = "mean colours of squares, from another package"
    kind = "image"
    payload = "bits"

    def check(self, request: Request) -> None:
        """Also refuses a quality that is none."""
        super().check(request)
        if request.quality is not None and not 0 <= request.quality < len(SIDES):
            raise ValueError(f"quality of thumbnail must be 0 to {len(SIDES) - 1}, not {request.quality}")

    def encode(self, message: Message, request: Request) -> Payload | None:
        """Two bits of quality, then the colours row by row; a lower quality where the limit demands it."""
        best = DEFAULT if request.quality is None else request.quality
        for quality in range(best, -1, -1):
            side = SIDES[quality]
            height, width = message.data.shape[:2]
            padded = np.pad(message.data, ((0, -height % side), (0, -width % side), (0, 0)), mode="edge")
            squares = padded.reshape(padded.shape[0] // side, side, padded.shape[1] // side, side, 3)
            means = np.rint(squares.mean((1, 3))).astype(np.uint8)
            bits = np.concatenate([[quality >> 1, quality & 1], np.unpackbits(means)]).astype(np.uint8)
            if request.max_bits is None or bits.size <= request.max_bits:
                return Payload(bits=bits)
            if request.quality is not None:
                return None
        return None

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The squares, grey where bits did not arrive. The length tells the quality, whatever the bits say."""
        height, width = meta["shape"][:2]
        for side in SIDES:
            rows, columns = -(-height // side), -(-width // side)
            if received.bits.size == 2 + 24 * rows * columns:
                break
        means = np.packbits(received.bits[2:]).reshape(rows, columns, 3)
        lost = ~received.bits_ok[2:].reshape(rows, columns, 24).all(2)
        means[lost] = 128
        picture = means.repeat(side, 0).repeat(side, 1)[:height, :width]
        return Message("image", picture), int(lost.sum())

# SPDX-License-Identifier: GPL-3.0-or-later
"""One HEVC intra picture (ITU-T H.265) as a raw byte stream, by libx265; stands for BPG, which is the same coding
in a small container."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .base import ImageCodec, Picture, Shape

# BT.601 luma weights, full range (as JPEG): Y, (B - Y) / 1.772, (R - Y) / 1.402
TO_YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.299 / 1.772, -0.587 / 1.772, 0.5], [0.5, -0.587 / 1.402, -0.114 / 1.402]], np.float32
)
TO_RGB = np.linalg.inv(TO_YCBCR.astype(np.float64)).astype(np.float32)

SMALLEST_SIDE = 16
"""Smaller pictures are padded by their last row and column before encoding."""

SPS = 33

# one thread (same bytes everywhere), no user-data SEI, nothing tuned for the eye: squared error is the yardstick
PARAMETERS = {
    "info": 0,
    "repeat-headers": 1,
    "keyint": 1,
    "bframes": 0,
    "ipratio": 1,
    "pools": "none",
    "frame-threads": 1,
    "wpp": 0,
    "aq-mode": 0,
    "psy-rd": 0,
    "psy-rdoq": 0,
    "log-level": "none",
}


class HEVC(ImageCodec):
    """4:4:4, better than 4:2:0 at every rate; quality is the quantiser QP, 51 to 0."""

    name = "hevc"
    title = "HEVC intra (libx265, raw stream, 4:4:4); stands for BPG"
    qualities: ClassVar[range] = range(51, -1, -1)
    default_quality = 37

    def compress(self, image: Picture, quality: int, variant: str) -> bytes:
        """Parameter sets and one intra picture, Annex B."""
        import av

        height, width = image.shape[:2]
        missing = [(0, max(0, SMALLEST_SIDE - side)) for side in (height, width)]
        planes = _to_ycbcr(np.pad(image, [*missing, (0, 0)], mode="edge"))
        frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
        frame.pts = 0
        try:
            context = av.CodecContext.create("libx265", "w")
            context.width, context.height, context.pix_fmt = frame.width, frame.height, "yuv444p"
            context.time_base = Fraction(1, 25)
            parameters = PARAMETERS | {"qp": quality}
            context.options = {
                "preset": "medium",
                "x265-params": ":".join(f"{key}={value}" for key, value in parameters.items()),
            }
            return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
        except av.FFmpegError as error:
            raise ValueError(f"hevc cannot encode a picture of {width}x{height}: {error}") from error

    def decode(self, data: bytes, shape: Shape) -> Picture:
        """The first picture of the stream."""
        import av

        height, width = shape[:2]
        _check_size(data, max(height, SMALLEST_SIDE), max(width, SMALLEST_SIDE))
        try:
            context = av.CodecContext.create("hevc", "r")
            context.thread_count = 1
            context.options = {"err_detect": "explode"}
            frames = [*context.decode(av.Packet(data)), *context.decode(None)]
            if not frames:
                raise ValueError("no picture in it")
            frame = frames[0]
            if frame.format.name != "yuv444p":
                raise ValueError(f"holds {frame.format.name}, not yuv444p")
            planes = frame.to_ndarray()
        except Exception as error:  # hostile streams make the decoder raise nearly anything
            raise ValueError(f"broken HEVC stream: {' '.join(str(error).split())}") from error
        if planes.shape[1] < height or planes.shape[2] < width:
            raise ValueError(f"broken HEVC stream: holds {planes.shape[2]}x{planes.shape[1]}, not {width}x{height}")
        return _to_rgb(planes[:, :height, :width])


def _to_ycbcr(image: Picture) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] to planes, uint8 [3, H, W]."""
    planes = np.moveaxis(image.astype(np.float32) @ TO_YCBCR.T, 2, 0).copy()
    planes[1:] += 128
    return np.clip(np.rint(planes), 0, 255).astype(np.uint8)


def _to_rgb(planes: NDArray[np.uint8]) -> Picture:
    """Planes, uint8 [3, H, W], to uint8 [H, W, 3]."""
    values = np.moveaxis(planes, 0, 2).astype(np.float32)
    values[:, :, 1:] -= 128
    return np.clip(np.rint(values @ TO_RGB.T), 0, 255).astype(np.uint8)


def _check_size(data: bytes, height: int, width: int) -> None:
    """ValueError unless every sequence parameter set announces this size: decoders take memory by what it says."""
    sets = 0
    for unit in data.split(b"\x00\x00\x01")[1:]:
        if len(unit) > 2 and (unit[0] >> 1) & 63 == SPS:
            sets += 1
            coded = _coded_size(unit[2:].replace(b"\x00\x00\x03", b"\x00\x00"))
            # the coded size is the picture's rounded up to whole coding blocks
            if not (height <= coded[0] < height + 64 and width <= coded[1] < width + 64):
                raise ValueError(f"broken HEVC stream: holds {coded[1]}x{coded[0]}, not {width}x{height}")
    if not sets:
        raise ValueError("broken HEVC stream: no sequence parameter set")


def _coded_size(payload: bytes) -> tuple[int, int]:
    """Height and width in a sequence parameter set (H.265 7.3.2.2) without sub-layers."""
    bits = "".join(f"{byte:08b}" for byte in payload[:64])
    at = 0

    def number() -> int:
        nonlocal at
        zeros = bits.find("1", at) - at
        if zeros < 0 or zeros > 31 or at + 2 * zeros + 1 > len(bits):
            raise ValueError("broken HEVC stream: its sequence parameter set ends early")
        value = int(bits[at + zeros : at + 2 * zeros + 1], 2) - 1
        at += 2 * zeros + 1
        return value

    if bits[4:7] != "000":
        raise ValueError("broken HEVC stream: it has temporal layers")
    at = 8 + 96  # video parameter set and layers, then profile, tier and level
    number()  # its own number
    if number() == 3:
        at += 1  # separate colour planes
    width = number()
    return number(), width

# SPDX-License-Identifier: GPL-3.0-or-later
"""HEVC intra: one still picture as a raw stream of libx265. It stands for BPG, whose payload it is."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from .base import ImageCodec, Picture, checked

SMALLEST = 16  # pixels a side; x265 takes no less, smaller pictures are padded


class Hevc(ImageCodec):
    """ITU-T H.265, 4:2:0, constant quantiser; quality is 51 minus the quantiser."""

    name = "hevc"
    title = "HEVC intra (libx265), 4:2:0: what BPG contains"
    lowest, highest, default = 0, 51, 16

    def compress(self, image: Picture, quality: int, model: str) -> bytes:
        """The Annex B stream without x265's own text message."""
        import av

        height, width = image.shape[:2]
        # 4:2:0 needs even sides
        padded = np.pad(image, ((0, _padding(height)), (0, _padding(width)), (0, 0)), mode="edge")
        context = av.CodecContext.create("libx265", "w")
        context.width, context.height = padded.shape[1], padded.shape[0]
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, 25)
        parameters = (
            f"qp={51 - quality}:info=0:log-level=none:pools=none:frame-threads=1:keyint=1:no-open-gop=1:"
            "repeat-headers=1:aud=0:hrd=0:no-wpp=1:rd=6:rdoq-level=2:psy-rd=0:psy-rdoq=0:aq-mode=0:ipratio=1"
        )
        context.options = {"preset": "slow", "x265-params": parameters}
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU709", interpolation="LANCZOS"
        )
        frame.pts = 0
        try:
            packets = [*context.encode(frame), *context.encode(None)]
        except av.error.FFmpegError as error:
            raise ValueError(f"hevc cannot hold this picture: {error}") from error
        return b"".join(bytes(packet) for packet in packets)

    def decode(self, data: bytes, shape: tuple[int, int]) -> Picture:
        """The picture."""
        import av

        context = av.CodecContext.create("hevc", "r")
        context.thread_count = 1
        try:
            frames = [*context.decode(av.Packet(data)), *context.decode(None)] if data else []
        except (av.error.FFmpegError, ValueError) as error:
            raise ValueError(f"damaged HEVC stream: {error}") from error
        wanted = (shape[0] + _padding(shape[0]), shape[1] + _padding(shape[1]))
        if not frames or (frames[0].height, frames[0].width) != wanted:
            raise ValueError("damaged HEVC stream: no picture of the expected size")
        image = frames[0].reformat(format="rgb24", src_colorspace="ITU709", interpolation="LANCZOS").to_ndarray()
        return checked(np.ascontiguousarray(image[: shape[0], : shape[1]]), shape)


def _padding(side: int) -> int:
    return max(SMALLEST - side, side % 2)

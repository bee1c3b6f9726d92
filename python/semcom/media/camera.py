# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures from a camera, or from a film as if it were one."""

from __future__ import annotations

from collections.abc import Iterator

from ..message import Message

MAX_SIDE = 8192


def frames(device: str) -> Iterator[Message]:
    """The pictures of a Video4Linux device (a path below /dev) or of a film, uint8 [H, W, 3] each, until it ends.

    ValueError if it cannot be opened or has no pictures of a legal size.
    """
    import av

    try:
        container = av.open(device, format="v4l2" if device.startswith("/dev/") else None)
    except (av.FFmpegError, OSError) as error:
        raise ValueError(f"{device}: no camera or film that can be opened ({error})") from error
    with container:
        if not container.streams.video:
            raise ValueError(f"{device}: no pictures in it")
        try:
            for number, frame in enumerate(container.decode(video=0)):
                if not 0 < max(frame.width, frame.height) <= MAX_SIDE:
                    raise ValueError(f"{device}: pictures of {frame.width}x{frame.height}, at most {MAX_SIDE} a side")
                yield Message("image", frame.to_ndarray(format="rgb24"), {"name": f"frame{number:06d}"})
        except av.FFmpegError as error:
            raise ValueError(f"{device}: the pictures end in an error ({error})") from error

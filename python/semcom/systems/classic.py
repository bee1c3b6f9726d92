# SPDX-License-Identifier: GPL-3.0-or-later
"""Classic picture codecs as systems, so that a rival is run, counted and measured like what it rivals."""

from __future__ import annotations

import numpy as np

from ..codecs import ImageCodec, get_codec, names
from ..message import Message, Meta, Payload, Received
from .base import Request, System


class ClassicSystem(System):
    """One codec of `codecs/`."""

    kind = "image"

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]  # one class, one instance a codec
        self.lowest_quality = self.codec.qualities[0]

    @property
    def title(self) -> str:  # type: ignore[override]
        """The codec's own description; says what to install where its package is missing."""
        try:
            self.codec.check_installed()
        except ValueError as error:
            return f"{self.codec.title}; not usable here: {error}"
        return self.codec.title

    @property
    def codec(self) -> ImageCodec:
        """The codec, loaded when first used."""
        return get_codec(self.name)

    def check(self, request: Request) -> None:
        """Also refuses a quality that the codec does not have, and a codec whose package is missing."""
        super().check(request)
        self.codec.check_installed()
        qualities = self.codec.qualities
        if request.quality is not None and request.quality not in qualities:
            low, high = min(qualities), max(qualities)
            raise ValueError(f"quality of {self.name} must be {low} to {high}, not {request.quality}")

    def models(self) -> list[str]:
        """The codec's variants, for example the two Huffman tables of JPEG."""
        return list(self.codec.models)

    def encode(self, message: Message, request: Request) -> Payload | None:
        """The whole file of the codec as bits."""
        max_bytes = None if request.max_bits is None else request.max_bits // 8
        model = request.model or next(iter(self.models()), "")
        data = self.codec.encode(message.data, quality=request.quality, max_bytes=max_bytes, model=model)
        return None if data is None else Payload(bits=np.unpackbits(np.frombuffer(data, np.uint8)))

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The picture; from the intact beginning of the file where the codec can, else mid-grey."""
        height, width = meta["shape"][:2]
        data = np.packbits(received.bits).tobytes()
        damaged = np.flatnonzero(~received.bits_ok)
        if not len(damaged):
            try:
                return Message("image", self.codec.decode(data, (height, width))), 0
            except ValueError:
                damaged = np.zeros(1, np.int64)
        picture = self.codec.conceal(data, int(damaged[0]) // 8, (height, width))
        return Message("image", picture), 1


def classic_systems() -> list[ClassicSystem]:
    """One system a codec."""
    return [ClassicSystem(name) for name in names()]

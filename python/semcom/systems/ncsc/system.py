# SPDX-License-Identifier: GPL-3.0-or-later
"""NCSC as a system of the registry. Nothing heavy is imported until a picture comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...message import Message, Meta, Payload, Received
from ...zoo import available
from ..base import Request, System

if TYPE_CHECKING:
    from .codec import Codec

SAFE_ESN0_DB = -7.4  # below it the most robust scheme, QPSK 1/12, loses code blocks (benchmarks/phy/mcs.json)
UNSAFE_ESN0_DB = -8.0  # stands for all below


class Ncsc(System):
    """Neural image compression, real bit streams in independent segments; lost segments are concealed."""

    name = "ncsc"
    title = "neural image compression over LDPC/QAM (NCSC)"
    kind = "image"

    def models(self) -> list[str]:
        """Trained variants that are installed, `mse` first."""
        return sorted(available(self.name), key=lambda name: (name != "mse", name))

    def check(self, request: Request) -> None:
        """Also refuses a quality outside 0 to 255 and an installation without models."""
        super().check(request)
        if not self.models():
            raise ValueError("no NCSC model is installed: expected models/ncsc/<variant>/card.yml beside the module")
        if request.quality is not None and not 0 <= request.quality <= 255:
            raise ValueError(f"quality of ncsc must be 0 to 255, not {request.quality}")

    def heeds(self, esn0_db: float | None) -> float | None:
        """What the encoder makes of the known Es/N0: above SAFE_ESN0_DB nothing, so that payloads are shared."""
        return None if esn0_db is None or esn0_db >= SAFE_ESN0_DB else UNSAFE_ESN0_DB

    def prepare(self, request: Request) -> None:
        """Verify and load the model."""
        self._codec(request.model, request.device)

    def provider(self, model: str = "", device: str = "auto") -> str | None:
        """The provider of the transforms; the entropy networks always run on the CPU."""
        return self._codec(model, device).model.provider

    def encode(self, message: Message, request: Request) -> Payload | None:
        """The stream of docs/ncsc.md as bits; sent four times over where no scheme of the table is safe."""
        max_bytes = None if request.max_bits is None else request.max_bits // 8
        codec = self._codec(request.model, request.device)
        repeat = max_bytes is not None and self.heeds(request.esn0_db) is not None
        stream = codec.encode(message.data, quality=request.quality, max_bytes=max_bytes, repeat=repeat)
        return None if stream is None else Payload(bits=np.unpackbits(np.frombuffer(stream, np.uint8)))

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The picture, lost segments concealed."""
        height, width = meta["shape"][:2]
        bytes_ok = received.bits_ok[: len(received.bits_ok) // 8 * 8].reshape(-1, 8).all(1)
        data = np.packbits(received.bits[: len(bytes_ok) * 8]).tobytes()
        decoded = self._codec(model, device).decode(data, bytes_ok, (height, width))
        return Message("image", decoded.picture), decoded.concealed

    def _codec(self, model: str, device: str) -> Codec:
        from .codec import codec

        return codec(model or self.models()[0], device)


SYSTEM = Ncsc()

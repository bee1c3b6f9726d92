# SPDX-License-Identifier: GPL-3.0-or-later
"""VQ-DeepSC as a system of the registry. Nothing heavy is imported until a picture comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...media.overlay import packed_doubt
from ...message import Message, Meta, Payload, Received
from ..base import Request, System
from . import modes
from .modes import Mode

if TYPE_CHECKING:
    from .codec import Codec, Decoded

GREY = 128
LARGEST_PICTURE = 64 * 2**20  # pixels


class VqDeepsc(System):
    """Pictures as indices of codebooks at several scales: 5,008 or 1,904 bits for each 128x128, always; a wrong bit
    costs one vector. Which codebooks they belong to is told in the link's header."""

    name = modes.NAME
    title = "codebook indices at fixed length over LDPC/QAM (VQ-DeepSC)"
    kind = "image"
    soft = True

    def models(self) -> list[str]:
        """Codebooks, the ways to send their indices, and `auto`."""
        return modes.names()

    def variants(self, model: str) -> list[str]:
        """The codebooks behind a name."""
        return modes.variants(model or self._default())

    def check(self, request: Request) -> None:
        """Also refuses any quality (the codebooks decide it), an installation without models, and a prior that the
        codebooks do not have."""
        if not modes.installed():
            raise ValueError("no vq_deepsc model is installed: expected models/vq_deepsc/<variant>/card.yml")
        super().check(request)
        if request.quality not in (None, 0):
            raise ValueError(f"quality of vq_deepsc is its model: expected 0 or none, not {request.quality}")

    def adapt(self, model: str, airtime: int, **conditions: Any) -> tuple[str, str]:
        """The best mode that is safe, over the most robust MCS that fits; made for pictures of up to 128x128."""
        return modes.choose(model or modes.AUTO, airtime, **conditions)

    def prepare(self, request: Request) -> None:
        """Verify and load the codebooks."""
        for mode in modes.candidates(request.model or self._default()):
            self._checked(mode, request.device)

    def provider(self, model: str = "", device: str = "auto") -> str | None:
        """Where the networks ran."""
        return self._codec(self.variants(model)[0], device).model.provider

    def encode(self, message: Message, request: Request) -> Payload | None:
        """Bits of the first mode that fits into `max_bits`; the header names it and its codebook."""
        height, width = message.data.shape[:2]
        if height * width > LARGEST_PICTURE:
            raise ValueError(f"a vq_deepsc picture has at most {LARGEST_PICTURE} pixels, not {width}x{height}")
        for mode in modes.candidates(request.model or self._default()):
            codec = self._checked(mode, request.device)
            if mode.coding == "prior":
                bits = codec.encode_short(message.data, request.max_bits)
            elif request.max_bits is None or codec.bits(height, width) <= request.max_bits:
                bits = codec.encode(message.data, mode.labels)
            else:
                bits = None
            if bits is not None:
                return Payload(bits=bits, header={"model": mode.name, "codebook": codec.identity})
        return None

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The picture; mid-grey where it belongs to codebooks that this receiver has not, or was told not to use."""
        height, width = meta["shape"][:2]
        decoded = self._decoded(received, meta, model, device, height, width)
        if decoded is None:
            return Message("image", np.full((height, width, 3), GREY, np.uint8)), 1
        about: Meta = {}
        if decoded.doubt is not None:
            about["doubt"] = packed_doubt(decoded.doubt)
        return Message("image", decoded.picture, about), decoded.concealed

    def _decoded(
        self, received: Received, meta: Meta, model: str, device: str, height: int, width: int
    ) -> Decoded | None:
        sent = str(meta.get("model") or model or self._default())
        if sent not in self.models() or sent.startswith(modes.AUTO):
            return None
        mode = modes.parse(sent)
        if model and mode.variant not in modes.variants(model):
            return None
        codec = self._checked(mode, device)
        if meta.get("codebook", codec.identity) != codec.identity:
            return None
        if mode.coding == "prior":
            return codec.decode_short(received.bits, height, width, received.bits_ok)
        return codec.decode(received.bits, height, width, received.bits_ok, received.llr, mode.labels)

    def _checked(self, mode: Mode, device: str) -> Codec:
        codec = self._codec(mode.variant, device)
        if mode.coding == "prior" and codec.prior is None:
            raise ValueError(f"{mode.name}: model {mode.variant} has no prior.npz; run systems/vq_deepsc/fit.py on it")
        return codec

    def _default(self) -> str:
        return next(iter(self.models()), "")

    def _codec(self, variant: str, device: str) -> Codec:
        from .codec import codec

        return codec(variant, device)


SYSTEM = VqDeepsc()

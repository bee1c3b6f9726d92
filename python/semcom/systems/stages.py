# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of a link as stages: any system's encoder and decoder."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..message import Message, Meta, Payload, Received
from ..phy import segmentation
from ..stage import Arrays, Port, Stage
from . import registry
from .base import Request, System

CACHED_PAYLOADS = 128
GREY = 128
OVER_BUDGET = ("refuse", "lowest")
_cache: OrderedDict[tuple[object, ...], Payload | None] = OrderedDict()


@dataclass(frozen=True)
class Encoder(Stage):
    """A message to its bits, within every budget that is set.

    `max_bits`, `max_bpp` (bit per pixel, pictures only) and `airtime` (symbols in all, at `mcs` and `code`) limit the
    payload where they are above zero; `quality` below zero is the system's default. What does not fit is an
    empty payload with `reason` "does_not_fit" in the meta; with `over_budget` "lowest" it is sent all the same,
    at the system's lowest quality, as published tables often do.
    """

    inputs: ClassVar = (Port("message", np.uint8),)
    outputs: ClassVar = (Port("bits", np.uint8),)
    heavy: ClassVar = True

    system: str = "ncsc"
    model: str = ""
    quality: int = -1
    max_bits: int = 0
    max_bpp: float = 0.0
    airtime: int = 0
    mcs: str = "16qam-1/3"
    code: str = "ldpc"
    over_budget: str = "refuse"
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.over_budget not in OVER_BUDGET:
            raise ValueError(f"over_budget must be one of {', '.join(OVER_BUDGET)}, not {self.over_budget!r}")

    def prepare(self) -> None:
        """Check the names and load the model."""
        system = registry.get(self.system)
        request = self.request(0)
        system.check(request)
        system.prepare(request)

    def request(self, pixels: int) -> Request:
        """The request for a picture of that many pixels."""
        limits = []
        if self.max_bits > 0:
            limits.append(self.max_bits)
        if self.max_bpp > 0:
            limits.append(int(self.max_bpp * pixels))
        if self.airtime > 0:
            limits.append(segmentation.largest_payload(self.airtime, self.mcs, code=self.code))
        quality = None if self.quality < 0 else self.quality
        max_bits = min(limits) if limits else None
        return Request(self.model, quality, max_bits, self.device, self.over_budget == "lowest")

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """Message items, uint8, to bits, uint8 of 0 and 1."""
        data = arrays[0].reshape(meta["shape"]) if "shape" in meta else arrays[0]
        message = Message(meta["kind"], data, {"name": meta.get("name", "")})
        system = registry.get(self.system)
        payload = self.payload(system, message)
        meta = {**meta, "system": self.system, "model": self.model, "bits": 0}
        if payload is None:
            return (np.zeros(0, np.uint8),), {**meta, "reason": "does_not_fit"}
        return (payload.bits,), {**meta, "bits": len(payload.bits)}

    def payload(self, system: System, message: Message) -> Payload | None:
        """The payload, encoded once for each content and request."""
        pixels = message.data.shape[0] * message.data.shape[1] if message.kind == "image" else 0
        request = self.request(pixels)
        digest = hashlib.sha256(np.ascontiguousarray(message.data).tobytes()).digest()
        key = (self.system, request, message.data.shape, digest)
        if key not in _cache:
            payload = system.encode(message, request)
            if payload is None and request.lowest_if_over:
                payload = system.encode(message, replace(request, max_bits=None, quality=system.lowest_quality))
            _cache[key] = payload
            while len(_cache) > CACHED_PAYLOADS:
                _cache.popitem(last=False)
        _cache.move_to_end(key)
        return _cache[key]


@dataclass(frozen=True)
class Decoder(Stage):
    """Bits to the message, whatever arrived: one message in, one message out.

    Adds `delivered` (nothing failed), `concealed` (parts made up by the decoder) and `reason` to the meta.
    """

    inputs: ClassVar = (Port("bits", np.uint8),)
    outputs: ClassVar = (Port("message", np.uint8),)
    heavy: ClassVar = True

    system: str = "ncsc"
    model: str = ""
    device: str = "auto"

    def prepare(self) -> None:
        """Check the names and load the model."""
        system = registry.get(self.system)
        request = Request(model=self.model, device=self.device)
        system.check(request)
        system.prepare(request)

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """Bits, uint8 of 0 and 1, to message items, uint8."""
        bits = arrays[0]
        reason = meta.get("reason")
        if reason is not None or not len(bits):
            grey = np.full(meta["shape"], GREY, np.uint8)
            return (grey.ravel(),), {**meta, "delivered": False, "concealed": 1, "reason": reason or "empty"}
        bits_ok = segmentation.bits_ok(len(bits), meta.get("blocks_ok", [1]))
        message, concealed = registry.get(self.system).decode(Received(bits, bits_ok), meta, self.model, self.device)
        failed = not bits_ok.all() or concealed > 0
        meta = {**meta, "delivered": not failed, "concealed": concealed, "reason": "channel" if failed else None}
        return (message.data.ravel(),), meta

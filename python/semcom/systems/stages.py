# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of a link as stages: any system's encoder and decoder, with the ports of its payload."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..message import Message, Meta, Payload, Received, text_message
from ..phy import reliability, segmentation
from ..stage import Arrays, Port, Stage
from . import registry
from .base import Request, System

CACHED_PAYLOADS = 128
GREY = 128
OVER_BUDGET = ("refuse", "lowest")
_BITS = Port("bits", np.uint8)
_SYMBOLS = Port("symbols", np.complex64)
_NOISE_VAR = Port("noise_var", np.float32)
_SENT = {"bits": (_BITS,), "symbols": (_SYMBOLS,), "both": (_BITS, _SYMBOLS)}
_RECEIVED = {"bits": (_BITS,), "symbols": (_SYMBOLS, _NOISE_VAR), "both": (_BITS, _SYMBOLS, _NOISE_VAR)}
_cache: OrderedDict[tuple[object, ...], Payload | None] = OrderedDict()
_decoding_s = [0.0]


def decoding_seconds() -> float:
    """Processor time that decoders of systems have taken in this process, each in its one thread."""
    return _decoding_s[0]


def forget_payloads() -> None:
    """Encode every message anew from now on."""
    _cache.clear()


@dataclass(frozen=True)
class Encoder(Stage):
    """A message to its payload, within every budget that is set: bits, symbols or both, as the system has it.

    `max_bits`, `max_bpp` (bit per pixel, pictures only) and `airtime` (symbols in all, at `mcs` and `code`) limit the
    payload where they are above zero; `quality` below zero is the system's default. What does not fit is an
    empty payload with `reason` "does_not_fit" in the meta; with `over_budget` "lowest" it is sent all the same,
    at the system's lowest quality, as published tables often do.
    """

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
    esn0_db: float | None = None

    @property
    def inputs(self) -> tuple[Port, ...]:  # type: ignore[override]
        """The message."""
        return (message_port(registry.get(self.system).kind),)

    @property
    def outputs(self) -> tuple[Port, ...]:  # type: ignore[override]
        """A port for each part of the payload."""
        return _SENT[registry.get(self.system).payload]

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
        system = registry.get(self.system)
        limits = []
        if self.max_bits > 0:
            limits.append(self.max_bits)
        if self.max_bpp > 0:
            limits.append(int(self.max_bpp * pixels))
        if self.airtime > 0:
            limits.append(segmentation.largest_payload(self.airtime, self.mcs, code=self.code))
        quality = None if self.quality < 0 else self.quality
        max_bits = min(limits) if limits else None
        return Request(
            self.model, quality, max_bits, self.device, self.over_budget == "lowest",
            max_symbols=self.airtime if self.airtime > 0 and system.payload != "bits" else None,
            esn0_db=system.heeds(self.esn0_db),
        )  # fmt: skip

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """Message items to bits, uint8 of 0 and 1, and or symbols, complex64."""
        data = arrays[0].reshape(meta["shape"]) if "shape" in meta else arrays[0]
        about: Meta = {key: meta[key] for key in ("name", "sample_rate") if key in meta}
        message = Message(meta["kind"], data, about)
        system = registry.get(self.system)
        payload = self.payload(system, message)
        meta = {**meta, "system": self.system, "model": self.model, "bits": 0}
        if system.soft:
            meta["soft"] = True
        if payload is None:
            payload, meta = Payload(), {**meta, "reason": "does_not_fit"}
        parts: dict[Port, NDArray[Any]] = {_BITS: payload.bits, _SYMBOLS: payload.symbols}
        return tuple(parts[port] for port in self.outputs), {**meta, **payload.header, "bits": len(payload.bits)}

    def payload(self, system: System, message: Message) -> Payload | None:
        """The payload, encoded once for each content and request."""
        pixels = message.data.shape[0] * message.data.shape[1] if message.kind == "image" else 0
        request = self.request(pixels)
        digest = hashlib.sha256(np.ascontiguousarray(message.data).tobytes()).digest()
        key = (self.system, request, message.data.shape, digest)
        if key not in _cache:
            payload = system.encode(message, request)
            if payload is None and request.lowest_if_over:
                lowest = replace(request, max_bits=None, max_symbols=None, quality=system.lowest_quality)
                payload = system.encode(message, lowest)
            _cache[key] = payload
            while len(_cache) > CACHED_PAYLOADS:
                _cache.popitem(last=False)
        _cache.move_to_end(key)
        return _cache[key]


@dataclass(frozen=True)
class Decoder(Stage):
    """A payload to the message, whatever arrived: one message in, one message out.

    Adds `delivered` (nothing failed), `concealed` (parts made up by the decoder) and `reason` to the meta.
    """

    heavy: ClassVar = True

    system: str = "ncsc"
    model: str = ""
    device: str = "auto"

    @property
    def inputs(self) -> tuple[Port, ...]:  # type: ignore[override]
        """A port for each part of the payload, and the noise variances of symbols."""
        return _RECEIVED[registry.get(self.system).payload]

    @property
    def outputs(self) -> tuple[Port, ...]:  # type: ignore[override]
        """The message."""
        return (message_port(registry.get(self.system).delivered_kind),)

    def prepare(self) -> None:
        """Check the names and load the model."""
        system = registry.get(self.system)
        request = Request(model=self.model, device=self.device)
        system.check(request)
        system.prepare(request)

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """Bits, uint8 of 0 and 1, and or symbols, complex64, with noise variances, float32, to message items."""
        parts = dict(zip((port.name for port in self.inputs), arrays, strict=True))
        bits = parts.get("bits", np.zeros(0, np.uint8))
        symbols = parts.get("symbols", np.zeros(0, np.complex64))
        llr = reliability.unpacked(meta.get("llr", ""), len(bits))
        meta = {key: value for key, value in meta.items() if key not in ("llr", "soft")}
        reason = meta.get("reason")
        missing = not len(bits) + len(symbols) and not registry.get(self.system).may_be_empty
        if reason is not None or missing:
            kind = registry.get(self.system).delivered_kind
            nothing = _nothing(meta, kind)
            meta = {**meta, **_described(nothing)}
            if reason is None and kind == "text":  # nothing was understood, so nothing was sent: a legal message
                return (nothing.data,), {**meta, "delivered": True, "concealed": 0, "reason": None}
            return (nothing.data.ravel(),), {**meta, "delivered": False, "concealed": 1, "reason": reason or "empty"}
        bits_ok = segmentation.bits_ok(len(bits), meta.get("blocks_ok", [1]))
        received = Received(bits, bits_ok, symbols, parts.get("noise_var", np.zeros(0, np.float32)), llr)
        begun = time.thread_time()
        message, concealed = registry.get(self.system).decode(received, meta, self.model, self.device)
        _decoding_s[0] += time.thread_time() - begun
        failed = not bits_ok.all() or concealed > 0
        meta = {**meta, **_described(message)}
        meta |= {"delivered": not failed, "concealed": concealed, "reason": "channel" if failed else None}
        return (message.data.ravel(),), meta


def message_port(kind: str) -> Port:
    """The port of a message of that kind."""
    return Port("message", np.float32 if kind == "speech" else np.uint8)


def _described(message: Message) -> Meta:
    """What a receiver adds to the meta: for speech and text what came, for a picture what the system says of it."""
    if message.kind == "image":
        return dict(message.meta)
    about: Meta = {key: message.meta[key] for key in ("text", "sample_rate", "arrived") if key in message.meta}
    return {"kind": message.kind, "shape": list(message.data.shape), **about}


def _nothing(meta: Meta, kind: str) -> Message:
    """What stands for a message of which nothing came: a grey picture, silence, no text."""
    if kind == "image":
        return Message(kind, np.full(meta["shape"], GREY, np.uint8))
    if kind == "speech":
        return Message(kind, np.zeros(int(np.prod(meta["shape"])), np.float32), {"text": ""})
    return text_message("")

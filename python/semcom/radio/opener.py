# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a burst's header and description say to the decoder that it needs. Nothing in them is trusted."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..media.images import MAX_PIXELS
from ..message import SAMPLE_RATE, Message, Meta
from ..phy.burst import Burst
from ..phy.coding import LIST_SIZE
from ..phy.header import name_id
from ..phy.stages import ChannelDecoder, SoftDemapper
from ..stage import Arrays
from ..systems import registry
from ..systems.base import System
from ..systems.stages import Decoder

_OURS = frozenset(  # what only a receiver says
    "blocks_ok blocks_failed llr soft reason delivered concealed missing_items transmission empty name source lost "
    "late found_at radio described id bits blocks digital analog system model mcs code text kind sample_rate "
    "esn0_db".split()
)

_PIXELS = 4096  # that a bit may stand for: any system has far fewer, and nobody makes us reserve more


class Unknown(ValueError):
    """A burst of a system or model that is not here."""


class Lie(ValueError):
    """A description that cannot be true, or did not arrive."""


def checked_description(text: bytes | None) -> bytes | None:
    """A description without what only the receiver may say, and without numbers that JSON has not."""
    if not text:
        return text
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            return None
        return json.dumps({k: v for k, v in content.items() if k not in _OURS}, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None


def checked(burst: Burst) -> Burst:
    """A burst whose description can go on."""
    return replace(burst, description=checked_description(burst.description))


def checked_shape(shape: Any, bits: int = 1 << 24, symbols: int = 0) -> list[int]:
    """The shape of a picture, [H, W, 3]; Lie unless it is one of at most 67 million pixels that a payload of so many
    bits and symbols can be."""
    ok = isinstance(shape, list) and len(shape) == 3 and all(type(n) is int and n > 0 for n in shape) and shape[2] == 3
    if not ok or math.prod(shape[:2]) > min(MAX_PIXELS, _PIXELS * (bits + 32 * symbols + 256)):
        raise Lie(f"the description says that the picture is {shape!r:.60}")
    return shape


@dataclass(frozen=True)
class Opened:
    """A system and a model, ready to decode."""

    system: System
    name: str
    model: str


class Opener:
    """Finds systems by the ids in headers and loads each model when its first burst comes.

    `names` are the systems that are listened to; empty: all that are installed. A name may be the path of a card.
    """

    def __init__(self, names: Sequence[str] = (), device: str = "auto") -> None:
        self.device = device
        self._systems: dict[int, str] = {}
        for name in names or registry.systems():
            registry.get(name)
            self._systems.setdefault(name_id(name), name)
        self._opened: dict[tuple[int, int], Opened] = {}

    def open(self, meta: Meta) -> Opened:
        """The system and model of a burst; Unknown where it is not here."""
        key = (int(meta["system_id"]), int(meta["model_id"]))
        if key not in self._opened:
            if key[0] not in self._systems:
                raise Unknown(f"unknown system, id {key[0]}: skipped")
            name = self._systems[key[0]]
            system = registry.get(name)
            known = {name_id(model): model for model in ["", *system.models()]}
            if key[1] not in known:
                raise Unknown(f"unknown model of {name}, id {key[1]}: skipped")
            self._opened[key] = Opened(system, name, known[key[1]])
        return self._opened[key]

    def known(self, system_id: int) -> Opened | None:
        """The system of that id, with its default model; None where it is not here."""
        name = self._systems.get(system_id)
        return Opened(registry.get(name), name, "") if name is not None else None

    @staticmethod
    def _shape(meta: Meta) -> list[int]:
        return checked_shape(meta.get("shape"), int(meta["bits"]), int(meta["analog"]))

    def decode(self, arrays: Arrays, meta: Meta) -> tuple[Message, Meta]:
        """Digital symbols, their noise variances, analog symbols, theirs: to a message and what is known of it.

        Unknown for a system that is not here, Lie for a description that cannot be true or did not arrive; a hostile
        payload may raise anything.
        """
        opened = self.open(meta)
        system = opened.system
        meta = {**meta, "system": opened.name, "model": opened.model, "kind": system.kind}
        if not meta.get("described", True):
            raise Lie("the description did not arrive")
        meta["shape"] = self._shape(meta) if system.kind == "image" else [1]
        if system.kind == "speech":
            meta["sample_rate"] = SAMPLE_RATE
        parts: dict[str, NDArray[Any]] = {"symbols": arrays[2], "noise_var": arrays[3]}
        if system.payload != "symbols":
            if system.soft:
                meta["soft"] = True
            decoder = ChannelDecoder(list_size=int(system.phy.get("list_size", LIST_SIZE)))
            llr, meta = SoftDemapper().run((arrays[0], arrays[1]), meta)
            (parts["bits"],), meta = decoder.run(llr, meta)
        stage = Decoder(opened.name, opened.model, self.device)
        stage.prepare()
        (data,), meta = stage.run(tuple(parts[port.name] for port in stage.inputs), meta)
        kind = str(meta.get("kind", system.delivered_kind))
        if kind == "image":
            data = data.reshape(meta["shape"])
        about: Meta = {name: meta[name] for name in ("text", "sample_rate") if name in meta}
        return Message(kind, np.asarray(data), about), meta

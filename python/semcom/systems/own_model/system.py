# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody's own model as a system: its name is the path of its card."""

from __future__ import annotations

import logging
import math
import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...message import Message, Meta, Payload, Received
from ..base import Request, System
from .card import Card, read_card
from .convert import mean_energy

if TYPE_CHECKING:
    from .networks import Networks

log = logging.getLogger("semcom.own_model")
LOUD_DB = 0.5  # how far the mean energy may be from 1 without a word


class OwnModel(System):
    """One card. The networks are loaded, checked and tried in `prepare`, once for each device."""

    def __init__(self, name: str, card: Card) -> None:
        self.name = name  # type: ignore[misc]  # one class, one instance a card
        self.title = card.name  # type: ignore[misc]
        self.kind = card.message  # type: ignore[misc]
        self.payload = card.payload  # type: ignore[misc]
        self.snr_aware = card.encoder.esn0_db is not None  # type: ignore[misc]
        self.card = card
        self._networks: dict[str, Networks] = {}
        self._lock = threading.Lock()
        self._warned = False

    def check(self, request: Request) -> None:
        """Also refuses a quality: a card has one."""
        super().check(request)
        if request.quality is not None:
            raise ValueError(f"{self.name} has no quality to choose: leave it out, not {request.quality}")

    def prepare(self, request: Request) -> None:
        """Load both networks and try them; ValueError, one line, for whatever is wrong with them."""
        self.networks(request.device)

    def provider(self, model: str = "", device: str = "auto") -> str | None:
        """What runs the networks: ONNX Runtime's provider, or torch with its device."""
        return self.networks(device).provider

    def networks(self, device: str) -> Networks:
        """The networks on a device."""
        with self._lock:
            if device not in self._networks:
                from .networks import Networks

                self._networks[device] = Networks(self.card, device)
            return self._networks[device]

    def encode(self, message: Message, request: Request) -> Payload | None:
        """Bits or symbols of the message; None where they are more than the request allows."""
        name = str(message.meta.get("name", ""))
        if message.kind != self.kind:
            raise ValueError(f"{self.name} takes {self.kind} messages, not {message.kind} ({name!r})")
        if self.snr_aware and request.esn0_db is None:
            raise ValueError(f"{self.name} needs esn0_db: its encoder adapts to the channel")
        esn0_db = 0.0 if request.esn0_db is None else request.esn0_db
        code = self.networks(request.device).encode(message.data, name, esn0_db)
        if self.payload == "bits":
            too_long = request.max_bits is not None and code.size > request.max_bits
            return None if too_long else Payload(bits=code)
        if request.max_symbols is not None and code.size > request.max_symbols:
            return None
        self._warn_of_power(code)
        return Payload(symbols=code)

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The message, whatever the channel did; `ModelFault` only for what the model did."""
        code = received.bits if self.payload == "bits" else received.symbols
        shape = tuple(int(size) for size in meta["shape"])
        esn0_db = 0.0
        if self.card.decoder.esn0_db is not None:
            esn0_db = _known_esn0_db(self.name, received, meta)
        data = self.networks(device).decode(code, shape, str(meta.get("name", "")), esn0_db)
        return Message(self.kind, data), 0

    def _warn_of_power(self, symbols: np.ndarray) -> None:
        """Once: symbols that do not have the energy which Es/N0 counts on."""
        energy = mean_energy(symbols)
        if not self._warned and abs(10 * math.log10(max(energy, 1e-30))) > LOUD_DB:
            self._warned = True
            log.warning(
                "%s sends symbols of mean energy %.3g, not 1: its Es/N0 is not comparable; set power: unit",
                self.name,
                energy,
            )


def _known_esn0_db(name: str, received: Received, meta: Meta) -> float:
    """What the receiver knows of the channel: the meta's figure, else that of the noise variances."""
    if "esn0_db" in meta:
        return float(meta["esn0_db"])
    if received.noise_var.size:
        return float(-10 * np.log10(np.clip(np.mean(received.noise_var, dtype=np.float64), 1e-10, 1e10)))
    raise ValueError(f"{name} needs esn0_db in the packet's meta: its decoder adapts to the channel")


_known: dict[str, tuple[object, OwnModel]] = {}


def from_card(name: str) -> OwnModel:
    """The system of the card at that path, made anew whenever the card or one of its files has changed."""
    path = Path(os.path.expanduser(name)).absolute()
    card = _card(path, _state(path))
    key = (path, *(_state(file) for file in (path, path.parent / card.encoder.file, path.parent / card.decoder.file)))
    if name not in _known or _known[name][0] != key:
        if name in _known:
            from ..stages import forget_payloads

            forget_payloads()  # they are kept by the system's name
        _known[name] = (key, OwnModel(name, card))
    return _known[name][1]


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=32)
def _card(path: Path, state: tuple[int, int] | None) -> Card:
    return read_card(path)

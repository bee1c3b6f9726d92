# SPDX-License-Identifier: GPL-3.0-or-later
"""Where samples go to and come from: what `--to` and `--from` take, and the blocks for it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from .settings import RadioSettings

KINDS = {
    "zmq": "zmq:tcp://HOST:PORT",
    "udp": "udp:HOST:PORT",
    "file": "file:NAME.sigmf-meta",
    "uhd": "uhd:ARGUMENTS, for example uhd:type=b200",
    "soapy": "soapy:driver=NAME, for example soapy:driver=hackrf",
}
RADIOS = ("uhd", "soapy")


@dataclass(frozen=True)
class Place:
    """A target or source: `kind` is one of `KINDS`, `arguments` what stands behind the colon."""

    kind: str
    arguments: str

    @property
    def on_air(self) -> bool:
        """Whether it is a radio."""
        return self.kind in RADIOS

    def __str__(self) -> str:
        return f"{self.kind}:{self.arguments}"


def parse(text: str) -> Place:
    """The place that a text names; ValueError, with what there is, for anything else."""
    kind, _, arguments = text.strip().partition(":")
    if kind not in KINDS:
        raise ValueError(f"expected {', '.join(KINDS.values())}, not {text!r}")
    place = Place(kind, arguments)
    if kind == "udp":
        udp_address(arguments)
    elif kind == "zmq":
        scheme, _, rest = arguments.partition("://")
        if scheme not in ("tcp", "ipc") or not rest or (scheme == "tcp" and not _port(rest.rpartition(":")[2])):
            raise ValueError(f"expected {KINDS['zmq']}, not {text!r}")
    elif kind == "file" and (not arguments.endswith(".sigmf-meta") or arguments == ".sigmf-meta"):
        raise ValueError(f"expected {KINDS['file']}, not {text!r}: recordings are SigMF")
    elif kind == "soapy" and "driver=" not in arguments:
        raise ValueError(f"expected {KINDS['soapy']}, not {text!r}")
    return place


def udp_address(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT; ValueError for anything else."""
    host, _, port = text.removeprefix("//").rpartition(":")
    if not host or not _port(port):
        raise ValueError(f"expected {KINDS['udp']}, not 'udp:{text}'")
    return host.strip("[]"), int(port)


def _port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 1 <= int(text) <= 65535


def radio_block(place: Place, settings: RadioSettings, direction: str) -> Any:
    """The block of a radio, "sink" or "source"; RadioError where it is missing or busy."""
    radio = importlib.import_module(f".{place.kind}", __package__)
    return getattr(radio, direction)(place.arguments, settings)

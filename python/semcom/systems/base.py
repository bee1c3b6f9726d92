# SPDX-License-Identifier: GPL-3.0-or-later
"""What every system is: a pair encode/decode with a name. Nothing else of the module knows more of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ..message import Message, Meta, Payload, Received
from ..phy import adaptation


@dataclass(frozen=True)
class Request:
    """How to encode: with which model, at which `quality` (None: the system's default), in at most `max_bits` and
    `max_symbols`, and whether what does not fit is sent at the lowest quality instead of not at all. `esn0_db` is what
    the transmitter takes the channel to be; only systems that say `snr_aware` are told."""

    model: str = ""
    quality: int | None = None
    max_bits: int | None = None
    device: str = "auto"
    lowest_if_over: bool = False
    max_symbols: int | None = None
    esn0_db: float | None = None


class System(ABC):
    """Base of all systems.

    `kind` is the kind of the messages it takes, `delivers` the kind it gives where that is another one: speech in, text
    out. `payload` says which parts it fills: "bits", "symbols" (unit mean energy, sent as they are) or "both".
    A `soft` system is told how sure the receiver is of each bit that is in doubt. Where a payload `may_be_empty`, one
    of no bits and no symbols is a message like any other and is given to `decode`. `figures` can be drawn of what is
    sent.

    Speech is float32 [N] of 16 kHz mono, N at least 1. What a receiver of text gives is in the alphabet of
    `text/alphabet.py`; speech that it gives has the recognised `text` in its meta, and `sample_rate`. A decoder takes
    the length from what arrived, not from the meta's `shape`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    kind: ClassVar[str]
    delivers: ClassVar[str] = ""
    payload: ClassVar[str] = "bits"
    snr_aware: ClassVar[bool] = False
    soft: ClassVar[bool] = False
    phy: ClassVar[dict[str, Any]] = {}  # mcs, code, list_size of a link that does not say otherwise
    lowest_quality: int = 0
    may_be_empty: ClassVar[bool] = False
    figures: ClassVar[tuple[str, ...]] = ()

    @property
    def delivered_kind(self) -> str:
        """The kind of the messages that `decode` gives."""
        return self.delivers or self.kind

    def models(self) -> list[str]:
        """Names that `model` may take; the first is the default. Empty: the system has no choice."""
        return []

    def variants(self, model: str) -> list[str]:
        """The model folders that a name of `models` stands for."""
        return [model]

    def adapt(self, model: str, airtime: int, **conditions: Any) -> tuple[str, str]:
        """MCS and model for an airtime in symbols (0: not limited) over a channel as `adaptation.choose_mcs` takes it.

        By default the fastest safe MCS: the message then fills what there is.
        """
        return adaptation.choose_mcs(symbols=airtime or adaptation.AIRTIME_GUESS, **conditions), model

    def check(self, request: Request) -> None:
        """ValueError for a model or quality the system does not know; called before anything runs."""
        if request.model and request.model not in self.models():
            known = ", ".join(self.models()) or "none (leave it out)"
            raise ValueError(f"unknown model {request.model!r} for {self.name}: expected {known}")

    def heeds(self, esn0_db: float | None) -> float | None:
        """What the encoder makes of the Es/N0 that the transmitter takes the channel to be; payloads are shared between
        Es/N0s for which this is the same."""
        return esn0_db if self.snr_aware else None

    def prepare(self, request: Request) -> None:  # noqa: B027  # nothing to do for most
        """Load what is slow to load."""

    def provider(self, model: str = "", device: str = "auto") -> str | None:
        """The runtime provider that ran the networks, None without networks."""
        return None

    def recogniser(self, model: str = "") -> str:
        """The recogniser (`speech/recognisers`) whose text the receiver gives; empty where there is none.

        Our own recognisers are the models of one system, which need not say so.
        """
        from ..speech.recognisers.own import SYSTEM

        return (model or next(iter(self.models()), "")) if self.name == SYSTEM else ""

    def removal(self, message: Message, model: str = "", device: str = "auto") -> dict[str, int] | None:
        """What a redundancy removal did with a sent message, as `metrics/removal.py` counts it; None without one."""
        return None

    def compare(self, sent: Message, arrived: Meta, model: str = "", device: str = "auto") -> dict[str, float | None]:
        """Metrics that only the system can give: what its transmitter found in the sent message beside what its
        decoder said `arrived`, of JSON types, in the meta of the message it gave (empty where nothing came)."""
        return {}

    def draw(self, figure: str, path: Path, sent: Sequence[Message], model: str = "", device: str = "auto") -> None:
        """Write one of `figures` of the first messages that were sent."""
        raise ValueError(f"{self.name} has no figure {figure!r}")

    @abstractmethod
    def encode(self, message: Message, request: Request) -> Payload | None:
        """The payload of one message; None where nothing fits into the request's limits."""

    @abstractmethod
    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The message, whatever arrived of it, and how many of its parts had to be concealed.

        `meta` tells what a receiver may know: `kind` and `shape`; how noisy symbols are, `received.noise_var`. Must not
        raise for what the channel did. What the message's `meta` says of a picture goes on with it.
        """

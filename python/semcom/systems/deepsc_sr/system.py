# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepSC-SR as a benchmark: one vector of 40 reals for every 40 ms of speech, whatever is said in it, and CTC.

Weng, Qin, Li, "Semantic Communications for Speech Recognition", IEEE GLOBECOM 2021. Its network is the recogniser and
channel coder of a trained `deepsc_st` model, run as that paper does: the transmitter is told nothing of the channel.
"""

from __future__ import annotations

from ...message import Message, Meta, Payload, Received
from .. import registry
from ..base import Request, System

NETWORK = "deepsc_st"


class DeepScSr(System):
    """20 complex symbols for each 40 ms."""

    name = "deepsc_sr"
    title = "speech to text over analog symbols of every 40 ms, CTC at the receiver (DeepSC-SR)"
    kind = "speech"
    delivers = "text"
    payload = "symbols"

    @property
    def _network(self) -> System:
        return registry.get(NETWORK)

    def models(self) -> list[str]:
        """Those of deepsc_st."""
        return self._network.models()

    def check(self, request: Request) -> None:
        """What the network refuses is refused here."""
        if not self.models():
            raise ValueError(f"{self.name} runs models of {NETWORK}: expected models/{NETWORK}/<variant>/card.yml")
        super().check(request)
        self._network.check(request)

    def prepare(self, request: Request) -> None:
        """Verify and load the model."""
        self._network.prepare(request)

    def provider(self, model: str = "", device: str = "auto") -> str | None:
        """Where the networks ran."""
        return self._network.provider(model, device)

    def recogniser(self, model: str = "") -> str:
        """That of the network: what is read without a channel."""
        return self._network.recogniser(model or self.models()[0])

    def encode(self, message: Message, request: Request) -> Payload | None:
        """20 symbols for each 40 ms; None where `max_symbols` is less."""
        return self._network.encode(message, request)

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """What was read."""
        return self._network.decode(received, meta, model, device)


SYSTEM = DeepScSr()

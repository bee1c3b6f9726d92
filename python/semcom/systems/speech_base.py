# SPDX-License-Identifier: GPL-3.0-or-later
"""What the conventional rivals of DeepSC-ST share: speech in, a recogniser of the user's choice, bits out."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..message import Message
from ..speech import recognisers
from .base import Request, System

PHY = {"mcs": "64qam-1/2", "code": "polar-512", "list_size": 4}
"""The paper's: polar codes of 512 bits, lists of 4, 64-QAM. It names no code rate: 1/2, unless a run says otherwise."""


class RecognisingSystem(System):
    """A system whose `model` is the recogniser: one of our own trained ones, `whisper` or `moonshine`."""

    kind = "speech"
    delivers = "text"
    phy: ClassVar[dict[str, Any]] = PHY

    def models(self) -> list[str]:
        """All recognisers, our own first."""
        return recognisers.names()

    def recogniser(self, model: str = "") -> str:
        """The recogniser is the model."""
        return model or self.models()[0]

    def check(self, request: Request) -> None:
        """Also refuses a quality, where the system has none, and a recogniser that is not installed."""
        super().check(request)
        self.check_quality(request.quality)
        recognisers.get(self.recogniser(request.model), request.device).check_installed()

    def check_quality(self, quality: int | None) -> None:
        """ValueError for a quality that the system does not have: by default, for any."""
        if quality is not None:
            raise ValueError(f"{self.name} has no qualities: leave quality out, not {quality}")

    def prepare(self, request: Request) -> None:
        """Load the recogniser."""
        recognisers.get(self.recogniser(request.model), request.device).prepare()

    def provider(self, model: str = "", device: str = "auto") -> str | None:
        """What runs the recogniser."""
        return recognisers.get(self.recogniser(model), device).provider

    def recognise(self, speech: NDArray[np.float32], model: str, device: str) -> str:
        """The recogniser's text."""
        return recognisers.recognise(self.recogniser(model), speech, device)

    def text_of(self, message: Message, request: Request) -> str:
        """The recognised text of a sent utterance."""
        return self.recognise(message.data, request.model, request.device)

# SPDX-License-Identifier: GPL-3.0-or-later
"""FDSD and KDSD between sent and received speech, with the last hidden layer of our own recogniser as features."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..message import Message
from ..metrics.deep_speech import fdsd, kdsd
from . import recognisers
from .recognisers.own import SYSTEM

log = logging.getLogger("semcom.speech")
CACHED = 2048
_vectors: OrderedDict[tuple[str, bytes], NDArray[np.float64]] = OrderedDict()


class SpeechSets:
    """Two growing sets of utterances. `features` names the recogniser, None where no trained one is here."""

    def __init__(self) -> None:
        own = recognisers.own_names()
        self.features: str | None = own[0] if own else None
        if self.features is None:
            log.warning("fdsd and kdsd are left out: they need a model of deepsc_st")
        self.sent: list[NDArray[np.float64]] = []
        self.received: list[NDArray[np.float64]] = []

    @property
    def name(self) -> str | None:
        """System and model that the features are from."""
        return None if self.features is None else f"{SYSTEM}/{self.features}"

    def add(self, sent: Message, received: Message) -> None:
        """Take an utterance that was sent and what came of it, where both are speech."""
        if self.features is not None and sent.kind == received.kind == "speech":
            self.sent.append(self._vector(sent.data))
            self.received.append(self._vector(received.data))

    def metrics(self) -> dict[str, float | None]:
        """`fdsd` and `kdsd`; None below two utterances, and without a recogniser of our own."""
        if self.features is None or len(self.sent) < 2:
            return {"fdsd": None, "kdsd": None}
        return {"fdsd": fdsd(self.sent, self.received), "kdsd": kdsd(self.sent, self.received)}

    def _vector(self, speech: NDArray[np.float32]) -> NDArray[np.float64]:
        assert self.features is not None
        digest = hashlib.sha256(np.ascontiguousarray(speech).data).digest() if speech.size else b""
        key = (self.features, digest)
        if key not in _vectors:
            own: Any = recognisers.get(self.features)
            _vectors[key] = own.vector(speech)
            while len(_vectors) > CACHED:
                _vectors.popitem(last=False)
        return _vectors[key]

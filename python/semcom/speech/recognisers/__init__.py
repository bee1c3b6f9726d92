# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech recognisers by name behind one interface: our own trained networks, Whisper tiny and Moonshine tiny.

Every recogniser takes 16 kHz mono, float32 [N], and gives text in the alphabet of `text/alphabet.py`. Our own ones,
named after the models of `deepsc_st`, also give what is behind the text: token logits and the last hidden layer. The
encoders of `speech_to_text` are recognisers, too, `attention-<model>`.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .attention import AttentionRecogniser, attention_names
from .base import Recogniser
from .own import OwnRecogniser, own_names

__all__ = ["OwnRecogniser", "Recogniser", "get", "names", "own_names", "recognise"]

CACHED_TEXTS = 2048
_texts: OrderedDict[tuple[str, bytes], str] = OrderedDict()


def names() -> list[str]:
    """All recognisers, our own trained ones first; those of packages whether or not they are installed."""
    return [*own_names(), "whisper", "moonshine", *attention_names()]


@lru_cache(maxsize=8)
def get(name: str, device: str = "auto") -> Recogniser:
    """The recogniser of that name; ValueError lists the names, or says what to install. Nothing is loaded yet."""
    if name in own_names():
        return OwnRecogniser(name, device)
    if name == "whisper":
        from .whisper import Whisper

        return Whisper()
    if name == "moonshine":
        from .moonshine import Moonshine

        return Moonshine()
    if name in attention_names():
        return AttentionRecogniser(name, device)
    raise ValueError(f"unknown recogniser {name!r}: expected one of {', '.join(names())}")


def recognise(name: str, speech: NDArray[np.float32], device: str = "auto") -> str:
    """The text of an utterance; one that was asked for lately is not recognised again."""
    key = (name, hashlib.sha256(np.ascontiguousarray(speech, np.float32).data).digest() if speech.size else b"")
    if key not in _texts:
        _texts[key] = get(name, device).recognise(speech)
        while len(_texts) > CACHED_TEXTS:
            _texts.popitem(last=False)
    return _texts[key]

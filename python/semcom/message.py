# SPDX-License-Identifier: GPL-3.0-or-later
"""The three things that flow: a message, the payload that carries it, and what was received of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # of all speech, Hz

Bits = NDArray[np.uint8]
Symbols = NDArray[np.complex64]
Meta = dict[str, Any]


def no_bits() -> Bits:
    """An empty bit part."""
    return np.zeros(0, np.uint8)


def no_symbols() -> Symbols:
    """An empty symbol part."""
    return np.zeros(0, np.complex64)


@dataclass(frozen=True)
class Message:
    """One picture, utterance or text.

    `data` is uint8 [H, W, 3] for `kind` "image", float32 [N] in [-1, 1] for "speech", UTF-8 bytes, uint8 [N],
    for "text". `meta` holds what belongs to it: `name`; for speech `sample_rate`, for a sent utterance `transcript`
    where somebody wrote down what is said and `emotion` where somebody named one, for a received one `text`, what was
    recognised.
    """

    kind: str
    data: NDArray[Any]
    meta: Meta = field(default_factory=dict)


def text_message(text: str, meta: Meta | None = None) -> Message:
    """A text as a message: UTF-8, uint8 [n]."""
    return Message("text", np.frombuffer(text.encode(), np.uint8), dict(meta or {}))


def message_text(message: Message) -> str:
    """The words of a text, or those that were recognised in speech (empty if nobody looked).

    Bytes that are no UTF-8, which a channel may leave, become replacement characters.
    """
    if message.kind == "text":
        return message.data.astype(np.uint8, copy=False).tobytes().decode(errors="replace")
    return str(message.meta.get("text", ""))


@dataclass(frozen=True)
class Payload:
    """What a system sends: `bits`, uint8 [n] of 0 and 1, are protected by the digital code; `symbols`,
    complex64 [m], travel as they are with unit mean energy. Either may be empty. `header` is what the receiver must
    know beside them (the id of a codebook, say): small, of JSON types, sent in the header of the link and given to
    `decode` as part of its `meta`."""

    bits: Bits = field(default_factory=no_bits)
    symbols: Symbols = field(default_factory=no_symbols)
    header: Meta = field(default_factory=dict)


@dataclass(frozen=True)
class Received:
    """What arrived of a payload.

    `bits` has the sent length; `bits_ok`, bool of the same length, is False where a code block failed its CRC.
    `symbols` are equalised, `noise_var` float32 [m] is the noise variance of each. `llr`, float32 of the bits' length,
    is log P(0)/P(1) of each bit; empty where nothing is in doubt, where nobody knows, and for systems not `soft`.
    """

    bits: Bits = field(default_factory=no_bits)
    bits_ok: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    symbols: Symbols = field(default_factory=no_symbols)
    noise_var: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    llr: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

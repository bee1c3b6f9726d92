# SPDX-License-Identifier: GPL-3.0-or-later
"""The channels that the second stage of training draws: AWGN and Rayleigh mixed, a random Es/N0 for each message."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...phy.channel import fades
from ...phy.interleaver import spread
from .symbols import ERASED, layout, long_words, mask

BLOCK = 128  # symbols with one fade
ESN0_DB = {False: (0.0, 20.0), True: (-6.0, 20.0)}  # by whether the receiver is told the noise
WHOLE = 0.5  # share of messages that send all symbols of a word; the others test the shorter layouts

Floats = NDArray[np.float32]


def sent_symbols(words: int, symbols: int, random: np.random.Generator, shorter: bool) -> NDArray[np.bool_]:
    """Which symbols of a message of so many words go on air, bool [c, S]: where `shorter`, sometimes not all."""
    quality = 0 if not shorter or random.random() < WHOLE else int(random.integers(1, 3))
    return mask(layout(words, symbols, quality, long_words(random.random(words))), symbols)


def noise_variances(
    sent: NDArray[np.bool_], esn0_db: float, channel: str, random: np.random.Generator, interleaved: bool
) -> Floats:
    """Noise variance of each symbol after equalising, float32 [c, S], over AWGN or Rayleigh fading in blocks of 128
    symbols; 1e9 where nothing is sent."""
    total = int(sent.sum())
    gains = np.repeat(np.abs(fades(channel, -(-total // BLOCK), random)) ** 2, BLOCK)[:total]
    on_air = 10 ** (-esn0_db / 10) / np.maximum(gains, 1e-4)
    ordered = np.empty(total)
    ordered[spread(total) if interleaved else slice(None)] = on_air
    out = np.full(sent.shape, ERASED)
    out[sent] = ordered
    return out


def draw(
    words: list[int], symbols: int, random: np.random.Generator, aware: bool, esn0_db: float | None = None,
    channel: str = "",
) -> tuple[Floats, Floats]:
    """Masks of what is sent and noise variances of a batch of messages, float32 [B, max c, S] both.

    Es/N0 and channel are drawn for each message where they are not given; then all symbols are sent only sometimes.
    """
    shape = (len(words), max(words), symbols)
    masks, variances = np.zeros(shape, np.float32), np.full(shape, ERASED)
    for number, count in enumerate(words):
        sent = sent_symbols(count, symbols, random, aware and esn0_db is None)
        level = random.uniform(*ESN0_DB[aware]) if esn0_db is None else esn0_db
        kind = channel or ("awgn", "rayleigh")[int(random.integers(2))]
        masks[number, :count] = sent
        variances[number, :count] = noise_variances(sent, level, kind, random, aware)
    return masks, variances

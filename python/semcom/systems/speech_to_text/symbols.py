# SPDX-License-Identifier: GPL-3.0-or-later
"""How many symbols each word gets, and in which order they are sent. No torch here: links need none.

A word has S complex symbols. Quality 0 sends all of them; quality 1 the first half for every word; quality 2 the same
airtime dealt out unequally: three quarters for the half of the words that say more, a quarter for the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...phy.interleaver import spread

QUALITIES = (0, 1, 2)
ERASED = np.float32(1e9)  # noise variance of a symbol that was not sent, or of which nothing is known

Floats = NDArray[np.float32]
Symbols = NDArray[np.complex64]
Counts = NDArray[np.int64]


def long_words(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """The half of the words that say more, bool [c], by their `values`; of equal ones the earlier. Of an odd number the
    one in the middle is in neither half and counts as False here."""
    chosen = np.zeros(len(values), bool)
    chosen[np.argsort(-np.asarray(values, np.float64), kind="stable")[: len(values) // 2]] = True
    return chosen


def layout(words: int, symbols: int, quality: int = 0, long: NDArray[np.bool_] | None = None) -> Counts:
    """Symbols of each of `words` words, int64 [c], where a whole word has `symbols`; `long` [c] for quality 2.

    Qualities 1 and 2 send the same number in all: the word in the middle of an odd number gets half.
    """
    if quality == 0:
        return np.full(words, symbols)
    half = np.full(words, symbols // 2)
    if quality == 1:
        return half
    assert long is not None
    pairs, change = words // 2, symbols // 4
    counts = half + np.where(long, change, -change)
    short = np.flatnonzero(~long)
    counts[short[pairs:]] = symbols // 2  # at most one: the last of the short ones
    return counts


def mask(counts: Counts, symbols: int) -> NDArray[np.bool_]:
    """Which symbols go on air, bool [c, S]: the first `counts` of each word."""
    return np.arange(symbols)[None] < counts[:, None]


def to_air(values: Floats, counts: Counts, interleaved: bool) -> Symbols:
    """float32 [c, 2 S], real and imaginary parts in turn, to the complex64 symbols that are sent, mean energy 1.

    `interleaved` spreads the symbols of a word over the message: a fade takes a few of many words.
    """
    symbols = np.ascontiguousarray(values, np.float32).view(np.complex64)
    chosen = symbols[mask(counts, symbols.shape[1])]
    if not chosen.size:
        return np.zeros(0, np.complex64)
    energy = float(np.mean(np.abs(chosen.astype(np.complex128)) ** 2))
    scaled = (chosen / np.sqrt(max(energy, 1e-12))).astype(np.complex64)
    return scaled[spread(scaled.size)] if interleaved else scaled


def from_air(
    received: Symbols, noise_var: Floats, counts: Counts, symbols: int, interleaved: bool
) -> tuple[Floats, Floats]:
    """Values [c, 2 S] and noise variances [c, S] of what was received; what was not sent, did not come or is not a
    number is 0 with a variance of 1e9."""
    places = mask(counts, symbols)
    total = int(places.sum())
    taken, variance = np.zeros(total, np.complex64), np.full(total, ERASED)
    count = min(total, received.size, noise_var.size)
    arrived, noise = received[:count].astype(np.complex64), np.asarray(noise_var[:count], np.float32)
    good = np.isfinite(arrived) & np.isfinite(noise) & (noise >= 0)
    order = spread(total)[:count] if interleaved else np.arange(count)
    taken[order[good]], variance[order[good]] = arrived[good], np.minimum(noise[good], ERASED)
    values, variances = np.zeros(places.shape, np.complex64), np.full(places.shape, ERASED)
    values[places], variances[places] = taken, variance
    return values.view(np.float32), variances

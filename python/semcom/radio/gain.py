# SPDX-License-Identifier: GPL-3.0-or-later
"""What gain a receiver should have, judged by its samples alone.

Converters clip I and Q each at an amplitude of 1, full scale. Too much gain clips bursts; too little, and the
converter's own noise is heard: an ideal one of 8 bits has -50 dBFS of it. So the gain goes up until the noise of the
antenna stands at -35 dBFS, where it hides that noise (it costs 0.1 dB), unless bursts reach the top before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOOR_DBFS = -35.0  # noise of the antenna that is enough
TOP_DBFS = -6.0  # where the peaks of bursts should stand
_NEAR_DB = 3.0  # from either, it is good
_CLIPPED = 0.99  # of full scale: 8 bits end at 127 / 128
_MANY_CLIPPED = 1e-5
_BLOCK = 256  # samples whose power is looked at
_QUIET = 0.1  # this part of the blocks is taken to be without bursts
_STEPS = 12
_SILENCE_DBFS = -200.0


@dataclass(frozen=True)
class Levels:
    """Of received samples, in dB of full scale: largest I or Q, mean power, noise between bursts, power of the mean;
    and the share of samples at the end of the scale."""

    peak_dbfs: float
    mean_dbfs: float
    floor_dbfs: float
    dc_dbfs: float
    clipped: float

    def __str__(self) -> str:
        return (
            f"peak {self.peak_dbfs:6.1f} dBFS, mean {self.mean_dbfs:6.1f}, noise {self.floor_dbfs:6.1f}, "
            f"DC {self.dc_dbfs:6.1f}, clipped {self.clipped:.1e}"
        )


def _db(power: float) -> float:
    return max(10.0 * math.log10(power), _SILENCE_DBFS) if power > 0.0 else _SILENCE_DBFS


def levels(samples: NDArray[np.complex64]) -> Levels:
    """Of at least 2,560 samples, complex64 [n]; ValueError for fewer, and for values that are not finite.

    Noise is what the quietest tenth of blocks of 256 samples has at most, without the mean. Its tenth percentile lies
    1.28 standard deviations below the mean, and a block's power has one of 1 / 16 of it.
    """
    count = samples.size // _BLOCK
    if count < 10:
        raise ValueError(f"at least {10 * _BLOCK} samples are needed to judge a gain, not {samples.size}")
    if not np.isfinite(samples).all():
        raise ValueError("samples must be finite")
    top = np.maximum(np.abs(samples.real), np.abs(samples.imag))
    mean = complex(np.mean(samples, dtype=np.complex128))
    around = samples[: count * _BLOCK] - np.complex64(mean)
    powers = np.mean(np.square(np.abs(around)).reshape(count, _BLOCK), axis=1, dtype=np.float64)
    floor = float(np.quantile(powers, _QUIET)) / (1.0 - 1.28 / math.sqrt(_BLOCK))
    power = float(np.mean(np.square(np.abs(samples)), dtype=np.float64))
    return Levels(
        2.0 * _db(float(top.max())), _db(power), _db(floor), _db(abs(mean) ** 2), float(np.mean(top >= _CLIPPED))
    )  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """The next gain to try, or the last one (`done`), and why."""

    gain_db: float
    reason: str
    done: bool


def next_gain(found: Levels, gain_db: float, lowest_db: float, highest_db: float) -> Choice:
    """From what was found at `gain_db`; a gain below `lowest_db` was too little, one above `highest_db` too much."""

    def to(change_db: float, reason: str, at_end: str) -> Choice:
        wanted = round(min(max(gain_db + change_db, lowest_db), highest_db), 1)
        if abs(wanted - gain_db) < 1.0:
            return Choice(gain_db, at_end, True)
        return Choice(wanted, reason, False)

    if found.clipped > _MANY_CLIPPED:
        return to(-10.0, "samples are clipped", "samples are clipped at the lowest gain: put attenuation in between")
    if found.floor_dbfs > FLOOR_DBFS + _NEAR_DB:
        reason = "noise takes more of the scale than it must"
        return to(FLOOR_DBFS - found.floor_dbfs, reason, reason)
    if found.peak_dbfs > TOP_DBFS + _NEAR_DB:
        return to(TOP_DBFS - found.peak_dbfs, "peaks are near full scale", "peaks are near full scale")
    if found.peak_dbfs >= TOP_DBFS - _NEAR_DB:
        return Choice(gain_db, "bursts use the whole scale", True)
    if found.floor_dbfs >= FLOOR_DBFS - _NEAR_DB:
        return Choice(gain_db, "noise of the antenna is above that of the converter", True)
    room = min(TOP_DBFS - found.peak_dbfs, FLOOR_DBFS - found.floor_dbfs, 15.0)
    return to(room, "there is room for more", "this is as much gain as there is room for")


def advice(found: Levels) -> list[str]:
    """What is worth a look in samples at their final gain."""
    lines = []
    if found.clipped > _MANY_CLIPPED:
        lines.append(f"{found.clipped:.1e} of all samples are clipped: less gain at the sender, or attenuation")
    if found.dc_dbfs > -20.0:
        lines.append(f"DC offset of {found.dc_dbfs:.0f} dBFS takes room from the signal: tune elsewhere, or correct it")
    elif found.dc_dbfs > found.floor_dbfs + 10.0:
        lines.append("there is a DC offset; bursts have no carrier there, so it does no harm")
    if found.floor_dbfs < FLOOR_DBFS - 15.0 and found.peak_dbfs < -30.0:
        lines.append("hardly anything is heard at the highest gain: antenna, cable, frequency?")
    return lines


def choose(
    listen: Callable[[float], Levels], lowest_db: float, highest_db: float, start_db: float | None = None
) -> list[tuple[float, Levels, Choice]]:
    """Tries gains until one is right: each with what was found and what followed. The last one is the choice.

    `listen` sets a gain in dB and gives the levels. A gain that was too much, or too little, is not tried again.
    """
    gain = (lowest_db + highest_db) / 2 if start_db is None else min(max(start_db, lowest_db), highest_db)
    low, high = lowest_db, highest_db
    tried: list[tuple[float, Levels, Choice]] = []
    while True:
        found = listen(gain)
        choice = next_gain(found, gain, low, high)
        if len(tried) + 1 == _STEPS and not choice.done:
            choice = Choice(gain, "levels change too much to settle", True)
        tried.append((gain, found, choice))
        if choice.done:
            return tried
        if choice.gain_db < gain:
            high = gain - 1.0
        else:
            low = gain
        gain = min(max(choice.gain_db, low), max(high, low))

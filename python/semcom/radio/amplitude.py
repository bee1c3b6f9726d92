# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a burst is sent: by its own peak, so that no converter ever clips; and what power that makes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SILENCE_DBFS = -200.0


@dataclass(frozen=True)
class Power:
    """Of a burst as it is sent: peak and mean in dB of full scale (an amplitude of 1)."""

    peak_dbfs: float
    mean_dbfs: float

    @property
    def peak_to_mean_db(self) -> float:
        """What the amplifier must be able to do over its mean power."""
        return self.peak_dbfs - self.mean_dbfs


def _db(power: float) -> float:
    return 10.0 * math.log10(power) if power > 0.0 else SILENCE_DBFS


def power(samples: NDArray[np.complex64]) -> Power:
    """Of samples, complex64 [n]; -200 dBFS for silence."""
    if not samples.size:
        return Power(SILENCE_DBFS, SILENCE_DBFS)
    envelope = np.square(samples.real, dtype=np.float64) + np.square(samples.imag, dtype=np.float64)
    return Power(_db(float(envelope.max())), _db(float(envelope.mean())))


def check_peak(peak: float) -> float:
    """ValueError unless above 0 and at most 1 of full scale."""
    if not 0.0 < peak <= 1.0:
        raise ValueError(f"peak must be above 0 and at most 1 of full scale, not {peak!r}")
    return float(peak)


def scaled(samples: NDArray[np.complex64], peak: float) -> tuple[NDArray[np.complex64], Power]:
    """A burst, complex64 [n], with its largest magnitude made `peak` (a part of full scale, to 1), and its power.

    Silence stays silence. ValueError for another `peak` and for samples that are not finite.
    """
    check_peak(peak)
    largest = float(np.max(np.abs(samples), initial=0.0))
    if not math.isfinite(largest):
        raise ValueError("samples to be sent must be finite")
    if largest == 0.0:
        return samples, Power(SILENCE_DBFS, SILENCE_DBFS)
    out = samples * np.float32(peak * (1.0 - 1e-6) / largest)  # rounding must not bring a sample over the peak
    return out, power(out)


class PowerReport:
    """What a transmitter has sent: bursts, and the limits of their power."""

    def __init__(self) -> None:
        self.bursts = 0
        self.peak_dbfs = SILENCE_DBFS
        self.mean_dbfs: tuple[float, float] | None = None  # weakest and strongest burst
        self.peak_to_mean_db = 0.0

    def add(self, sent: Power) -> None:
        """Count a burst."""
        low, high = self.mean_dbfs or (sent.mean_dbfs, sent.mean_dbfs)
        self.bursts += 1
        self.peak_dbfs = max(self.peak_dbfs, sent.peak_dbfs)
        self.mean_dbfs = min(low, sent.mean_dbfs), max(high, sent.mean_dbfs)
        self.peak_to_mean_db = max(self.peak_to_mean_db, sent.peak_to_mean_db)

    def __str__(self) -> str:
        if self.mean_dbfs is None:
            return "no bursts"
        low, high = self.mean_dbfs
        mean = f"{low:.1f}" if high - low < 0.05 else f"{low:.1f} to {high:.1f}"
        return (
            f"{self.bursts} burst{'s' * (self.bursts != 1)}, peak {self.peak_dbfs:.1f} dBFS, mean {mean} dBFS, "
            f"peak over mean {self.peak_to_mean_db:.1f} dB"
        )

# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimates with their 95 % intervals, in the form that results have (see `bench/__init__.py`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.95
RESAMPLES = 1000

Metric = dict[str, Any]


def metric(
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    count: int = 0,
    errors: int | None = None,
    interval: str = "none",
) -> Metric:
    """One estimate; numbers that are not finite become None, because JSON has no other name for them."""

    def plain(number: float | None) -> float | None:
        return None if number is None or not math.isfinite(number) else float(number)

    return {
        "value": plain(value), "low": plain(low), "high": plain(high), "count": int(count),
        "errors": None if errors is None else int(errors), "interval": interval,
    }  # fmt: skip


def clopper_pearson(errors: int, count: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact interval of a probability from `errors` in `count` independent trials (Clopper and Pearson 1934).

    ValueError unless 0 <= errors <= count and count is at least 1.
    """
    if count < 1 or not 0 <= errors <= count:
        raise ValueError(f"errors must be 0 to count and count at least 1, not {errors} of {count}")
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = 0.0 if errors == 0 else float(betaincinv(errors, count - errors + 1, tail))
    high = 1.0 if errors == count else float(betaincinv(errors + 1, count - errors, 1 - tail))
    return low, high


def share(errors: int, count: int) -> Metric:
    """`errors` of `count` as a probability."""
    if count == 0:
        return metric(None, errors=errors, interval="clopper-pearson")
    return metric(errors / count, *clopper_pearson(errors, count), count, errors, "clopper-pearson")


@dataclass
class Moments:
    """Sums of values that come in pieces; gives their mean with Student's interval."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, values: ArrayLike) -> None:
        """Take more values."""
        array = np.asarray(values, np.float64).ravel()
        self.count += array.size
        self.total += float(array.sum())
        self.squares += float(np.square(array).sum())

    def mean(self, errors: int | None = None, scale: float = 1.0) -> Metric:
        """The mean times `scale`; no interval below two values."""
        if self.count == 0:
            return metric(None, errors=errors)
        mean = self.total / self.count
        if self.count == 1:
            return metric(mean * scale, count=1, errors=errors)
        variance = max(self.squares - self.total * mean, 0.0) / (self.count - 1)
        half = _student(self.count - 1) * math.sqrt(variance / self.count)
        return metric(mean * scale, (mean - half) * scale, (mean + half) * scale, self.count, errors, "student-t")


def _student(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + LEVEL) / 2))


def mean(values: Sequence[float | None]) -> Metric:
    """Mean of the values that are there, Student's interval; numpy's two-pass variance."""
    present = np.array([value for value in values if value is not None], np.float64)
    if present.size < 2:
        return metric(float(present[0]) if present.size else None, count=present.size)
    centre = float(present.mean())
    half = _student(present.size - 1) * float(present.std(ddof=1)) / math.sqrt(present.size)
    return metric(centre, centre - half, centre + half, present.size, None, "student-t")


def ratio(errors: Sequence[int], counts: Sequence[int], seed: int) -> Metric:
    """Sum of errors over sum of counts, where the errors of one message hang together: bootstrap over messages.

    With no error, or nothing but errors, resampling says nothing: then the exact interval counts each message once.
    """
    wrong, all_of = np.asarray(errors, np.int64), np.asarray(counts, np.int64)
    total, count = int(wrong.sum()), int(all_of.sum())
    if count == 0:
        return metric(None, errors=total)
    used = int(np.count_nonzero(all_of))
    if total in (0, count) or used < 2:
        extreme = 0 if total == 0 else used
        low, high = clopper_pearson(extreme, used) if total in (0, count) else (0.0, 1.0)
        return metric(total / count, low, high, count, total, "clopper-pearson")
    rng = np.random.default_rng([seed, RESAMPLES])
    chosen = rng.integers(0, len(wrong), (RESAMPLES, len(wrong)))
    sums = all_of[chosen].sum(axis=1)
    values = wrong[chosen].sum(axis=1)[sums > 0] / sums[sums > 0]
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return metric(total / count, low, high, count, total, "bootstrap")


def difference(errors: Sequence[int], before: Sequence[int], counts: Sequence[int], seed: int) -> Metric:
    """Sum of errors less the sum of those before, over the sum of counts: bootstrap over messages, which keeps the two
    numbers of a message together."""
    change, all_of = np.asarray(errors, np.int64) - np.asarray(before, np.int64), np.asarray(counts, np.int64)
    count = int(all_of.sum())
    if count == 0:
        return metric(None)
    rng = np.random.default_rng([seed, RESAMPLES])
    chosen = rng.integers(0, len(change), (RESAMPLES, len(change)))
    sums = all_of[chosen].sum(axis=1)
    values = change[chosen].sum(axis=1)[sums > 0] / sums[sums > 0]
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return metric(int(change.sum()) / count, low, high, count, int(change.sum()), "bootstrap")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Intervals against scipy's own distributions, and against how often they hold the truth."""

import numpy as np
import pytest
from scipy import stats

from gnuradio.semcom.bench import intervals


@pytest.mark.parametrize(("errors", "count"), [(0, 10), (1, 10), (10, 10), (37, 1000), (3, 100_000)])
def test_the_exact_interval_is_the_one_of_the_binomial_test(errors, count):
    expected = stats.binomtest(errors, count).proportion_ci(0.95, method="exact")
    assert intervals.clopper_pearson(errors, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("errors", "count"), [(-1, 10), (11, 10), (0, 0)])
def test_impossible_counts_are_refused(errors, count):
    with pytest.raises(ValueError, match="errors must be 0 to count"):
        intervals.clopper_pearson(errors, count)


def test_the_mean_has_students_interval():
    values = np.random.default_rng(1).normal(30, 2, 24)
    found = intervals.mean(list(values))
    low, high = stats.t.interval(0.95, 23, values.mean(), stats.sem(values))
    assert (found["value"], found["low"], found["high"]) == pytest.approx((values.mean(), low, high))
    assert found["count"] == 24 and found["interval"] == "student-t"


def test_a_mean_in_pieces_is_the_mean_of_all():
    values = np.random.default_rng(2).exponential(3, 1000)
    moments = intervals.Moments()
    for piece in np.array_split(values, 7):
        moments.add(piece)
    whole = intervals.mean(list(values))
    assert {k: moments.mean()[k] for k in ("value", "low", "high")} == pytest.approx(
        {k: whole[k] for k in ("value", "low", "high")}
    )


def test_missing_values_are_left_out_and_nothing_is_null():
    assert intervals.mean([None, 2.0, None])["value"] == 2.0
    assert intervals.mean([None])["value"] is None
    assert intervals.share(0, 0)["value"] is None
    assert intervals.metric(float("inf"), float("nan"))["value"] is None


def test_the_bootstrap_of_clustered_errors_covers_the_truth_where_the_exact_interval_does_not():
    """A tenth of the messages loses 8 of 10 blocks, the others none: blocks are no independent trials."""
    rng = np.random.default_rng(3)
    held = {"bootstrap": 0, "exact": 0}
    for trial in range(200):
        wrong = rng.binomial(10, np.where(rng.random(100) < 0.1, 0.8, 0.0))
        found = intervals.ratio(list(wrong), [10] * 100, trial)
        held["bootstrap"] += found["low"] <= 0.08 <= found["high"]
        low, high = intervals.clopper_pearson(int(wrong.sum()), 1000)
        held["exact"] += low <= 0.08 <= high
    assert held["bootstrap"] >= 174  # 95 % of 200, less what so few messages cost
    assert held["exact"] < 160


def test_without_errors_the_interval_counts_messages_not_blocks():
    found = intervals.ratio([0] * 24, [26] * 24, 0)
    assert found["value"] == 0 and found["high"] == pytest.approx(1 - 0.025 ** (1 / 24))

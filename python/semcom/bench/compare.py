# SPDX-License-Identifier: GPL-3.0-or-later
"""`semcom bench NEW --compare OLD` and `semcom bench --check`: did anything get worse, do committed numbers still hold?

Compare: points of the same curve, kind and axes are matched. A metric is worse where the two 95 % intervals do not
overlap and the new one lies on the bad side (`quantities.py` knows which side is bad); two equal quantities do that in
less than one of 100 cases. Numbers without intervals are worse beyond EXACT_SLACK. Speeds are compared only between
equal processors, and beyond SPEED_SLACK.

Check: of each curve one point is measured again with another seed, and its metric compared with the committed one by a
two-sample test: Fisher's exact test for counts of independent errors, else Welch's test on means and intervals. All
tests of a collection together refuse a right one with a probability of at most LEVEL (Bonferroni).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import Any

from ..report import table
from . import CURVES_FORMAT, POINT_FORMAT, curves
from .curves import Metric, Point, Results
from .intervals import clopper_pearson
from .quantities import quantity
from .show import number

EXACT_SLACK = 1e-3
SPEED_SLACK = 0.2
LEVEL = 0.01
INFORMATIVE_ERRORS = 10
MOST_ROWS = 40

OURS = "semcom bench"

Measure = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True)
class Finding:
    """One metric of one point that changed; `verdict` is worse, better or changed (where neither is good or bad)."""

    point: Point
    metric: str
    new: Metric
    old: Metric
    verdict: str


@dataclass
class Comparison:
    """What two results have to say of each other."""

    findings: list[Finding] = field(default_factory=list)
    failed: list[Point] = field(default_factory=list)
    missing: list[Point] = field(default_factory=list)
    added: list[Point] = field(default_factory=list)
    points: int = 0
    numbers: int = 0
    speeds_left_out: bool = False

    @property
    def worse(self) -> list[Finding]:
        """The regressions."""
        return [finding for finding in self.findings if finding.verdict == "worse"]

    @property
    def status(self) -> int:
        """Exit status: 1 where something got worse, or fails now."""
        return int(bool(self.worse or self.failed))


def compare_command(arguments: argparse.Namespace) -> int:
    """`semcom bench NEW --compare OLD`: prints a short table; status 1 where something got worse or fails now.

    ValueError where a result cannot be read or the two have no point in common.
    """
    new, old = curves.load(arguments.target[0]), curves.load(arguments.compare)
    found = compare(new, old)
    if not found.points and not found.failed:
        raise ValueError(f"{arguments.target[0]} and {arguments.compare} have no point in common")
    print(comparison_text(found))
    return found.status


def compare(new: Results, old: Results) -> Comparison:
    """Match the points and judge every metric that both have."""
    found = Comparison()
    now = {point.key: point for point in new.points}
    known = {point.key for point in old.points}
    found.added = [point for point in new.measured if point.key not in known]
    for before in old.measured:
        point = now.get(before.key)
        if point is None:
            found.missing.append(before)
        elif point.error is not None:
            found.failed.append(point)
        elif not point.skipped:
            found.points += 1
            same_processor = bool(point.processor) and point.processor == before.processor
            for name, earlier in before.metrics.items():
                if quantity(name).machine and not same_processor:
                    found.speeds_left_out = True
                elif name in point.metrics and earlier.value is not None:
                    found.numbers += 1
                    verdict = judge(name, point.metrics[name], earlier)
                    if verdict:
                        found.findings.append(Finding(point, name, point.metrics[name], earlier, verdict))
    return found


def judge(name: str, new: Metric, old: Metric) -> str:
    """"worse", "better", "changed", or "" where the two agree."""
    better = quantity(name).better
    if old.value is None:
        return ""
    if new.value is None:
        return "worse" if better else "changed"
    low, high = _limits(new, name)
    old_low, old_high = _limits(old, name)
    if low <= old_high and old_low <= high:
        return ""
    if not better:
        return "changed"
    return "better" if (new.value > old.value) == (better > 0) else "worse"


def _limits(metric: Metric, name: str) -> tuple[float, float]:
    """The interval; of a number without one, what half the slack leaves of it."""
    assert metric.value is not None
    if metric.low is not None and metric.high is not None:
        return metric.low, metric.high
    slack = (SPEED_SLACK if quantity(name).machine else EXACT_SLACK) / 2 * abs(metric.value)
    return metric.value - slack, metric.value + slack


def comparison_text(found: Comparison) -> str:
    """A short table of what changed for the worse or the better, and what could not be compared."""
    ranked = sorted(found.findings, key=lambda f: ("worse", "better", "changed").index(f.verdict))
    rows = [
        [f.point.curve, f.point.place, f.metric, _shown(f.old), _shown(f.new), f.verdict.upper()] for f in ranked
    ][:MOST_ROWS]  # fmt: skip
    lines = [table(["curve", "at", "metric", "old", "new", ""], rows)] if rows else []
    if len(ranked) > MOST_ROWS:
        lines.append(f"... and {len(ranked) - MOST_ROWS} more")
    for points, what in ((found.failed, "FAILS NOW"), (found.missing, "missing"), (found.added, "new")):
        lines += [f"{what}: {point.curve}, {point.place}" for point in points[:MOST_ROWS]]
        lines += [f"... and {len(points) - MOST_ROWS} more" for _ in range(len(points) > MOST_ROWS)]
    if found.speeds_left_out:
        lines.append("speeds were not compared: the processors differ or are not named")
    counts = {verdict: sum(f.verdict == verdict for f in ranked) for verdict in ("worse", "better", "changed")}
    lines.append(
        f"{found.numbers} numbers at {found.points} points: {counts['worse']} worse, {counts['better']} better, "
        f"{counts['changed']} changed; {len(found.failed)} points fail now, {len(found.missing)} missing"
    )
    return "\n".join(lines)


def _shown(metric: Metric) -> str:
    text = number(metric.value)
    return f"{text} ({number(metric.low)} to {number(metric.high)})" if metric.bounded else text


@dataclass(frozen=True)
class Checked:
    """One curve: the point, what was committed and what came out now, the test's p-value, or why there is none."""

    curve: str
    place: str
    metric: str
    old: Metric
    new: Metric | None = None
    p_value: float | None = None
    trouble: str = ""


def check_command(arguments: argparse.Namespace) -> int:
    """`semcom bench --check [COLLECTION...]`: status 1 where a committed number does not hold or cannot be checked.

    Without a name, every collection below the source tree's `benchmarks/`. ValueError where there is none.
    """
    from .worker import remeasure

    paths = list(arguments.target) or committed()
    if not paths:
        raise ValueError("no committed collection found: name one, semcom bench --check FILE.json")
    status = 0
    for path in paths:
        results = curves.load(path)
        if not results.command.startswith(OURS):
            raise ValueError(f"{path}: made by {results.command!r}, not by `{OURS}`: run that command instead")
        level = LEVEL / max(1, len(results.curves()))
        checked = check(results, remeasure)
        if not checked:
            raise ValueError(f"{path}: no measured point to check")
        print(check_text(str(path), checked, level))
        status |= int(any(not holds(one, level) for one in checked))
    return status


def committed() -> list[Path]:
    """The collections of `semcom bench` in the source tree, below `benchmarks/` of it or of the working directory."""
    for root in (Path(__file__).resolve().parents[3], Path.cwd()):
        found = [path for path in sorted((root / "benchmarks").rglob("*.json")) if _can_check(path)]
        if found:
            return found
    return []


def _can_check(path: Path) -> bool:
    """Whether it is a collection that `semcom bench` made; what a script made, the script must repeat."""
    try:
        data = curves.read_json(path)
    except ValueError:
        return False
    return isinstance(data, dict) and data.get("format") == CURVES_FORMAT and str(data.get("command")).startswith(OURS)


def check(results: Results, measure: Measure) -> list[Checked]:
    """Measure one point of each curve again. `measure(point, seed=...)` returns a whole point, like `worker.remeasure`.

    The seed differs from the committed one, so that the two are independent; only a flowgraph keeps its own, where it
    is a parameter like others.
    """
    found = []
    for curve, points in results.curves().items():
        metric = results.metric
        if not any(metric in point.metrics for point in points):
            metric = curves.likely_metric(points)
        point = cheapest(points, metric)
        if point is None:
            continue
        old = point.metrics[metric]
        seed = point.seed if point.kind == "flowgraph" else (point.seed + 1) % 2**31
        try:
            again = {"format": POINT_FORMAT, **measure(point.raw, seed=seed)}
            new = curves.parse(again, f"{curve}, {point.place}").points[0]
        except (ValueError, OSError, ImportError) as error:
            found.append(Checked(curve, point.place, metric, old, trouble=" ".join(str(error).split())))
            continue
        value = new.metrics.get(metric)
        if new.error is not None or value is None or value.value is None:
            trouble = str((new.error or {}).get("summary") or f"no {metric} came out")
            found.append(Checked(curve, point.place, metric, old, trouble=trouble))
            continue
        found.append(Checked(curve, point.place, metric, old, value, two_sample(value, old)))
    return found


def cheapest(points: Sequence[Point], metric: str) -> Point | None:
    """The informative point that took least time, the first of equals.

    Informative is an error rate of at most 1/2 with INFORMATIVE_ERRORS errors and more, failing that one between 0 and
    1; any value of other metrics. None where no point has the metric.
    """
    having = [point for point in points if metric in point.metrics and point.metrics[metric].value is not None]

    def rank(point: Point) -> tuple[int, float]:
        found = point.metrics[metric]
        if not quantity(metric).log:
            return 0, point.elapsed_s
        value = found.value or 0.0
        if not 0 < value < 1:
            return 2, point.elapsed_s
        many = found.errors is None or found.errors >= INFORMATIVE_ERRORS
        return int(not many or value > 0.5), point.elapsed_s

    return min(having, key=rank, default=None)


def two_sample(a: Metric, b: Metric) -> float:
    """p-value of the hypothesis that both estimate the same quantity; 1 or 0 where neither has a spread."""
    if _counts_errors(a) and _counts_errors(b):
        from scipy.stats import fisher_exact

        assert a.errors is not None and b.errors is not None
        return float(fisher_exact([[a.errors, a.count - a.errors], [b.errors, b.count - b.errors]])[1])
    assert a.value is not None and b.value is not None
    error_a, error_b = standard_error(a), standard_error(b)
    spread = math.hypot(error_a, error_b)
    if spread == 0:
        return 1.0 if math.isclose(a.value, b.value, rel_tol=EXACT_SLACK) else 0.0
    from scipy.special import stdtr

    # Welch and Satterthwaite's degrees of freedom
    freedom = spread**4 / (error_a**4 / _freedom(a) + error_b**4 / _freedom(b))
    return float(2.0 * stdtr(freedom, -abs(a.value - b.value) / spread))


def _counts_errors(metric: Metric) -> bool:
    """Whether the interval is the exact one of so many errors in so many independent trials."""
    if metric.interval != "clopper-pearson" or metric.errors is None or not metric.count:
        return False
    low, high = clopper_pearson(metric.errors, metric.count)
    return math.isclose(low, metric.low or 0.0, rel_tol=1e-6) and math.isclose(high, metric.high or 0.0, rel_tol=1e-6)


def standard_error(metric: Metric) -> float:
    """The standard error behind a 95 % interval; 0 where there is none."""
    if metric.low is None or metric.high is None:
        return 0.0
    if metric.interval == "student-t":
        from scipy.special import stdtrit

        quantile = float(stdtrit(_freedom(metric), 0.975))
    else:
        quantile = NormalDist().inv_cdf(0.975)
    return (metric.high - metric.low) / 2 / quantile


def _freedom(metric: Metric) -> float:
    """Degrees of freedom of a mean; as good as infinite where errors were counted."""
    return max(metric.count - 1, 1) if metric.interval == "student-t" and metric.errors is None else 1e9


def holds(checked: Checked, level: float) -> bool:
    """Whether a committed number stands."""
    return checked.p_value is not None and checked.p_value >= level


def check_text(title: str, checked: Sequence[Checked], level: float) -> str:
    """A table of one collection, and the level of its tests."""
    rows = []
    for one in checked:
        verdict = "holds" if holds(one, level) else "NOT CHECKED" if one.p_value is None else "DIFFERS"
        new = "-" if one.new is None else _shown(one.new)
        p_value = "-" if one.p_value is None else f"{one.p_value:.3g}"
        rows.append([one.curve, one.place, one.metric, _shown(one.old), new, p_value, verdict])
    lines = [title, table(["curve", "at", "metric", "committed", "measured again", "p", ""], rows)]
    lines += [f"not checked: {one.curve}, {one.place}: {one.trouble}" for one in checked if one.trouble]
    bad = sum(not holds(one, level) for one in checked)
    lines.append(
        f"{len(checked) - bad} of {len(checked)} curves hold; two-sample tests, each at the level {level:.2g}, "
        f"{LEVEL:g} in all"
    )
    return "\n".join(lines)

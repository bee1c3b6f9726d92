# SPDX-License-Identifier: GPL-3.0-or-later
"""`semcom plot`: results as a figure, one colour a curve, with their intervals and bounds. Matplotlib draws it.

Bars or bands are 95 % intervals. On a logarithmic axis a point without an error has no place: an arrow hangs from the
upper limit of its interval. Bounds of one curve have its colour, bounds of several are grey.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..output import prepare_output
from . import curves
from .curves import Metric, Point, Results, Value, short
from .limits import ERGODIC_NOTE, Limit, limits
from .quantities import quantity
from .separation import is_rung
from .store import write_aside

SUFFIXES = (".png", ".svg")
# Okabe and Ito's colours without the yellow, which vanishes on white, and two more
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c510a", "#5e3c99")
MARKERS = ("o", "s", "D", "^", "P", "X", "v", "<", ">")
STYLES: Mapping[str, Any] = {
    "capacity": (0, (1, 1.4)), "bicm_capacity": (0, (5, 1.5, 1, 1.5)),
    "ergodic_capacity": (0, (5, 1.5, 1, 1.5)), "normal_approximation": (0, (5, 2)),
    "outage": (0, (5, 2)), "uncoded_theory": (0, (3, 1.5)), "separation": (0, (6, 1.5, 1, 1.5, 1, 1.5)),
}  # fmt: skip
ERGODIC = (0, (2, 1.2))
GREY = "0.35"
MOST_BARS = 14  # points of a curve that still get bars; more get a band
MOST_CURVES = 40
WIDTH, HEIGHT, DPI = 10.0, 6.2, 100  # inches: 1000 pixels wide

_LABEL_WIDTH = 34
_STYLE = {
    "font.family": "DejaVu Sans", "font.size": 11, "axes.titlesize": 13, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": "0.9", "grid.linewidth": 0.8, "legend.fontsize": 9.5,
    "axes.axisbelow": True, "svg.hashsalt": "semcom", "svg.fonttype": "path", "axes.unicode_minus": True,
}  # fmt: skip


def plot_command(arguments: argparse.Namespace) -> int:
    """`semcom plot RESULT... --output FIGURE.png`; optional `metric`, `axis` and `title` override the results'.

    ValueError for an unknown suffix, results that cannot be read, or nothing to draw.
    """
    output = Path(arguments.output)
    check_suffix(output)
    paths = [Path(path) for path in arguments.results]
    if not paths:
        raise ValueError("no results to show")
    prepare_output(output.parent)
    schemes = _schemes(paths)
    if schemes is not None:
        content = schemes_figure(schemes, output.suffix[1:])
    else:
        metric, axis, title = (getattr(arguments, name, None) or "" for name in ("metric", "axis", "title"))
        content = draw(combined(paths, metric), output.suffix[1:], metric, axis, title)
    write_aside(output, content)
    return 0


def check_suffix(path: Path) -> None:
    """ValueError unless it is a kind of figure that can be drawn."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: a figure must end in {' or '.join(SUFFIXES)}, not in {path.suffix or 'nothing'!r}")


def combined(paths: Sequence[Path], metric: str = "") -> Results:
    """Results of several folders or files in one; a curve name that two of them have is told apart by their names.

    ValueError where one of them has nothing of the metric (default: the first one's).
    """
    paths = list(dict.fromkeys(paths))
    loaded = [curves.load(path) for path in paths]
    if len(loaded) > 1:
        metric = metric or loaded[0].metric
        for path, one in zip(paths, loaded, strict=True):
            if not any(metric in point.metrics for point in one.measured):
                raise ValueError(f"{path}: has no {metric}, so it cannot share a figure with {paths[0]}")
        names = [name for one in loaded for name in {point.curve for point in one.points}]
        twice = {name for name in names if names.count(name) > 1}
        stems = [path.stem for path in paths]
        sources = [p.stem if stems.count(p.stem) == 1 else str(p) for p in paths]
        loaded = [_renamed(one, twice, source) for one, source in zip(loaded, sources, strict=True)]
    return curves.merge(loaded)


def _renamed(results: Results, twice: set[str], source: str) -> Results:
    points = tuple(
        replace(point, curve=f"{point.curve} ({source})") if point.curve in twice else point for point in results.points
    )
    return replace(results, points=points)


def draw(results: Results, form: str = "png", metric: str = "", axis: str = "", title: str = "") -> bytes:
    """The figure of results, PNG (1000 pixels wide) or SVG; the same input gives the same bytes.

    `metric` and `axis` default to what the results ask for. The axis is a swept setting or itself a metric, for
    example `symbols_total`. ValueError where no point has both.
    """
    metric, axis = metric or results.metric, axis or results.axis
    series = _series(results, metric, axis)
    if not any(series.values()):
        known = ", ".join(dict.fromkeys(name for point in results.measured for name in point.metrics)) or "none"
        raise ValueError(f"no point has both {metric!r} and {axis!r}: metrics are {known}")
    if len(series) > MOST_CURVES:
        raise ValueError(f"{len(series)} curves in one figure: at most {MOST_CURVES} can be told apart")
    log = quantity(metric).log if results.log is None or metric != results.metric else results.log
    with figure_style():
        figure, axes = _canvas(title or results.title)
        _labels(axes, axis, metric)
        names = _categories(series)
        if names:
            axes.set_xticks(range(len(names)), [_wrapped(name, 14) for name in names])
            if len(names) > 7:
                axes.tick_params(axis="x", rotation=45)
        handles = _draw_curves(axes, series, names, log)
        _set_y(axes, series, metric, log)
        if not names:
            handles += _draw_limits(axes, results, series, axis, metric)
        _legend(figure, handles)
        _footnote(figure, results, series, log)
        return _rendered(figure, form)


def _series(results: Results, metric: str, axis: str) -> dict[str, list[tuple[Value, Metric, Point]]]:
    """(x, metric, point) by curve, sorted; what a curve sweeps beside the axis becomes part of its name."""
    found: dict[str, list[tuple[Value, Metric, Point]]] = {}
    for curve, points in results.curves().items():
        # the axis, or a measured airtime for it; repetitions with other seeds stay on one curve
        for point in points:
            measured = point.metrics.get(metric)
            x = place_of(point, axis)
            rung = axis != "quality" and is_rung(point, results)
            if measured is None or measured.value is None or x is None or rung:
                continue
            found.setdefault(curve + _others(points, point, axis, results.axis), []).append((x, measured, point))
    for entries in found.values():
        entries.sort(key=lambda entry: (isinstance(entry[0], str), entry[0] if isinstance(entry[0], float) else 0.0))
    return found


def _others(points: Sequence[Point], point: Point, axis: str, main: str) -> str:
    """Values of the axes that vary within a curve, besides the one that leads along it."""
    varying = [n for n in point.axis if n != "seed" and len({p.axis.get(n) for p in points}) > 1]
    along = axis if axis in point.axis else main if main in varying else next(iter(varying), "")
    return "".join(f", {name} {short(point.axis[name])}" for name in varying if name != along)


def place_of(point: Point, axis: str) -> Value | None:
    """Where a point stands on an axis: its swept value, a metric of that name, or a setting."""
    if axis in point.axis:
        return point.axis[axis]
    if axis in point.metrics:
        return point.metrics[axis].value
    setting = point.settings.get(axis)
    if isinstance(setting, (int, float)) and not isinstance(setting, bool) and math.isfinite(setting):
        return float(setting)
    return None


def _categories(series: Mapping[str, Sequence[tuple[Value, Metric, Point]]]) -> list[str]:
    """Names on the x axis in the order of their first use, if any value is a name."""
    values = [x for entries in series.values() for x, _, _ in entries]
    return list(dict.fromkeys(map(short, values))) if any(isinstance(x, str) for x in values) else []


def _draw_curves(
    axes: Any, series: Mapping[str, Sequence[tuple[Value, Metric, Point]]], names: list[str], log: bool
) -> list[tuple[Any, str]]:
    handles: list[tuple[Any, str]] = []
    for number, (curve, entries) in enumerate(series.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[(number // len(COLOURS)) % len(MARKERS)]
        xs = [float(names.index(short(x))) if names else float(x) for x, _, _ in entries]
        seen = [(x, m) for x, (_, m, _) in zip(xs, entries, strict=True) if not _errorless(m, log)]
        (handle,) = axes.plot(*_means(seen), color=colour, linewidth=1.6, zorder=3)
        axes.plot(
            [x for x, _ in seen], [m.value for _, m in seen], color=colour, marker=marker, markersize=5, linestyle="",
            zorder=4,
        )  # fmt: skip
        _draw_intervals(axes, seen, colour, log)
        for x, measured in ((x, m) for x, (_, m, _) in zip(xs, entries, strict=True) if _errorless(m, log)):
            if measured.high:
                axes.errorbar(x, measured.high, yerr=measured.high * 0.55, uplims=True, color=colour, linewidth=1.4,
                              capsize=3, marker="_", markersize=8, zorder=4)  # fmt: skip
        handle.set_marker(marker)
        handle.set_markersize(5)
        handles.append((handle, curve))
    return handles


def _means(seen: Sequence[tuple[float, Metric]]) -> tuple[list[float], list[float]]:
    """The line: through the mean of the points at one place (repetitions)."""
    by_place: dict[float, list[float]] = {}
    for x, measured in seen:
        by_place.setdefault(x, []).append(float(measured.value or 0.0))
    return list(by_place), [float(np.mean(values)) for values in by_place.values()]


def _errorless(measured: Metric, log: bool) -> bool:
    return log and (measured.value or 0.0) <= 0.0


def _draw_intervals(axes: Any, seen: Sequence[tuple[float, Metric]], colour: str, log: bool) -> None:
    bounded = [(x, m) for x, m in seen if m.bounded and m.value is not None]
    if not bounded:
        return
    xs = [x for x, _ in bounded]
    low = np.array([m.low for _, m in bounded], float)
    high = np.array([m.high for _, m in bounded], float)
    value = np.array([m.value for _, m in bounded], float)
    if log:
        low = np.maximum(low, value * 1e-3)  # a lower limit of 0 has no place on a logarithmic axis
    if len(xs) > MOST_BARS and len(set(xs)) == len(xs):
        axes.fill_between(xs, low, high, color=colour, alpha=0.18, linewidth=0, zorder=2)
    else:
        spans = [np.maximum(value - low, 0), np.maximum(high - value, 0)]
        axes.errorbar(xs, value, yerr=spans, fmt="none", ecolor=colour, elinewidth=1.2, capsize=3, zorder=3)


def _draw_limits(
    axes: Any, results: Results, series: Mapping[str, Sequence[Any]], axis: str, metric: str
) -> list[tuple[Any, str]]:
    """Draws the bounds and widens the x axis for those that stand near it; legend entries, one a kind."""
    from matplotlib.lines import Line2D

    low, high = axes.get_xlim()
    found = limits(results, axis, metric, low, high)
    span = max(high - low, 1.0)
    far = [b for b in found if b.at is not None and not low - span / 2 <= b.at <= high + span / 2]
    near = [b for b in found if b not in far]
    at = [b.at for b in near if b.at is not None]
    if at and (min(at) < low or max(at) > high):
        low, high = min(low, min(at) - 0.03 * span), max(high, max(at) + 0.03 * span)
        found = limits(results, axis, metric, low, high)  # curves as wide as the widened axis
        near = [b for b in found if b.at is None or low <= b.at <= high]
    colours = {curve: COLOURS[k % len(COLOURS)] for k, curve in enumerate(series)}
    last, slot = -math.inf, 0
    for limit in sorted(near, key=lambda limit: limit.at or 0.0):
        colour, style = colours.get(limit.curve or "", GREY), _style(limit)
        if limit.at is None:
            axes.plot(limit.x, limit.y, color=colour, linestyle=style, linewidth=1.3, zorder=1.5)
            continue
        axes.axvline(limit.at, color=colour, linestyle=style, linewidth=1.3, zorder=1.5)
        slot = (slot + 1) % 4 if limit.at - last < 0.04 * (high - low) else 0  # the numbers of neighbours in steps
        last = limit.at
        # at the end where curves seldom are
        end, side = (0.015 + 0.11 * slot, "bottom") if axes.get_yscale() == "log" else (0.985 - 0.11 * slot, "top")
        axes.annotate(
            f"{limit.at:.2f} dB", (limit.at, end), (-3, 0), ("data", "axes fraction"), "offset points",
            rotation=90, ha="right", va=side, fontsize=8, color=colour, zorder=1.6,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip
    axes.set_xlim(low, high)
    reached = [float(np.nanmax(b.y)) for b in near if b.name == "separation" and b.y is not None]
    axes.set_ylim(top=max([axes.get_ylim()[1], *reached]))
    handles: list[tuple[Any, str]] = []
    by_label: dict[str, list[Limit]] = {}
    for limit in near:
        by_label.setdefault(limit.label, []).append(limit)
    for label, members in by_label.items():
        own = {colours.get(member.curve or "", GREY) for member in members}
        colour = own.pop() if len(own) == 1 else GREY
        handles.append((Line2D([], [], color=colour, linestyle=_style(members[0]), linewidth=1.3), label))
    for limit in far:
        owner = f" of {limit.curve}" if limit.curve else ""
        handles.append((Line2D([], [], linestyle=""), f"{limit.label}{owner}: {limit.at:.2f} dB, outside"))
    return handles


def _style(limit: Limit) -> Any:
    return ERGODIC if limit.note == ERGODIC_NOTE else STYLES[limit.name]


def _set_y(axes: Any, series: Mapping[str, Sequence[tuple[Value, Metric, Point]]], metric: str, log: bool) -> None:
    """The y axis shows the points and their intervals; bounds may leave it."""
    found = [m for entries in series.values() for _, m, _ in entries]
    if not log:
        if quantity(metric).machine:
            axes.set_ylim(bottom=0.0)
        axes.set_ylim(axes.get_ylim())
        return
    axes.set_yscale("log")
    shown = [m.high * 0.4 if _errorless(m, True) and m.high else m.value for m in found]  # arrows hang so low
    highest = max([m.high or m.value or 0.0 for m in found] + [1e-12])
    lowest = min([value for value in shown if value and value > 0] + [highest])
    axes.set_ylim(lowest / 2.5, 1.25 if 0.2 < highest <= 1.0 else highest * 2)


def _labels(axes: Any, axis: str, metric: str) -> None:
    for set_label, name in ((axes.set_xlabel, axis), (axes.set_ylabel, metric)):
        set_label(_clean(quantity(name).label), parse_math=False)


@contextlib.contextmanager
def figure_style() -> Iterator[None]:
    """Our look, whatever the user's matplotlib settings are. ImportError that says what to install."""
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise ImportError("figures need matplotlib: run `make setup`, or pip install matplotlib") from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def _canvas(title: str, height: float = HEIGHT) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    axes = figure.add_subplot()
    if title:
        axes.set_title(_wrapped(title, 60), loc="left", pad=12, parse_math=False)
    return figure, axes


def _legend(figure: Any, handles: Sequence[tuple[Any, str]]) -> None:
    if not handles:
        return
    legend = figure.legend(
        [handle for handle, _ in handles], [_wrapped(label, _LABEL_WIDTH) for _, label in handles],
        loc="outside right upper", frameon=False, handlelength=2.6, labelspacing=0.7,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _footnote(figure: Any, results: Results, series: Mapping[str, Sequence[Any]], log: bool) -> None:
    measured = [m for entries in series.values() for _, m, _ in entries]
    words = []
    if any(m.bounded for m in measured):
        words.append("95 % intervals")
    if any(_errorless(m, log) and m.high for m in measured):
        words.append("arrows: no error seen, upper limit")
    if results.failed:
        words.append(f"{len(results.failed)} of {len(results.points)} points failed")
    missing = results.planned - len(results.points)
    if missing > 0:
        words.append(f"{missing} of {results.planned} points not measured yet")
    if words:
        figure.supxlabel("; ".join(words), fontsize=9, color="0.4", x=0.01, ha="left")


def _rendered(figure: Any, form: str) -> bytes:
    buffer = io.BytesIO()
    # no date and no random names: the same results give the same bytes
    metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # a box stands for it
        figure.savefig(buffer, format=form, metadata=metadata)
    return buffer.getvalue()


def _clean(text: str) -> str:
    return " ".join(text.split())


def _wrapped(text: str, width: int) -> str:
    """Lines of so many characters, at most three; a leading underscore would hide a legend entry."""
    lines = textwrap.wrap(_clean(text), width, max_lines=3, placeholder=" ...") or ["-"]
    joined = "\n".join(lines)
    return f"\u200b{joined}" if joined.startswith("_") else joined


def _schemes(paths: Sequence[Path]) -> Any:
    """The content of `benchmarks/phy/mcs.json`, if that is the one file given."""
    if len(paths) != 1 or paths[0].suffix != ".json" or not paths[0].is_file():
        return None
    data = curves.read_json(paths[0])
    rows = data.get("rows") if isinstance(data, dict) and "format" not in data else None
    needed = ("esn0_db", "normal_approximation_db")
    good = isinstance(rows, list) and 0 < len(rows) <= 100 and all(
        isinstance(row, dict) and isinstance(row.get("mcs"), str)
        and all(isinstance(row.get(key), (int, float)) and abs(row[key]) < 1e3 for key in needed)
        for row in rows
    )  # fmt: skip
    return data if good else None


def schemes_figure(data: Mapping[str, Any], form: str = "png") -> bytes:
    """Where each MCS works and how far that lies above the normal approximation (`benchmarks/phy/mcs.json`)."""
    rows = data["rows"]
    with figure_style():
        figure, axes = _canvas("How far each MCS works above the normal approximation", 0.9 + 0.33 * len(rows))
        places = np.arange(len(rows))[::-1]
        limit = np.array([row["normal_approximation_db"] for row in rows], float)
        reached = np.array([row["esn0_db"] for row in rows], float)
        axes.hlines(places, limit, reached, color="0.7", linewidth=3, zorder=2)
        bound = axes.plot(limit, places, "|", color=GREY, markersize=13, markeredgewidth=2, zorder=3)[0]
        ours = axes.plot(reached, places, "o", color=COLOURS[0], markersize=7, zorder=4)[0]
        for place, low, high in zip(places, limit, reached, strict=True):
            axes.annotate(f"{high - low:.2f} dB", (high, place), (9, 0), textcoords="offset points", va="center",
                          fontsize=9, color="0.3")  # fmt: skip
        axes.set_yticks(places, [_clean(row["mcs"])[:40] for row in rows])
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.08)
        axes.set_xlabel("Es/N0 (dB)")
        bler, k = data.get("bler"), data.get("k")
        what = f"block error rate {short(float(bler))}" if isinstance(bler, (int, float)) else "the wanted error rate"
        size = f", {k} information bits" if isinstance(k, int) else ""
        _legend(figure, [(ours, f"measured, {what}{size}"), (bound, "normal approximation, bit-interleaved")])
        return _rendered(figure, form)

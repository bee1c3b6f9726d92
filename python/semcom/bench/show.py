# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sweep prints: a row a point, the table beside a paper's rows, the list of what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..report import table
from .store import Point
from .sweep import Sweep

WHY = {
    "errors": "enough errors", "messages": "all messages", "interval": "interval", "cap": "cap", "time": "time",
    "clean": "curve is clean", "failed": "FAILED", "end": "flowgraph ended",
}  # fmt: skip
WANTED = ("symbols_total", "bits_per_pixel", "psnr_db", "ms_ssim", "delivered")


def number(value: float | None) -> str:
    """Four digits that count, small ones as a power of ten; a dash where there is none."""
    if value is None:
        return "-"
    if value == int(value) and abs(value) < 1e7:
        return f"{value:,.0f}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-3 else f"{value:.2e}"


def interval(metric: Mapping[str, Any]) -> str:
    """The limits of a metric."""
    if metric.get("low") is None or metric.get("high") is None:
        return "-"
    return f"{number(metric['low'])} to {number(metric['high'])}"


def cells(point: Point, metric: str, axes: Sequence[str]) -> list[str]:
    """The row of a point."""
    found = point["metrics"].get(metric, {})
    at = [point["axis"].get(name, point["metrics"].get(name, {}).get("value")) for name in axes]
    place = [number(v) if isinstance(v, int | float) else str(v or "-") for v in at]
    return [
        point["curve"], *place, number(found.get("value")), interval(found), f"{point['messages']:,}",
        f"{point['elapsed_s']:.1f}", WHY.get(point["stopped"], point["stopped"]),
    ]  # fmt: skip


def points_table(sweep: Sweep, points: Sequence[Point]) -> str:
    """All points of a sweep, a row each."""
    axes = [sweep.axis, *(["seed"] if any("seed" in point["axis"] for point in points) else [])]
    if points and sweep.axis not in points[0]["axis"]:  # it is measured: what was swept stands before it
        axes = [*dict.fromkeys(name for point in points for name in point["axis"]), sweep.axis]
    metric = sweep.metric
    header = ["curve", *axes, metric, "95 % interval", "messages", "s", "stopped by"]
    return table(header, [cells(point, metric, axes) for point in points])


def failures(points: Sequence[Point]) -> str:
    """What failed and what was said last."""
    lines = []
    for point in points:
        where = ", ".join(f"{name} {value}" for name, value in point["axis"].items())
        lines.append(f"failed: {point['curve']}, {where}: {point['error']['summary']}")
        lines += [f"    {line}" for line in point["error"]["last_lines"]]
    return "\n".join(lines)


def results_table(sweep: Sweep, points: Sequence[Point]) -> str:
    """Markdown: our rows, the paper's beneath, the notes; empty where the sweep asks for no table."""
    wanted = [str(name) for name in sweep.table.get("columns", [])] or list(WANTED)
    if not sweep.table:
        return ""
    places: dict[Any, list[list[str]]] = {}
    for point in points:
        if point["error"] is not None or not any(name in point["metrics"] for name in wanted):
            continue
        values = [_with_interval(point["metrics"].get(name)) for name in wanted]
        row = [point["curve"], f"{point['messages']:,}", *values]
        places.setdefault(point["axis"].get(sweep.axis), []).append(row)
    text = [f"# {sweep.title}", ""]
    for place, rows in sorted(places.items(), key=lambda item: str(item[0])):
        where = number(place) if isinstance(place, int | float) else str(place or "")
        text += [f"{sweep.axis} {where}:", "", *_markdown(["", "messages", *wanted], rows), ""]
    paper = sweep.table.get("paper")
    if paper:
        shown = [["-" if cell is None else str(cell) for cell in row] for row in paper["rows"]]
        text += [f"{paper.get('title', 'The paper')}:", "", *_markdown([str(c) for c in paper["columns"]], shown), ""]
    text += [f"* {note}" for note in sweep.table.get("notes", [])]
    return "\n".join(text).rstrip() + "\n"


def _with_interval(metric: Mapping[str, Any] | None) -> str:
    if metric is None or metric["value"] is None:
        return "-"
    if metric["low"] is None or metric["low"] == metric["high"]:
        return number(metric["value"])
    if metric["interval"] == "student-t":
        return f"{number(metric['value'])} ± {number((metric['high'] - metric['low']) / 2)}"
    return f"{number(metric['value'])} ({interval(metric)})"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table that reads well as plain text too."""
    widths = [max(2, *(len(row[k]) for row in [header, *rows])) for k in range(len(header))]

    def line(row: Sequence[str]) -> str:
        filled = [c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))]
        return f"| {' | '.join(filled)} |"

    rule = [":" + "-" * (w - 1) if k == 0 else "-" * (w - 1) + ":" for k, w in enumerate(widths)]
    return [line(header), f"| {' | '.join(rule)} |", *map(line, rows)]

# SPDX-License-Identifier: GPL-3.0-or-later
"""The received pictures of a sweep side by side: a column a curve, a row a place on the axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .store import Point
from .sweep import Sweep


def draw(sweep: Sweep, points: Sequence[Point], folder: Path) -> Path:
    """Write `<sweep>.png` from the first picture of each point; its path."""
    from ..figures import grid_figure
    from ..media.images import read_image

    shown = {(p["curve"], p["axis"].get(sweep.axis)): p for p in points if p.get("pictures")}
    names = {(p["curve"], p["axis"].get(sweep.axis)): j.name for j in sweep.jobs for p in points if _same(j, p)}
    places = list(dict.fromkeys(place for _, place in shown))
    curves = [curve for curve in sweep.curves if any(name == curve for name, _ in shown)]
    if not curves:
        raise ValueError(f"sweep {sweep.name} has no picture to show: set pictures to 1 in its curves")
    cells: list[list[Any]] = []
    for place in places:
        row: list[Any] = []
        for curve in curves:
            point = shown.get((curve, place))
            if point is None:
                row.append((None, "", True))
                continue
            picture = read_image(folder / f"{names[curve, place]}.0.png").data
            row.append((picture, caption(point), point["metrics"]["delivered"]["value"] == 1))
        cells.append(row)
    path = folder / f"{sweep.name}.png"
    unit = " dB" if sweep.axis.endswith("_db") else ""
    rows = [f"{place:g}{unit}" if isinstance(place, int | float) else str(place or "") for place in places]
    grid_figure(path, sweep.title, [curve.replace(", ", "\n") for curve in curves], rows, cells)
    return path


def _same(job: Any, point: Point) -> bool:
    return job.curve == point["curve"] and job.axis == point["axis"]


def caption(point: Point) -> str:
    """What a picture cost and what it is worth."""
    metrics = point["metrics"]
    if metrics["does_not_fit"]["value"]:
        return "does not fit"
    quality = f"\n{metrics['psnr_db']['value']:.2f} dB"
    if metrics.get("ms_ssim", {}).get("value") is not None:
        quality += f", MS-SSIM {metrics['ms_ssim']['value']:.3f}"
    return f"{metrics['symbols_total']['value']:,.0f} symbols{quality}"

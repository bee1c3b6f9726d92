# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of results. Matplotlib is imported where it is used and never opens a window."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def grid_figure(
    path: Path,
    title: str,
    columns: Sequence[str],
    rows: Sequence[str],
    cells: Sequence[Sequence[tuple[NDArray[np.uint8] | None, str, bool]]],
    group: int = 0,
) -> None:
    """A grid of pictures with captions; a cell is (picture or None, caption, good). Written aside, then renamed.

    `group` leaves a gap after so many columns. Captions of bad cells are red.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shape = next(picture.shape for row in cells for picture, _, _ in row if picture is not None)
    width = 2.1
    height = width * shape[0] / shape[1]
    figure = Figure(figsize=(width * len(columns) + 1.6, (height + 0.3) * len(rows) + 1.1), dpi=110)
    FigureCanvasAgg(figure)
    ratios: list[float] = []
    places: list[int] = []
    for k in range(len(columns)):
        if group and k and k % group == 0:
            ratios.append(0.12)
        places.append(len(ratios))
        ratios.append(1.0)
    grid = figure.add_gridspec(
        len(rows), len(ratios), width_ratios=ratios, left=1.25 / figure.get_figwidth(), right=0.995, bottom=0.03,
        top=1 - 0.85 / figure.get_figheight(), wspace=0.04, hspace=0.28 / height,
    )  # fmt: skip
    figure.suptitle(title, fontsize=13, y=1 - 0.12 / figure.get_figheight(), va="top")
    for r, row in enumerate(cells):
        for c, (picture, caption, good) in enumerate(row):
            axes = figure.add_subplot(grid[r, places[c]])
            axes.set_xticks([])
            axes.set_yticks([])
            if picture is None:
                axes.set_facecolor("0.85")
                axes.set_xlim(0, shape[1])
                axes.set_ylim(shape[0], 0)
                axes.set_aspect("equal")
            else:
                axes.imshow(picture, interpolation="lanczos")
            axes.set_xlabel(caption, fontsize=7.5, labelpad=2, color="black" if good else "#b00020")
            if r == 0:
                axes.set_title(columns[c], fontsize=10)
            if c == 0:
                axes.set_ylabel(rows[r], fontsize=9, rotation=0, ha="right", va="center", labelpad=8)
    temporary = path.with_name(path.name + ".part")
    figure.savefig(temporary, format=path.suffix.lstrip(".") or "png")
    os.replace(temporary, path)


def pairs_figure(path: Path, pairs: Sequence[tuple[Any, Any, dict[str, Any]]], title: str) -> None:
    """Sent and received pictures of a run, one pair a row."""
    from .media.images import read_image

    if path.suffix not in (".png", ".svg", ".pdf"):
        path = path.with_name(path.name + ".png")
    rows, cells = [], []
    for item, received, record in pairs:
        metrics = record["metrics"]
        caption = f"{metrics['psnr_db']:.2f} dB, {record['bits']:,} bit"
        rows.append(item.name[-18:])
        cells.append([(read_image(item.path).data, "", True), (received.data, caption, record["delivered"])])
    grid_figure(path, title, ["sent", "received"], rows, cells)

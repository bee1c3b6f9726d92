# SPDX-License-Identifier: GPL-3.0-or-later
"""The main demonstration: one photograph, NCSC and four rivals, the same airtime, two channels, three SNRs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .figures import grid_figure
from .links import Link
from .links.link import summary
from .media.images import read_image, write_png
from .media.photographs import packaged_photograph
from .output import progress_bar, return_large_blocks, versions, write_text
from .report import RESULT_COLUMNS, limits_line, result_cells, table

SYSTEMS = ("ncsc", "jpeg", "webp", "avif", "hevc")
ESN0_DB = (6.0, 4.25, 3.0)
CHANNELS = (("awgn", "128"), ("rayleigh", "128"))
POLICIES = (("16qam-1/3", "fixed 16-QAM 1/3 (the papers')"), ("auto", "chosen for 10 % outage, blocks interleaved"))
BITS_PER_PIXEL = 0.2  # sets the airtime: so many bits of the picture over 16-QAM 1/3


def image_demo(output: Path, picture: Path | None, seed: int) -> int:
    """Run, print the table, write the pictures, the figure and results.json into `output`."""
    return_large_blocks()
    original = read_image(picture or packaged_photograph())
    height, width = original.data.shape[:2]
    airtime = max(600, int(BITS_PER_PIXEL * height * width * 0.75 / 100) * 100)
    write_png(output / "original.png", original.data)
    conditions = [(c, f, e) for c, f in CHANNELS for e in ESN0_DB]
    bar = progress_bar(len(conditions) * len(POLICIES) * len(SYSTEMS), "runs")
    results: dict[tuple[str, float, str, str], dict[str, Any]] = {}
    pictures: dict[tuple[str, float, str, str], Any] = {}
    try:
        for channel, fading, esn0_db in conditions:
            for policy, _ in POLICIES:
                for system in SYSTEMS:
                    bar.set_description(f"{system} {channel} {esn0_db} dB")
                    link = Link(
                        system, channel=channel, fading=fading, esn0_db=esn0_db, mcs=policy, airtime=airtime, seed=seed,
                        interleave=policy == "auto",
                    )  # fmt: skip
                    ((received, record),) = list(link.run_flowgraph([original], timeout_s=120))
                    key = (channel, esn0_db, policy, system)
                    pictures[key] = received.data
                    results[key] = {
                        "system": system, "channel": channel, "esn0_db": esn0_db, "seed": seed, "policy": policy,
                        "mcs": link.chosen_mcs, "limits": link.limits(), "messages": [record],
                        "summary": summary([record]),
                    }  # fmt: skip
                    write_png(
                        output / f"{channel}_{esn0_db:g}dB_{policy.replace('/', '-')}_{system}.png", received.data
                    )
                    bar.update()
    finally:
        bar.close()
    print_results(results, conditions, original.meta.get("name", ""), (width, height), airtime)
    draw(output / "comparison.png", results, pictures, conditions, original.meta.get("name", ""), airtime)
    content = {"airtime_symbols": airtime, "picture": original.meta.get("name", ""), "versions": versions()}
    write_text(
        output / "results.json",
        json.dumps({**content, "runs": list(results.values())}, indent=1, allow_nan=False) + "\n",
    )
    print(f"\npictures, results.json and the side-by-side figure are in {output}: look at {output / 'comparison.png'}")
    return 0


def print_results(results: Any, conditions: Any, name: str, size: tuple[int, int], airtime: int) -> None:
    """One block of rows for each condition and policy, with its yardstick below."""
    print(f"{name}, {size[0]}x{size[1]}; every row may use {airtime:,} symbols (symbols_total)")
    for channel, _, esn0_db in conditions:
        for policy, label in POLICIES:
            rows = [[s, *result_cells(results[channel, esn0_db, policy, s]["messages"][0])] for s in SYSTEMS]
            first = results[channel, esn0_db, policy, SYSTEMS[0]]
            print(f"\n{channel}, Es/N0 {esn0_db:g} dB, {label}: {first['mcs']}")
            print(table(["system", *RESULT_COLUMNS], rows))
            print(limits_line(first))


def draw(path: Path, results: Any, pictures: Any, conditions: Any, name: str, airtime: int) -> None:
    """All received pictures side by side."""
    columns = [
        f"{system}\n{'fixed MCS' if policy != 'auto' else 'chosen MCS'}" for policy, _ in POLICIES for system in SYSTEMS
    ]
    rows, cells = [], []
    for channel, _, esn0_db in conditions:
        rows.append(f"{'AWGN' if channel == 'awgn' else 'Rayleigh'}\n{esn0_db:g} dB")
        row = []
        for policy, _ in POLICIES:
            for system in SYSTEMS:
                entry = results[channel, esn0_db, policy, system]
                (record,) = entry["messages"]
                fits = record["reason"] != "does_not_fit"
                caption = f"{record['metrics']['psnr_db']:.1f} dB  {entry['mcs']}" if fits else "does not fit"
                picture = pictures[channel, esn0_db, policy, system] if fits else None
                row.append((picture, caption, record["delivered"]))
        cells.append(row)
    title = f"{name}: {airtime:,} complex symbols for every picture, Es/N0 as given (red: code blocks failed)"
    grid_figure(path, title, columns, rows, cells, group=len(SYSTEMS))

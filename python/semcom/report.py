# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as needed: the first left-aligned, the others right-aligned."""
    widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True)))

    return "\n".join([line(header), "  ".join("-" * w for w in widths), *map(line, rows)])


def number(value: float | None, digits: int = 2) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"


RESULT_COLUMNS = ("bits", "symbols_payload", "symbols_total", "at capacity", "blocks", "failed", "PSNR dB", "MS-SSIM")


def result_cells(record: dict[str, Any]) -> list[str]:
    """The cells of RESULT_COLUMNS for one message or one summary."""
    metrics = record.get("metrics", record)
    if record.get("reason") == "does_not_fit":
        return ["does not fit", "-", "-", "-", "-", "-", number(metrics["psnr_db"]), number(metrics["ms_ssim"], 3)]
    return [
        number(record["bits"], 0),
        number(record["symbols_payload"], 0),
        number(record["symbols_total"], 0),
        number(record["symbols_capacity"], 0),
        number(record["blocks"], 0),
        number(record["blocks_failed"], 0),
        number(metrics["psnr_db"]),
        number(metrics["ms_ssim"], 3),
    ]


def limits_line(result: dict[str, Any]) -> str:
    """The yardstick of a run in words."""
    limits = result["limits"]
    if limits["capacity_esn0_db"] is None:
        return "no threshold: sent as symbols, or without a channel code"
    return (
        f"{result['mcs']} cannot work below Es/N0 {limits['capacity_esn0_db']} dB (capacity of the constellation, "
        f"bit-interleaved); {limits['normal_approximation_esn0_db']} dB with blocks of 1536 bits (normal approximation)"
    )


def messages_table(result: dict[str, Any]) -> str:
    """What `semcom run` prints: a row a message, the mean, the yardstick."""
    rows = [[m["input"], *result_cells(m)] for m in result["messages"]]
    summary = result["summary"]
    rows.append([f"mean of {summary['messages']}", *result_cells(summary)])
    rate = "" if summary["bits_per_pixel"] is None else f"{summary['bits_per_pixel']:.4f} bit/pixel; "
    lines = [
        f"{result['system']} {result['model'] or ''}, {result['channel']}, "
        f"Es/N0 {result['esn0_db']} dB, {result['mcs'] or 'symbols as they are'}",
        table(["message", *RESULT_COLUMNS], rows),
        f"{summary['delivered']} of {summary['messages']} delivered; {rate}{result['elapsed_s']} s",
        limits_line(result),
    ]
    return "\n".join(lines)

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


RATE_COLUMNS = ("CER", "WER", "dWER", "STOI", "MOS", "symbols/s")
RATES = ("cer", "wer", "delta_wer", "stoi", "predicted_mos", "symbols_per_second")
SENT_COLUMNS = ("bits", "symbols_payload", "symbols_total", "blocks", "failed")
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


def speech_cells(record: dict[str, Any]) -> list[str]:
    """The cells of SENT_COLUMNS and RATE_COLUMNS for one utterance or text, or one summary."""
    metrics = record.get("metrics", record)
    keys = ("bits", "symbols_payload", "symbols_total", "blocks", "blocks_failed")
    spent = [number(record[key], 0) for key in keys]
    if record.get("reason") == "does_not_fit":
        spent = ["does not fit", "-", "-", "-", "-"]
    digits = (3, 3, 3, 3, 2, 0)
    return [*spent, *(number(metrics.get(name), d) for name, d in zip(RATES, digits, strict=True))]


def limits_line(result: dict[str, Any]) -> str:
    """The yardstick of a run in words."""
    limits = result["limits"]
    if limits["capacity_esn0_db"] is None:
        return "no threshold: sent as symbols, or without a channel code"
    full = " with full code words" if str(result.get("code")).startswith("polar") else ""
    return (
        f"{result['mcs']}{full} cannot work below Es/N0 {limits['capacity_esn0_db']} dB (capacity of the "
        f"constellation, bit-interleaved); {limits['normal_approximation_esn0_db']} dB with blocks of 1536 bits "
        f"(normal approximation)"
    )


def messages_table(result: dict[str, Any]) -> str:
    """What `semcom run` prints: a row a message, the mean, the yardstick."""
    summary = result["summary"]
    picture = "bandwidth_ratio" in summary
    cells = result_cells if picture else speech_cells
    rows = [[m["input"], *cells(m)] for m in result["messages"]]
    rows.append([f"mean of {summary['messages']}", *cells(summary)])
    if not picture:
        return speech_table(result, rows)
    rate = "" if summary["bits_per_pixel"] is None else f"{summary['bits_per_pixel']:.4f} bit/pixel; "
    lines = [
        f"{result['system']} {result['model'] or ''}, {result['channel']}, "
        f"Es/N0 {result['esn0_db']} dB, {result['mcs'] or 'symbols as they are'}",
        table(["message", *RESULT_COLUMNS], rows),
        f"{summary['delivered']} of {summary['messages']} delivered; {rate}{result['elapsed_s']} s",
        limits_line(result),
    ]
    return "\n".join(lines)


def speech_table(result: dict[str, Any], rows: list[list[str]]) -> str:
    """The same for speech and text: what was spent, error rates, and each text as it came."""
    summary = result["summary"]
    phy = f"{result['mcs']}, {result['code']}" if result["mcs"] else "symbols as they are"
    if "list_size" in result:
        phy += f" (list of {result['list_size']})"
    lines = [
        f"{result['system']} {result['model'] or ''}, {result['channel']}, Es/N0 {result['esn0_db']} dB, {phy}",
        table(["message", *SENT_COLUMNS, *RATE_COLUMNS], rows),
    ]
    for name, words in (("cer", "characters"), ("wer", "words")):
        if summary.get(name) is not None:
            low, high = summary[f"{name}_low"], summary[f"{name}_high"]
            lines.append(f"of all {words} {100 * summary[name]:.1f} % wrong ({100 * low:.1f} to {100 * high:.1f})")
    if summary.get("fdsd") is not None:
        lines.append(f"FDSD {summary['fdsd']:.3f}, KDSD {summary['kdsd']:.4f} in the features of {result['features']}")
    lines += [f"{m['input']}: {m['text']}" for m in result["messages"] if m["text"] is not None]
    lines.append(f"{summary['delivered']} of {summary['messages']} delivered; {result['elapsed_s']} s")
    return "\n".join([*lines, limits_line(result)])

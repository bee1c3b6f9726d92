# SPDX-License-Identifier: GPL-3.0-or-later
"""Results as one HTML file that opens without a server: figures, tables, warnings and the data inside.

The content comes from files of others, so every text is escaped, and a content security policy lets the page load
nothing but what is inside it: no scripts, no addresses.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..output import prepare_output
from . import CURVES_FORMAT, POINT_FORMAT, curves
from .curves import Metric, Point, Results, short
from .plot import draw
from .quantities import quantity
from .separation import is_rung
from .show import WHY, number
from .store import as_csv, as_json, write_aside

MOST_COLUMNS = 6  # metrics in the table of points; the downloads have all
MOST_LINES = 40
MOST_BESIDE = 60  # rows of ours beside a paper's
MOST_PICTURE_BYTES = 16 * 2**20
BUDGETS = ("airtime", "max_bpp", "quality", "mcs")
BESIDE = ("symbols_total", "bits_per_pixel", "psnr_db", "ms_ssim", "delivered")
_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_STYLE = """
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1a1a1a; background: #fff; margin: 0 auto;
  max-width: 1100px; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .87rem; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid #e3e3e3; vertical-align: top;
  white-space: nowrap; }
th { border-bottom: 2px solid #999; text-align: right; vertical-align: bottom; white-space: normal; }
td.name, th.name { text-align: left; white-space: normal; min-width: 11rem; }
tr.first td { border-top: 1px solid #999; }
small { color: #666; font-size: .85em; }
.beside { display: flex; flex-wrap: wrap; gap: 1rem 3rem; align-items: flex-start; }
h3 { font-size: 1rem; margin: .6rem 0 .3rem; }
.about { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0; }
.about dt { color: #666; } .about dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 1rem 0 2rem; } img { max-width: 100%; height: auto; }
code, pre { font: .87em/1.45 ui-monospace, "DejaVu Sans Mono", monospace; background: #f4f4f4; border-radius: 3px; }
code { padding: .1em .3em; } pre { padding: .7rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
.warning { border-left: 4px solid #d55e00; background: #fff6ef; padding: .6rem 1rem; margin: .8rem 0; }
a.download { display: inline-block; margin: 0 .8rem .5rem 0; }
"""


def write_report(source: Path | str | Results, output: Path | str, title: str = "") -> None:
    """Write the report of a folder, an index, a collection or of loaded results to an HTML file.

    ValueError for results that cannot be read or an output that does not end in .html.
    """
    output = Path(output)
    if output.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{output}: a report must end in .html, not in {output.suffix or 'nothing'!r}")
    results = source if isinstance(source, Results) else curves.load(source)
    pictures = None if isinstance(source, Results) else _pictures(Path(source), results)
    prepare_output(output.parent)
    write_aside(output, page(results, title, pictures).encode("utf-8", "replace"))


def page(results: Results, title: str = "", pictures: bytes | None = None) -> str:
    """The whole page; `pictures` is a PNG of the received pictures. The same results give the same page."""
    name = title or results.title or "Results"
    figures = _figures(results)
    sections = [
        f"<h1>{_text(name)}</h1>", _about(results), _warnings(results), *[section for section, _ in figures],
        _picture("Received pictures", pictures) if pictures else "", _paper(results),
        _downloads(results, [svg for _, svg in figures]), _points(results),
    ]  # fmt: skip
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(name)}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body></html>\n"
    )


def _pictures(source: Path, results: Results) -> bytes | None:
    """The received pictures side by side, where the sweep kept any: `<sweep>.png` beside its index."""
    if not any(point.raw.get("pictures") for point in results.points):
        return None
    indices = sorted(source.glob("*.index")) if source.is_dir() else [source]
    path = indices[0].with_suffix(".png") if indices else None
    if path is None or not path.is_file() or path.stat().st_size > MOST_PICTURE_BYTES:
        return None
    content = path.read_bytes()
    return content if content.startswith(b"\x89PNG\r\n") else None


def _picture(title: str, content: bytes) -> str:
    return f'<h2>{_text(title)}</h2><figure><img alt="{_text(title)}" src="{_data("image/png", content)}"></figure>'


def _about(results: Results) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    spent = sum(point.elapsed_s for point in results.points)
    rows = [
        ("Command", f"<code>{_text(results.command)}</code>" if results.command else ""),
        ("Points", _text(_counts(results))),
        ("Messages", _text(f"{sum(point.messages for point in results.points):,}")),
        ("Time of all points", _text(_duration(spent))),
        ("Date", _text(results.date)), ("Processor", _text(results.processor)), ("Versions", _text(versions)),
        ("Intervals", "95 %"),
    ]  # fmt: skip
    return '<dl class="about">' + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows if value) + "</dl>"


def _counts(results: Results) -> str:
    skipped = sum(point.skipped for point in results.points)
    missing = max(results.planned - len(results.points), 0)
    parts = [
        (len(results.measured), "measured"), (len(results.failed), "failed"),
        (skipped, "left out because their curve was clean"), (missing, "not measured yet"),
    ]  # fmt: skip
    return ", ".join(f"{number} {words}" for number, words in parts if number) or "none"


def _warnings(results: Results) -> str:
    found = []
    missing = results.planned - len(results.points)
    if missing > 0:
        found.append(f"<p>{missing} of {results.planned} points are not measured yet.</p>")
    processors = dict.fromkeys(point.processor for point in results.points if point.processor)
    if len(processors) > 1:
        names = _text(", ".join(processors))
        found.append(f"<p>Points come from different processors, so speeds do not compare: {names}.</p>")
    for point in results.failed:
        lines = (point.error or {}).get("last_lines")
        shown = lines[-MOST_LINES:] if isinstance(lines, list) else []
        summary = _text(str((point.error or {}).get("summary", "")))
        text = "\n".join(_ESCAPE_SEQUENCE.sub("", str(line))[:1000] for line in shown)
        found.append(
            f"<p><strong>{_text(point.curve)}</strong>, {_text(point.place)} failed: {summary}</p>"
            + (f"<pre>{_block(text)}</pre>" if text else "")
        )
    return "<h2>Warnings</h2>" + "".join(f'<div class="warning">{one}</div>' for one in found) if found else ""


def _figures(results: Results) -> list[tuple[str, bytes]]:
    """(section, SVG): the sweep's figure; where it sweeps a budget, the same against the airtime it came to; speed."""
    wanted = [(results.metric, results.axis, "")]
    if results.axis in BUDGETS and any("symbols_total" in point.metrics for point in results.measured):
        wanted.append((results.metric, "symbols_total", "against airtime"))
    for speed in ("msymbol_s", "messages_s"):
        if speed != results.metric and any(speed in point.metrics for point in results.measured):
            wanted.append((speed, results.axis, "speed"))
            break
    found = []
    for metric, axis, suffix in wanted:
        try:
            svg = draw(results, "svg", metric, axis, f"{results.title}: {suffix}" if suffix else "")
        except ValueError as error:  # nothing to draw is no reason to have no tables
            found.append((f'<div class="warning"><p>No figure: {_text(str(error))}</p></div>', b""))
            continue
        label = _text(f"{quantity(metric).label} over {quantity(axis).label}")
        image = f'<img alt="{label}" src="{_data("image/svg+xml", svg)}">'
        found.append((f"<figure>{image}</figure>", svg))
    return found


def _paper(results: Results) -> str:
    """Ours and the paper's rows, side by side where the window is wide."""
    if results.table is None:
        return ""
    wanted = dict.fromkeys([results.metric, *BESIDE])
    shown = [point for point in results.measured if not is_rung(point, results)]
    names = [name for name in wanted if any(name in point.metrics for point in shown)]
    rows = [
        [_text(point.curve), _text(short(place)) if (place := point.axis.get(results.axis)) is not None else "-"]
        + [_value(point.metrics.get(name)) for name in names]
        for point in shown[:MOST_BESIDE]
    ]  # fmt: skip
    header = ["Curve", *[_text(quantity(name).label) for name in (results.axis, *names)]]
    more = len(shown) - MOST_BESIDE
    rest = f"<p>{more} more below.</p>" if more > 0 else ""
    paper = _table([_text(c) for c in results.table.columns], [[_text(c) for c in row] for row in results.table.rows])
    return (
        '<h2>Beside the paper</h2><div class="beside">'
        f"<div><h3>Measured here</h3>{_table(header, rows)}{rest}</div>"
        f"<div><h3>{_text(results.table.title or 'The paper')}</h3>{paper}</div></div>"
    )


def _points(results: Results) -> str:
    axes = list(dict.fromkeys(name for point in results.points for name in point.axis))
    names = _columns(results)
    labels = [_text(quantity(name).label) for name in (*axes, *names)]
    rows, firsts, last = [], [], None
    for point in results.points:
        places = [_text(short(point.axis[name])) if name in point.axis else "" for name in axes]
        values = [_value(point.metrics.get(name)) for name in names]
        rows.append([
            _text(point.curve), *places, *values, f"{point.messages:,}", _text(_duration(point.elapsed_s)),
            _text(_why(point)),
        ])  # fmt: skip
        firsts.append(last not in (None, point.curve))
        last = point.curve
    return "<h2>All points</h2>" + _table(["Curve", *labels, "Messages", "Time", "Stopped by"], rows, firsts)


def _why(point: Point) -> str:
    return "failed" if point.error is not None else WHY.get(point.stopped, point.stopped)


def _columns(results: Results) -> list[str]:
    """The figure's metric, then what is known to be good or bad, then the rest."""
    names = dict.fromkeys(name for point in results.points for name in point.metrics)
    ranked = sorted(names, key=lambda name: (name != results.metric, not quantity(name).better))
    return ranked[:MOST_COLUMNS]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], firsts: Sequence[bool] = ()) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f'<th{_name(k)}>{cell}</th>' for k, cell in enumerate(header))
    body = "".join(
        f"<tr{' class=' + chr(34) + 'first' + chr(34) if number < len(firsts) and firsts[number] else ''}>"
        + "".join(f"<td{_name(k)}>{cell}</td>" for k, cell in enumerate(row)) + "</tr>\n"
        for number, row in enumerate(rows)
    )  # fmt: skip
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def _name(column: int) -> str:
    return ' class="name"' if column == 0 else ""


def _value(metric: Metric | None) -> str:
    if metric is None or metric.value is None:
        return "-"
    text = number(metric.value)
    if metric.bounded and not metric.low == metric.value == metric.high:
        text += f"<br><small>{number(metric.low)} to {number(metric.high)}</small>"
    if metric.errors is not None:
        text += f"<br><small>{metric.errors:,} of {metric.count:,}</small>"
    return text


def _downloads(results: Results, figures: Sequence[bytes]) -> str:
    name = re.sub("[^a-z0-9]+", "-", results.title.lower())[:60].strip("-") or "results"
    files = [
        (f"{name}.json", "application/json", as_json(collection_of(results))),
        (f"{name}.csv", "text/csv", table_of(results).encode("utf-8", "replace")),
    ]
    files += [(f"{name}-{k + 1}.svg", "image/svg+xml", svg) for k, svg in enumerate(figures) if svg]
    links = "".join(
        f'<a class="download" download="{file}" href="{_data(kind, content)}">{file}</a>'
        for file, kind, content in files
    )
    return f"<h2>Downloads</h2><p>{links}</p>"


def collection_of(results: Results) -> dict[str, Any]:
    """The results as a collection (`semcom-curves-1`): the points without their records."""
    table = results.table
    return {
        "format": CURVES_FORMAT, "title": results.title, "command": results.command, "axis": results.axis,
        "metric": results.metric, "logy": results.log, "bounds": list(results.bounds),
        "table": {"title": table.title, "columns": table.columns, "rows": table.rows} if table else None,
        "versions": dict(results.versions), "processor": results.processor, "date": results.date,
        "points": [_plain(point) for point in results.points],
    }  # fmt: skip


def table_of(results: Results) -> str:
    """All numbers as CSV, a row a point."""
    return as_csv(_harmless(_plain(point)) for point in results.points)


def _plain(point: Point) -> dict[str, Any]:
    """A point's own object, with what a foreign file may leave out, without records."""
    missing = {"format": POINT_FORMAT, "axis": {}, "metrics": {}, "timings": {}, "seed": 0, "messages": 0}
    missing |= {"stopped": "", "elapsed_s": 0.0, "error": None}
    return missing | {key: value for key, value in point.raw.items() if key != "records" and value is not None}


def _harmless(value: Any) -> Any:
    """Texts that a spreadsheet would take for formulas get an apostrophe."""
    if isinstance(value, dict):
        return {_harmless(key): _harmless(entry) for key, entry in value.items()}
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _text(text: str) -> str:
    """Escaped, one line."""
    return html.escape(" ".join("".join(c if c.isprintable() else " " for c in text).split()))


def _block(text: str) -> str:
    """Escaped, lines kept."""
    return html.escape("".join(c if c.isprintable() or c in "\n\t" else " " for c in text))


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"

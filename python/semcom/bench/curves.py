# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of `semcom bench` as they lie on disk: a folder of points with its index, or a committed collection.

The forms are described in `bench/__init__.py`. The files may come from anywhere: sizes are bounded, every field that
is used is checked, and what is wrong ends in a ValueError of one line that names the file and the field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import CURVES_FORMAT, POINT_FORMAT, SWEEP_FORMAT
from .quantities import PREFERRED, quantity

KINDS = ("system", "code", "flowgraph", "on_air")
INTERVALS = ("clopper-pearson", "student-t", "bootstrap", "none")
BOUNDS = (
    "capacity", "bicm_capacity", "ergodic_capacity", "normal_approximation", "outage", "uncoded_theory", "separation",
)  # fmt: skip

MAX_FILE_BYTES = 64 * 2**20
MAX_FOLDER_BYTES = 1024 * 2**20
MAX_POINTS = 20_000
_MAX_TEXT = 4096
_MAX_ENTRIES = 256  # of one point's axes, metrics, settings, timings; rows and columns of a table

Value = float | str


@dataclass(frozen=True)
class Metric:
    """A measured number with its 95 % interval; None where there is none. `errors` of `count` where it is a share."""

    value: float | None
    low: float | None = None
    high: float | None = None
    count: int = 0
    errors: int | None = None
    interval: str = "none"

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return self.low is not None and self.high is not None


@dataclass(frozen=True)
class Point:
    """One measured point. `axis` holds numbers (or names) of the swept axes, `raw` the whole object of the file.

    `metrics` has the speeds too (`timings` of the file), which `Quantity.machine` tells apart.
    """

    curve: str
    kind: str
    axis: Mapping[str, Value]
    settings: Mapping[str, Any]
    metrics: Mapping[str, Metric]
    seed: int = 0
    stopped: str = ""
    messages: int = 0
    elapsed_s: float = 0.0
    error: Mapping[str, Any] | None = None
    records: tuple[Mapping[str, Any], ...] = ()
    sweep: str = ""
    command: str = ""
    processor: str = ""
    date: str = ""
    versions: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes it the same point in two results: curve, kind and the values of its axes."""
        return (self.curve, self.kind, tuple(sorted((name, short(value)) for name, value in self.axis.items())))

    @property
    def place(self) -> str:
        """The axes in words."""
        return ", ".join(f"{name} {short(value)}" for name, value in self.axis.items())

    @property
    def skipped(self) -> bool:
        """Not measured, because its curve had become clean before."""
        return self.stopped == "clean" and not self.messages


@dataclass(frozen=True)
class Table:
    """Rows of a paper, shown beside ours: `columns` are headings, each row has one cell a column."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Results:
    """Points and how to show them. `axis` and `metric` are names; `log` None means what the metric is used to.

    `planned` counts the points that the sweep has in all, where that is known.
    """

    points: tuple[Point, ...]
    title: str = ""
    axis: str = ""
    metric: str = ""
    bounds: tuple[str, ...] = ()
    log: bool | None = None
    table: Table | None = None
    command: str = ""
    processor: str = ""
    date: str = ""
    versions: Mapping[str, Any] = field(default_factory=dict)
    planned: int = 0

    @property
    def measured(self) -> tuple[Point, ...]:
        """The points that have numbers."""
        return tuple(point for point in self.points if point.error is None and not point.skipped)

    @property
    def failed(self) -> tuple[Point, ...]:
        """The points that could not be measured."""
        return tuple(point for point in self.points if point.error is not None)

    def curves(self) -> dict[str, list[Point]]:
        """Measured points by curve, curves in the order of their first point."""
        found: dict[str, list[Point]] = {}
        for point in self.measured:
            found.setdefault(point.curve, []).append(point)
        return found


def load(path: Path | str) -> Results:
    """What a folder of points, the index of one of its sweeps, a point file or a collection holds.

    ValueError in one line for everything else: no such path, no JSON, another format, a field that cannot be.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    data = read_json(path)
    if isinstance(data, dict) and data.get("format") == SWEEP_FORMAT:
        return _sweep(path, data)
    return parse(data, str(path))


def parse(data: Any, where: str) -> Results:
    """A point or a collection that is already read; `where` is named in errors."""
    form = data.get("format") if isinstance(data, dict) else None
    if form == POINT_FORMAT:
        return described((_point(data, where),), {}, where)
    if form != CURVES_FORMAT:
        found = f"format {_shown(form)}" if form is not None else "no format"
        known = f"{POINT_FORMAT}, {CURVES_FORMAT}"
        raise ValueError(f"{where}: expected results of `semcom bench` ({known}), found {found}")
    points = _get(data, "points", list, where)
    if len(points) > MAX_POINTS:
        raise ValueError(f"{where}: at most {MAX_POINTS} points, found {len(points)}")
    shared = {key: data[key] for key in ("versions", "processor", "date", "command") if key in data}
    return described(
        tuple(_point({**shared, **_mapping(p, f"{where}: point {i}")}, f"{where}: point {i}", saved=True)
              for i, p in enumerate(points)),
        data, where,
    )  # fmt: skip


def merge(results: Iterable[Results]) -> Results:
    """Several results as one: title, axis, metric and table of the first, every bound that any of them asks for."""
    all_results = list(results)
    if not all_results:
        raise ValueError("no results to show")
    first = all_results[0]
    return replace(
        first,
        points=tuple(point for one in all_results for point in one.points),
        bounds=tuple(dict.fromkeys(name for one in all_results for name in one.bounds)),
    )


def read_json(path: Path) -> Any:
    """Strict JSON of a bounded file; ValueError in one line."""
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder")
    if not path.is_file():
        raise ValueError(f"{path}: neither a file nor a folder")
    with path.open("rb") as stream:
        content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB, which no result is")
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError(f"{path}: no result: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{path}: no JSON: {' '.join(str(error).split())}") from None


def described(points: tuple[Point, ...], figure: Mapping[str, Any], where: str) -> Results:
    """Points with what a sweep or collection says of their figure; what it leaves out is inferred from the points."""
    first = points[0] if points else None
    bounds = _names(figure, "bounds", where)
    for name in bounds:
        if name not in BOUNDS:
            raise ValueError(f"{where}: bounds must be out of {', '.join(BOUNDS)}, found {_shown(name)}")
    log = figure.get("logy")
    if log is not None and not isinstance(log, bool):
        raise ValueError(f"{where}: logy must be true or false, found {_shown(log)}")
    versions = _object(figure, "versions", where) or (first.versions if first else {})
    processors = dict.fromkeys(point.processor for point in points if point.processor)
    return Results(
        points=points,
        title=_text(figure, "title", where) or (first.sweep if first else ""),
        axis=_text(figure, "axis", where) or likely_axis(points),
        metric=_text(figure, "metric", where) or likely_metric(points),
        bounds=bounds,
        log=log,
        table=_table(figure.get("table"), where),
        command=_text(figure, "command", where) or (first.command if first else ""),
        processor=_text(figure, "processor", where) or ", ".join(processors),
        date=_text(figure, "date", where) or max((p.date for p in points), default=""),
        versions=versions,
    )


def likely_axis(points: Iterable[Point]) -> str:
    """The axis with most different values; Es/N0 where it is one of several."""
    values: dict[str, set[Value]] = {}
    for point in points:
        for name, value in point.axis.items():
            values.setdefault(name, set()).add(value)
    if len(values.get("esn0_db", ())) > 1:
        return "esn0_db"
    return max(values, key=lambda name: len(values[name]), default="esn0_db")


def likely_metric(points: Iterable[Point]) -> str:
    """The best known metric that any point has."""
    names = dict.fromkeys(name for point in points for name in point.metrics)
    ranked = [name for name in PREFERRED if name in names]
    return next(iter([*ranked, *(n for n in names if quantity(n).better), *names]), "")


def _folder(folder: Path) -> Results:
    indices = sorted(path for path in folder.iterdir() if path.suffix == ".index" and path.is_file())
    if len(indices) > 1:
        names = ", ".join(path.name for path in indices)
        raise ValueError(f"{folder}: holds several sweeps: name one of {names}")
    if indices:
        return _sweep(indices[0], read_json(indices[0]))
    points = _points(folder, {})
    if not points:
        raise ValueError(f"{folder}: no points (*.json) in it; give a folder that `semcom bench` wrote")
    points.sort(key=lambda point: (point.curve, *_sortable(point.axis)))
    return described(tuple(points), {}, str(folder))


def _sweep(path: Path, index: Any) -> Results:
    """The points that an index names, of those that are there, in its order."""
    where = str(path)
    index = _mapping(index, where)
    if index.get("format") != SWEEP_FORMAT:
        raise ValueError(f"{where}: format must be {SWEEP_FORMAT}, found {_shown(index.get('format'))}")
    names = _names(index, "points", where, MAX_POINTS)
    points = _points(path.parent, {name: place for place, name in enumerate(names)})
    return replace(described(tuple(points), index, where), planned=len(names))


def _points(folder: Path, order: Mapping[str, int]) -> list[Point]:
    found: list[tuple[int, Point]] = []
    size = 0
    for path in sorted(folder.iterdir()):
        if path.suffix != ".json" or not path.is_file() or (order and path.stem not in order):
            continue
        size += path.stat().st_size
        if len(found) >= MAX_POINTS or size > MAX_FOLDER_BYTES:
            limits = f"{MAX_POINTS} points or {MAX_FOLDER_BYTES >> 20} MiB"
            raise ValueError(f"{folder}: more than {limits}, which no sweep writes")
        data = read_json(path)
        if not isinstance(data, dict) or data.get("format") != POINT_FORMAT:
            raise ValueError(f"{path}: not a point ({POINT_FORMAT}); give a folder that `semcom bench` wrote")
        found.append((order.get(path.stem, 0), _point(data, str(path))))
    return [point for _, point in sorted(found, key=lambda pair: pair[0])]


def _sortable(axis: Mapping[str, Value]) -> list[tuple[str, float, str]]:
    return [(n, v, "") if isinstance(v, float) else (n, math.inf, v) for n, v in sorted(axis.items())]


def _point(data: Mapping[str, Any], where: str, saved: bool = False) -> Point:
    if not saved or "format" in data:
        form = data.get("format")
        if form != POINT_FORMAT:
            raise ValueError(f"{where}: format must be {POINT_FORMAT}, found {_shown(form)}")
    kind = _get(data, "kind", str, where)
    if kind not in KINDS:
        raise ValueError(f"{where}: kind must be one of {', '.join(KINDS)}, found {_shown(kind)}")
    curve = _text(data, "curve", where, required=True)
    if not curve.strip():
        raise ValueError(f"{where}: curve must not be empty")
    error = data.get("error")
    if error is not None:
        error = _mapping(error, f"{where}: error")
    timings = _object(data, "timings", where)
    speeds = {name: value for name, value in timings.items() if isinstance(value, dict)}
    records = [] if data.get("records") is None else data["records"]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError(f"{where}: records must be a list of objects")
    return Point(
        curve=curve,
        kind=kind,
        axis=_entries(data, "axis", where, _axis_value),
        settings=_object(data, "settings", where),
        metrics=_entries(data, "metrics", where, _metric) | _entries({"timings": speeds}, "timings", where, _metric),
        seed=_count(data.get("seed", 0), f"{where}: seed"),
        stopped=_text(data, "stopped", where),
        messages=_count(data.get("messages", 0), f"{where}: messages"),
        elapsed_s=_number(data.get("elapsed_s", 0.0), f"{where}: elapsed_s") or 0.0,
        error=error,
        records=tuple(records),
        sweep=_text(data, "sweep", where),
        command=_text(data, "command", where),
        processor=_text(data, "processor", where),
        date=_text(data, "date", where),
        versions=_object(data, "versions", where),
        raw=data,
    )


def _metric(data: Any, where: str) -> Metric:
    if not isinstance(data, dict):
        raise ValueError(f"{where} must be an object with a value, found {_shown(data)}")
    value, low, high = (_number(data.get(key), f"{where}: {key}") for key in ("value", "low", "high"))
    if (low is None) != (high is None):
        raise ValueError(f"{where}: low and high must both be numbers or both be null")
    if low is not None and high is not None and low > high:
        raise ValueError(f"{where}: low must be at most high, found {low} and {high}")
    interval = data.get("interval", "none")
    if interval not in INTERVALS:
        raise ValueError(f"{where}: interval must be one of {', '.join(INTERVALS)}, found {_shown(interval)}")
    count = _count(data.get("count", 0), f"{where}: count")
    errors = None if data.get("errors") is None else _count(data["errors"], f"{where}: errors")
    if errors is not None and errors > count and interval != "bootstrap":  # inserted words are errors without a count
        raise ValueError(f"{where}: errors must be at most count, found {errors} of {count}")
    return Metric(value, low, high, count, errors, interval)


def _axis_value(data: Any, where: str) -> Value:
    if isinstance(data, str):
        return _clean(data, where)
    number = _number(data, where)
    if number is None:
        raise ValueError(f"{where} must be a number or a name, found null")
    return number


def _table(data: Any, where: str) -> Table | None:
    if data is None:
        return None
    where = f"{where}: table"
    data = _mapping(data, where)
    columns = _get(data, "columns", list, where)
    rows = _get(data, "rows", list, where)
    if max(len(columns), len(rows)) > _MAX_ENTRIES:
        raise ValueError(f"{where}: at most {_MAX_ENTRIES} columns and rows, found {len(columns)} and {len(rows)}")
    for row in rows:
        if not isinstance(row, list) or len(row) != len(columns):
            raise ValueError(f"{where}: each row must be a list of {len(columns)} cells, found {_shown(row)}")
    cells = tuple(tuple(_cell(cell, where) for cell in row) for row in rows)
    return Table(_text(data, "title", where), tuple(_cell(column, where) for column in columns), cells)


def _cell(value: Any, where: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{where}: a cell must be a number, a text or null, found {_shown(value)}")
    return _clean(value, where) if isinstance(value, str) else short(value)


def _entries(data: Mapping[str, Any], key: str, where: str, read: Callable[[Any, str], Any]) -> dict[str, Any]:
    found = _object(data, key, where)
    where = f"{where}: {key}"
    return {_clean(name, where): read(value, f"{where} {_shown(name)}") for name, value in found.items()}


def _names(data: Mapping[str, Any], key: str, where: str, most: int = _MAX_ENTRIES) -> tuple[str, ...]:
    value = [] if data.get(key) is None else data[key]
    if not isinstance(value, list) or len(value) > most or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{where}: {key} must be a list of at most {most} texts, found {_shown(value)}")
    return tuple(_clean(name, f"{where}: {key}") for name in value)


def _object(data: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    """An object that may be left out."""
    return {} if data.get(key) is None else _mapping(data[key], f"{where}: {key}")


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > _MAX_ENTRIES:
        raise ValueError(f"{where} must be an object of at most {_MAX_ENTRIES} entries, found {_shown(value)}")
    return value


def _get(data: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    value = data.get(key)
    if not isinstance(value, kind):
        raise ValueError(f"{where}: {key} must be a {kind.__name__}, found {_shown(value)}")
    return value


def _text(data: Mapping[str, Any], key: str, where: str, required: bool = False) -> str:
    value = data.get(key)
    if value is None and not required:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{where}: {key} must be a text, found {_shown(value)}")
    return _clean(value, f"{where}: {key}")


def _clean(text: str, where: str) -> str:
    """One line without control characters (they end up in terminals and pictures)."""
    if len(text) > _MAX_TEXT:
        raise ValueError(f"{where}: a text of at most {_MAX_TEXT} characters, found {len(text)}")
    return "".join(c if c.isprintable() else " " for c in text)


def _number(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{where} must be a number or null, found {_shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{where} must be a finite number, found {_shown(value)}")
    return number


def _count(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(f"{where} must be a whole number of at least 0, found {_shown(value)}")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def short(value: Value) -> str:
    """An axis value in as few digits as it needs."""
    return value if isinstance(value, str) else f"{value:.10g}"

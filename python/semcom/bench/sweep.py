# SPDX-License-Identifier: GPL-3.0-or-later
"""A sweep file, or a flowgraph with `--set`, to the list of points that are to be measured.

    title: Block error rate of 5G LDPC codes
    seed: 1                               # may be a range: repetitions
    figure: {axis: esn0_db, metric: bler, bounds: [capacity]}
    stop: {errors: 100, cap: 100000}      # here, in defaults or in a curve
    defaults: {kind: code, esn0_db: 2:6:0.25}
    curves:
      - {label: 16-QAM 1/3, mcs: 16qam-1/3}

Every setting of a curve may have several values (`a:b:step`, `a:b` or a list): the points are all combinations, and
one curve is drawn for each combination of what is not the figure's axis. Keys of `defaults` hold for every curve whose
kind knows them.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from . import axes
from .curves import BOUNDS
from .settings import KINDS, derived_seed, digest, kind_module
from .sheet import Path_, Sheet
from .stopping import Stop

TOP = ("sweep", "title", "seed", "figure", "table", "stop", "defaults", "curves", "notes")
FIGURE = ("axis", "metric", "logy", "bounds", "pictures")
TABLE = ("title", "columns", "paper", "notes")
PAPER = ("title", "columns", "rows")
OWN = ("label", "kind", "stop")  # keys of a curve that are no settings
MOST_POINTS = 20_000


@dataclass(frozen=True)
class Job:
    """One point that is to be measured; `chain` numbers the curve whose points follow each other by rising x."""

    sweep: str
    name: str
    curve: str
    kind: str
    axis: dict[str, Any]
    settings: dict[str, Any]
    seed: int
    stop: Stop
    chain: int


@dataclass(frozen=True)
class Sweep:
    """All points of a sweep, and how to show them."""

    name: str
    title: str
    jobs: tuple[Job, ...]
    axis: str = "esn0_db"
    metric: str = ""
    logy: bool | None = None
    bounds: tuple[str, ...] = ()
    pictures: bool = False
    table: dict[str, Any] = field(default_factory=dict)
    curves: tuple[str, ...] = ()

    def index(self) -> dict[str, Any]:
        """What the sweep says of itself, see `bench/__init__.py`."""
        paper = self.table.get("paper")
        return {
            "sweep": self.name, "title": self.title, "axis": self.axis, "metric": self.metric, "logy": self.logy,
            "bounds": list(self.bounds), "table": paper, "curves": list(self.curves),
            "points": [job.name for job in self.jobs],
        }  # fmt: skip


def read_sweep(path: Path, changes: Mapping[str, list[Any]] | None = None) -> Sweep:
    """The sweep of a YAML file; `changes` replaces settings of every curve. ValueError names the file and the line."""
    sheet = Sheet(path)
    top = sheet.keys((), sheet.content, TOP, "a sweep")
    if "curves" not in top or not isinstance(top["curves"], list) or not top["curves"]:
        raise sheet.error(("curves",), "a sweep needs curves: a list with at least one entry")
    name = slug(str(top.get("sweep") or path.stem))
    builder = _Builder(sheet, name, path.parent, dict(changes or {}))
    figure = builder.figure(top.get("figure", {}))
    jobs: list[Job] = []
    for number in range(len(top["curves"])):
        jobs += builder.curve(number, figure["axis"], len(jobs))
    unused = [key for key in builder.changes if key not in builder.used]
    if unused:
        raise ValueError(f"--set {unused[0]}: no curve of {path} has such a setting")
    return _finish(
        Sweep(
            name, str(top.get("title") or name), tuple(jobs), figure["axis"], figure["metric"] or jobs[0].stop.metric,
            figure["logy"], tuple(figure["bounds"]), figure["pictures"], builder.table(top.get("table", {})),
        )
    )  # fmt: skip


def flowgraph_sweep(path: Path, changes: Mapping[str, list[Any]], stop: Stop, timeout_s: float) -> Sweep:
    """The sweep of a `.grc` file: every parameter that `changes` names is an axis."""
    given: dict[str, list[Any]] = {**changes, "flowgraph": [str(path)], "timeout_s": [timeout_s]}
    axis = next((name for name, values in changes.items() if len(values) > 1), next(iter(changes), "esn0_db"))
    if "esn0_db" in changes:
        axis = "esn0_db"
    jobs = _expand(slug(path.stem), "flowgraph", None, given, axis, [0], stop, 0, list(changes))
    title = kind_module("flowgraph").title(path)
    return _finish(Sweep(slug(path.stem), title, tuple(jobs), axis, stop.metric))


def _finish(sweep: Sweep) -> Sweep:
    """Unique names, and the curves in the order of their first point."""
    seen: dict[str, Job] = {}
    for job in sweep.jobs:
        other = seen.setdefault(job.name, job)
        if other is not job and (other.curve, other.axis) != (job.curve, job.axis):  # names that differ in a comma
            job = replace(job, name=f"{job.name}-{digest([job.curve, job.axis])[:8]}")
            other = seen.setdefault(job.name, job)
        if other is not job:
            where = ", ".join(f"{key} {value}" for key, value in job.axis.items())
            raise ValueError(
                f"sweep {sweep.name}: two points are called {job.curve!r} at {where}: give the curves other labels"
            )
    if len(seen) > MOST_POINTS:
        raise ValueError(f"sweep {sweep.name}: {len(seen)} points, expected at most {MOST_POINTS}")
    return replace(sweep, jobs=tuple(seen.values()), curves=tuple(dict.fromkeys(job.curve for job in seen.values())))


class _Builder:
    """Curves of a sheet to jobs."""

    def __init__(self, sheet: Sheet, name: str, base: Path, changes: dict[str, list[Any]]) -> None:
        self.sheet, self.name, self.base, self.changes = sheet, name, base, changes
        self.used: set[str] = set()
        self.content = sheet.content
        self.defaults = self._defaults()
        try:
            self.seeds = [_seed(value) for value in axes.values(self.content.get("seed", 0))]
        except ValueError as error:
            raise sheet.error(("seed",), str(error)) from error

    def _defaults(self) -> dict[str, Any]:
        """The checked `defaults`: keys that a kind of this sweep knows."""
        given = self.content.get("defaults")
        found = self.sheet.keys(("defaults",), {} if given is None else given, given or (), "defaults")
        kinds = [self._kind(("defaults", "kind"), found.get("kind", "system"))]
        for number, entry in enumerate(self.content["curves"]):
            if isinstance(entry, dict) and "kind" in entry:
                kinds.append(self._kind(("curves", number, "kind"), entry["kind"]))
        modules = [kind_module(kind) for kind in dict.fromkeys(kinds)]
        if any(getattr(module, "FREE", False) for module in modules):
            return found
        known = dict.fromkeys(["kind", "stop", *(name for module in modules for name in module.FIELDS)])
        return self.sheet.keys(("defaults",), found, known, "defaults")

    def _kind(self, where: Path_, kind: Any) -> str:
        if kind not in KINDS:
            raise self.sheet.error(where, f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        return str(kind)

    def figure(self, given: Any) -> dict[str, Any]:
        """The checked `figure` of the sweep."""
        found: dict[str, Any] = {"axis": "esn0_db", "metric": "", "logy": None, "bounds": [], "pictures": False}
        found |= self.sheet.keys(("figure",), {} if given is None else given, FIGURE, "figure")
        for key in ("axis", "metric"):
            if not isinstance(found[key], str):
                raise self.sheet.error(("figure", key), f"{key} must be a name, not {found[key]!r}")
        for key in ("logy", "pictures"):
            if found[key] is not None and not isinstance(found[key], bool):
                raise self.sheet.error(("figure", key), f"{key} must be true or false, not {found[key]!r}")
        if not isinstance(found["bounds"], list):
            found["bounds"] = [found["bounds"]]
        for bound in found["bounds"]:
            if bound not in BOUNDS:
                expected = ", ".join(BOUNDS)
                raise self.sheet.error(("figure", "bounds"), f"bounds must be out of {expected}, not {bound!r}")
        return found

    def table(self, given: Any) -> dict[str, Any]:
        """The checked `table` of the sweep."""
        found = dict(self.sheet.keys(("table",), {} if given is None else given, TABLE, "table"))
        for key in ("columns", "notes"):
            if not isinstance(found.get(key, []), list):
                raise self.sheet.error(("table", key), f"{key} must be a list, not {found[key]!r}")
        if "paper" in found:
            where: Path_ = ("table", "paper")
            paper = self.sheet.keys(where, found["paper"], PAPER, "paper")
            columns, rows = paper.get("columns"), paper.get("rows")
            if not isinstance(columns, list) or not isinstance(rows, list):
                raise self.sheet.error(where, "paper needs columns and rows, both lists")
            for number, row in enumerate(rows):
                if not isinstance(row, list) or len(row) != len(columns):
                    raise self.sheet.error((*where, "rows", number), f"a row must be a list of {len(columns)} cells")
        return found

    def curve(self, number: int, axis: str, chain: int) -> list[Job]:
        """The points of one entry of `curves`."""
        where: Path_ = ("curves", number)
        entry = self.sheet.keys(where, self.content["curves"][number], self.content["curves"][number] or (), "a curve")
        kind = entry.get("kind", self.defaults.get("kind", "system"))
        module = kind_module(kind)
        free = getattr(module, "FREE", False)  # a flowgraph's own parameters are settings too
        if not free:
            self.sheet.keys(where, entry, [*OWN, *module.FIELDS], f"a curve of kind {kind}")
        given: dict[str, list[Any]] = {}
        places: dict[str, Path_] = {}
        for source, at in ((self.defaults, ("defaults",)), (entry, where)):
            for key, value in source.items():
                if key in OWN or (source is self.defaults and key not in module.FIELDS and not free):
                    continue
                places[key] = (*at, key)
                try:
                    given[key] = [value] if module.FIELDS.get(key) is list else axes.values(value)
                except ValueError as error:
                    raise self.sheet.error(places[key], f"{key}: {error}") from error
        for key, values in self.changes.items():
            if key in module.FIELDS or (free and key in given):
                given[key] = values
                places.pop(key, None)
                self.used.add(key)
        if "inputs" in module.FIELDS and "inputs" not in self.changes:
            given["inputs"] = [self._relative(value) for value in given.get("inputs", ["packaged"])]
        if "flowgraph" in given:
            given["flowgraph"] = [self._relative(value) for value in given["flowgraph"]]
        stop = self.stop(module.DEFAULT_STOP, where, entry)
        label = entry.get("label")
        try:
            return _expand(self.name, kind, None if label is None else str(label), given, axis, self.seeds, stop, chain)
        except _SettingError as error:
            raise self.sheet.error(places.get(error.key, where), str(error)) from error

    def _relative(self, given: Any) -> Any:
        """A path in a sweep file starts at the file's own folder."""
        text = str(given)
        if re.match(r"packaged(:|$)|[/~$]", text):
            return text
        return str(self.base / text)

    def stop(self, default: Stop, where: Path_, entry: Mapping[str, Any]) -> Stop:
        """The rule of a curve: its own keys before those of `defaults`, of the sweep, of the kind."""
        found = default
        names = [item.name for item in fields(Stop)]
        for source, at in (
            (self.content.get("stop"), ("stop",)),
            (self.defaults.get("stop"), ("defaults", "stop")),
            (entry.get("stop"), (*where, "stop")),
        ):
            if source is None:
                continue
            keys = self.sheet.keys(at, source, names, "stop")
            for key, value in keys.items():
                try:
                    found = replace(found, **{key: value})
                except ValueError as error:
                    raise self.sheet.error((*at, key), str(error)) from error
        return found


class _SettingError(ValueError):
    """A setting that cannot be; `key` is its name, empty if the message does not tell."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def _expand(
    sweep: str, kind: str, label: str | None, given: Mapping[str, Sequence[Any]], axis: str, seeds: Sequence[int],
    stop: Stop, chain: int, places: Sequence[str] = (),
) -> list[Job]:  # fmt: skip
    """All combinations of the values, the figure's axis running fastest and rising.

    `places` names settings that belong to a point's place though they have but one value.
    """
    module = kind_module(kind)
    several = [key for key, values in given.items() if len(values) > 1]
    others = [key for key in several if key != axis]
    swept = list(dict.fromkeys([*several, *places]))
    along = sorted(given[axis], key=_order) if axis in given else [None]
    if math.prod(map(len, given.values())) * len(seeds) > MOST_POINTS:
        raise _SettingError("", f"a curve of more than {MOST_POINTS} points")
    resolved: list[tuple[Any, ...]] = []
    for values in itertools.product(*(given[key] for key in others)):
        for seed in seeds:
            chain += 1
            for x in along:
                raw = {key: values_[0] for key, values_ in given.items()} | dict(zip(others, values, strict=True))
                if x is not None:
                    raw[axis] = x
                try:
                    settings = module.resolve(raw)
                except ValueError as error:
                    message = " ".join(str(error).split())
                    word = re.match(r"(?:unknown )?(\w+)", message)
                    raise _SettingError(word[1] if word else "", message) from error
                found = {**raw, **settings}
                place = {key: _shown(found[key]) for key in dict.fromkeys([axis, *swept]) if key in found}
                if len(seeds) > 1:
                    place["seed"] = seed
                resolved.append((settings, place, seed, chain, found))
    named = [key for key in others if key != "seed"]
    jobs = []
    for settings, place, seed, number, found in resolved:
        curve = _label(label, settings, found, named, module)
        unseeded = getattr(module, "unseeded", dict)(settings)
        point_seed = int(settings.get("seed", 0)) if kind == "flowgraph" else derived_seed(seed, kind, unseeded)
        where = "_".join(f"{key}={value}" for key, value in place.items() if key == axis or key not in named)
        name = file_name(sweep, curve, where)
        jobs.append(Job(sweep, name, curve, kind, place, settings, point_seed, stop, number))
    return jobs


def _label(
    label: str | None, settings: Mapping[str, Any], found: Mapping[str, Any], others: Sequence[str], module: Any
) -> str:
    """The curve's name: `{setting}` in it is filled in; what is swept besides is added."""
    text = module.label(settings) if label is None else label
    if label is not None:
        try:
            text = label.format_map(found)
        except (KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
            raise _SettingError("label", f"label: {label!r} names no setting of the curve ({error})") from error
    mentioned = set(re.findall(r"{(\w+)", label or ""))
    added = [key for key in others if key not in mentioned and (label is not None or str(found[key]) not in text)]
    return ", ".join([text, *(f"{key} {found[key]}" for key in added)])


def _shown(value: Any) -> Any:
    """A value as a place on an axis: a number or a word."""
    return str(value).lower() if isinstance(value, bool) else value


def _order(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return not number, float(value) if number else 0.0, "" if number else str(value)


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(f"seed must be a whole number of at least 0, not {value!r}")
    return value


def slug(text: str) -> str:
    """A text as part of a file name."""
    return re.sub(r"[^\w.=+-]+", "-", text).strip("-.") or "sweep"


def file_name(sweep: str, curve: str, where: str) -> str:
    """Name of a point's file without its ending; long ones end in a hash."""
    parts = [part for part in (sweep, curve, where) if part]
    name = "__".join(map(slug, parts))
    return name if len(name) <= 120 else f"{name[:110]}-{digest(parts)[:8]}"


def setting(text: str) -> tuple[str, list[Any]]:
    """`--set name=values` of the command line."""
    name, equals, given = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name.isidentifier():
        raise ValueError(f"--set needs name=value, name=a:b:step or name=a,b,c, not {text!r}")
    try:
        return name, axes.words(given)
    except ValueError as error:
        raise ValueError(f"--set {name}: {error}") from error

# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of kind `flowgraph`: any `.grc` file with a Link Meter, compiled once, one process a point."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from .intervals import Metric, metric
from .records import record_metrics
from .settings import typed
from .stopping import Stop

FREE = True  # the flowgraph's parameters are settings too
FIELDS: dict[str, type] = {"flowgraph": str, "timeout_s": float}
SOURCES = (
    "*.py", "blocks/**/*.py", "links/*.py", "systems/**/*.py", "systems/**/*.npz", "codecs/**/*.py", "media/*.py",
    "metrics/*.py", "zoo/*.py", "phy/*.py", "phy/data/*", "bench/flowgraph.py", "bench/launch.py",
    "bench/intervals.py", "bench/records.py", "bench/stopping.py",
)  # fmt: skip
VERSIONS = ("gnuradio", "numpy", "scipy", "onnxruntime", "pillow", "av")
DEFAULT_STOP = Stop(metric="message_error_rate")
TIMEOUT_S = 600.0
COMPILE_S = 170.0
METER = "semcom_link_meter"
LAST_LINES = 20
MAX_LINE = 1 << 20

_TYPES = {"eng_float": float, "intx": int, "long": int, "str": str}
_NO_SCREEN = ("wxgui_", "video_sdl_", "bokehgui_", "fosphor_")  # these open a window of their own, or a port

Program = dict[str, str]
_children: set[int] = set()  # process groups that must not outlive this process


class PointFailed(RuntimeError):
    """A point without a result; `last_lines` is what its program said last."""

    def __init__(self, summary: str, last_lines: list[str]) -> None:
        super().__init__(summary)
        self.summary, self.last_lines = summary, last_lines


@dataclass(frozen=True)
class Parameter:
    """A `parameter` block: its type in GRC and the text of its value."""

    name: str
    type: str
    value: str


@dataclass(frozen=True)
class Flowgraph:
    """What a `.grc` file says before it is compiled."""

    path: Path
    identity: str
    title: str
    parameters: Mapping[str, Parameter]
    gui: bool
    sha256: str


def read(path: Path) -> Flowgraph:
    """The description of a flowgraph; ValueError if it cannot be measured."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise ValueError(f"flowgraph {path} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> Flowgraph:
    content = path.read_bytes()
    try:
        data = yaml.safe_load(content)
        options = data["options"]["parameters"]
        blocks = [block for block in data["blocks"] if block["states"].get("state", "enabled") == "enabled"]
        named = [(str(block["name"]), str(block["id"])) for block in blocks]
        found = {
            str(block["name"]): Parameter(
                str(block["name"]), str(block["parameters"].get("type", "")), str(block["parameters"].get("value", ""))
            )
            for block in blocks
            if block["id"] == "parameter"
        }
        identity, kind = str(options["id"]), str(options.get("generate_options", "no_gui"))
        title = str(options.get("title") or identity)
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"flowgraph {path} is no file of GNU Radio Companion 3.10: {reason}") from error
    if kind not in ("no_gui", "qt_gui"):
        raise ValueError(f"flowgraph {path} makes no program of its own (generate options {kind}): expected no_gui")
    if METER not in (block for _, block in named):
        raise ValueError(f"flowgraph {path} has no Link Meter ({METER}), so it has no results: add one at its end")
    _refuse_windows(path, named, kind)
    return Flowgraph(path, identity, title, found, kind == "qt_gui", hashlib.sha256(content).hexdigest())


def _refuse_windows(path: Path, blocks: list[tuple[str, str]], kind: str) -> None:
    for name, block in blocks:
        if block.startswith(_NO_SCREEN):
            raise ValueError(f"flowgraph {path}: block {name} ({block}) needs a screen: disable it")
    windows = [f"block {name} ({block})" for name, block in blocks if re.match(r"(variable_)?qtgui_", block)]
    if (windows or kind == "qt_gui") and find_spec("PyQt5") is None:
        what = windows[0] if windows else "the generate option qt_gui"
        raise ValueError(
            f"flowgraph {path}: {what} needs PyQt5, which is not here: apt install python3-pyqt5, or disable it"
        )


def title(path: Path) -> str:
    """The flowgraph's title."""
    return read(path).title


def resolve(given: Mapping[str, Any]) -> dict[str, Any]:
    """The flowgraph, the time limit and all its parameters. ValueError for one that is not there or cannot be so."""
    if "flowgraph" not in given:
        raise ValueError("flowgraph is missing: name a .grc file")
    graph = read(Path(str(given["flowgraph"])))
    timeout_s = typed("timeout_s", given.get("timeout_s", TIMEOUT_S), float)
    if not 0 < timeout_s:
        raise ValueError(f"timeout_s must be above 0 seconds, not {timeout_s}")
    settings: dict[str, Any] = {"flowgraph": str(given["flowgraph"]), "timeout_s": timeout_s}
    for name, parameter in graph.parameters.items():
        settings[name] = default_value(parameter)
    for name, value in given.items():
        if name in FIELDS:
            continue
        if name not in graph.parameters:
            known = ", ".join(graph.parameters) or "none at all"
            raise ValueError(f"{name} is no parameter of {graph.path}: it has {known}")
        if value == settings[name]:
            continue  # what it is anyway, of whatever type
        wanted = _TYPES.get(graph.parameters[name].type)
        if wanted is None:
            shown = graph.parameters[name].type or "none"
            raise ValueError(f"{name} has type {shown} in {graph.path}: only float, int and string can be set")
        settings[name] = typed(name, value, wanted)
    return settings


def default_value(parameter: Parameter) -> Any:
    """What the file says, as a number where it is one."""
    wanted = _TYPES.get(parameter.type)
    try:
        return wanted(parameter.value.strip("'\"") if wanted is str else parameter.value) if wanted else parameter.value
    except ValueError:
        return parameter.value


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What else decides a result: the flowgraph's content."""
    return {"flowgraph": read(Path(settings["flowgraph"])).sha256}


def label(settings: Mapping[str, Any]) -> str:
    """What a curve is called where the sweep does not name it."""
    return read(Path(settings["flowgraph"])).title


def extra(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker needs besides the settings: the program, compiled once, and the options of this point."""
    graph = read(Path(settings["flowgraph"]))
    # only what differs from the flowgraph's own values, which may be expressions
    changed = {name: settings[name] for name, of in graph.parameters.items() if settings[name] != default_value(of)}
    options = [
        f"--{name.replace('_', '-')}={value!r}" if isinstance(value, float) else f"--{name.replace('_', '-')}={value}"
        for name, value in changed.items()
    ]
    return {"program": _compiled(graph.path, graph.sha256), "main": f"{graph.identity}.py", "options": options}


@lru_cache(maxsize=16)
def _compiled(path: Path, sha256: str) -> Program:
    """The Python files that GRC's compiler makes, by name. ValueError with its last lines."""
    from ..paths import grc_environment

    compiler = shutil.which("grcc", path=grc_environment()["PATH"])
    if compiler is None:
        raise ValueError("grcc is not installed: apt install gnuradio")
    with tempfile.TemporaryDirectory(prefix="semcom-grc-") as folder:
        try:
            done = subprocess.run(
                [compiler, "-o", folder, str(path)], env=grc_environment(), capture_output=True, text=True,
                timeout=COMPILE_S, errors="replace",
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ValueError(f"flowgraph {path}: grcc was not done after {COMPILE_S:g} s") from error
        made = {file.name: file.read_text() for file in Path(folder).glob("*.py")}
        if done.returncode or not made:
            said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            raise ValueError(f"flowgraph {path} does not compile: {' | '.join(said[-6:])}")
        return made


def kill_children() -> None:
    """End the programs of this process, for a worker that leaves without asking."""
    for group in list(_children):
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            continue


def measure(
    settings: Mapping[str, Any], seed: int, stop: Stop, program: Program, main: str, options: list[str]
) -> dict[str, Any]:
    """Run the program until it ends or the rule is fulfilled. PointFailed if it crashes, hangs or yields nothing."""
    with tempfile.TemporaryDirectory(prefix="semcom-point-") as folder:
        for name, text in program.items():
            (Path(folder) / name).write_text(text)
        with _Run(Path(folder), main, options) as run:
            return _collect(run, settings, stop)


class _Run:
    """The program as a process group of its own, with a pipe for the meters' lines and a file for all it says."""

    def __init__(self, folder: Path, main: str, options: list[str]) -> None:
        from ..paths import grc_environment
        from .worker import ONE_THREAD

        self.said = tempfile.TemporaryFile()
        self.reader, writer = os.pipe()
        command = [sys.executable, "-P", "-u", "-m", f"{__package__}.launch", str(writer), str(folder / main), *options]
        environment = grc_environment() | ONE_THREAD | {"QT_QPA_PLATFORM": "offscreen"}
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=self.said, stderr=self.said, pass_fds=(writer,),
            start_new_session=True,
        )  # fmt: skip
        os.close(writer)
        _children.add(self.process.pid)

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        _children.discard(self.process.pid)
        os.close(self.reader)
        self.said.close()

    def kill(self) -> None:
        """End the program and whatever it started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def lines(self, deadline: float) -> Iterator[bytes]:
        """The meters' lines as they come, until the program closes them. TimeoutError at the deadline."""
        kept = b""
        while True:
            left = deadline - time.monotonic()
            ready = select.select([self.reader], [], [], max(left, 0))[0] if left > 0 else []
            if not ready:
                raise TimeoutError
            piece = os.read(self.reader, 1 << 16)
            if not piece:
                return
            *whole, kept = (kept + piece).split(b"\n")
            if len(kept) > MAX_LINE:
                raise PointFailed("a line of the Link Meter is longer than 1 MiB", self.last_lines())
            yield from whole

    def last_lines(self) -> list[str]:
        """What the program said last."""
        size = self.said.seek(0, os.SEEK_END)
        self.said.seek(max(0, size - 20_000))
        lines = [line.rstrip() for line in self.said.read().decode(errors="replace").splitlines()]
        return [line for line in lines if line][-LAST_LINES:]


def _collect(run: _Run, settings: Mapping[str, Any], stop: Stop) -> dict[str, Any]:
    meters: dict[str, list[dict[str, Any]]] = {}
    arrived: list[float] = []
    stopped: str | None = None
    deadline = run.begun + settings["timeout_s"]

    def metrics() -> dict[str, Metric]:
        """Of the first meter by its own names; of the others with the meter's name before them."""
        found: dict[str, Metric] = {}
        for number, (name, all_records) in enumerate(meters.items()):
            records = all_records[: len(arrived)]
            if not records:
                continue
            awgn = all(record.get("channel") == "awgn" for record in records if "channel" in record)
            for key, value in record_metrics(records, awgn).items():
                found[f"{name}.{key}" if number else key] = value
        return found

    try:
        for line in run.lines(deadline):
            content = json.loads(line)
            if not meters:
                meters = {name: [] for name in content}
                continue
            meters[content[0]].append(content[1])
            count = min(map(len, meters.values()))  # a rule sees what all meters have, whichever was first
            if count > len(arrived):
                arrived.append(time.monotonic())
                stopped = stop.reason(count, metrics, arrived[-1] - run.begun)
                if stopped:
                    break
        if stopped is None:
            run.process.wait(max(deadline - time.monotonic(), 0.001))
    except (TimeoutError, subprocess.TimeoutExpired):
        limit = f"{settings['timeout_s']:g} s"
        raise PointFailed(f"had not ended after {limit} ({len(arrived)} messages)", run.last_lines()) from None
    if stopped is None and run.process.returncode != 0:
        status = run.process.returncode
        how = f"signal {-status}" if status < 0 else f"status {status}"
        raise PointFailed(f"ended with {how} after {len(arrived)} messages", run.last_lines())
    if not arrived:
        raise PointFailed("ended without a single result of its Link Meter", run.last_lines())
    return {
        "messages": len(arrived), "metrics": metrics(), "stopped": stopped or "end", "timings": _speeds(arrived),
        "records": next(iter(meters.values()))[: len(arrived)],
    }  # fmt: skip


def _speeds(arrived: list[float]) -> dict[str, Metric]:
    """Throughput and time between messages, the start of the program left out."""
    if len(arrived) < 2 or not math.isfinite(arrived[-1] - arrived[0]) or arrived[-1] == arrived[0]:
        return {}
    gaps = np.diff(arrived)
    p50, p99 = np.quantile(gaps, [0.5, 0.99])
    return {
        "messages_s": metric(len(gaps) / (arrived[-1] - arrived[0]), count=len(gaps)),
        "latency_p50_s": metric(float(p50), count=len(gaps)),
        "latency_p99_s": metric(float(p99), count=len(gaps)),
    }

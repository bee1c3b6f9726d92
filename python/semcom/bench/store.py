# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a sweep: one JSON file a point, locks that end with their process, index, table of values."""

from __future__ import annotations

import base64
import csv
import errno
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from . import CURVES_FORMAT, POINT_FORMAT, SWEEP_FORMAT
from .sweep import Job, Sweep

Point = dict[str, Any]
VARYING = ("elapsed_s", "timings", "date", "processor")
"""Keys of a point that differ from run to run; all others are the same for the same sweep."""


def write_aside(path: Path, content: bytes) -> None:
    """A whole file or none, also when two processes write it at once, and after a loss of power."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def as_json(value: Any) -> bytes:
    """Strict JSON that a person can read."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


class Folder:
    """Where the results of a sweep lie."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def file(self, name: str) -> Path:
        """The file of a point."""
        return self.path / f"{name}.json"

    def load(self, job: Job, fingerprint: str, any_version: bool = False) -> Point | None:
        """The finished point of this job; None if it is missing, failed, damaged or was made of something else."""
        path = self.file(job.name)
        old = path.with_name(f"{path.name}.old")
        for candidate in (path, old):
            point = _read(candidate)
            if point is None or point.get("error") is not None or point.get("stopped") in ("clean", "failed"):
                continue
            found = str(point.get("fingerprint"))
            if found != fingerprint and not (any_version and found.split("-")[0] == fingerprint.split("-")[0]):
                continue
            if any(not self._kept(job, k) for k in range(point.get("pictures", 0))):
                continue
            if candidate is old:  # the sweep has this point again
                os.replace(old, path)
            return point
        return None

    def _kept(self, job: Job, number: int) -> bool:
        return any((self.path / f"{job.name}.{number}.{ending}").is_file() for ending in ("png", "wav", "txt"))

    def skipped(self, job: Job) -> bool:
        """Whether the point's file already says that it was left out."""
        point = _read(self.file(job.name))
        return point is not None and point.get("stopped") == "clean"

    def save(self, job: Job, point: Point, files: Mapping[str, str]) -> None:
        """Write a point, its pictures before it."""
        for name, content in files.items():
            write_aside(self.path / f"{job.name}.{name}", base64.b64decode(content))
        write_aside(self.file(job.name), as_json(point))

    def set_aside(self, sweep: Sweep) -> list[str]:
        """Rename points of this sweep that it no longer has; their names."""
        wanted = {f"{job.name}.json" for job in sweep.jobs}
        gone = []
        for path in sorted(self.path.glob("*.json")):
            if path.name in wanted:
                continue
            point = _read(path)
            if point is not None and point.get("sweep") == sweep.name:
                os.replace(path, path.with_name(f"{path.name}.old"))
                gone.append(path.stem)
        return gone

    def write_index(self, sweep: Sweep, command: str) -> None:
        """What the sweep says of itself."""
        content = {"format": SWEEP_FORMAT, **sweep.index(), "command": command}
        write_aside(self.path / f"{sweep.name}.index", as_json(content))

    def write_csv(self, sweep: Sweep, points: Iterable[Point]) -> None:
        """All numbers of a sweep, a row a point."""
        write_aside(self.path / f"{sweep.name}.csv", as_csv(points).encode())


def _read(path: Path) -> Point | None:
    try:
        point = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return point if isinstance(point, dict) and point.get("format") == POINT_FORMAT else None


def as_csv(points: Iterable[Point]) -> str:
    """Columns: where the point lies, then each metric with its interval and counts, then speeds."""
    listed = list(points)
    axes = list(dict.fromkeys(name for point in listed for name in point["axis"]))
    metrics = list(dict.fromkeys(name for point in listed for name in point["metrics"]))
    speeds = list(dict.fromkeys(n for p in listed for n, v in p["timings"].items() if isinstance(v, dict)))
    parts = ("value", "low", "high", "count", "errors", "interval")
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = ["curve", "kind", *axes, "seed", "messages", "stopped", "elapsed_s"]
    writer.writerow([*head, *(n if p == "value" else f"{n}_{p}" for n in metrics for p in parts), *speeds, "error"])
    for point in listed:
        row = [point["curve"], point["kind"], *(point["axis"].get(name) for name in axes)]
        row += [point["seed"], point["messages"], point["stopped"], point["elapsed_s"]]
        row += [point["metrics"].get(name, {}).get(part) for name in metrics for part in parts]
        row += [point["timings"].get(name, {}).get("value") for name in speeds]
        writer.writerow([*row, (point["error"] or {}).get("summary")])
    return stream.getvalue()


def collection(sweep: Sweep, points: Iterable[Point], command: str) -> dict[str, Any]:
    """All points in one object, without the records of single messages and the command as it was typed, which names
    folders of one machine: what is committed."""
    listed = [{key: value for key, value in point.items() if key != "records"} for point in points]
    for point in listed:
        point["timings"] = {name: value for name, value in point["timings"].items() if name != "invocation"}
    first = listed[0] if listed else {}
    described = {key: value for key, value in sweep.index().items() if key not in ("points", "curves", "sweep")}
    return {
        "format": CURVES_FORMAT, **described, "command": command, "versions": first.get("versions", {}),
        "processor": first.get("processor", ""), "date": max((p["date"] for p in listed), default=""),
        "points": listed,
    }  # fmt: skip


class Lock:
    """A lock file. The kernel drops it with the process, however that ends: one that is left behind holds nobody up."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = -1

    def take(self) -> bool:
        """Whether it is ours now."""
        import fcntl

        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(descriptor)
                if error.errno in (errno.EAGAIN, errno.EACCES):
                    return False
                raise
            try:
                same = os.stat(self.path).st_ino == os.fstat(descriptor).st_ino
            except FileNotFoundError:
                same = False
            if same:
                self.descriptor = descriptor
                return True
            os.close(descriptor)  # its last owner has just removed the file: what we hold is nobody's

    def release(self) -> None:
        """Remove the file, then let go."""
        if self.descriptor >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self.descriptor)
            self.descriptor = -1

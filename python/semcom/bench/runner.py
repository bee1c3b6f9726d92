# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a sweep: which points are missing, who measures them, what is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from . import POINT_FORMAT
from .identity import fingerprint
from .stopping import is_clean
from .store import Folder, Lock, Point
from .sweep import Job, Sweep
from .worker import computed_by, extra

POLL_S = 0.2


class Pool(Protocol):
    """Whoever measures: local processes or a cluster."""

    @property
    def wanted(self) -> int:
        """How many tasks to hand in at a time."""

    def submit(self, task: dict[str, Any]) -> Future[dict[str, Any]]:
        """Have a task measured."""


@dataclass
class _Chain:
    """The points of one curve by rising x; `end` is the first one that need not be measured."""

    jobs: list[Job]
    end: int = 0

    def cut(self, points: dict[str, Point]) -> None:
        """Find the end from the points that are there."""
        self.end, row = len(self.jobs), 0
        for number, job in enumerate(self.jobs):
            point = points.get(job.name)
            row = row + 1 if point is not None and is_clean(point) else 0
            if job.stop.clean and row >= job.stop.clean:
                self.end = number + 1
                return


@dataclass
class Outcome:
    """All points in the sweep's order, and what happened."""

    points: list[Point] = field(default_factory=list)
    measured: int = 0
    resumed: int = 0
    set_aside: list[str] = field(default_factory=list)
    complete: bool = True

    @property
    def failed(self) -> list[Point]:
        """The points that have an error."""
        return [point for point in self.points if point["error"] is not None]


class Runner:
    """One run of a sweep in a folder. ValueError where inputs are missing; nothing is written before `resume`."""

    def __init__(self, sweep: Sweep, folder: Path, command: str, invocation: str, any_version: bool = False) -> None:
        self.sweep, self.folder = sweep, Folder(folder)
        self.command, self.invocation, self.any_version = command, invocation, any_version
        self.fresh = False
        self.points: dict[str, Point] = {}
        self.outcome = Outcome()
        self.fingerprints = {job.name: fingerprint(job) for job in sweep.jobs}
        chains: dict[int, list[Job]] = {}
        for job in sweep.jobs:
            chains.setdefault(job.chain, []).append(job)
        self.chains = [_Chain(jobs, len(jobs)) for jobs in chains.values()]
        self.chain_of = {job.name: (chain, place) for chain in self.chains for place, job in enumerate(chain.jobs)}

    def resume(self, fresh: bool = False) -> None:
        """Take what is finished in the folder, which must exist."""
        self.outcome.set_aside = self.folder.set_aside(self.sweep)
        self.folder.write_index(self.sweep, self.command)
        self.fresh = fresh
        for job in self.sweep.jobs:
            point = self.found(job)
            if point is not None:
                self.adopt(job, point)

    def found(self, job: Job) -> Point | None:
        """The finished point of the folder, unless everything is to be measured afresh."""
        if self.fresh:
            return None
        return self.folder.load(job, self.fingerprints[job.name], self.any_version)

    def needed(self, job: Job) -> bool:
        """Whether the point is still to be measured."""
        chain, place = self.chain_of[job.name]
        return place < chain.end and job.name not in self.points

    def run(self, pool: Pool, tell: Callable[[Point, int, int], None], check_versions: bool = False) -> None:
        """Measure what is missing; `tell` gets each new point with the numbers of points done and in all."""
        tasks = _Tasks(self, pool, check_versions)
        try:
            while tasks.fill() or tasks.active:
                for job, point, files in tasks.finished():
                    self.keep(job, point, files)
                    total = sum(chain.end for chain in self.chains)
                    tell(point, min(len(self.points), total), total)
        finally:
            tasks.release()

    def adopt(self, job: Job, point: Point) -> None:
        """Take a point that is already in the folder."""
        self.points[job.name] = point
        self.outcome.resumed += 1
        self.chain_of[job.name][0].cut(self.points)

    def keep(self, job: Job, point: Point, files: dict[str, str]) -> None:
        """Write a new point, and end its curve if it is clean."""
        self.folder.save(job, point, files)
        self.points[job.name] = point
        self.outcome.measured += 1
        self.chain_of[job.name][0].cut(self.points)

    def finish(self) -> Outcome:
        """Mark what was left out, write the tables, and give everything in the sweep's order."""
        left_out = {job.name for chain in self.chains for job in chain.jobs[chain.end :]}
        for job in self.sweep.jobs:
            if job.name in left_out:
                point = self.blank(job) | {"stopped": "clean", "messages": 0}
                if not self.folder.skipped(job):
                    self.folder.save(job, point, {})
            elif job.name in self.points:
                point = self.points[job.name]
            else:
                self.outcome.complete = False
                continue
            self.outcome.points.append(point)
        self.folder.write_csv(self.sweep, self.outcome.points)
        return self.outcome

    def blank(self, job: Job) -> Point:
        """A point before it is measured."""
        from datetime import UTC, datetime

        return {
            "format": POINT_FORMAT, "sweep": self.sweep.name, "curve": job.curve, "kind": job.kind, "axis": job.axis,
            "settings": job.settings, "seed": job.seed, "stop": job.stop.as_dict(),
            "fingerprint": self.fingerprints[job.name], "stopped": "", "messages": 0, "metrics": {}, "elapsed_s": 0.0,
            "timings": {}, "command": self.command, "versions": {}, "processor": "",
            "date": datetime.now(UTC).isoformat(timespec="seconds"), "error": None,
        }  # fmt: skip

    def point(self, job: Job, result: dict[str, Any]) -> tuple[Point, dict[str, str]]:
        """A worker's result as a point, and the files beside it."""
        files = result.pop("files", {})
        point = self.blank(job) | result
        point["timings"] = {**result.get("timings", {}), "invocation": self.invocation}
        if files:
            point["pictures"] = len(files)
        return point, files


class _Tasks:
    """The points that are being measured, each under its lock.

    A worker goes on with the curve whose point it has just finished, and curves are spread over workers: what one has
    encoded and decoded it need not do again, and the next point of a curve may turn out not to be needed.
    """

    def __init__(self, runner: Runner, pool: Pool, check_versions: bool) -> None:
        self.runner, self.pool, self.check_versions = runner, pool, check_versions
        self.active: dict[Future[dict[str, Any]], tuple[Job, Lock]] = {}
        self.elsewhere: dict[str, float] = {}  # points that another run works on, and when we looked last
        self.todo: dict[int, dict[str, Job]] = {}
        for job in filter(runner.needed, runner.sweep.jobs):
            self.todo.setdefault(job.chain, {})[job.name] = job
        self.last: list[int] = []  # curves of the points that were finished last

    def fill(self) -> bool:
        """Hand in tasks until the pool is busy; False if there is nothing left to hand in."""
        while len(self.active) < max(1, self.pool.wanted) and self.next():
            pass
        return bool(self.todo)

    def next(self) -> bool:
        """Begin one point; False if there is none that could begin now."""
        busy = {job.chain for job, _ in self.active.values()}
        last, self.last = self.last, []
        order = [*last, *(chain for chain in self.todo if chain not in busy), *(c for c in self.todo if c in busy)]
        return any(self.begin_one(chain) for chain in order)

    def begin_one(self, chain: int) -> bool:
        """Begin the first point of a curve that is free."""
        jobs = self.todo.get(chain, {})
        for job in list(jobs.values()):
            if not self.runner.needed(job):
                del jobs[job.name]
            elif time.monotonic() - self.elsewhere.get(job.name, -1e9) >= POLL_S and self.begin(job, jobs):
                break
        else:
            if not jobs:
                self.todo.pop(chain, None)
            return False
        if not jobs:
            del self.todo[chain]
        return True

    def begin(self, job: Job, jobs: dict[str, Job]) -> bool:
        """Lock a point and hand it in, unless another run has it or has finished it."""
        runner = self.runner
        lock = Lock(runner.folder.path / f"{job.name}.lock")
        if not lock.take():
            self.elsewhere[job.name] = time.monotonic()
            return False
        del jobs[job.name]
        try:
            point = runner.found(job)  # by now another run may have finished it
            if point is not None:
                runner.adopt(job, point)
                lock.release()
                return False
            task: dict[str, Any] = {"kind": job.kind, "settings": job.settings, "seed": job.seed}
            task |= {"stop": job.stop.as_dict(), "extra": extra(job.kind, job.settings)}
            if self.check_versions:
                task["computed_by"] = computed_by(job.kind)
            self.active[self.pool.submit(task)] = job, lock
            return True
        except BaseException:
            lock.release()
            raise

    def finished(self) -> Iterable[tuple[Job, Point, dict[str, str]]]:
        """Wait a while; the points that are done."""
        if not self.active:
            time.sleep(POLL_S)  # all that is left is in another run's hands
            return
        done, _ = wait(self.active, POLL_S if self.elsewhere else 1.0, FIRST_COMPLETED)
        for future in done:
            job, lock = self.active.pop(future)
            self.last.append(job.chain)
            try:
                try:
                    result = future.result()
                except Exception as error:  # the worker, not the point, failed
                    result = failure(error)
                yield job, *self.runner.point(job, result)
            finally:
                lock.release()

    def release(self) -> None:
        """Let go of all points that were not finished."""
        for _, lock in self.active.values():
            lock.release()


def failure(error: Exception) -> dict[str, Any]:
    """A worker's end as a result."""
    summary = " ".join(str(error).split()) or type(error).__name__
    return {"stopped": "failed", "error": {"summary": summary, "last_lines": getattr(error, "last_lines", [])}}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Local worker processes. One that dies is replaced and its point measured again."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from .worker import ONE_THREAD

ATTEMPTS = 3


class WorkerDied(RuntimeError):
    """A worker process ended in the middle of a point, every time it was tried."""

    def __init__(self, summary: str, last_lines: list[str]) -> None:
        super().__init__(summary)
        self.last_lines = last_lines


class WorkerProcess:
    """One worker and the way to talk to it; starts at its first task."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.said: Any = None
        self._closed = False
        self._lock = threading.Lock()

    def start(self) -> subprocess.Popen[str]:
        """The running process, started if there is none."""
        with self._lock:
            if self._closed:
                raise WorkerDied("the run is over", [])
            if self.process is None or self.process.poll() is not None:
                self.said = tempfile.TemporaryFile()
                command = [sys.executable, "-P", "-m", f"{__package__}.worker"]
                self.process = subprocess.Popen(
                    command, env={**os.environ, **ONE_THREAD}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=self.said, text=True, encoding="utf-8",
                )  # fmt: skip
            return self.process

    def measure(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a task. WorkerDied if no attempt gave one."""
        text = json.dumps(task, allow_nan=False) + "\n"
        for _ in range(ATTEMPTS):
            process = self.start()
            assert process.stdin is not None and process.stdout is not None
            try:
                process.stdin.write(text)
                process.stdin.flush()
                line = process.stdout.readline()
            except (OSError, ValueError):
                line = ""
            if line.endswith("\n"):
                return json.loads(line)
            status = process.wait()
        how = f"signal {-status}" if status < 0 else f"status {status}"
        raise WorkerDied(f"the worker process ended with {how}, {ATTEMPTS} times", self._last_lines())

    def _last_lines(self) -> list[str]:
        self.said.seek(max(0, self.said.seek(0, os.SEEK_END) - 20_000))
        return [line for line in self.said.read().decode(errors="replace").splitlines() if line.strip()][-20:]

    def close(self) -> None:
        """End the process at once."""
        with self._lock:
            self._closed = True
            if self.process is not None:
                self.process.kill() if self.process.stdin is None else self._hang_up(self.process)

    def _hang_up(self, process: subprocess.Popen[str]) -> None:
        try:
            assert process.stdin is not None
            process.stdin.close()  # it ends its own children, then itself
            process.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            process.kill()
            process.wait()


class LocalPool:
    """`count` worker processes, each fed by a thread."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._tasks: queue.SimpleQueue[tuple[Mapping[str, Any], Future[dict[str, Any]]] | None] = queue.SimpleQueue()
        self._workers = [WorkerProcess() for _ in range(count)]
        self._threads = [threading.Thread(target=self._serve, args=(w,), daemon=True) for w in self._workers]
        for thread in self._threads:
            thread.start()

    @property
    def wanted(self) -> int:
        """How many tasks to hand in at a time."""
        return self.count

    def submit(self, task: Mapping[str, Any]) -> Future[dict[str, Any]]:
        """Have a task measured."""
        future: Future[dict[str, Any]] = Future()
        self._tasks.put((task, future))
        return future

    def _serve(self, worker: WorkerProcess) -> None:
        while (item := self._tasks.get()) is not None:
            task, future = item
            try:
                future.set_result(worker.measure(task))
            except Exception as error:  # the runner makes a failed point of it
                future.set_exception(error)

    def close(self) -> None:
        """End all workers at once, whatever they do."""
        for _ in self._threads:
            self._tasks.put(None)
        for worker in self._workers:
            worker.close()

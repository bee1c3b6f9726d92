# SPDX-License-Identifier: GPL-3.0-or-later
"""The same points on a Dask cluster (package `distributed`).

Each thread of a Dask worker keeps a worker process of its own, the same that a local run starts, so results are the
same bit for bit, and a crash in a point does not take the Dask worker with it. The scheduler gives the points of a
worker that dies to another one.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from typing import Any

from .pool import WorkerDied, WorkerProcess

CONNECT_S = 15.0
_here = threading.local()


def measure_here(task: Mapping[str, Any]) -> dict[str, Any]:
    """What a Dask worker runs: a task in this thread's worker process."""
    if not hasattr(_here, "worker"):
        _here.worker = WorkerProcess()
    return _here.worker.measure(task)


class ClusterPool:
    """The workers of the scheduler at `address`. ValueError if it cannot be reached."""

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ModuleNotFoundError as error:
            raise ValueError("--cluster needs distributed: pip install distributed") from error
        _try(address)
        try:
            self.client: Any = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ValueError(f"no Dask scheduler at {address}: {' '.join(str(error).split())[:120]}") from error
        self._number = 0

    @property
    def wanted(self) -> int:
        """One task for each thread of the cluster and two that wait, so that no worker does."""
        return sum(self.client.nthreads().values()) + 2

    def submit(self, task: Mapping[str, Any]) -> Future[dict[str, Any]]:
        """Have a task measured."""
        self._number += 1
        key = f"semcom-point-{id(self)}-{self._number}"
        remote = self.client.submit(measure_here, dict(task), key=key, pure=False)
        future: Future[dict[str, Any]] = Future()
        remote.add_done_callback(lambda done: _hand_over(done, future))
        return future

    def close(self) -> None:
        """Forget what was not finished and leave; the cluster goes on."""
        self.client.close(timeout=5)


def _try(address: str) -> None:
    """ValueError unless somebody listens there: Dask's own client needs half a minute and a traceback to say so."""
    found = re.fullmatch(r"(tcp|tls)://(\[[0-9a-fA-F:]+\]|[^:/]+):(\d{1,5})", address)
    if found is None:
        raise ValueError(f"no Dask scheduler at {address}: expected tcp://host:port or tls://host:port")
    try:
        socket.create_connection((found[2].strip("[]"), int(found[3])), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise ValueError(f"no Dask scheduler at {address}: {error}; start one with `dask scheduler`") from error


def _hand_over(remote: Any, future: Future[dict[str, Any]]) -> None:
    """The result of a Dask future as one of the standard library's."""
    try:
        future.set_result(remote.result(timeout=30))
    except CancelledError:
        future.set_exception(WorkerDied("the Dask scheduler has gone, or has cancelled the point", []))
    except Exception as error:  # what the task or the scheduler raised
        future.set_exception(error)

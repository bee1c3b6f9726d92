# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that measures points: jobs come in as JSON lines, results go out as JSON lines.

    python -m gnuradio.semcom.bench.worker

Each does its maths in one thread, set before numpy is loaded: sums of several threads end in other last digits.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    )
}  # fmt: skip


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    import platform

    from ..output import versions

    return {"python": platform.python_version(), **versions()}


@lru_cache(maxsize=1)
def _processor() -> str:
    from ..output import processor

    return processor()


def measure(task: Mapping[str, Any]) -> dict[str, Any]:
    """One point, as a task says it (`kind`, `settings`, `seed`, `stop` and what else its kind needs).

    Returns the fields of a point that measuring decides. Whatever goes wrong becomes its `error`.
    """
    from .settings import kind_module
    from .stopping import Stop

    begun = time.perf_counter()
    wanted = task.get("computed_by")
    error: dict[str, Any] | None = None
    result: dict[str, Any] = {"messages": 0, "metrics": {}, "stopped": "failed", "timings": {}}
    try:
        if wanted is not None and wanted != computed_by(task["kind"]):
            raise RuntimeError("this worker has other versions or sources than the command that asks it")
        module = kind_module(task["kind"])
        stop = Stop(**task["stop"])
        result = module.measure(task["settings"], task["seed"], stop, **task.get("extra", {}))
    except Exception as failure:  # a point that fails is a result, and the others go on
        summary = " ".join(str(failure).split()) or type(failure).__name__
        error = {"summary": summary, "last_lines": _last_lines(failure)}
    return {
        "settings": {**task["settings"], **result.pop("resolved", {})},
        **result,
        "elapsed_s": round(time.perf_counter() - begun, 4),
        "versions": _versions(),
        "processor": _processor(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "error": error,
    }


def _last_lines(failure: Exception) -> list[str]:
    import traceback

    lines = getattr(failure, "last_lines", None)
    if lines is not None:
        return list(lines)
    return [line for text in traceback.format_exception(failure) for line in text.rstrip().splitlines()][-20:]


def extra(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What `measure` needs besides the settings."""
    from .settings import kind_module

    more = getattr(kind_module(kind), "extra", None)
    return more(settings) if more else {}


def computed_by(kind: str) -> str:
    """Hash of the versions and sources that compute a kind here."""
    from .identity import deciding_versions, sources
    from .settings import digest

    return digest([deciding_versions(kind), sources(kind)])[:16]


def remeasure(
    point: Mapping[str, Any], seed: int | None = None, stop: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Measure a point of a result again, in this process; returns a whole new point.

    The same seed gives the same numbers where versions and sources are the same; another one, an independent estimate
    of the same quantities. `stop` replaces fields of the point's stopping rule. ValueError where the settings no longer
    hold here (an input that is missing, an unknown name).
    """
    from .settings import kind_module

    module = kind_module(point["kind"])
    names = set(module.FIELDS)
    free = getattr(module, "FREE", False)
    settings = module.resolve({name: value for name, value in point["settings"].items() if free or name in names})
    inputs = module.identity(settings).get("inputs")
    if inputs != point["settings"].get("inputs_sha256", inputs):
        raise ValueError(f"the inputs ({settings['inputs']}) are not those of the result: their content differs")
    if seed is not None and point["kind"] == "flowgraph" and "seed" in settings:
        settings["seed"] = seed  # its own parameter
    rule = {**point.get("stop", module.DEFAULT_STOP.as_dict()), **(stop or {})}
    task = {
        "kind": point["kind"], "settings": settings, "stop": rule,
        "seed": point["seed"] if seed is None else seed, "extra": extra(point["kind"], settings),
    }  # fmt: skip
    names = {"format", "sweep", "curve", "kind", "axis", "command"}
    kept = {key: value for key, value in point.items() if key in names}
    new = {**kept, "seed": task["seed"], "stop": rule, **measure(task)}
    new.pop("files", None)
    return new


def main() -> int:
    """Serve until stdin ends, then leave at once, whatever is going on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command that started us
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    jobs: queue.Queue[str] = queue.Queue()

    def listen() -> None:
        for line in sys.stdin:
            jobs.put(line)
        flowgraph = sys.modules.get(f"{__package__}.flowgraph")
        if flowgraph is not None:
            flowgraph.kill_children()
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    from ..output import return_large_blocks

    return_large_blocks()
    while True:
        result = measure(json.loads(jobs.get()))
        print(json.dumps(result, allow_nan=False), file=out, flush=True)


if __name__ == "__main__":
    sys.exit(main())

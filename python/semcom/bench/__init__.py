# SPDX-License-Identifier: GPL-3.0-or-later
"""Sweeps of systems, codes and flowgraphs: measured once, resumable, with intervals, plots and comparisons.

The folder of a sweep holds exactly one `*.json` a point, written aside and renamed:

    {"format": "semcom-point-1", "sweep": str, "curve": str (label), "kind": "system" | "code" | "flowgraph" | "on_air",
     "axis": {"esn0_db": 3.5},             the values of the swept settings, the figure's x axis always among them
     "settings": {...},                    every resolved setting; `remeasure` in `worker.py` needs nothing else
     "seed": int,                          of this point: `semcom run --seed` with it gives the same messages
     "stop": {...},                        the stopping rule
     "fingerprint": str,                   of all that decides the result; another one makes the point run again
     "stopped": "errors" | "messages" | "interval" | "clean" | "cap" | "time" | "failed" | "end",
     "messages": int,
     "metrics": {name: METRIC},
     "records": [...],                     a dictionary a message, only where the sweep asks for them
     "elapsed_s": float,
     "timings": {name: METRIC, "invocation": str},   all that varies from run to run; the speeds messages_s,
                                           blocks_s, msymbol_s, mbit_s, latency_p50_s, latency_p99_s
     "command": str,                       repeats the sweep; without --workers, --cluster and --output
     "versions": {}, "processor": str, "date": str,
     "error": null | {"summary": str, "last_lines": [str]}}

    METRIC = {"value": float | null, "low": float | null, "high": float | null, "count": int, "errors": int | null,
              "interval": "clopper-pearson" | "student-t" | "bootstrap" | "none"}, limits of 95 %

`stopped` "clean" marks a point that was not measured because its curve had become clean before: no messages and no
metrics. "end": the flowgraph ended by itself. Points of one curve that differ only in `axis["seed"]` are repetitions.

Beside them lie `<sweep>.index` (JSON: {"format": "semcom-sweep-1", "sweep", "title", "axis", "metric", "logy",
"bounds", "table", "curves": [labels in order], "points": [names of the point files in order, without ending],
"command"}), `<sweep>.csv`, the table beside the paper's rows `<sweep>.md`, `*.json.old` (points that the sweep no
longer has) and, while a run works on a point, `*.lock`.

`table`, where there is one: {"title": str, "columns": [...], "rows": [[...]]}, the rows of a paper.

A committed collection (`--save FILE.json`): {"format": "semcom-curves-1", "title": str, "command": str, "axis":
"esn0_db", "metric": "bler", "logy": bool | null, "bounds": [names], "table", "versions", "processor", "date",
"points": [points without records]}.
"""

POINT_FORMAT = "semcom-point-1"
CURVES_FORMAT = "semcom-curves-1"
SWEEP_FORMAT = "semcom-sweep-1"

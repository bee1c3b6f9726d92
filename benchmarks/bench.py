# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of `semcom bench` itself: overhead, two workers against one, 100,000 LDPC blocks, all of Kodak.

    .venv/bin/python benchmarks/bench.py [--output benchmarks/bench.json] [--point-seconds 5] [--input KODAK]

Wants an idle machine. Overhead: wall time of a command with one worker, pinned to one core, over the time of its
points. Scaling: points a second with two workers on two cores over those of the pinned one. With photographs
(`--input`, or kodak/ below the folder that SEMCOM_DATA names): NCSC for every picture, 25 SNRs and three channels.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gnuradio.semcom.bench import code
from gnuradio.semcom.bench.stopping import Stop
from gnuradio.semcom.output import processor

BENCH = [sys.executable, "-P", "-m", "gnuradio.semcom", "bench"]
POINTS = 6
LDPC = {"k": 1536, "n": 4608, "modulation": "16qam", "max_iterations": 20, "esn0_db": 3.5}
CODES = """
figure: {{metric: bler}}
stop: {{messages: {blocks}, errors: 0, cap: 0, clean: 0}}
defaults: {{kind: code, k: 1536, n: 4608, modulation: 16qam, max_iterations: 20}}
curves: [{{esn0_db: {values}}}]
"""
KODAK = """
defaults: {{system: ncsc, inputs: "{inputs}", esn0_db: 0:12:0.5}}
curves: [{{channel: [awgn, rayleigh, rician]}}]
"""
PROMISED = {"overhead": 0.05, "scaling": 1.8, "blocks_100000_s": 60.0, "kodak_s": 900.0}


def run(sweep: str, workers: int, cores: set[int]) -> tuple[float, float]:
    """Wall time of a sweep and the time of its points, seconds."""
    with tempfile.TemporaryDirectory() as folder:
        file, output = Path(folder) / "sweep.yml", Path(folder) / "out"
        file.write_text(sweep)
        command = [*BENCH, str(file), "--output", str(output), "--workers", str(workers)]
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        os.sched_setaffinity(process.pid, cores)
        if process.wait():
            raise RuntimeError("the sweep failed")
        wall = time.perf_counter() - begun
        return wall, sum(json.loads(path.read_text())["elapsed_s"] for path in output.glob("*.json"))


def blocks_s(blocks: int) -> float:
    """Seconds for so many blocks in this process."""
    begun = time.perf_counter()
    code.measure(code.resolve(LDPC), 1, Stop(messages=blocks, metric="bler"))
    return time.perf_counter() - begun


def main() -> int:
    """Measure, print, write; status 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/bench.json"))
    parser.add_argument("--point-seconds", type=float, default=5.0)
    parser.add_argument("--input", type=Path, help="photographs; default: kodak/ below the folder SEMCOM_DATA names")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    blocks = round(10_000 * arguments.point_seconds / blocks_s(10_000))
    values = "[" + ", ".join(f"{3.5 + 1e-6 * k}" for k in range(POINTS)) + "]"  # points of one duration
    sweep = CODES.format(blocks=blocks, values=values)
    wall, points = run(sweep, 1, {cores[0]})
    found: dict[str, float] = {
        "point_s": round(points / POINTS, 3), "overhead": round(wall / points - 1, 4),
        "blocks_100000_s": round(blocks_s(100_000), 2),
    }  # fmt: skip
    if len(cores) > 1:
        found["scaling"] = round(wall / run(sweep, 2, set(cores[:2]))[0], 3)
    folder = arguments.input or (Path(os.environ["SEMCOM_DATA"]) / "kodak" if "SEMCOM_DATA" in os.environ else None)
    if folder is None:
        print("kodak: skipped, neither --input nor SEMCOM_DATA names photographs")
    else:
        found["kodak_s"] = round(run(KODAK.format(inputs=folder.resolve()), 2, set(cores[:2]))[0], 1)
    result = {"command": "python benchmarks/bench.py", "processor": processor(), "cores": len(cores), **found}
    print(json.dumps(result, indent=1))
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    broken = [
        name for name, limit in PROMISED.items()
        if name in found and (found[name] < limit if name == "scaling" else found[name] > limit)
    ]  # fmt: skip
    for name in broken:
        print(f"{name}: {found[name]}, promised {PROMISED[name]}", file=sys.stderr)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())

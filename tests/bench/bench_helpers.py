# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of `semcom bench` share."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from gnuradio.semcom.bench.store import VARYING

SEMCOM = [sys.executable, "-P", "-m", "gnuradio.semcom"]
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def semcom(*arguments, **options):
    return subprocess.run([*SEMCOM, *map(str, arguments)], capture_output=True, text=True, timeout=150, **options)


def started(*arguments, **options):
    """A command that is to be interrupted; one started from a shell's background would ignore Ctrl-C."""
    silent = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    return subprocess.Popen([*SEMCOM, *map(str, arguments)], **{**silent, **heard, **options})


def until(condition, seconds=150.0):
    """Look again and again until it holds; fails when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        os.sched_yield()
        time.sleep(0.005)


def points(folder):
    """All points of a folder by file name, without what differs from run to run."""
    found = {path.name: json.loads(path.read_text()) for path in Path(folder).glob("*.json")}
    return {name: {k: v for k, v in point.items() if k not in VARYING} for name, point in found.items()}


def sweep_file(folder, text, name="sweep.yml"):
    path = Path(folder) / name
    path.write_text(text)
    return path


QUICK = """
title: A quick sweep
seed: 5
figure: {metric: bler, logy: true, bounds: [capacity]}
defaults: {kind: code, k: 128, n: 256, modulation: qpsk, max_iterations: 10, esn0_db: 0:6:1}
stop: {errors: 20, cap: 2000}
curves:
  - label: short
  - {label: Rayleigh, channel: rayleigh, fading: symbol, stop: {clean: 0}}
"""

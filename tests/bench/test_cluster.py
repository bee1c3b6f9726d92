# SPDX-License-Identifier: GPL-3.0-or-later
"""The same sweep on a Dask cluster of this machine, one of its workers killed in the middle."""

import json
import shutil
import signal
import subprocess
import sys

import pytest
from bench_helpers import EXAMPLES, points, semcom, started, sweep_file, until

pytest.importorskip("distributed", reason="distributed is not installed")
psutil = pytest.importorskip("psutil")

SWEEP = """
seed: 1
figure: {metric: bler}
stop: {messages: 1000, errors: 0, cap: 0, clean: 0}
defaults: {kind: code, esn0_db: -1:3:0.5}
curves:
  - {label: LDPC, mcs: qpsk-1/3}
  - {label: NCSC, kind: system, system: ncsc, inputs: "packaged:coffee", mcs: qpsk-1/3, stop: {messages: 3}}
  - {label: graph, kind: flowgraph, flowgraph: image_codec.grc, system: jpeg, esn0_db: [3, 5], stop: {messages: 0}}
"""


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two worker processes on loopback: the address and the workers."""
    file = tmp_path / "scheduler.json"
    common = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    python = [sys.executable, "-P", "-m"]
    scheduler = [*python, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = [*python, "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    started_processes = [subprocess.Popen([*scheduler, "--scheduler-file", str(file)], **common)]
    try:
        until(lambda: file.is_file() and file.read_text().rstrip().endswith("}"))
        address = json.loads(file.read_text())["address"]
        workers = [subprocess.Popen([*worker, address], **common) for _ in range(2)]
        started_processes += workers
        yield address, workers
    finally:
        for process in started_processes:
            process.kill()
            process.wait(30)


def _helpers(worker):
    return psutil.Process(worker.pid).children()


def test_a_cluster_that_loses_a_worker_gives_the_same_files_as_one_local_worker(cluster, tmp_path):
    address, workers = cluster
    shutil.copy(EXAMPLES / "image_codec.grc", tmp_path)
    sweep = sweep_file(tmp_path, SWEEP)
    run = started("bench", sweep, "--cluster", address, "--output", tmp_path / "cluster")
    done = tmp_path / "cluster"
    until(lambda: (len(list(done.glob("*.json"))) >= 2 and _helpers(workers[0])) or run.poll() is not None)
    helpers = _helpers(workers[0])
    workers[0].send_signal(signal.SIGKILL)
    assert run.poll() is None and len(list(done.glob("*.json"))) < 20, "killed too late to say anything"
    _, alive = psutil.wait_procs(helpers, timeout=30)
    assert helpers and not alive, "the processes of a killed worker must not live on"
    output, errors = run.communicate(timeout=120)
    assert run.returncode == 0, errors
    assert "20 points measured" in output
    local = semcom("bench", sweep, "--workers", 1, "--output", tmp_path / "local")
    assert local.returncode == 0, local.stderr
    assert points(tmp_path / "cluster") == points(tmp_path / "local")
    assert len(points(tmp_path / "local")) == 20


def test_a_worker_with_other_sources_fails_the_point_instead_of_mixing_results():
    from gnuradio.semcom.bench.worker import measure

    task = {"kind": "code", "settings": {}, "seed": 1, "stop": {}, "computed_by": "another installation"}
    assert "other versions or sources" in measure(task)["error"]["summary"]

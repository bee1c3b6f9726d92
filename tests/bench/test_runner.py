# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of a sweep: resumed, interrupted, doubled, changed, whatever the number of workers: the same files."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from bench_helpers import QUICK, points, semcom, started, sweep_file, until

from gnuradio.semcom.bench import identity, pool
from gnuradio.semcom.bench.runner import Runner
from gnuradio.semcom.bench.store import Folder, Lock
from gnuradio.semcom.bench.sweep import read_sweep
from gnuradio.semcom.cli import main

LONG = """
seed: 1
figure: {metric: bler}
stop: {messages: 4000, errors: 0, cap: 0, clean: 0}
defaults: {kind: code, esn0_db: -1:2.5:0.5, mcs: qpsk-1/3}
curves: [{label: long}]
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A quick and a long sweep, run without interruption by one worker."""
    folder = tmp_path_factory.mktemp("whole")
    found = {}
    for name, text in (("quick", QUICK), ("long", LONG)):
        done = semcom("bench", sweep_file(folder, text, f"{name}.yml"), "--output", folder / name, "--workers", 1)
        assert done.returncode == 0, done.stderr
        found[name] = points(folder / name)
        found[f"{name} output"] = done.stdout
    return found | {"folder": folder}


def _bench(whole, name, output, *more):
    return ("bench", whole["folder"] / f"{name}.yml", "--output", output, *more)


def test_a_sweep_writes_one_file_a_point_an_index_and_a_table(whole):
    folder = whole["folder"] / "quick"
    assert len(whole["quick"]) == 14
    assert {path.suffix for path in folder.iterdir()} == {".json", ".index", ".csv"}
    index = json.loads((folder / "quick.index").read_text())
    assert {f"{name}.json" for name in index["points"]} == set(whole["quick"])
    assert index["title"] == "A quick sweep" and index["curves"] == ["short", "Rayleigh"]
    rows = list(csv.DictReader((folder / "quick.csv").open()))
    assert len(rows) == 14 and rows[0]["bler_interval"] == "clopper-pearson"
    first = whole["quick"]["quick__short__esn0_db=0.0.json"]
    assert float(rows[0]["bler"]) == first["metrics"]["bler"]["value"]
    assert first["command"].startswith("semcom bench ") and first["command"].endswith("quick.yml")
    assert first["versions"]["numpy"] and first["settings"]["alpha"] and first["error"] is None
    assert "enough errors" in whole["quick output"] and "curve is clean" in whole["quick output"]


def test_a_curve_stops_after_it_is_clean_and_says_so(whole):
    for curve, stops in (("short", True), ("Rayleigh", False)):
        found = [p for p in whole["quick"].values() if p["curve"] == curve]
        found.sort(key=lambda p: p["axis"]["esn0_db"])
        clean = [p["stopped"] == "clean" for p in found]
        assert any(clean) == stops and clean == sorted(clean)
        if stops:
            last = found[clean.index(True) - 1]
            assert last["metrics"]["bler"]["errors"] == 0 and last["messages"] == 2000
        assert all(p["metrics"] == {} and p["messages"] == 0 for p in found if p["stopped"] == "clean")


def test_any_number_of_workers_gives_the_same_files(whole, tmp_path):
    for workers in (2, 5):
        done = semcom(*_bench(whole, "quick", tmp_path / str(workers), "--workers", workers))
        assert done.returncode == 0, done.stderr
        assert points(tmp_path / str(workers)) == whole["quick"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_resumes_to_the_same_files(how, whole, tmp_path):
    process = started(*_bench(whole, "long", tmp_path, "--workers", 2))
    until(lambda: len(list(tmp_path.glob("*.json"))) >= 2 or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    process.send_signal(how)
    output, errors = process.communicate(timeout=60)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert 2 <= len(kept) < 8, "interrupted too late to say anything"
    assert all(whole["long"][name] == point for name, point in points(tmp_path).items())
    if how == signal.SIGINT:
        assert process.returncode == 130 and "interrupted" in errors and "not complete" in output
    done = semcom(*_bench(whole, "long", tmp_path, "--workers", 2))
    assert done.returncode == 0, done.stderr
    assert f"{8 - len(kept)} points measured; {len(kept)} taken from" in done.stdout
    assert points(tmp_path) == whole["long"]
    assert all((tmp_path / name).stat().st_mtime_ns == changed for name, changed in kept.items())
    assert not list(tmp_path.glob("*.lock")) and not list(tmp_path.glob(".*.part"))


def test_workers_leave_when_their_command_is_killed(whole, tmp_path):
    psutil = pytest.importorskip("psutil")
    process = started(*_bench(whole, "long", tmp_path, "--workers", 2))
    until(lambda: list(tmp_path.glob("*.json")) or process.poll() is not None)
    workers = psutil.Process(process.pid).children()
    assert len(workers) == 2
    process.kill()
    process.communicate(timeout=30)
    gone, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive


def test_two_runs_in_one_folder_share_the_work(whole, tmp_path):
    both = [started(*_bench(whole, "long", tmp_path, "--workers", 1)) for _ in range(2)]
    outputs = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert points(tmp_path) == whole["long"]
    measured = [int(output.split(" points measured")[0].split()[-1]) for output, _ in outputs]
    assert sum(measured) == 8
    assert not list(tmp_path.glob("*.lock"))


def _runner(folder, text, name="sweep"):
    folder.mkdir(exist_ok=True)
    sweep = read_sweep(sweep_file(folder.parent, text, f"{name}.yml"))
    return Runner(sweep, folder, "semcom bench", "semcom bench")


def _run(folder, text, name="sweep", workers=None):
    """A run in this process; gives the names of the points that it measured."""
    runner = _runner(folder, text, name)
    runner.resume()
    names = []
    one = workers or _Here()
    runner.run(one, lambda point, done, total: names.append((point["curve"], point["axis"]["esn0_db"])))
    return names, runner.finish()


class _Here:
    """A pool that measures in this process; `fail` gives the points that it breaks on."""

    wanted = 1

    def __init__(self, fail=()):
        self.fail = fail

    def submit(self, task):
        from concurrent.futures import Future

        from gnuradio.semcom.bench.worker import measure

        future = Future()
        if task["settings"]["esn0_db"] in self.fail:
            future.set_exception(pool.WorkerDied("the worker process ended with signal 11", ["Segmentation fault"]))
        else:
            future.set_result(measure(json.loads(json.dumps(task))))
        return future


TINY = QUICK.replace("cap: 2000", "cap: 64")


def test_a_changed_sweep_runs_again_only_what_changed(tmp_path):
    folder = tmp_path / "out"
    assert len(_run(folder, TINY)[0]) > 8
    assert _run(folder, TINY)[0] == []
    before = points(folder)
    more = TINY.replace("0:6:1", "0:7:1").replace("title: A quick", "title: Another quick")
    assert {x for _, x in _run(folder, more)[0]} == {7}
    changed = more.replace("fading: symbol", "fading: 16")
    assert {curve for curve, _ in _run(folder, changed)[0]} == {"Rayleigh"}
    names, outcome = _run(folder, TINY.replace("0:6:1", "0:2:1"))
    assert {curve for curve, _ in names} == {"Rayleigh"}, "its fading is what it was"
    assert len(outcome.set_aside) == 10 and len(list(folder.glob("*.json"))) == 6
    names, _ = _run(folder, TINY)
    assert {curve for curve, _ in names} == {"Rayleigh"}, "what was set aside is taken back"
    assert points(folder) == before


def test_another_seed_rule_input_or_source_runs_everything_again(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    _run(folder, TINY)
    assert len(_run(folder, TINY.replace("seed: 5", "seed: 6"))[0]) > 8
    assert len(_run(folder, TINY.replace("seed: 5", "seed: 6").replace("errors: 20", "errors: 10"))[0]) > 8
    monkeypatch.setattr(identity, "sources", lambda kind: "other")
    assert len(_run(folder, TINY.replace("seed: 5", "seed: 6").replace("errors: 20", "errors: 10"))[0]) > 8
    monkeypatch.undo()
    runner = _runner(folder, TINY.replace("seed: 5", "seed: 6").replace("errors: 20", "errors: 10"))
    runner.any_version = True
    runner.resume()
    assert not any(map(runner.needed, runner.sweep.jobs))


def test_a_damaged_file_is_measured_again(tmp_path):
    folder = tmp_path / "out"
    _run(folder, TINY)
    before = points(folder)
    names = sorted(path.name for path in folder.glob("*Rayleigh*.json"))
    (folder / names[0]).write_text('{"format": "semcom-poi')
    (folder / names[1]).write_text("[]")
    (folder / names[2]).unlink()
    assert len(_run(folder, TINY)[0]) == 3
    assert points(folder) == before


def test_another_sweep_in_the_same_folder_is_left_alone(tmp_path):
    folder = tmp_path / "out"
    _run(folder, TINY, "first")
    before = points(folder)
    _, outcome = _run(folder, TINY.replace("short", "other"), "second")
    assert outcome.set_aside == []
    assert {name: point for name, point in points(folder).items() if name.startswith("first")} == before


def test_a_point_that_fails_is_written_retried_and_does_not_stop_the_others(tmp_path):
    folder = tmp_path / "out"
    names, outcome = _run(folder, TINY, workers=_Here(fail=(1,)))
    assert [p["axis"]["esn0_db"] for p in outcome.failed] == [1, 1]
    assert outcome.failed[0]["stopped"] == "failed" and outcome.failed[0]["error"]["last_lines"]
    assert {x for _, x in names} > {0, 1, 2}
    assert {x for _, x in _run(folder, TINY)[0]} == {1}
    assert not any(point["error"] for point in points(folder).values())


def test_an_exception_in_a_point_is_its_error_with_the_last_lines():
    from gnuradio.semcom.bench.worker import measure

    point = measure({"kind": "code", "settings": {"k": 3}, "seed": 1, "stop": {}})
    assert point["stopped"] == "failed" and point["error"]["summary"] and "Traceback" in point["error"]["last_lines"][0]


def test_a_lock_ends_with_its_process(tmp_path):
    path = tmp_path / "point.lock"
    program = (
        "import sys; from pathlib import Path; from gnuradio.semcom.bench.store import Lock;"
        "lock = Lock(Path(sys.argv[1])); print(lock.take(), flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-P", "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "True\n"
    mine = Lock(path)
    assert not mine.take()
    holder.kill()
    holder.communicate(timeout=30)
    assert path.exists() and mine.take()
    mine.release()
    assert not path.exists()


def test_a_worker_that_dies_is_replaced_and_its_point_measured_again(tmp_path):
    (job, *_) = read_sweep(sweep_file(tmp_path, LONG)).jobs
    task = {"kind": job.kind, "settings": job.settings, "seed": job.seed, "stop": job.stop.as_dict() | {"messages": 64}}
    worker = pool.WorkerProcess()
    expected = worker.measure(task)["metrics"]
    worker.process.kill()
    assert worker.measure(task)["metrics"] == expected
    longer = task | {"stop": task["stop"] | {"messages": 4000}}
    results = []
    thread = threading.Thread(target=lambda: results.append(worker.measure(longer)))
    first = worker.process.pid
    thread.start()
    os.kill(first, signal.SIGKILL)
    thread.join(60)
    assert results[0]["messages"] == 4000 and worker.process.pid != first
    worker.close()


def test_a_worker_that_always_dies_is_told_with_its_last_lines(tmp_path, monkeypatch):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no memory >&2\nkill -9 $$\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(pool.WorkerDied, match="ended with signal 9, 3 times") as caught:
        pool.WorkerProcess().measure({})
    assert caught.value.last_lines == ["no memory"]


def test_a_point_that_is_half_there_is_taken_for_missing(tmp_path):
    runner = _runner(tmp_path / "out", TINY)
    runner.resume()
    job = runner.sweep.jobs[0]
    whole_point = runner.blank(job) | {"stopped": "cap", "pictures": 1}
    folder = Folder(tmp_path / "out")
    folder.save(job, whole_point, {})
    assert folder.load(job, runner.fingerprints[job.name]) is None, "its picture is missing"
    folder.save(job, whole_point, {"0.png": ""})
    assert folder.load(job, runner.fingerprints[job.name]) == whole_point


def test_a_collection_holds_all_points_without_records(whole, tmp_path):
    saved = tmp_path / "codes.json"
    folder = whole["folder"] / "quick"
    done = semcom(*_bench(whole, "quick", folder, "--save", saved))
    assert done.returncode == 0 and "0 points measured" in done.stdout, done.stderr
    content = json.loads(saved.read_text())
    assert content["format"] == "semcom-curves-1" and content["axis"] == "esn0_db" and content["metric"] == "bler"
    assert content["bounds"] == ["capacity"] and content["logy"] is True and len(content["points"]) == 14
    assert content["processor"] and content["date"] and content["versions"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected one sweep"),
        (("none.yml",), "no such file: none.yml"),
        (("quick.yml", "--workers", "-1"), "--workers must be at least 1"),
        (("quick.yml", "--set", "esn0_db"), "--set needs name=value"),
        (("quick.yml", "--set", "esn0_db=5:1"), "the range 5:1 is empty"),
        (("quick.yml", "--set", "airtime=3"), "no curve of quick.yml has such a setting"),
        (("quick.yml", "--stop", "error=3"), "--stop needs RULE=N"),
        (("quick.yml", "--cluster", "nonsense"), "no Dask scheduler at nonsense: expected tcp://host:port"),
        (("quick.yml", "--cluster", "tcp://127.0.0.1:9"), "no Dask scheduler at tcp://127.0.0.1:9"),
        (("quick.csv",), "expected a sweep (.yml) or a flowgraph (.grc)"),
        (("quick.yml", "--output", "/proc/none"), "cannot be written"),
    ],
)
def test_bad_arguments_end_with_status_2_and_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    sweep_file(tmp_path, QUICK, "quick.yml")
    sweep_file(tmp_path, "", "quick.csv")
    monkeypatch.chdir(tmp_path)
    status = main(["bench", *arguments])
    output, errors = capsys.readouterr()
    assert status == 2 and message in errors, errors
    assert errors.count("\n") == 1 and not output

# SPDX-License-Identifier: GPL-3.0-or-later
"""Any `.grc` file as a benchmark: its parameters are axes, whatever it does wrong is told and stops nothing else."""

import contextlib
import json
import os
import signal
from importlib.util import find_spec

import pytest
import yaml
from bench_helpers import EXAMPLES, points, semcom, started, sweep_file, until

from gnuradio.semcom.bench import flowgraph
from gnuradio.semcom.bench.worker import remeasure
from gnuradio.semcom.cli import main

EXAMPLE = EXAMPLES / "image_codec.grc"


@pytest.fixture
def change(tmp_path):
    """Writes a changed copy of the example: blocks by name with new parameters, None takes a block out."""

    def write(name="changed", options=None, **blocks):
        data = yaml.safe_load(EXAMPLE.read_text())
        data["options"]["parameters"] |= {"id": name, **(options or {})}
        for block, parameters in blocks.items():
            (found,) = [entry for entry in data["blocks"] if entry["name"] == block]
            if parameters is None:
                found["states"]["state"] = "disabled"
            else:
                found["parameters"] |= parameters
        path = tmp_path / f"{name}.grc"
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        return path

    return write


def test_parameters_are_axes_and_the_meter_gives_the_results(tmp_path):
    command = ("bench", EXAMPLE, "--set", "esn0_db=2:6:4", "--set", "seed=1,7", "--set", "system=jpeg", "--workers", 2)
    done = semcom(*command, "--output", tmp_path / "a")
    assert done.returncode == 0, done.stderr
    found = points(tmp_path / "a")
    assert sorted((p["axis"]["esn0_db"], p["axis"]["seed"]) for p in found.values()) == [(2, 1), (2, 7), (6, 1), (6, 7)]
    for point in found.values():
        assert point["kind"] == "flowgraph" and point["stopped"] == "end" and point["messages"] == 1
        assert point["settings"]["system"] == "jpeg" and point["records"][0]["system"] == "jpeg"
        assert point["seed"] == point["axis"]["seed"]
        assert (point["metrics"]["delivered"]["value"] == 1) == (point["axis"]["esn0_db"] == 6)
        assert point["metrics"]["psnr_db"]["count"] == 1
    assert {point["curve"] for point in found.values()} == {"A classic codec over LDPC and QAM"}
    measured = remeasure(next(iter(found.values())))
    assert measured["error"] is None and measured["metrics"] == next(iter(found.values()))["metrics"]
    again = semcom(*command, "--output", tmp_path / "b")
    assert again.returncode == 0 and points(tmp_path / "b") == found


def test_a_flowgraph_gives_what_the_plain_call_chain_gives(tmp_path):
    """The same system, picture, channel and seed, as a point of kind `system` and as a GNU Radio program."""
    text = """
    defaults: {inputs: "packaged:coffee", esn0_db: 3.5, mcs: 16qam-1/3, max_bpp: 0.5}
    curves: [{system: webp, label: chain}]
    """
    chain = tmp_path / "chain"
    assert semcom("bench", sweep_file(tmp_path, text), "--output", chain).returncode == 0
    (plain,) = points(chain).values()
    settings = [f"{name}={plain['settings'][name]}" for name in ("system", "esn0_db", "mcs", "max_bpp")]
    options = [word for setting in [*settings, f"seed={plain['seed']}"] for word in ("--set", setting)]
    done = semcom("bench", EXAMPLE, *options, "--output", tmp_path / "graph")
    assert done.returncode == 0, done.stderr
    (graph,) = points(tmp_path / "graph").values()
    assert graph["records"][0]["blocks_failed"] > 0
    for name in ("psnr_db", "bits", "symbols_total", "blocks_failed", "bler"):
        assert graph["metrics"][name] == plain["metrics"][name]


def test_a_flowgraph_in_a_sweep_file_stands_beside_other_curves(tmp_path, change):
    change("mine")
    text = """
    figure: {metric: psnr_db}
    curves:
      - {kind: flowgraph, flowgraph: mine.grc, esn0_db: 6, system: [jpeg, webp], label: "graph {system}"}
      - {kind: system, system: jpeg, esn0_db: 6, inputs: "packaged:coffee", max_bpp: 0.5}
    """
    done = semcom("bench", sweep_file(tmp_path, text), "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    curves = {p["curve"] for p in points(tmp_path / "out").values()}
    assert curves == {"graph jpeg", "graph webp", "jpeg, 16qam-1/3, awgn"}


def test_a_crash_and_a_hang_are_told_with_their_last_lines_and_the_others_go_on(tmp_path, change):
    path = change(image_source={"repeat": "0 if seed == 2 else 1", "interval_s": "1.0"})
    begin = ("bench", path, "--set", "seed=1,2", "--set", "mcs=16qam-1/3,qpsk-1/7", "--timeout", 8, "--workers", 2)
    done = semcom(*begin, "--output", tmp_path / "out")
    assert done.returncode == 1, done.stderr
    found = {(p["axis"]["seed"], p["axis"]["mcs"]): p for p in points(tmp_path / "out").values()}
    assert found[1, "16qam-1/3"]["error"] is None
    assert "had not ended after 8 s" in found[2, "16qam-1/3"]["error"]["summary"]
    for seed in (1, 2):
        crashed = found[seed, "qpsk-1/7"]["error"]
        assert "ended with status 1" in crashed["summary"]
        assert any("mcs must be one of" in line for line in crashed["last_lines"])
    assert done.stderr.count("failed: ") == 3 and "mcs must be one of" in done.stderr
    assert "FAILED" in done.stdout


def test_a_rule_ends_an_endless_flowgraph(tmp_path, change):
    path = change(image_source={"repeat": "0"})
    done = semcom("bench", path, "--stop", "messages=3", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    (point,) = points(tmp_path / "out").values()
    assert point["messages"] == len(point["records"]) == 3 and point["stopped"] == "messages"
    (raw,) = (tmp_path / "out").glob("*.json")
    assert json.loads(raw.read_text())["timings"]["messages_s"]["value"] > 0


def test_a_second_meter_has_its_name_before_its_metrics(tmp_path, change):
    path = change()
    data = yaml.safe_load(path.read_text())
    (meter,) = [block for block in data["blocks"] if block["name"] == "link_meter"]
    data["blocks"].append({**meter, "name": "other"})
    data["connections"].append(["decoder", "0", "other", "0"])
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    done = semcom("bench", path, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    (point,) = points(tmp_path / "out").values()
    assert point["metrics"]["other.psnr_db"] == point["metrics"]["psnr_db"] and point["messages"] == 1


def test_a_flowgraph_that_waits_for_a_key_ends_by_itself(tmp_path, change):
    path = change(options={"run_options": "prompt"})
    done = semcom("bench", path, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    (point,) = points(tmp_path / "out").values()
    assert point["messages"] == 1 and point["stopped"] == "end"


def test_a_killed_run_leaves_no_flowgraph_behind(tmp_path, change):
    psutil = pytest.importorskip("psutil")
    path = change(image_source={"repeat": "0", "interval_s": "0.2"})
    run = started("bench", path, "--output", tmp_path / "out", "--workers", 1)

    def programs():
        found = []
        for process in psutil.Process(run.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # grcc, which has just ended
                found += [process] if "changed.py" in " ".join(process.cmdline()) else []
        return found

    until(lambda: run.poll() is not None or programs())
    (program,) = programs()
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=30)
    _, alive = psutil.wait_procs([program], timeout=30)
    assert not alive


def _refused(capsys, *arguments):
    status = main(["bench", *map(str, arguments)])
    output, errors = capsys.readouterr()
    assert status == 2 and errors.count("\n") == 1 and not output, errors
    return errors


def test_a_flowgraph_without_a_meter_is_refused(change, capsys, tmp_path):
    errors = _refused(capsys, change(link_meter=None), "--output", tmp_path / "out")
    assert "has no Link Meter (semcom_link_meter)" in errors and not (tmp_path / "out").exists()


def test_a_parameter_that_does_not_exist_is_refused_with_those_that_do(capsys):
    errors = _refused(capsys, EXAMPLE, "--set", "snr=1:3")
    assert "snr is no parameter of" in errors and "esn0_db" in errors


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("esn0_db=3 dB", "esn0_db must be a number (dB), not '3 dB': write 3"),
        ("seed=1.5", "seed must be a whole number"),
        ("esn0_db=high", "esn0_db must be a number"),
    ],
)
def test_a_value_that_a_parameter_cannot_take_is_refused(setting, message, capsys):
    assert message in _refused(capsys, EXAMPLE, "--set", setting)


def test_a_file_that_is_no_flowgraph_is_refused(capsys, tmp_path):
    for text in ("", "a: [", "blocks: 3", "options: {parameters: {id: x}}"):
        (tmp_path / "x.grc").write_text(text)
        assert "is no file of GNU Radio Companion" in _refused(capsys, tmp_path / "x.grc")


def test_a_flowgraph_that_does_not_compile_is_told_with_the_compilers_words(change, capsys, tmp_path):
    errors = _refused(capsys, change(channel={"esn0_db": "1 +"}), "--output", tmp_path / "out")
    assert "does not compile" in errors


def _with_block(path, kind, **more):
    data = yaml.safe_load(path.read_text())
    data["blocks"].append({"name": "my_scope", "id": kind, "parameters": more, "states": {"state": "enabled"}})
    data["connections"].append(["mapper", "0", "my_scope", "0"])
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def test_a_graphical_flowgraph_runs_offscreen(change, tmp_path):
    if find_spec("PyQt5") is None:
        pytest.skip("PyQt5 is not installed")
    path = _with_block(change(options={"generate_options": "qt_gui"}), "qtgui_const_sink_x", type="complex")
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    done = semcom("bench", path, "--set", "esn0_db=2,6", "--output", tmp_path / "out", env=environment)
    assert done.returncode == 0, done.stderr
    assert sorted(p["metrics"]["delivered"]["value"] for p in points(tmp_path / "out").values()) == [0, 1]


def test_a_graphical_block_is_refused_by_name_where_there_is_no_pyqt(change, monkeypatch):
    path = _with_block(change(), "qtgui_const_sink_x", type="complex")
    monkeypatch.setattr(flowgraph, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="my_scope .qtgui_const_sink_x. needs PyQt5, which is not here: apt install"):
        flowgraph.read(path)


def test_a_block_that_opens_its_own_window_is_refused_by_name(change):
    with pytest.raises(ValueError, match="my_scope .video_sdl_sink. needs a screen"):
        flowgraph.read(_with_block(change(), "video_sdl_sink"))

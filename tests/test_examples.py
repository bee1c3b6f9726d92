# SPDX-License-Identifier: GPL-3.0-or-later
"""Every shipped flowgraph compiles and runs headless from any directory; Companion shows our category."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gnuradio.semcom.paths import grc_environment

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.grc"))
WINDOWS = [example for example in EXAMPLES if "generate_options: qt_gui" in example.read_text()]
# speech comes out, which nobody need read
SPEECH_OUT = ("deepsc_s", "enhance_deepsc_s", "deepsc_s_enhance", "sc_hest", "speech_codec", "hascom_multi")
HEADLESS = [example for example in EXAMPLES if example not in WINDOWS]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")

    def compile_one(example):
        program = folder / f"{example.stem}.py"
        if not program.exists():
            done = subprocess.run(
                ["grcc", "-o", str(folder), str(example)],
                env=grc_environment(),
                capture_output=True,
                text=True,
                timeout=170,
            )
            assert done.returncode == 0 and program.exists(), done.stdout + done.stderr
        return program

    return compile_one


def _run(program, *arguments, cwd):
    return subprocess.run(
        [sys.executable, str(program), *arguments],
        env=grc_environment(),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_there_are_examples():
    expected = {"ncsc", "image_codec", "ldpc_awgn", "polar_awgn", "harq", "mcs_sweep", "ncsc_native", "ncsc_gui"}
    assert "own_model" in {example.stem for example in EXAMPLES}
    assert expected <= {example.stem for example in EXAMPLES}


def speech_arguments(name):
    """Options with which a speech example runs here: a recogniser and a voice that are installed. Skips if none is."""
    from gnuradio.semcom.systems import registry
    from gnuradio.semcom.systems.base import Request

    system = registry.systems().get(name)
    if system is None or system.kind != "speech":
        return []
    for recogniser in system.models() or [""]:
        try:
            system.check(Request(model=recogniser))
            break
        except ValueError as error:
            reason = str(error)
    else:
        pytest.skip(reason)
    if name != "speech_transceiver" and shutil.which("flite") is None:
        pytest.skip("flite is not installed")
    return ["--model", recogniser]


@pytest.mark.parametrize("example", HEADLESS, ids=lambda e: e.stem)
def test_an_example_runs_without_arguments_from_any_directory(compiled, example, tmp_path):
    arguments = speech_arguments(example.stem)
    done = _run(compiled(example), *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [record["id"] for record in records] == list(range(len(records))) and records
    if example.stem in SPEECH_OUT:
        assert len(records) == 3 and all(record["delivered"] for record in records)
        assert all(record["metrics"]["cer"] is None or record["metrics"]["cer"] < 0.5 for record in records)
        assert all(record["metrics"].get("speaker_cosine", 1) > -0.5 for record in records)
    elif "cer" in records[0]["metrics"]:
        assert len(records) == 3 and all(record["delivered"] for record in records)
        assert records[0]["metrics"]["cer"] < 0.5 and abs(records[0]["metrics"]["delta_wer"]) < 0.3
    elif "psnr_db" in records[0]["metrics"]:
        assert records[0]["delivered"] and records[0]["metrics"]["psnr_db"] > 20
    else:
        errors = sum(record["metrics"]["bler"] for record in records) / len(records)
        assert 0 <= errors < 0.5 and len(records) > 1


def test_the_live_example_shows_pictures_and_obeys_its_controls(compiled, tmp_path):
    pytest.importorskip("PyQt5")
    program = compiled(next(e for e in WINDOWS if e.stem == "ncsc_gui"))
    done = subprocess.run(
        [sys.executable, "-c", LIVE],
        env={**grc_environment(), "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path)},
        cwd=program.parent, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [(r["esn0_db"], r["mcs"], r["delivered"]) for r in records] == [
        (6.0, "16qam-1/3", True), (-3.0, "qpsk-1/3", False), (-3.0, "qpsk-1/6", True)
    ]  # fmt: skip


LIVE = """
import sys
from PyQt5 import QtWidgets
application = QtWidgets.QApplication(sys.argv)
import ncsc_gui
from gnuradio.semcom import packets
graph = ncsc_gui.ncsc_gui(rounds=1)
for esn0_db, mcs in ((6.0, "16qam-1/3"), (-3.0, "qpsk-1/3"), (-3.0, "qpsk-1/6")):
    graph.set_esn0_db(esn0_db)
    graph.set_mcs(mcs)
    packets.run(graph, 60)
    application.processEvents()
    text = graph.received.widget().text.text()
    assert text.startswith("received: coffee") and mcs in text and "PSNR" in text, text
"""


def test_harq_needs_more_airtime_and_loses_less(compiled, tmp_path):
    program = compiled(next(e for e in EXAMPLES if e.stem == "harq"))
    lost, symbols = [], []
    for transmissions in ("1", "4"):
        done = _run(program, "-t", transmissions, cwd=tmp_path)
        records = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        lost.append(sum(not record["delivered"] for record in records))
        symbols.append(sum(record["symbols_total"] for record in records))
        assert len(records) == 50 and max(record["transmissions"] for record in records) <= int(transmissions)
    assert lost[0] > 2 * lost[1] and symbols[0] < symbols[1] < 4 * symbols[0]


def test_parameters_of_the_flowgraph_are_options_of_the_program(compiled, tmp_path):
    example = next(e for e in EXAMPLES if e.stem == "image_codec")
    arguments = ("--esn0-db", "2", "--system", "jpeg", "--output", str(tmp_path / "out"))
    done = _run(compiled(example), *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (record,) = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert record["system"] == "jpeg" and not record["delivered"] and record["blocks_failed"] > 0
    assert list((tmp_path / "out").glob("*.png"))


def test_a_wrong_picture_ends_the_program_with_an_error(compiled, tmp_path):
    example = next(e for e in EXAMPLES if e.stem == "ncsc")
    done = _run(compiled(example), "--input-path", "missing.png", cwd=tmp_path)
    assert done.returncode != 0
    assert "missing.png" in done.stderr


def test_companion_shows_our_category(tmp_path):
    """The real program under Xvfb: the blocks it loaded are asked for by its own platform object."""
    if shutil.which("xvfb-run") is None and shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    from gnuradio.semcom.paths import grc_blocks

    script = tmp_path / "look.py"
    script.write_text(LOOK)
    display = f":{90 + os.getpid() % 400}"
    server = subprocess.Popen(["Xvfb", display, "-screen", "0", "1600x1000x24"], stderr=subprocess.DEVNULL)
    try:
        environment = {**grc_environment(), "DISPLAY": display, "NO_AT_BRIDGE": "1", "HOME": str(tmp_path)}
        command = [sys.executable, str(script), str(EXAMPLES[-1]), str(tmp_path / "companion.png")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    finally:
        server.terminate()
        server.wait(10)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert "Semantic Communication" in found["categories"]
    expected = {p.name.removesuffix(".block.yml") for p in grc_blocks().glob("semcom_*.block.yml")}
    assert expected <= set(found["blocks"])
    assert found["errors"] == []


LOOK = """
import json, sys
import gi
gi.require_version("Gtk", "3.0")
gi.require_version("PangoCairo", "1.0")
from gi.repository import GLib, Gtk
from gnuradio import gr
from gnuradio.grc.gui.Platform import Platform
from gnuradio.grc.gui.Application import Application

platform = Platform(version=gr.version(), version_parts=(gr.major_version(), gr.api_version(), gr.minor_version()),
                    prefs=gr.prefs(), install_prefix=gr.prefix())
platform.build_library()
application = Application([sys.argv[1]], platform)
result = {}

def look():
    window = application.main_window
    page = window.current_page
    if page is None or page.flow_graph is None:
        return True
    graph = page.flow_graph
    graph.rewrite()
    graph.validate()
    tree = window.btwin
    names = []
    def walk(store, node):
        while node is not None:
            names.append(store.get_value(node, 0))
            walk(store, store.iter_children(node))
            node = store.iter_next(node)
    walk(tree.treestore, tree.treestore.get_iter_first())
    result["categories"] = names
    result["blocks"] = [key for key in platform.blocks if key.startswith("semcom_")]
    result["errors"] = [str(e) for e in graph.iter_error_messages()] if not graph.is_valid() else []
    print(json.dumps(result), flush=True)
    import os
    os._exit(0)

GLib.timeout_add(500, look)
application.run([])
"""

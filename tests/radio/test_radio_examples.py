# SPDX-License-Identifier: GPL-3.0-or-later
"""Flowgraphs for radios: all compile, without hardware they end in one line, and the one without radios runs."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gnuradio.semcom.paths import grc_environment
from gnuradio.semcom.radio import station
from gnuradio.semcom.radio.settings import RadioError

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples/radio").glob("*.grc"))
NAMES = ["loopback_zmq", "rx_hackrf", "rx_usrp", "tx_hackrf", "tx_usrp", "usrp_loopback"]
pytest.importorskip("PyQt5")


def environment(folder):
    return {**grc_environment(), "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(folder)}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The folder of the programs that GRC makes of them, all by one call."""
    if shutil.which("grcc") is None:
        pytest.skip("grcc is not installed")
    folder = tmp_path_factory.mktemp("compiled")
    command = ["grcc", "-o", str(folder), *map(str, EXAMPLES)]
    done = subprocess.run(command, env=grc_environment(), capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_all_are_here_and_compile(compiled):
    assert [example.stem for example in EXAMPLES] == NAMES
    assert sorted(path.stem for path in compiled.glob("*.py")) == NAMES


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_blocks_do_not_overlap_and_flow_from_left_to_right(example):
    """By the corners: no block lies within 90 x 40 of another, and what is fed stands right of what feeds it."""
    content = yaml.safe_load(example.read_text())
    places = {block["name"]: block["states"]["coordinate"] for block in content["blocks"]}
    for one, (x, y) in places.items():
        for other, (x2, y2) in places.items():
            assert one >= other or abs(x - x2) >= 90 or abs(y - y2) >= 40, (one, other)
    for source, _, sink, port in content["connections"]:
        assert port == "events" or places[source][0] < places[sink][0], (source, sink)


def run_all(compiled, programs, folder):
    started = [
        subprocess.Popen(
            [sys.executable, str(compiled / f"{name}.py"), *arguments], env=environment(folder), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for name, arguments in programs.items()
    ]  # fmt: skip
    out = {}
    for name, process in zip(programs, started, strict=True):
        try:
            _, told = process.communicate(timeout=90)
        finally:
            process.kill()
        out[name] = process.returncode, [line for line in told.splitlines() if "XDG_RUNTIME_DIR" not in line]
    return out


def test_without_hardware_they_say_which_radio_was_not_found(compiled, tmp_path):
    usrp, soapy = ["--frequency", "868e6", "--device", "serial=0"], ["--frequency", "868e6", "--device", "driver=none"]
    programs = {
        "tx_usrp": [*usrp, "--transmit", "1"], "usrp_loopback": [*usrp, "--transmit", "1"], "rx_usrp": usrp,
        "tx_hackrf": [*soapy, "--transmit", "1"], "rx_hackrf": soapy,
    }  # fmt: skip
    for name, (status, told) in run_all(compiled, programs, tmp_path).items():
        device = "uhd:serial=0" if "usrp" in name else "soapy:driver=none"
        assert status == 1 and len(told) == 1, (name, status, told)
        assert told[0].startswith(f"no radio was found at {device}"), name


def test_nothing_is_sent_without_the_users_word(compiled, tmp_path):
    programs = {"tx_usrp": ["--transmit", "1"], "tx_hackrf": ["--frequency", "868e6"], "rx_usrp": []}
    found = run_all(compiled, programs, tmp_path)
    for name, lacks in (("tx_usrp", "without --frequency"), ("tx_hackrf", "without --transmit"),
                        ("rx_usrp", "needs a frequency")):  # fmt: skip
        status, told = found[name]
        assert status == 1 and len(told) == 1 and lacks in told[0], (name, status, told)


def test_what_is_asked_before_a_radio_is_opened():
    with pytest.raises(ValueError, match="without --transmit and --frequency"):
        station.check("uhd", "serial=0", 0.0, False)
    with pytest.raises(RadioError, match="no radio was found at soapy:driver=none"):
        station.check("soapy", "driver=none", 868e6)
    with pytest.raises(ValueError, match="kind must be"):
        station.check("wire", "", 868e6)
    with pytest.raises(SystemExit, match="needs a frequency"):
        station.ready("uhd", "serial=0", 0.0)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_the_loopback_delivers_pictures_over_zeromq(compiled, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LOOPBACK, f"tcp://127.0.0.1:{free_port()}", str(tmp_path / "pictures")],
        env={**environment(tmp_path), "PYTHONPATH": os.pathsep.join([str(compiled), *sys.path])},
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 of 24 blocks failed" in done.stdout and "carrier_offset . 0.00" in done.stdout
    assert len(list((tmp_path / "pictures").glob("*.png"))) >= 2


LOOPBACK = """
import sys, time
from PyQt5 import QtWidgets
application = QtWidgets.QApplication(sys.argv)
import loopback_zmq
graph = loopback_zmq.loopback_zmq(address=sys.argv[1], output=sys.argv[2])
graph.start()
deadline = time.monotonic() + 120
while len(graph.image_sink.files) < 2 and time.monotonic() < deadline:
    application.processEvents()
    time.sleep(0.02)
text = graph.received.widget().text.text()
graph.stop()
graph.wait()
print(text)
assert text.startswith("received: message") and "PSNR 2" in text, text
"""

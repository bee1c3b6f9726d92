# SPDX-License-Identifier: GPL-3.0-or-later
"""`semcom bench --radio`: a transmit gain against the Es/N0 that the receiver estimates."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bench_helpers import EXAMPLES, semcom

from gnuradio.semcom.bench import radio
from gnuradio.semcom.bench.stopping import Stop

SIMULATED = """
radio: simulated
air: {esn0_db: -10, saturation_db: 25, carrier_offset: 1e-3, sampling_offset_ppm: 10}
bench: {system: jpeg, mcs: qpsk-1/3, inputs: "packaged:coffee", airtime: 60000}
"""


@pytest.fixture
def simulated(tmp_path):
    path = tmp_path / "simulated.yml"
    path.write_text(SIMULATED)
    return path


def point(path, gain_db, messages=2, seed=1, **more):
    given = {"system": "jpeg", "mcs": "qpsk-1/3", "inputs": "packaged:coffee", "airtime": 60_000}
    settings = radio.resolve({"radio": str(path), "gain_db": gain_db, **given, **more})
    return radio.measure(settings, seed, Stop(messages=messages))


def value(result, name):
    return result["metrics"][name]["value"]


def test_the_estimate_follows_the_gain_until_the_amplifier_saturates(simulated):
    found = {gain: point(simulated, gain) for gain in (0, 15, 35)}
    assert value(found[15], "esn0_db") == pytest.approx(5.0, abs=0.5)
    assert value(found[15], "delivered") == 1 and value(found[15], "bler") == 0
    assert value(found[15], "psnr_db") > 20
    assert value(found[35], "esn0_db") < 15  # 25 without the amplifier
    assert value(found[15], "carrier_offset") == pytest.approx(1e-3, rel=0.02)
    assert value(found[0], "message_error_rate") == 1
    assert found[15]["messages"] == 2 and found[15]["stopped"] == "messages"


def test_the_same_seed_gives_the_same_numbers_and_another_one_others(simulated):
    one, same, other = (point(simulated, 8, 1, seed)["metrics"] for seed in (1, 1, 2))
    assert one == same and one["esn0_db"] != other["esn0_db"]


def test_nothing_found_has_no_estimate_and_counts_the_worst(simulated):
    found = point(simulated, -20, 1)
    assert value(found, "esn0_db") is None and value(found, "message_error_rate") == 1
    assert value(found, "psnr_db") < 20 and value(found, "ssim") == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"gain_db": 500}, "gain_db must be from"),
        ({"gain_db": "loud"}, "gain_db must be a number"),
        ({"mcs": "9qam-1/3"}, "mcs"),
        ({"header": "weak"}, "robust"),
        ({"esn0_db": 3}, "esn0_db is no setting of a radio"),
        ({"system": "jpg"}, "jpg"),
    ],
)
def test_wrong_settings_are_refused(simulated, wrong, message):
    with pytest.raises(ValueError, match=message):
        radio.resolve({"radio": str(simulated), "gain_db": 3} | wrong)


def test_a_file_without_a_radio_or_with_unknown_air_is_refused(tmp_path):
    path = tmp_path / "none.yml"
    path.write_text("gain_db: 3\n")
    with pytest.raises(ValueError, match="radio is missing"):
        radio.resolve({"radio": str(path), "gain_db": 3})
    path.write_text("radio: simulated\nair: {gravity: 9.81}\n")
    with pytest.raises(ValueError, match="gravity"):
        radio.resolve({"radio": str(path), "gain_db": 3})


def test_the_command_measures_and_plots_against_the_estimate(simulated, tmp_path):
    arguments = ["--set", "gain_db=12,18", "--stop", "messages=1", "--output", tmp_path / "out"]
    done = semcom("bench", "--radio", simulated, *arguments, "--save", tmp_path / "all.json")
    assert done.returncode == 0, done.stderr
    assert "gain_db" in done.stdout and "esn0_db" in done.stdout
    saved = json.loads((tmp_path / "all.json").read_text())
    assert saved["axis"] == "esn0_db" and [p["kind"] for p in saved["points"]] == ["on_air", "on_air"]
    assert [p["axis"] for p in saved["points"]] == [{"gain_db": 12}, {"gain_db": 18}]
    drawn = semcom("plot", tmp_path / "out", "--metric", "psnr_db", "--output", tmp_path / "figure.svg")
    assert drawn.returncode == 0 and (tmp_path / "figure.svg").stat().st_size > 5000, drawn.stderr
    again = semcom("bench", "--radio", simulated, *arguments)
    assert "2 taken from" in again.stdout


def test_a_real_radio_needs_the_users_word_and_a_frequency(tmp_path):
    hackrf = EXAMPLES / "radio/hackrf.yml"
    for words in ([], ["--transmit"], ["--frequency", "868M"]):
        done = semcom("bench", "--radio", hackrf, "--set", "gain_db=0", "--output", tmp_path, *words)
        assert done.returncode == 2 and "nothing is sent" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_nobody_sends_without_the_command(simulated, monkeypatch, tmp_path):
    monkeypatch.delenv(radio.PERMIT, raising=False)
    path = tmp_path / "real.yml"
    path.write_text("radio: soapy:driver=none\n")
    with pytest.raises(ValueError, match="nothing is sent through a radio"):
        point(path, 0, 1, frequency_hz=868e6)


def test_a_radio_that_is_not_there_is_a_failed_point_that_names_it(tmp_path):
    path = tmp_path / "real.yml"
    path.write_text('radio: soapy:driver=none\nbench: {system: jpeg, inputs: "packaged:coffee"}\n')
    words = ["--set", "gain_db=0", "--transmit", "--frequency", "868M", "--output", tmp_path / "out"]
    done = semcom("bench", "--radio", path, *words)
    assert done.returncode == 1 and "no radio was found at soapy:driver=none" in done.stderr
    point = json.loads(next((tmp_path / "out").glob("*.json")).read_text())
    assert "transmit" not in point["command"] + json.dumps(point["settings"])


@pytest.mark.slow
def test_through_a_driver_of_soapysdr(tmp_path):
    if shutil.which("g++") is None or not Path("/usr/include/SoapySDR/Device.hpp").exists():
        pytest.skip("the headers of SoapySDR are not installed (libsoapysdr-dev)")
    source = Path(__file__).resolve().parents[1] / "radio/loopback_driver.cpp"
    library = tmp_path / "drivers/libloopback.so"
    library.parent.mkdir()
    command = ["g++", "-O0", "-shared", "-fPIC", "-std=c++17", str(source), "-o", str(library), "-lSoapySDR"]
    subprocess.run(command, check=True, timeout=120)
    path = tmp_path / "loopback.yml"
    path.write_text("radio: soapy:driver=loopback\nrx: {gain_db: 20}\n")
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(path)], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "SOAPY_SDR_PLUGIN_PATH": str(library.parent), radio.PERMIT: "yes"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    low, high = json.loads(done.stdout.splitlines()[-1])
    assert low["delivered"]["value"] == high["delivered"]["value"] == 1
    assert high["esn0_db"]["value"] - low["esn0_db"]["value"] == pytest.approx(10, abs=1)
    assert low["sent_peak_dbfs"]["value"] == pytest.approx(-1.94, abs=0.05)


DRIVER = """
import json, sys
from gnuradio.semcom.bench import radio
from gnuradio.semcom.bench.stopping import Stop
about = {"system": "jpeg", "mcs": "qpsk-1/3", "inputs": "packaged:coffee", "airtime": 60_000, "frequency_hz": 868e6}
found = []
for gain_db in (5, 15):
    settings = radio.resolve({"radio": sys.argv[1], "gain_db": gain_db, **about})
    found.append(radio.measure(settings, 1, Stop(messages=2))["metrics"])
print(json.dumps(found))
"""

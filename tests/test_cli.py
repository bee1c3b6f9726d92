# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as a user meets it: whole processes, their output and their exit status."""

import json
import shutil
import signal
import subprocess
import sys

import pytest

from gnuradio.semcom import zoo
from gnuradio.semcom.media.photographs import packaged_photograph

SEMCOM = [sys.executable, "-m", "gnuradio.semcom"]


def semcom(*arguments, **options):
    return subprocess.run([*SEMCOM, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


@pytest.fixture(scope="module")
def photograph():
    return packaged_photograph()


def _without_times(result):
    result.pop("elapsed_s")
    for message in result["messages"]:
        message.pop("elapsed_s")
    return result


def test_run_prints_one_json_object_and_nothing_else(photograph):
    done = semcom("run", "ncsc", "--input", photograph, "--esn0-db", 6, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (message,) = result["messages"]
    assert message["delivered"]
    assert result["summary"]["psnr_db"] > 20
    assert set(result) >= {
        "system",
        "model",
        "channel",
        "esn0_db",
        "seed",
        "messages",
        "summary",
        "versions",
        "provider",
    }


def test_the_same_seed_gives_the_same_json_with_any_buffer_size(photograph):
    arguments = ("run", "ncsc", "--input", photograph, "--esn0-db", "3.7", "--seed", 5, "--json")
    results = [semcom(*arguments, *more) for more in ((), (), ("--buffer-items", 2048), ("--direct",))]
    parsed = [_without_times(json.loads(done.stdout)) for done in results]
    assert parsed[0] == parsed[1] == parsed[2] == parsed[3]


def test_a_table_pictures_and_a_figure_for_people(photograph, tmp_path):
    done = semcom("run", "webp", "--input", photograph, "--max-bpp", 0.3, "--output", tmp_path, "--figure", "pairs.png")
    assert done.returncode == 0, done.stderr
    assert "mean of 1" in done.stdout and "cannot work below" in done.stdout
    assert (tmp_path / "pairs.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "results.json").read_text())["system"] == "webp"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "ncsc", "--input", "missing.png"),
        ("run", "nosuch", "--input", "PHOTO"),
        ("run", "jpeg", "--input", "PHOTO", "--model", "nosuch"),
        ("run", "ncsc", "--input", "PHOTO", "--model", "nosuch"),
        ("run", "ncsc", "--input", "PHOTO", "--channel", "nosuch"),
        ("run", "ncsc", "--input", "PHOTO", "--mcs", "nosuch"),
        ("run", "ncsc", "--input", "PHOTO", "--esn0-db", "nan"),
        ("run", "ncsc", "--input", "PHOTO", "--fading", "0"),
        ("run", "ncsc", "--input", "PHOTO", "--output", "/proc/nowhere"),
        ("run", "ncsc", "--input", "PHOTO", "--figure", "x.png"),
        ("run", "ncsc", "--input", "TEXT"),
        ("run", "ncsc", "--input", "EMPTY"),
        ("grc", "missing.grc"),
        ("run", "ncsc", "--input", "PHOTO", "--esn0-db", "six"),
        ("run", "ncsc", "--input", "PHOTO", "--profile", "radio"),
        ("run", "ncsc"),
        ("nosuch",),
    ],
)
def test_bad_input_ends_with_status_2_and_one_line(arguments, photograph, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    empty = tmp_path / "empty"
    empty.mkdir()
    words = {"PHOTO": photograph, "TEXT": text, "EMPTY": empty}
    done = semcom(*[words.get(a, a) for a in arguments])
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stdout == ""


def test_a_model_changed_by_one_byte_is_refused(photograph, tmp_path):
    shutil.copytree(zoo.find("ncsc", "mse"), tmp_path / "ncsc" / "mse")
    victim = tmp_path / "ncsc" / "mse" / "synthesis.onnx"
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    import os

    done = semcom("run", "ncsc", "--input", photograph, env={**os.environ, "SEMCOM_MODELS": str(tmp_path)})
    assert done.returncode == 2
    assert "sha256" in done.stderr and "synthesis.onnx" in done.stderr


def test_ctrl_c_ends_cleanly(photograph, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for k in range(40):
        shutil.copy(photograph, folder / f"{k:02}{photograph.suffix}")
    command = [*SEMCOM, "run", "ncsc", "--input", str(folder), "--output", str(tmp_path / "out")]
    # a test run started in the background inherits an ignored SIGINT
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while not list((tmp_path / "out").glob("*.png")):  # interrupt in the middle, not before the start
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not list((tmp_path / "out").glob("*.part"))


def test_list_and_doctor_say_what_is_here():
    listed = json.loads(semcom("list", "--json").stdout)
    assert {"ncsc", "jpeg", "webp", "avif", "hevc", "jpeg2000", "raw"} <= set(listed["systems"])
    assert "16qam-1/3" in listed["mcs"]
    done = semcom("doctor")
    assert done.returncode == 0 and "GNU Radio" in done.stdout

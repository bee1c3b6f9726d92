# SPDX-License-Identifier: GPL-3.0-or-later
"""`make test-gpu` and the warning of who asks for CUDA and gets the CPU."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import gnuradio.semcom
from gnuradio.semcom.media.photographs import packaged_photograph

TOOL = Path(gnuradio.semcom.__file__).resolve().parents[2] / "tools/test_gpu.py"
if not TOOL.is_file():
    pytest.skip("the module under test is not in its source tree", allow_module_level=True)


def has_cuda():
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def run(*command):
    return subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=400)


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("gpu_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_cuda_it_says_skipped_and_ends_well():
    if has_cuda():
        pytest.skip("there is CUDA here")
    done = run(TOOL)
    assert done.returncode == 0 and done.stdout.startswith("skipped: ") and "make setup" in done.stdout


@pytest.mark.timeout(450)  # a minute where nothing else runs
def test_the_cpu_agrees_with_itself_in_every_codec_and_batch(tmp_path):
    done = run(TOOL, "--device", "cpu", "--side", 64, "--json", tmp_path / "figures.json")
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert "ncsc mse" in {row["model"] for row in figures["codecs"]}
    assert all(row["same bits"] and row["pixels differ by"] == 0 for row in figures["codecs"])
    parts = {(row["part"], row["batch"]) for row in figures["parts"]}
    assert {("analysis", 1), ("analysis", 32), ("synthesis", 1), ("synthesis", 32)} <= parts
    assert not any(part.startswith("entropy") for part, _ in parts)  # those never leave the CPU
    assert all(row["difference"] == 0 for row in figures["parts"])


def test_what_is_wrong_with_a_codec_is_told(tool):
    good = {"provider": "CUDAExecutionProvider", "concealed": 0, "pixels differ by": 1.0, "symbols differ by": 0.0}
    assert tool.faults(good, "cuda") == []
    for change, message in (
        ({"provider": "CPUExecutionProvider"}, "it ran on CPUExecutionProvider"),
        ({"concealed": 2}, "2 parts of intact payloads"),
        ({"pixels differ by": 9.0}, "pixels differ by 9"),
        ({"symbols differ by": 0.5}, r"symbols differ by 0.5"),
        ({"symbols differ by": None}, "their number"),
    ):
        (problem,) = tool.faults({**good, **change}, "cuda")
        assert message in problem


def test_asking_for_cuda_and_getting_the_cpu_is_a_warning_that_the_user_sees():
    if has_cuda():
        pytest.skip("there is CUDA here")
    command = ("ncsc", "--input", packaged_photograph(), "--quality", 0, "--device", "cuda", "--json", "--direct")
    done = run("-P", "-m", "gnuradio.semcom", "run", *command)
    assert done.returncode == 0, done.stderr
    assert "CUDA was asked for, but analysis runs on CPUExecutionProvider" in done.stderr
    assert json.loads(done.stdout)["provider"] == "CPUExecutionProvider"


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu():
    if not has_cuda():
        pytest.skip("no CUDA provider here")
    done = run(TOOL)
    assert done.returncode == 0, done.stdout + done.stderr

# SPDX-License-Identifier: GPL-3.0-or-later
"""`semcom run` and `semcom bench` of speech systems, as a user meets them, with a recogniser of random weights."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gnuradio.semcom.bench import system as bench
from gnuradio.semcom.bench.stopping import Stop
from gnuradio.semcom.cli import main
from gnuradio.semcom.media.recordings import packaged_recordings
from gnuradio.semcom.media.speech import read_speech
from gnuradio.semcom.speech import recognisers
from gnuradio.semcom.systems.stages import forget_payloads

PACKAGED = packaged_recordings()
ONE = packaged_recordings("kitchen")


@pytest.fixture(autouse=True)
def own_model(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("speech_fixtures", Path(__file__).parent / "speech" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield from module.own_model.__wrapped__(tmp_path, monkeypatch)


def run(capfd, *arguments):
    status = main(["run", *map(str, arguments)])
    found = capfd.readouterr()
    return status, found.out, found.err


def test_run_prints_one_json_object_with_the_metrics_of_speech(capfd):
    common = ("text_transceiver", "--model", "random", "--input", PACKAGED, "--esn0-db", 20, "--json")
    status, out, err = run(capfd, *common)
    assert status == 0, err
    result = json.loads(out)
    assert (result["model"], result["mcs"], result["code"], result["list_size"]) == (
        "random", "64qam-1/2", "polar-512", 4
    )  # fmt: skip
    summary = result["summary"]
    assert summary["messages"] == summary["delivered"] == 3 and summary["delta_wer"] == 0 and summary["cer"] > 0.5
    assert summary["cer_low"] <= summary["cer"] <= summary["cer_high"] and summary["symbols_per_second"] > 20
    message = result["messages"][0]
    assert message["text"] == message["without_channel"] and message["reference"].startswith("the weather report")
    direct = json.loads(run(capfd, *common, "--direct")[1])
    for one in (result, direct):
        one.pop("elapsed_s")
        for message in one["messages"]:
            message.pop("elapsed_s")
    assert result == direct


def test_output_gets_text_and_speech_and_the_table_tells_both(capfd, tmp_path):
    pytest.importorskip("pystoi")
    try:
        from gnuradio.semcom.codecs import amr_wb

        amr_wb.check_installed()
    except ValueError as error:
        pytest.skip(str(error))
    folder = tmp_path / "out"
    status, out, err = run(
        capfd, "speech_transceiver", "--model", "random", "--input", ONE, "--esn0-db", 20, "--output", folder
    )  # fmt: skip
    assert status == 0, err
    assert {path.name for path in folder.iterdir()} == {"kitchen.txt", "kitchen.wav", "results.json"}
    assert abs(read_speech(folder / "kitchen.wav").data.size - read_speech(ONE).data.size) < 400
    assert "polar-512 (list of 4)" in out and "kitchen.flac: " in out and "STOI" in out
    result = json.loads((folder / "results.json").read_text())
    assert result["summary"]["stoi"] > 0.9 and "fdsd" in result["summary"] and "features" in result


def test_without_reference_texts_error_rates_are_left_out(capfd, tmp_path):
    soundfile.write(tmp_path / "x.wav", read_speech(ONE).data, 16000)
    status, out, _ = run(capfd, "text_transceiver", "--model", "random", "--input", tmp_path / "x.wav", "--json",
                         "--esn0-db", 20)  # fmt: skip
    summary = json.loads(out)["summary"]
    assert status == 0 and summary["cer"] is summary["wer"] is None and summary["symbols_per_second"] > 20
    assert "delta_wer" not in summary
    assert run(capfd, "text_transceiver", "--model", "random", "--input", tmp_path / "x.wav", "--esn0-db", 20)[0] == 0


def test_speech_of_every_kind_goes_through(capfd, tmp_path):
    speech = read_speech(ONE).data
    folder = tmp_path / "speech"
    folder.mkdir()
    soundfile.write(folder / "stereo.wav", np.stack([speech, speech], 1), 16000)
    soundfile.write(folder / "slow.wav", speech[::2], 8000, subtype="PCM_U8")
    soundfile.write(folder / "fast.flac", np.repeat(speech, 3), 48000, subtype="PCM_24")
    soundfile.write(folder / "float.wav", speech * 50, 16000, subtype="FLOAT")
    soundfile.write(folder / "silent.wav", np.zeros(16000), 16000)
    soundfile.write(folder / "click.wav", np.ones(1), 16000)
    soundfile.write(folder / "long.wav", np.tile(speech, 7), 16000)
    (folder / "long.txt").write_text("please turn on the light " * 7)
    status, out, err = run(
        capfd, "text_transceiver", "--model", "random", "--input", folder, "--esn0-db", 20, "--json", "--no-judges",
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert status == 0, err
    result = json.loads(out)
    names = [message["input"] for message in result["messages"]]
    assert names == ["click.wav", "fast.flac", "float.wav", "long.wav#1", "long.wav#2", "silent.wav", "slow.wav",
                     "stereo.wav"]  # fmt: skip
    assert result["summary"]["delivered"] == 8 and result["summary"]["cer"] is not None
    assert (tmp_path / "out" / "long_2.txt").is_file() and (tmp_path / "out" / "silent.txt").is_file()


def test_bad_input_ends_with_status_2_and_one_line(capfd, tmp_path):
    (tmp_path / "text.wav").write_text("no recording")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    (tmp_path / "folder").mkdir()
    base = ("text_transceiver", "--model", "random")
    for arguments, words in (
        ((*base, "--input", tmp_path / "text.wav"), "not a recording"),
        ((*base, "--input", tmp_path / "empty.wav"), "no samples"),
        ((*base, "--input", tmp_path / "missing.wav"), "no such file"),
        ((*base, "--input", tmp_path / "folder"), "holds no recording"),
        ((*base, "--input", ONE, "--user", "mallory"), "'mallory' is not registered"),
        ((*base, "--input", ONE, "--figure", "x.png", "--output", tmp_path), "--figure is for pictures"),
        (("text_transceiver", "--model", "siri", "--input", ONE), "unknown model 'siri'"),
        (("feature_transceiver", "--model", "whisper", "--input", ONE), "token probabilities"),
        ((*base, "--input", ONE, "--max-bpp", "1"), "max_bpp is for pictures"),
        ((*base, "--input", ONE, "--list-size", "40"), "list_size"),
    ):
        status, out, err = run(capfd, *arguments)
        assert (status, out) == (2, "") and len(err.splitlines()) == 1 and words in err, err


def test_a_recording_that_breaks_in_the_middle_of_a_folder_is_one_line(capfd, tmp_path):
    soundfile.write(tmp_path / "a.wav", read_speech(ONE).data, 16000)
    (tmp_path / "b.wav").write_text("no recording")
    status, out, err = run(capfd, "text_transceiver", "--model", "random", "--input", tmp_path, "--json")
    assert (status, out) == (2, "") and "b.wav is not a recording" in err.splitlines()[-1]


def test_the_command_alone_writes_json_and_nothing_else():
    command = [sys.executable, "-m", "gnuradio.semcom", "run", "feature_transceiver", "--model", "random", "--input",
               str(PACKAGED), "--esn0-db", "20", "--json"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["summary"]["delta_wer"] == 0


def test_a_sweep_measures_speech_like_a_run(capfd):
    given = {"system": "text_transceiver", "model": "random", "inputs": "packaged", "esn0_db": 11.5}
    settings = bench.resolve(given)
    assert (settings["mcs"], settings["code"], settings["list_size"]) == ("64qam-1/2", "polar-512", 4)
    assert bench.resolve({"system": "webp"})["mcs"] == "16qam-1/3"
    expected = bench.extra(settings)["expected"]
    cached, plain = (bench.measure({**settings, "cached": c, "pictures": 1}, 7, Stop(messages=6), expected)
                     for c in (True, False))  # fmt: skip
    assert cached["metrics"] == plain["metrics"] and list(cached["files"]) == ["0.txt"]
    forget_payloads()
    text = ("text_transceiver", "--model", "random", "--input", PACKAGED, "--esn0-db", 11.5, "--seed", 7, "--json")
    summary = json.loads(run(capfd, *text)[1])["summary"]
    once = bench.measure(settings, 7, Stop(), expected)["metrics"]
    for name in ("cer", "wer", "delta_wer", "symbols_per_second"):
        assert once[name]["value"] == pytest.approx(summary[name])
    assert once["wer"]["low"] == summary["wer_low"]


def test_a_changed_recogniser_makes_another_sweep(own_model):
    settings = bench.resolve({"system": "text_transceiver", "model": "random"})
    before = bench.identity(settings)
    card = own_model / "card.yml"
    card.write_text(card.read_text() + "note: changed\n")
    assert bench.identity(settings) != before
    assert recognisers.own_names()[0] in ("open", "random", "domain")


@pytest.mark.skipif("SEMCOM_DATA" not in os.environ, reason="SEMCOM_DATA is not set: no recorded speech")
def test_real_speech_loses_no_word_where_the_code_works(capfd):
    if not all(importlib.util.find_spec(p) for p in recognisers.get("moonshine").packages):
        pytest.skip("moonshine is not installed")
    folder = Path(os.environ["SEMCOM_DATA"]) / "kathleen"
    common = ("text_transceiver", "--model", "moonshine", "--input", folder, "--split", "test")
    status, out, err = run(capfd, *common, "--esn0-db", 13, "--json")
    assert status == 0, err
    summary = json.loads(out)["summary"]
    assert summary["wer"] < 0.12 and summary["delta_wer"] <= 0.005 and summary["delivered"] == summary["messages"]


def test_speech_that_nobody_read_has_no_text_and_its_receiver_a_real_time_factor(capfd):
    arguments = ["run", "deepsc_s", "--input", str(packaged_recordings("weather")), "--no-judges", "--direct", "--json"]
    assert main(arguments) == 0
    result = json.loads(capfd.readouterr().out)
    assert result["messages"][0]["text"] is None and result["messages"][0]["metrics"]["wer"] is None
    assert 0 < result["summary"]["rtf"] < 50 and result["summary"]["symbols_per_second"] > 400
    assert "rtf" not in result["messages"][0]["metrics"]

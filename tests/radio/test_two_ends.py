# SPDX-License-Identifier: GPL-3.0-or-later
"""`semcom tx` and `semcom rx`: what goes in at one end comes out at the other: pipes, recordings, bad air."""

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gnuradio.semcom.cli import main
from gnuradio.semcom.links import Link
from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.media.recordings import packaged_recordings
from gnuradio.semcom.media.speech import write_wav
from gnuradio.semcom.message import Message
from gnuradio.semcom.phy.burst import Header, transmit
from gnuradio.semcom.phy.channel import noise
from gnuradio.semcom.phy.header import name_id
from gnuradio.semcom.radio import sigmf
from gnuradio.semcom.systems import registry
from gnuradio.semcom.systems.speech_to_text.recordings import spoken_commands

AIR = "carrier_offset: 2e-3\nsampling_offset_ppm: 30\nmultipath: {profile: TDL-D, delay_spread: 0.5}\n"
LIMIT_S = 120
SYSTEMS = ("deepjscc", "vq_deepsc", "webp", "deepsc_st", "speech_to_text", "speech_transceiver", "hascom")


@pytest.fixture(scope="module")
def photograph():
    return np.ascontiguousarray(read_image(packaged_photograph()).data[64:192, 64:192])


@pytest.fixture
def folder(photograph, tmp_path):
    """Three pictures, and simulated air."""
    (tmp_path / "in").mkdir()
    for place, name in enumerate("abc"):
        Image.fromarray(photograph[16 * place : 16 * place + 80, :80]).save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "air.yml").write_text(AIR)
    return tmp_path


def records(out):
    return [json.loads(line) for line in (out / "received.jsonl").read_text().splitlines()]


def tx(folder, *more, system="ncsc", to=None, source="in"):
    target = to or f"file:{folder}/air.sigmf-meta"
    return main(["tx", system, "--input", str(folder / source), "--to", target, *map(str, more)])


def rx(folder, *more, source=None, out="out"):
    where = source or f"file:{folder}/air.sigmf-meta"
    return main(["rx", "--from", where, "--output", str(folder / out), *map(str, more)])


def process(*arguments):
    """`semcom` in another process."""
    command = [sys.executable, "-m", "gnuradio.semcom", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(("esn0_db", "mcs", "first"), [(-5.0, "qpsk-1/12", "rx"), (10.0, "16qam-1/3", "tx")])
def test_two_processes_deliver_a_picture_through_bad_air(folder, photograph, esn0_db, mcs, first):
    target = f"zmq:tcp://127.0.0.1:{free_port()}"
    air = ["--impair", folder / "air.yml", "--esn0-db", esn0_db, "--mcs", mcs]
    sending = ["tx", "ncsc", "--input", folder / "in" / "b.png", "--to", target, *air]
    receiving = ["--messages", 1, "--originals", folder / "in" / "b.png", "--record", folder / "r.sigmf-meta"]
    if first == "rx":
        other = process("rx", "--from", target, "--output", folder / "out", *receiving)
        assert main(list(map(str, sending))) == 0
    else:
        other = process(*sending)
        assert rx(folder, *receiving, source=target) == 0
    assert other.wait(LIMIT_S) == 0, other.stderr.read()
    other.stderr.close()
    (record,) = records(folder / "out")
    assert record["delivered"] and record["system"] == "ncsc" and record["files"] == ["00000_b.png"]
    assert record["radio"]["header"] == "robust"
    assert record["radio"]["esn0_db"] == pytest.approx(esn0_db, abs=3.0)  # the paths add up as they will
    assert abs(record["radio"]["carrier_offset"] - 2e-3) < 1e-5
    sent = Message("image", photograph[16:96, :80])
    ((ideal, _),) = Link(esn0_db=20.0, mcs=mcs).run([sent])
    assert np.array_equal(read_image(folder / "out" / "00000_b.png").data, ideal.data)
    assert record["metrics"]["psnr_db"] > 20
    # the recording gives the same bytes
    assert rx(folder, source=f"file:{folder}/r.sigmf-meta", out="again") == 0
    again = (folder / "again" / "00000_ncsc.png").read_bytes()
    assert again == (folder / "out" / "00000_b.png").read_bytes()
    (note,) = json.loads((folder / "r.sigmf-meta").read_text())["annotations"]
    assert note["semcom:id"] == record["id"] and note["core:sample_start"] == pytest.approx(1000, abs=40)


def test_a_recording_says_what_was_sent_and_when(folder):
    assert tx(folder, "--repeat", 2, "--gap", 0.002, "--log", folder / "sent.jsonl") == 0
    found = sigmf.read(folder / "air.sigmf-meta")
    assert [note["semcom:input"] for note in found.annotations] == 2 * ["a.png", "b.png", "c.png"]
    assert [note["semcom:id"] for note in found.annotations] == list(range(6))
    sent = [json.loads(line) for line in (folder / "sent.jsonl").read_text().splitlines()]
    for note, record in zip(found.annotations, sent, strict=True):
        assert note["core:sample_start"] == record["sample_start"]
        assert record["read_at"] <= record["ready_at"] <= record["sent_at"] and 5 < record["peak_db"] < 13
    samples = np.concatenate(list(found.pieces()))
    start, count = (found.annotations[1][f"core:sample_{key}"] for key in ("start", "count"))
    assert np.mean(np.abs(samples[start : start + count]) ** 2) == pytest.approx(1, abs=0.02)
    assert not samples[start + count : start + count + 2000].any() and not samples[start - 2000 : start].any()
    assert rx(folder, "--originals", folder / "in") == 0
    got = records(folder / "out")
    assert [one["input"] for one in got] == 2 * ["a.png", "b.png", "c.png"]
    assert all(one["delivered"] and one["metrics"]["psnr_db"] > 20 for one in got)
    assert all(one["found_at"] <= one["written_at"] for one in got)


def test_rx_ends_after_n_messages_and_says_when_they_do_not_come(folder, capfd):
    assert tx(folder) == 0
    assert rx(folder, "--messages", 2) == 0 and len(records(folder / "out")) == 2
    assert rx(folder, "--messages", 4) == 1
    assert "3 of 4 messages came" in capfd.readouterr().err


def test_repetitions_come_out_once_and_lost_ones_count_as_the_worst(folder):
    assert tx(folder, "--repeat", 2) == 0
    found = sigmf.read(folder / "air.sigmf-meta")
    samples = np.concatenate(list(found.pieces()))
    where = [(note["core:sample_start"], note["core:sample_count"]) for note in found.annotations]
    bursts = [samples[start - 500 : start + count + 500] for start, count in where]
    bursts = [bursts[k] for k in (0, 1, 1, 3, 5, 4, 0)]  # 2 never comes, 4 comes late, 1 and 0 come twice
    np.concatenate(bursts).astype("<c8").tofile(sigmf.data_path(folder / "air.sigmf-meta"))
    assert rx(folder, "--originals", folder / "in", "--no-judges") == 0
    got = records(folder / "out")
    assert [one["id"] for one in got] == [0, 1, 3, 5, 4, 2]
    assert [one.get("late") for one in got[:5]] == [False, False, False, False, True]
    assert got[-1]["reason"] == "lost" and got[-1]["input"] == "c.png"
    assert got[-1]["metrics"]["psnr_db"] < 18 and got[-1]["metrics"]["ssim"] == 0


def test_a_recording_cut_short_gives_what_is_left_of_it(folder, capfd):
    assert tx(folder) == 0
    data = sigmf.data_path(folder / "air.sigmf-meta")
    last = sigmf.read(folder / "air.sigmf-meta").annotations[-1]
    data.write_bytes(data.read_bytes()[: 8 * (last["core:sample_start"] + last["core:sample_count"] * 2 // 3) + 3])
    capfd.readouterr()
    assert rx(folder) == 0
    assert "cut short" in capfd.readouterr().err
    got = records(folder / "out")
    assert [one["delivered"] for one in got] == [True, True, False]
    assert got[2]["blocks_failed"] > 0 and len(got[2]["files"]) == 1


def write_samples(folder, samples):
    samples.astype("<c8").tofile(folder / "air.sigmf-data")
    sigmf.write_meta(folder / "air.sigmf-meta", 1e6, [], 0.0)


@pytest.mark.parametrize("what", ["noise", "silence", "nan"])
def test_noise_silence_and_nan_are_no_messages_and_break_nothing(folder, what):
    samples = {
        "noise": noise(200_000, 1.0, np.random.default_rng(0)),
        "silence": np.zeros(200_000, np.complex64),
        "nan": np.full(200_000, np.nan + 1j * np.inf, np.complex64),
    }[what]
    write_samples(folder, samples)
    assert rx(folder) == 0 and records(folder / "out") == []


def test_foreign_and_hostile_bursts_are_named_and_the_next_message_comes(folder, capfd):
    """An unknown system, descriptions that lie, a payload that is none; then a picture."""
    assert tx(folder, "--first", 5000, source="in/a.png") == 0
    good = np.concatenate(list(sigmf.read(folder / "air.sigmf-meta").pieces()))
    rng = np.random.default_rng(5)
    used = {name_id(name) for name in registry.systems()}
    free = next(n for n in range(4096) if n not in used)
    ncsc, mse = name_id("ncsc"), name_id("mse")
    assert 1 not in {name_id(model) for model in registry.get("ncsc").models()}
    heads = [
        (free, mse, b""), (ncsc, 1, b""), (ncsc, mse, b'{"a":NaN}'),
        (ncsc, mse, b'{"shape":[1000000,1000000,3]}'), (ncsc, mse, b'{"shape":[16,16,3],"empty":true}'),
        (name_id("deepjscc"), name_id(""), b'{"shape":[1,1,3]}'),
    ]  # fmt: skip
    pieces = [np.zeros(1000, np.complex64)]
    for number, (system, model, text) in enumerate(heads):
        head = Header(system, model, 100 + number, 200, 300, "qpsk-1/3", description=len(text))
        payload = rng.choice([1, 1j, -1, -1j], head.payload_symbols).astype(np.complex64)
        pieces += [transmit(head, payload, "short", description=text), np.zeros(1000, np.complex64)]
    write_samples(folder, np.concatenate((*pieces, good)))
    assert rx(folder) == 0
    told = capfd.readouterr().err
    assert f"unknown system, id {free}: skipped" in told and "unknown model of ncsc" in told
    got = records(folder / "out")
    assert [one["id"] for one in got[:6]] == list(range(100, 106)) and not any(one["delivered"] for one in got[:6])
    assert [one["reason"] for one in got[:4]] == ["unknown", "unknown", "description", "description"]
    assert got[-1]["delivered"] and got[-1]["files"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_kind_of_system_goes_through(folder, system):
    """Analog symbols and bits, pictures and speech; the receiver is told nothing."""
    entry = registry.get(system)
    source = "in/a.png"
    if entry.kind == "speech":
        write_wav(folder / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32))
        source = "a.wav"
    assert tx(folder, "--impair", folder / "air.yml", "--esn0-db", 12, system=system, source=source) == 0
    assert rx(folder, "--messages", 1) == 0
    (record,) = records(folder / "out")
    assert record["delivered"] and record["system"] == system and record["files"]
    assert (record["mcs"] is None) == (entry.payload == "symbols")


@pytest.mark.slow  # a minute: three recognisers start in two processes each
@pytest.mark.parametrize("system", ["deepsc_st", "speech_to_text", "hascom"])
@pytest.mark.parametrize(("esn0_db", "mcs"), [(-5.0, "qpsk-1/12"), (10.0, "qpsk-1/2")])
def test_speech_comes_through_two_processes_and_again_from_the_recording(folder, system, esn0_db, mcs):
    speech = folder / "a.flac"
    domain = system == "speech_to_text"
    source = Path(spoken_commands()) if domain else packaged_recordings()
    row = next(csv.DictReader((source / "MANIFEST.tsv").read_text().splitlines(), delimiter="\t"))
    shutil.copy(source / row["file"], speech)
    speech.with_suffix(".txt").write_text(row["transcript"])
    target = f"zmq:tcp://127.0.0.1:{free_port()}"
    coded = ["--mcs", mcs] if system == "hascom" else []
    sender = process(
        "tx", system, "--input", speech, "--to", target, "--impair", folder / "air.yml", "--esn0-db", esn0_db, *coded
    )
    options = ["--messages", 1, "--originals", speech, "--record", folder / "r.sigmf-meta", "--timeout", LIMIT_S]
    assert rx(folder, *options, source=target) == 0
    assert sender.wait(LIMIT_S) == 0, sender.stderr.read()
    sender.stderr.close()
    (record,) = records(folder / "out")
    assert record["delivered"] and record["system"] == system and record["files"]
    assert record["metrics"]["cer"] < 0.6  # the small models' own errors; without the message it is 1
    assert rx(folder, source=f"file:{folder}/r.sigmf-meta", out="again") == 0
    (again,) = records(folder / "again")
    for first, second in zip(record["files"], again["files"], strict=True):
        assert (folder / "out" / first).read_bytes() == (folder / "again" / second).read_bytes()


def test_udp_brings_a_picture(folder):
    target = f"udp:127.0.0.1:{free_port()}"
    other = process(
        "tx", "ncsc", "--input", folder / "in" / "a.png", "--to", target, "--repeat", 0, "--rate", "3e5", "--gap", 0.1
    )
    try:
        assert rx(folder, "--messages", 1, "--timeout", LIMIT_S, source=target) == 0
    finally:
        other.kill()
        other.communicate()
    assert records(folder / "out")[0]["delivered"]


def test_what_does_not_fit_is_told_and_not_sent(folder, capfd):
    assert tx(folder, "--airtime", 3000) == 0
    told = capfd.readouterr().err
    assert "does_not_fit" in told and "3 left out" in told
    assert tx(folder, "--airtime", 12_000, "--log", folder / "sent.jsonl") == 0
    sent = [json.loads(line) for line in (folder / "sent.jsonl").read_text().splitlines()]
    assert all(3062 < one["symbols_total"] <= 12_000 for one in sent)
    assert rx(folder, "--messages", 3) == 0


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["tx", "ncsc", "--to", "tcp:1"], "expected zmq:tcp"),
        (["tx", "ncsc"], "--to is missing"),
        (["tx", "ncsc", "--to", "uhd:"], "--transmit"),
        (["tx", "ncsc", "--to", "soapy:driver=hackrf", "--frequency", "868M"], "--transmit"),
        (["tx", "ncsc", "--to", "uhd:", "--esn0-db", "5"], "simulated air"),
        (["tx", "ncsc", "--to", "zmq:tcp://127.0.0.1:5999", "--gap", "-1"], "--gap"),
        (["tx", "ncsc", "--to", "zmq:tcp://127.0.0.1:5999", "--repeat", "-1"], "--repeat"),
        (["tx", "ncsc", "--to", "file:/proc/no/x.sigmf-meta"], "cannot write"),
        (["tx", "nothing", "--to", "udp:127.0.0.1:9"], "unknown system"),
        (["rx", "--output", "o"], "--from is missing"),
        (["rx", "--output", "o", "--from", "uhd:"], "frequency"),
        (["rx", "--output", "o", "--from", "file:none.sigmf-meta"], "cannot read"),
        (["rx", "--output", "o", "--from", "zmq:tcp://127.0.0.1:5998", "--timeout", "0"], "--timeout"),
        (["rx", "--output", "o", "--from", "zmq:tcp://256.0.0.1:5998"], "cannot receive"),
        (["rx", "--output", "o", "--from", "udp:127.0.0.1:9", "--record", "a.wav"], "sigmf-meta"),
        (["rx", "--output", "o", "--from", "udp:127.0.0.1:9", "--system", "none"], "unknown system"),
        (["rx", "--output", "o", "--from", "udp:127.0.0.1:9", "--originals", "none"], "no such file"),
    ],
)
def test_bad_arguments_end_with_one_line(folder, command, says, capfd, monkeypatch):
    monkeypatch.chdir(folder)
    more = ["--input", str(folder / "in")] if command[0] == "tx" else []
    assert main([*command, *more]) == 2
    told = capfd.readouterr().err
    assert says in told and told.count("\n") == 1 and "Traceback" not in told


def test_an_address_that_is_taken_is_told(folder, capfd):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert rx(folder, source=f"zmq:tcp://127.0.0.1:{port}") == 2
    assert "another receiver" in capfd.readouterr().err


@pytest.mark.parametrize("place", ["uhd:type=b200,serial=none", "soapy:driver=hackrf"])
def test_a_radio_that_is_not_there_is_one_line_and_status_1(folder, capfd, place):
    on_air = ["--frequency", "868.3M"]
    assert rx(folder, *on_air, source=place) == 1
    assert main(["tx", "ncsc", "--input", str(folder / "in"), "--to", place, *on_air, "--transmit"]) == 1
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("semcom ")]
    assert len(told) == 2 and all(place.partition(":")[2].partition(",")[0] in line for line in told)

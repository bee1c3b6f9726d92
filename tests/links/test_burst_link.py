# SPDX-License-Identifier: GPL-3.0-or-later
"""Profile `burst`: the same systems over two radios; every message comes out once, and all of its airtime counts."""

import json
import math

import numpy as np
import pytest

from gnuradio.semcom.cli import main
from gnuradio.semcom.links import Link
from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.message import Message
from gnuradio.semcom.phy.burst import symbols_total
from gnuradio.semcom.phy.burst_stages import Air, BurstDeframer, BurstTransmitter


@pytest.fixture(scope="module")
def picture():
    whole = read_image(packaged_photograph()).data
    return Message("image", np.ascontiguousarray(whole[64:192, 64:192]))


def run(picture, count=1, **settings):
    link = Link(profile="burst", **settings)
    return list(link.run([picture] * count))


@pytest.mark.parametrize(
    ("esn0_db", "mcs", "header"), [(10.0, "16qam-1/3", "short"), (-5.0, "qpsk-1/12", "robust")]
)
def test_a_picture_arrives_as_over_the_ideal_link(picture, esn0_db, mcs, header):
    ((received, record),) = run(picture, esn0_db=esn0_db, mcs=mcs)
    ((ideal, _),) = Link(esn0_db=esn0_db + 5, mcs=mcs).run([picture])
    assert record["delivered"] and np.array_equal(received.data, ideal.data)
    assert record["radio"]["header"] == header
    assert record["radio"]["esn0_db"] == pytest.approx(esn0_db, abs=1.0)
    assert abs(record["radio"]["carrier_offset"]) <= 1.1e-3


def test_analog_symbols_arrive_nearly_as_over_the_ideal_link(picture):
    ((_, record),) = run(picture, system="deepjscc", esn0_db=10.0)
    ((_, ideal),) = Link(system="deepjscc", esn0_db=10.0).run([picture])
    assert record["delivered"]
    assert record["metrics"]["psnr_db"] == pytest.approx(ideal["metrics"]["psnr_db"], abs=0.5)
    assert record["symbols_payload"] == ideal["symbols_payload"]
    assert record["symbols_total"] == symbols_total(int(ideal["symbols_total"]), "short")


def test_airtime_counts_preamble_header_prefixes_and_pilots(picture):
    ((_, record),) = run(picture, esn0_db=8.0, airtime=9000)
    assert record["delivered"] and 7000 < record["symbols_total"] <= 9000
    ((_, record),) = run(picture, esn0_db=8.0, airtime=700)
    assert record["reason"] == "does_not_fit" and record["symbols_total"] == 0 and record["radio"] is None


@pytest.mark.parametrize("system", ["ncsc", "deepjscc"])
def test_a_burst_that_nobody_hears_is_one_message_that_is_lost(picture, system):
    ((received, record),) = run(picture, system=system, esn0_db=-20.0)
    assert received.data.shape == picture.data.shape
    assert not record["delivered"] and record["reason"] == "lost" and record["radio"] is None
    assert record["symbols_total"] > 0


def test_the_flowgraph_gives_what_the_call_chain_gives(picture):
    link = Link(profile="burst", esn0_db=4.0, channel="rayleigh", fading="packet", seed=3)
    direct = list(link.run([picture] * 4))
    streamed = list(link.run_flowgraph([picture] * 4, timeout_s=60))
    assert len(direct) == len(streamed) == 4
    for (left, one), (right, other) in zip(direct, streamed, strict=True):
        assert np.array_equal(left.data, right.data)
        assert {**one, "elapsed_s": 0} == {**other, "elapsed_s": 0}


def test_what_no_receiver_could_follow_is_refused():
    with pytest.raises(ValueError, match="packet or doppler in profile burst"):
        Link(profile="burst", channel="rayleigh")
    with pytest.raises(ValueError, match="harq must be 1"):
        Link(profile="burst", harq=2)
    with pytest.raises(ValueError, match="ideal, burst"):
        Link(profile="radio")
    with pytest.raises(ValueError, match="from 0 to 0.005"):
        Air(carrier_offset=0.006)


def test_stages_keep_both_parts_of_a_payload_apart():
    rng = np.random.default_rng(0)
    digital, analog = (rng.choice([1, 1j, -1, -1j], n).astype(np.complex64) for n in (60, 300))
    meta = {"id": 70_000, "system": "x", "model": "", "mcs": "qpsk-1/3", "bits": 16, "blocks": 1}
    (samples,), meta = BurstTransmitter("both").run((digital, analog), meta)
    (air,), meta = Air(esn0_db=20.0).run((samples,), meta)
    (first, first_var, second, second_var), meta = BurstDeframer("both").run((air,), meta)
    assert meta["radio"]["score"] > 0.9 and "reason" not in meta
    assert np.mean(np.abs(first - digital) ** 2) < 0.02 and np.mean(np.abs(second - analog) ** 2) < 0.02
    assert first_var.size == 60 and second_var.size == 300
    assert meta["symbols_total"] == math.ceil(samples.size * 208 / 256)


def test_the_command_takes_the_profile(picture, tmp_path, capfd):
    from PIL import Image

    Image.fromarray(picture.data).save(tmp_path / "a.png")
    command = ["run", "ncsc", "--input", str(tmp_path / "a.png"), "--esn0-db", "10", "--json", "--profile", "burst"]
    assert main([*command, "--csi", "estimated"]) == 0
    result = json.loads(capfd.readouterr().out)
    assert result["profile"] == "burst" and result["messages"][0]["delivered"]
    assert main([*command, "--csi", "perfect"]) == 2
    assert "estimated in profile burst" in capfd.readouterr().err

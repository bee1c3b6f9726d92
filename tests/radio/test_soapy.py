# SPDX-License-Identifier: GPL-3.0-or-later
"""Radios of SoapySDR without one: zeros between bursts, how a missing radio is told, and a driver of our own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gnuradio import blocks, gr

from gnuradio.semcom import packets
from gnuradio.semcom.blocks.message_source import message_source
from gnuradio.semcom.blocks.stuffed_bursts import TAIL_S, stuffed_bursts
from gnuradio.semcom.radio.settings import RadioError, RadioSettings

soapy = pytest.importorskip("gnuradio.soapy") and pytest.importorskip("gnuradio.semcom.radio.soapy")
AIR = RadioSettings(frequency_hz=868e6, transmit=True)


def bursts(*lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [
        ((rng.standard_normal(n) + 1j * rng.standard_normal(n)).astype(np.complex64), {"id": number})
        for number, n in enumerate(lengths)
    ]


def stream(messages, rate, peak):
    graph = gr.top_block()
    graph.source = message_source(messages, np.complex64)
    graph.block, graph.sink = stuffed_bursts(rate, peak), blocks.vector_sink_c()
    graph.connect(graph.source, graph.block, graph.sink)
    packets.run(graph, 30)
    return np.array(graph.sink.data(), np.complex64), graph.block


def test_zeros_lie_between_whole_bursts_and_behind_them():
    messages = bursts(1000, 100_000, 1, 70_000)
    samples, block = stream(messages, 1e5, 0.5)
    places = np.flatnonzero(samples)
    assert samples.size - 1 - places[-1] >= TAIL_S * 1e5 and np.abs(samples).max() <= 0.5
    at = places[0]
    for array, _ in messages:
        piece = samples[at : at + array.size]
        np.testing.assert_allclose(piece * (np.abs(array).max() / 0.5), array, rtol=1e-4, atol=1e-4)
        later = places[places >= at + array.size]
        at = later[0] if later.size else samples.size
    assert block.power.bursts == 4


def test_no_messages_make_silence_that_ends():
    samples, block = stream([], 1e4, 0.8)
    assert samples.size >= TAIL_S * 1e4 and not samples.any() and block.power.bursts == 0
    empty = [(np.zeros(0, np.complex64), {"id": 0, "reason": "does_not_fit"}), *bursts(10)]
    assert np.count_nonzero(stream(empty, 1e4, 0.8)[0]) == 10


def test_samples_that_are_not_finite_stop_the_flowgraph():
    with pytest.raises(packets.FlowgraphError, match="finite"):
        stream([(np.full(10, np.inf, np.complex64), {"id": 0})], 1e4, 0.8)


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"peak": 0}, {"peak": 1.1}])
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        stuffed_bursts(**wrong)


@pytest.mark.parametrize("end", ["sink", "source"])
@pytest.mark.parametrize("driver", ["driver=nobody", "driver=hackrf,serial=0000000"])
def test_a_missing_radio_is_named_in_one_line(end, driver):
    with pytest.raises(RadioError, match=f"radio (was found )?at soapy:{driver}") as caught:
        getattr(soapy, end)(driver, AIR)
    assert "\n" not in str(caught.value)


def test_nothing_is_sent_without_the_users_word():
    for lacking in (RadioSettings(frequency_hz=868e6), RadioSettings(transmit=True), RadioSettings()):
        with pytest.raises(ValueError, match="nothing is sent"):
            soapy.sink("driver=nobody", lacking)
    with pytest.raises(ValueError, match="needs a frequency"):
        soapy.source("driver=nobody", RadioSettings())
    with pytest.raises(ValueError, match="channel of a soapy: radio must be 0"):
        soapy.source("driver=nobody", RadioSettings(frequency_hz=1e9, channel=1))


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A folder with the driver of a cable, built here."""
    if shutil.which("g++") is None or not Path("/usr/include/SoapySDR/Device.hpp").exists():
        pytest.skip("the headers of SoapySDR are not installed (libsoapysdr-dev)")
    folder = tmp_path_factory.mktemp("driver")
    source = Path(__file__).with_name("loopback_driver.cpp")
    command = ["g++", "-O0", "-shared", "-fPIC", "-std=c++17", str(source), "-o", str(folder / "libloopback.so")]
    subprocess.run([*command, "-lSoapySDR"], check=True, timeout=120)
    return folder


def test_bursts_go_out_and_come_back_through_a_driver(driver):
    """In a process of its own, because SoapySDR looks for drivers once."""
    done = subprocess.run(
        [sys.executable, "-c", ROUND_TRIP], env={**os.environ, "SOAPY_SDR_PLUGIN_PATH": str(driver)},
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    told = found["errors"]
    assert told[0] == "gain of soapy:driver=loopback must be from 0 to 60 dB, not 99"
    assert told[1] == "antenna of soapy:driver=loopback must be OUT, not 'X'"
    assert told[2] == "frequency of soapy:driver=loopback must be from 1 to 6000 MHz, not 0.1"
    assert told[3] == "sample rate of soapy:driver=loopback must be from 0.1 to 20 MHz, not 50"
    assert told[4].startswith("the radio at soapy:driver=loopback,busy=1 cannot be used: device is claimed")
    assert [one["id"] for one in found["received"]] == [0, 1, 2]
    for one in found["received"]:
        # 30 dB of gain, 70 dB of loss, 90 dB of noise: 50 dB from a peak of -2 dBFS, about -12 in the mean
        assert 34 < one["radio"]["esn0_db"] < 44 and abs(one["radio"]["carrier_offset"] - 1e-3) < 1e-5
    assert found["gain_range"] == [0, 60] and found["gain"] == 20
    assert found["peak_dbfs"] < -1.9


ROUND_TRIP = """
import json
from dataclasses import replace
import numpy as np
from gnuradio import blocks, gr
from gnuradio.semcom import packets
from gnuradio.semcom.blocks.burst_receiver import burst_receiver
from gnuradio.semcom.blocks.collect_sink import collect_sink
from gnuradio.semcom.blocks.message_source import message_source
from gnuradio.semcom.phy.burst import transmit
from gnuradio.semcom.phy.header import Header
from gnuradio.semcom.radio import soapy
from gnuradio.semcom.radio.settings import RadioError, RadioSettings

air = RadioSettings(frequency_hz=868e6, transmit=True, gain_db=30, antenna="OUT", bandwidth_hz=1e6)
errors = []
for wrong in ({"gain_db": 99}, {"antenna": "X"}, {"frequency_hz": 1e5}, {"sample_rate_hz": 5e7}, None):
    try:
        soapy.sink("driver=loopback" + ",busy=1" * (wrong is None), replace(air, **wrong or {}))
    except RadioError as error:
        errors.append(str(error))
rng = np.random.default_rng(0)
graph = gr.top_block()
messages = [
    (transmit(Header(symbols=1000, sequence=n), rng.standard_normal(1000) + 0j), {"id": n}) for n in range(3)
]
received = []

def deliver(array, meta):
    received.append(meta)
    if len(received) == 3:
        graph.stop()

graph.source = message_source(messages, np.complex64)
graph.tx = soapy.sink("driver=loopback", air)
graph.rx = soapy.source("driver=loopback", RadioSettings(frequency_hz=868e6, gain_db=10))
graph.rx.set_gain_db(20)
graph.receiver = burst_receiver("symbols")
graph.sink, graph.null = collect_sink(deliver, np.complex64), blocks.null_sink(4)
graph.connect(graph.source, graph.tx)
graph.connect(graph.rx, graph.receiver, graph.sink)
graph.connect((graph.receiver, 1), graph.null)
packets.run(graph, 60)
print(json.dumps({"errors": errors, "received": received, "gain_range": graph.tx.gain_range_db,
                  "gain": graph.rx.gain_db, "peak_dbfs": graph.tx.power.peak_dbfs}))
"""


def test_the_assistant_sets_the_gain_of_a_radio(driver):
    done = subprocess.run(
        [sys.executable, "-c", ASSISTED], env={**os.environ, "SOAPY_SDR_PLUGIN_PATH": str(driver)},
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # noise of -90 dBFS at the antenna, 50 dB of gain at most: not enough to reach -35 dBFS
    assert float(done.stdout.splitlines()[-1]) == 50.0
    assert "as much gain as there is room for" in done.stderr and "noise  -40.0" in done.stderr


ASSISTED = """
from gnuradio import blocks, gr
from gnuradio.semcom import packets
from gnuradio.semcom.radio import soapy
from gnuradio.semcom.radio.settings import RadioSettings

source = soapy.source("driver=loopback", RadioSettings(frequency_hz=868e6, sample_rate_hz=2e5, assist=True))
graph = gr.top_block()
graph.head, graph.sink = blocks.head(8, 100_000), blocks.null_sink(8)
graph.connect(source, graph.head, graph.sink)  # the radio still works afterwards
packets.run(graph, 30)
assert graph.sink.nitems_read(0) == 100_000
print(source.gain_db)
"""

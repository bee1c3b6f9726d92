# SPDX-License-Identifier: GPL-3.0-or-later
"""Burst blocks give what their stages give; the receiver takes the samples of a radio and gives each message once."""

from __future__ import annotations

import numpy as np
import pmt
from gnuradio import blocks, gr

from gnuradio.semcom import packets
from gnuradio.semcom.blocks.air import air
from gnuradio.semcom.blocks.burst_deframer import burst_deframer
from gnuradio.semcom.blocks.burst_receiver import burst_receiver
from gnuradio.semcom.blocks.burst_transmitter import burst_transmitter
from gnuradio.semcom.blocks.collect_sink import collect_sink
from gnuradio.semcom.blocks.message_source import message_source
from gnuradio.semcom.phy.burst_stages import Air, BurstDeframer, BurstTransmitter

LIMIT_S = 120


def messages(numbers):
    rng = np.random.default_rng(1)
    for number in numbers:
        symbols = rng.choice([1, 1j, -1, -1j], int(rng.integers(1, 3000))).astype(np.complex64)
        yield symbols, {"id": number, "system": "test", "model": "", "kind": "image", "shape": [4, number % 100, 3]}


def run(source, *chain):
    """The packets of both ports of the last block."""
    tb, sinks = gr.top_block(), [collect_sink(dtype=np.complex64), collect_sink(dtype=np.float32)]
    tb.connect(source, *chain)
    for port, sink in enumerate(sinks):
        tb.connect((chain[-1], port), sink)
    packets.run(tb, timeout_s=LIMIT_S)
    return [sink.received for sink in sinks]


def test_the_flowgraph_gives_what_the_stages_give():
    sent = list(messages(range(4)))
    stages = (BurstTransmitter("symbols", "short"), Air(esn0_db=12.0, seed=2), BurstDeframer("symbols"))
    chain = burst_transmitter("symbols", "short"), air(esn0_db=12.0, seed=2), burst_deframer("symbols")
    symbols, variances = run(message_source(sent, np.complex64), *chain)
    for (array, meta), (got, after), (variance, _) in zip(sent, symbols, variances, strict=True):
        arrays = (array,)
        for stage in stages:
            arrays, meta = stage.run(arrays, meta)
        assert np.array_equal(arrays[0], got) and np.array_equal(arrays[1], variance)
        assert after == meta and meta["radio"]["header"] == "short"


def test_a_receiver_of_samples_gives_each_message_once_with_what_it_must_know():
    sent = {meta["id"]: (array, meta) for array, meta in messages([7, 8, 10])}
    pieces = []
    for number in (7, 8, 8, 10, 7):  # 8 comes twice, 9 never, 7 again at the end
        arrays, meta = BurstTransmitter("symbols", "short", describe=True).run((sent[number][0],), sent[number][1])
        arrays, _ = Air(esn0_db=15.0, seed=number).run(arrays, meta)
        pieces.append(arrays[0])
    stream = np.concatenate((*pieces, np.zeros(30_000)))
    receiver = burst_receiver("symbols", "test")
    symbols, variances = run(blocks.vector_source_c(stream.tolist()), receiver)
    assert [meta["id"] for _, meta in symbols] == [7, 8, 10]
    assert receiver.counts["messages"] == 3 and receiver.counts["repeated"] == 2
    for (got, meta), (variance, _) in zip(symbols, variances, strict=True):
        array, before = sent[meta["id"]]
        assert np.mean(np.abs(got - array) ** 2) < 0.06 and variance.shape == got.shape
        assert meta["shape"] == before["shape"] and meta["kind"] == "image" and meta["system"] == "test"
        assert meta["symbols_total"] > array.size and meta["described"]


def test_bursts_of_others_are_counted_and_left_alone():
    array, meta = next(messages([1]))
    arrays, meta = BurstTransmitter("symbols", "short").run((array,), meta)
    stream = np.concatenate((np.zeros(100), arrays[0], np.zeros(30_000)))
    receiver = burst_receiver("symbols", "somebody")
    symbols, _ = run(blocks.vector_source_c(stream.tolist()), receiver)
    assert symbols == [] and receiver.counts["foreign"] == 1


def test_the_estimates_leave_as_messages():
    array, meta = next(messages([3]))
    arrays, _ = BurstTransmitter("symbols", "short").run((array,), meta)
    receiver, store = burst_receiver("symbols"), blocks.message_debug()
    source = blocks.vector_source_c(np.concatenate((arrays[0], np.zeros(30_000))).tolist())
    tb, sinks = gr.top_block(), [collect_sink(dtype=np.complex64), collect_sink(dtype=np.float32)]
    tb.connect(source, receiver)
    for port, sink in enumerate(sinks):
        tb.connect((receiver, port), sink)
    tb.msg_connect(receiver, "estimates", store, "store")
    packets.run(tb, timeout_s=LIMIT_S)
    assert store.num_messages() == 1
    told = pmt.to_python(store.get_message(0))
    assert told["id"] == 3 and told["esn0_db"] > 30

# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks give what the plain call chain gives, change atomically, and lose no message."""

from __future__ import annotations

import gc
import json
import threading
from dataclasses import dataclass, replace

import numpy as np
import pytest
from gnuradio import blocks, gr

from gnuradio.semcom import packets
from gnuradio.semcom.blocks.channel import channel
from gnuradio.semcom.blocks.channel_decoder import channel_decoder
from gnuradio.semcom.blocks.channel_encoder import channel_encoder
from gnuradio.semcom.blocks.collect_sink import collect_sink
from gnuradio.semcom.blocks.deframer import deframer
from gnuradio.semcom.blocks.digital_rx import digital_rx
from gnuradio.semcom.blocks.digital_tx import digital_tx
from gnuradio.semcom.blocks.framer import framer
from gnuradio.semcom.blocks.image_sink import image_sink
from gnuradio.semcom.blocks.image_source import image_source
from gnuradio.semcom.blocks.link_meter import link_meter
from gnuradio.semcom.blocks.message_source import message_source
from gnuradio.semcom.blocks.originals import Original, Originals
from gnuradio.semcom.blocks.source_encoder import source_encoder
from gnuradio.semcom.blocks.stage_block import StageBlock
from gnuradio.semcom.media.images import read_image, write_png
from gnuradio.semcom.packets import FlowgraphError, PacketBlock
from gnuradio.semcom.phy.stages import (
    Channel,
    ChannelDecoder,
    ChannelEncoder,
    Deframer,
    Equaliser,
    Framer,
    Mapper,
    SoftDemapper,
)
from gnuradio.semcom.stage import Port, Stage

LIMIT_S = 60
STAGES = (ChannelEncoder(), Mapper(), Framer(), Channel("rayleigh", 9.0, seed=5), Equaliser(), Deframer())
STAGES += (SoftDemapper(), ChannelDecoder())


@dataclass(frozen=True)
class Scale(Stage):
    """Multiplies by `first` and says so; `first` and `second` must agree."""

    first: int = 1
    second: int = 1

    inputs = (Port("in", np.uint8),)
    outputs = (Port("out", np.uint8),)

    def __post_init__(self):
        if self.first < 0:
            raise ValueError(f"first must be at least 0, not {self.first}")

    def prepare(self):
        PREPARED.append(self.first)

    def run(self, arrays, meta):
        return (arrays[0] * np.uint8(self.first),), {**meta, "first": self.first}


PREPARED: list[int] = []


def bit_messages(lengths=(0, 1, 1536, 5000, 60_000, 17)):
    rng = np.random.default_rng(4)
    return [(rng.integers(0, 2, length, np.uint8), {"id": number}) for number, length in enumerate(lengths)]


def connect(tb, chain):
    for left, right in zip(chain, chain[1:], strict=False):
        for port in range(right.input_count):
            tb.connect((left, port), (right, port))


@pytest.mark.parametrize(("buffer_items", "max_noutput_items"), [(0, 0), (4096, 0), (8192, 1000), (65536, 0)])
def test_a_chain_of_stage_blocks_equals_the_stages_bit_for_bit(buffer_items, max_noutput_items):
    sent = bit_messages()
    chain = [message_source(sent), *(StageBlock(stage) for stage in STAGES), collect_sink()]
    tb = gr.top_block()
    connect(tb, chain)
    for block in chain[:-1]:
        if buffer_items:
            block.set_min_output_buffer(buffer_items)
            block.set_max_output_buffer(buffer_items)
        if max_noutput_items:
            block.set_max_noutput_items(max_noutput_items)
    packets.run(tb, timeout_s=LIMIT_S)
    assert len(chain[-1].received) == len(sent)
    for (bits, meta), (received, got) in zip(sent, chain[-1].received, strict=True):
        arrays = (bits,)
        for stage in STAGES:
            arrays, meta = stage.run(arrays, meta)
        assert np.array_equal(received, arrays[0])
        assert got == json.loads(json.dumps(meta))


def build_hier(sent):
    tb = gr.top_block()
    tb.chain = message_source(sent), digital_tx("qpsk-1/2"), channel(esn0_db=10.0), digital_rx(), collect_sink()
    connect(tb, tb.chain)
    return tb


def test_hier_blocks_carry_bits_and_survive_garbage_collection():
    sent = bit_messages()
    tb = build_hier(sent)
    gc.collect()
    packets.run(tb, timeout_s=LIMIT_S)
    received = tb.chain[-1].received
    assert [meta["id"] for _, meta in received] == list(range(len(sent)))
    for (bits, _), (got, meta) in zip(sent, received, strict=True):
        assert meta["blocks_failed"] == 0 and meta["mcs"] == "qpsk-1/2"
        assert np.array_equal(bits, got)


def test_analog_symbols_travel_beside_digital_ones():
    rng = np.random.default_rng(6)
    digital, analog = ((rng.standard_normal((n, 2)) @ [1, 1j]).astype(np.complex64) for n in (1000, 30_000))
    sources = [message_source([(part, {"id": 0})], np.complex64) for part in (digital, analog)]
    join, split = framer("both"), deframer("both")
    noise = message_source([(np.ones(31_000, np.float32), {"id": 0})], np.float32)
    dtypes = (np.complex64, np.float32, np.complex64, np.float32)
    sinks = [collect_sink(dtype=dtype) for dtype in dtypes]
    tb = gr.top_block()
    for port, source in enumerate(sources):
        tb.connect(source, (join, port))
    tb.connect(join, split)
    tb.connect(noise, (split, 1))
    for port, sink in enumerate(sinks):
        tb.connect((split, port), sink)
    packets.run(tb, timeout_s=LIMIT_S)
    assert np.array_equal(sinks[0].received[0][0], digital)
    assert np.array_equal(sinks[2].received[0][0], analog)
    assert len(sinks[3].received[0][0]) == 30_000


def test_parameters_change_between_packets_and_never_within_one():
    block, sink = StageBlock(Scale()), collect_sink()
    sent = [(np.ones(2000, np.uint8), {"id": number}) for number in range(400)]

    def slowly():
        for number, message in enumerate(sent):
            if number % 4 == 0:
                block.set_parameter("first", number % 200)
            yield message

    tb = gr.top_block()
    chain = message_source(slowly()), block, sink
    tb.connect(*chain)
    packets.run(tb, timeout_s=LIMIT_S)
    assert len({meta["first"] for _, meta in sink.received}) > 1
    for array, meta in sink.received:
        assert (array == meta["first"]).all()


def test_a_changed_parameter_is_prepared_once_the_block_runs():
    PREPARED.clear()
    block = StageBlock(Scale())
    block.set_parameter("first", 3)
    assert PREPARED == []
    block.prepare()
    block.set_parameter("first", 4)
    assert PREPARED == [3, 4]


def test_a_wrong_parameter_is_refused_and_leaves_the_old_one():
    block = StageBlock(Scale())
    with pytest.raises(ValueError, match=r"unknown parameter 'third' .* first, second"):
        block.set_parameter("third", 1)
    with pytest.raises(ValueError, match="first must be at least 0, not -1"):
        block.set_parameter("first", -1)
    with pytest.raises(ValueError, match="decides its ports"):
        framer("bits").set_parameter("payload", "both")
    assert block.stage == Scale()


def test_setters_replace_the_parameters_of_the_stage():
    block = channel()
    block.set_model("rician")
    block.set_esn0_db(3.5)
    block.set_fading("packet")
    block.set_rician_k(2.0)
    block.set_seed(9)
    assert block.stage == Channel("rician", 3.5, "packet", 2.0, 9)
    encoder = source_encoder()
    encoder.set_system("jpeg")
    encoder.set_max_bpp(0.5)
    assert (encoder.stage.system, encoder.stage.max_bpp) == ("jpeg", 0.5)
    decoder = channel_decoder()
    decoder.set_max_iterations(7)
    assert decoder.stage == replace(decoder.stage, max_iterations=7)


@pytest.mark.parametrize(
    "make",
    [
        lambda: channel("awgm"),
        lambda: channel(esn0_db=float("nan")),
        lambda: channel_encoder("17qam-1/3"),
        lambda: framer("none"),
        lambda: image_source(repeat=-1),
        lambda: image_source(interval_s=-1.0),
    ],
)
def test_a_wrong_argument_raises_a_value_error(make):
    with pytest.raises(ValueError):
        make()


class Drop(PacketBlock):
    """Loses some messages, as a radio does."""

    def __init__(self, lost):
        super().__init__("test_drop", (Port("in", np.uint8),), ())
        self.lost, self.kept = lost, []

    def process(self, array, meta):
        if meta["id"] not in self.lost:
            self.kept.append((array, meta))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(8)
    for number in range(5):
        write_png(tmp_path / "in" / f"p{number}.png", rng.integers(0, 256, (20 + number, 30, 3), np.uint8))
    return tmp_path / "in"


def test_pictures_go_from_folder_to_folder_unchanged(folder, tmp_path):
    source, sink, meter = image_source(str(folder), repeat=2), image_sink(str(tmp_path / "out")), link_meter()
    tb = gr.top_block()
    tb.connect(source, sink)
    tb.connect(source, meter)
    packets.run(tb, timeout_s=LIMIT_S)
    assert [path.name for path in sink.files] == [f"{n:04d}_p{n % 5}.png" for n in range(10)]
    for number, path in enumerate(sink.files):
        assert np.array_equal(read_image(path).data, read_image(folder / f"p{number % 5}.png").data)
    assert [record["input"] for record in meter.results] == [f"p{n % 5}.png" for n in range(10)]
    assert all(record["metrics"]["ssim"] == pytest.approx(1) for record in meter.results)


@pytest.mark.parametrize("lost", [{0}, {2}, {4}, {0, 1, 2, 3}, {0, 1, 2, 3, 4}, set()])
def test_a_message_that_never_came_is_counted_with_the_worst_value(folder, tmp_path, lost):
    drop, meter = Drop(lost), link_meter(str(tmp_path / "records.jsonl"))

    def delayed():
        while drop.gateway.detail().done() is False:
            threading.Event().wait(0.01)
        yield from drop.kept

    tb = gr.top_block()
    chain = image_source(str(folder)), drop, message_source(delayed()), meter
    tb.connect(*chain[:2])
    tb.connect(*chain[2:])
    packets.run(tb, timeout_s=LIMIT_S)
    assert [record["id"] for record in meter.results] == list(range(5))
    assert {record["id"] for record in meter.results if record["erased"]} == lost
    for record in meter.results:
        if record["erased"]:
            assert record["metrics"]["ssim"] == 0 and 5 < record["metrics"]["psnr_db"] < 12
            assert record["input"] == f"p{record['id']}.png" and record["reason"] == "erased"
    figures = meter.figures()
    assert (figures["messages"], figures["erased"]) == (5, len(lost))
    lines = (tmp_path / "records.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == meter.results


def test_a_meter_in_another_process_uses_a_folder_of_originals(folder):
    data = [(read_image(folder / f"p{n}.png").data, n) for n in (0, 2)]
    sent = [(d.ravel(), {"id": n, "name": f"p{n}.png", "shape": list(d.shape)}) for d, n in data]
    meter = link_meter(folder=str(folder))
    tb = gr.top_block()
    chain = message_source(sent), meter
    tb.connect(*chain)
    packets.run(tb, timeout_s=LIMIT_S)
    assert [(r["input"], r["erased"]) for r in meter.results] == [
        ("p0.png", False),
        ("p1.png", True),
        ("p2.png", False),
    ]
    assert [r["metrics"]["ssim"] > 0.99 for r in meter.results] == [True, False, True]


def test_the_meter_publishes_running_figures(folder):
    debug, meter = blocks.message_debug(True), link_meter()
    tb = gr.top_block()
    chain = image_source(str(folder)), meter
    tb.connect(*chain)
    tb.msg_connect(meter, "figures", debug, "store")
    packets.run(tb, timeout_s=LIMIT_S)
    assert debug.num_messages() == 5


def test_a_missing_picture_stops_the_flowgraph_by_name(tmp_path):
    tb = gr.top_block()
    chain = image_source(str(tmp_path / "none.png")), collect_sink()
    tb.connect(*chain)
    with pytest.raises(FlowgraphError, match=r"image_source.*none\.png"):
        packets.run(tb, timeout_s=LIMIT_S)


def test_the_packaged_photograph_is_the_default():
    tb = gr.top_block()
    chain = image_source(), collect_sink()
    tb.connect(*chain)
    packets.run(tb, timeout_s=LIMIT_S)
    ((array, meta),) = chain[1].received
    assert len(array) == np.prod(meta["shape"]) and meta["kind"] == "image" and meta["id"] == 0


def test_originals_are_bounded_by_number_and_bytes():
    store = Originals(max_entries=3, max_bytes=1000)
    for number in range(5):
        store.keep(1, number, Original("", np.zeros(10, np.uint8)))
    assert [store.find(1, n) is not None for n in range(5)] == [False, False, True, True, True]
    store.keep(1, 5, Original("", np.zeros(995, np.uint8)))
    assert store.find(1, 4) is None and store.find(1, 5) is not None
    assert store.sent(1) == 6
    store.begin(1)
    assert store.find(1, 5) is None and store.sent(1) == 0

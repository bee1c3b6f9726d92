# SPDX-License-Identifier: GPL-3.0-or-later
"""Flowgraphs that measure error rates: random bits, hybrid ARQ, link adaptation, the meter."""

from __future__ import annotations

import json

import numpy as np
import pytest
from gnuradio import gr

from gnuradio.semcom import packets
from gnuradio.semcom.blocks.bit_source import bit_source
from gnuradio.semcom.blocks.channel import channel
from gnuradio.semcom.blocks.channel_decoder import channel_decoder
from gnuradio.semcom.blocks.channel_encoder import channel_encoder
from gnuradio.semcom.blocks.deframer import deframer
from gnuradio.semcom.blocks.digital_tx import digital_tx
from gnuradio.semcom.blocks.equaliser import equaliser
from gnuradio.semcom.blocks.framer import framer
from gnuradio.semcom.blocks.harq import harq_receiver, harq_transmitter
from gnuradio.semcom.blocks.link_meter import link_meter
from gnuradio.semcom.blocks.mapper import mapper
from gnuradio.semcom.blocks.snr_estimator import snr_estimator
from gnuradio.semcom.blocks.soft_demapper import soft_demapper
from gnuradio.semcom.links import Link
from gnuradio.semcom.links.chain import run_chain
from gnuradio.semcom.media.bits import random_bits
from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.message import Message
from gnuradio.semcom.metrics.bits import bit_metrics
from gnuradio.semcom.phy.harq import HarqDecoder, HarqEncoder
from gnuradio.semcom.phy.stages import Channel, Deframer, Equaliser, Framer, Mapper, SoftDemapper

LIMIT_S = 60


def run(chain, extra=lambda tb: None):
    tb = gr.top_block()
    for left, right in zip(chain, chain[1:], strict=False):
        for port in range(right.input_count):
            tb.connect((left, port), (right, port))
    extra(tb)
    packets.run(tb, LIMIT_S)
    return chain[-1]


def air(esn0_db, model="awgn", fading="packet"):
    return [mapper(), framer("bits"), channel(model, esn0_db, fading, 1.0, 3), equaliser(), deframer("bits")]


@pytest.mark.parametrize("bits", [1, 900, 20_000])
def test_harq_in_a_flowgraph_equals_the_plain_chain(bits):
    blocks = [bit_source(bits, 8, 5), harq_transmitter("16qam-1/2"), *air(5.0, "rayleigh")]
    blocks += [soft_demapper(), harq_receiver(), link_meter()]
    meter = run(blocks, lambda tb: tb.msg_connect((blocks[-2], "feedback"), (blocks[1], "feedback")))
    stages = [HarqEncoder("16qam-1/2"), Mapper(), Framer(), Channel("rayleigh", 5.0, "packet", 1.0, 3), Equaliser()]
    stages += [Deframer(), SoftDemapper(), HarqDecoder()]
    assert [r["id"] for r in meter.results] == list(range(8))
    for record in meter.results:
        sent = random_bits(bits, 5, record["id"])
        (received,), meta = run_chain(stages, (sent,), {"id": record["id"]})
        assert record["symbols_total"] == meta["symbols_total"]
        assert record["transmissions"] == meta["transmissions"]
        assert record["metrics"] == bit_metrics(sent, received, meta["blocks_ok"])


def test_a_link_with_harq_is_the_same_with_and_without_gnu_radio():
    whole = read_image(packaged_photograph()).data
    pictures = [Message("image", np.ascontiguousarray(whole[:128, k : k + 128]), {"name": str(k)}) for k in (0, 90)]
    link = Link("webp", esn0_db=2.0, harq=4, max_bpp=1.0)
    direct, graph = ([record for _, record in runs] for runs in (link.run(pictures), link.run_flowgraph(pictures)))
    for left, right in zip(direct, graph, strict=True):
        assert {**left, "elapsed_s": 0} == {**right, "elapsed_s": 0}
        assert left["delivered"] and left["transmissions"] == 2
    ((_, once),) = Link("webp", esn0_db=2.0, max_bpp=1.0).run(pictures[:1])
    assert not once["delivered"] and once["symbols_total"] < direct[0]["symbols_total"]


def test_harq_started_twice_begins_anew():
    blocks = [bit_source(500, 3), harq_transmitter(), *air(1.0), soft_demapper(), harq_receiver(), link_meter()]
    tb = gr.top_block()
    for left, right in zip(blocks, blocks[1:], strict=False):
        for port in range(right.input_count):
            tb.connect((left, port), (right, port))
    tb.msg_connect((blocks[-2], "feedback"), (blocks[1], "feedback"))
    figures = []
    for _ in range(2):
        packets.run(tb, LIMIT_S)
        figures.append(blocks[-1].figures())
    assert figures[0] == figures[1] and figures[0]["messages"] == 3


@pytest.mark.parametrize("code", ["ldpc", "polar-512"])
@pytest.mark.parametrize("bits", [0, 1, 700])
def test_random_bits_pass_every_code(code, bits):
    chain = [bit_source(bits, 4), digital_tx("qpsk-1/2", code=code), channel("awgn", 6.0), equaliser(), deframer()]
    meter = run([*chain, soft_demapper(), channel_decoder(), link_meter()])
    assert len(meter.results) == 4 and all(r["delivered"] and r["metrics"]["ber"] == 0 for r in meter.results)
    assert {r["code"] for r in meter.results} == {code}


def test_the_meter_counts_wrong_blocks_and_writes_them(tmp_path):
    lines = tmp_path / "out.jsonl"
    chain = [bit_source(15120, 30), channel_encoder("16qam-1/3"), *air(3.5), soft_demapper(), channel_decoder(20)]
    meter = run([*chain, link_meter(str(lines))])
    figures = meter.figures()
    assert 0 < figures["bler"] < 0.28  # 0.367 without the bit interleaver (an independent decoder's figure)
    assert 0 < figures["ber"] < 0.05 and figures["undetected_bler"] == 0
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [r["metrics"] for r in records] == [r["metrics"] for r in meter.results]
    assert sum(r["blocks_failed"] for r in records) == round(figures["bler"] * 300)


def test_uncoded_bits_count_their_errors_though_nothing_flags_them():
    chain = [bit_source(40_000, 2), channel_encoder("uncoded-qpsk"), *air(4.0), soft_demapper(), channel_decoder()]
    figures = run([*chain, link_meter()]).figures()
    assert figures["ber"] == pytest.approx(0.0565, rel=0.1)  # Q(sqrt(Es/N0))
    assert figures["bler"] == figures["undetected_bler"] == 1.0


def test_bit_metrics_name_the_blocks_that_were_wrong():
    sent = np.zeros(10, np.uint8)
    received = sent.copy()
    received[[0, 1, 9]] = 1
    assert bit_metrics(sent, received, [0, 1, 1]) == {
        "ber": pytest.approx(0.3), "bler": pytest.approx(2 / 3), "undetected_bler": pytest.approx(1 / 3)
    }  # fmt: skip
    with pytest.raises(ValueError, match="shape"):
        bit_metrics(sent, received[1:], [1])


@pytest.mark.parametrize("wrong", [{"bits": -1}, {"bits": 1 << 28}, {"messages": -1}, {"seed": -1}])
def test_impossible_bits_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        bit_source(**wrong)


def test_auto_takes_the_scheme_that_the_assumed_channel_allows():
    chosen = []
    for esn0_db in (-6.0, 4.0, 20.0):
        encoder = channel_encoder("auto", assumed_esn0_db=esn0_db)
        chain = [bit_source(6000, 5), encoder, *air(esn0_db), soft_demapper(), channel_decoder(), link_meter()]
        results = run(chain).results
        assert sum(r["delivered"] for r in results) >= 4
        chosen.append({r["mcs"] for r in results})
    assert chosen == [{"qpsk-1/12"}, {"qpsk-2/3"}, {"256qam-2/3"}]


def test_an_estimate_from_the_receiver_changes_the_scheme():
    encoder = channel_encoder("auto", assumed_esn0_db=-8.0)
    estimator = snr_estimator(0.5)
    chain = [bit_source(6000, 60), encoder, *air(15.0), soft_demapper(), channel_decoder(), link_meter()]

    def listen(tb):
        for port in range(2):
            tb.connect((chain[4], port), (estimator, port))
        tb.msg_connect((estimator, "esn0_db"), (encoder, "esn0_db"))

    results = run(chain, listen).results
    assert results[0]["mcs"] == "qpsk-1/12" and results[-1]["mcs"] == "64qam-2/3"
    assert np.mean(estimator.estimates) == pytest.approx(15.0, abs=0.2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mcs": "auto", "code": "polar-512"}, {"mcs": "nosuch"}, {"code": "turbo"}, {"assumed_channel": "nosuch"},
        {"outage": 1.5}, {"mcs": "qpsk-1/12", "code": "polar-128"},
    ],
)  # fmt: skip
def test_impossible_encoders_are_refused(wrong):
    with pytest.raises(ValueError, match=r"mcs|code|channel|outage"):
        channel_encoder(**wrong)

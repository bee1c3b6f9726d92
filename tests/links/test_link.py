# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole links: one message in, one message out, the flowgraph equal to the plain call chain."""

import json

import numpy as np
import pytest

from gnuradio.semcom.links import Link
from gnuradio.semcom.links.link import summary
from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.message import Message


@pytest.fixture(scope="module")
def pictures():
    whole = read_image(packaged_photograph()).data
    return [
        Message("image", np.ascontiguousarray(whole[:192, k : k + 256]), {"name": f"crop{k}"}) for k in (0, 64, 128)
    ]


def _strip(records):
    return [{k: v for k, v in record.items() if k != "elapsed_s"} for record in records]


@pytest.mark.parametrize("system", ["ncsc", "jpeg", "webp"])
@pytest.mark.parametrize(("channel", "esn0_db"), [("awgn", 6.0), ("rayleigh", 4.0)])
def test_the_flowgraph_equals_the_plain_call_chain(pictures, system, channel, esn0_db):
    link = Link(system, channel=channel, esn0_db=esn0_db, seed=3, max_bpp=0.6)
    direct = list(link.run(pictures))
    for buffer_items in (0, 4096):
        graph = list(link.run_flowgraph(pictures, buffer_items, timeout_s=60))
        assert _strip(r for _, r in graph) == _strip(r for _, r in direct)
        for (left, _), (right, _) in zip(graph, direct, strict=True):
            np.testing.assert_array_equal(left.data, right.data)


def test_a_clean_channel_delivers_everything(pictures):
    records = [record for _, record in Link("ncsc", esn0_db=8).run(pictures)]
    assert all(r["delivered"] and r["reason"] is None and r["blocks_failed"] == 0 for r in records)


@pytest.mark.parametrize("system", ["ncsc", "jpeg", "avif", "hevc", "jpeg2000", "raw"])
def test_a_hopeless_channel_still_yields_every_message_flagged(pictures, system):
    link = Link(system, esn0_db=-5.0, max_bpp=0.0 if system == "raw" else 0.6)
    results = list(link.run_flowgraph(pictures, timeout_s=90))
    assert len(results) == len(pictures)
    for sent, (received, record) in zip(pictures, results, strict=True):
        assert received.data.shape == sent.data.shape
        assert not record["delivered"]
        assert record["blocks_failed"] == record["blocks"] > 0


def test_what_does_not_fit_is_a_message_with_a_reason(pictures):
    ((received, record),) = Link("jpeg", max_bpp=0.001).run(pictures[:1])
    assert record["reason"] == "does_not_fit"
    assert record["bits"] == record["symbols_total"] == 0
    assert (received.data == 128).all()


@pytest.mark.parametrize("mcs", ["qpsk-1/12", "16qam-1/3", "64qam-2/3"])
def test_an_airtime_budget_is_kept_and_used(pictures, mcs):
    airtime = 24_000
    ((_, record),) = Link("ncsc", esn0_db=20, mcs=mcs, airtime=airtime).run(pictures[:1])
    assert record["symbols_total"] <= airtime
    assert record["reason"] == "does_not_fit" or record["delivered"]


def test_automatic_mcs_brings_the_picture_through_a_fading_channel(pictures):
    link = Link("ncsc", channel="rayleigh", esn0_db=4.25, mcs="auto", airtime=12_000, seed=1)
    records = [record for _, record in link.run(pictures)]
    assert sum(r["delivered"] for r in records) >= 2


def test_auto_goes_by_what_the_transmitter_assumes():
    true = Link("webp", esn0_db=5.0, mcs="auto")
    assert Link("webp", esn0_db=5.0, mcs="auto", assumed_esn0_db=5.0).chosen_mcs == true.chosen_mcs
    assert Link("webp", esn0_db=5.0, mcs="auto", assumed_esn0_db=10.0).chosen_mcs == "16qam-2/3"
    estimated = Link("webp", esn0_db=5.0, mcs="auto", assumed_esn0_db="estimated")
    assert estimated.known_esn0_db == pytest.approx(5.0, abs=0.3) and estimated.known_esn0_db != 5.0


def test_the_same_seed_gives_the_same_record_and_another_seed_another_channel(pictures):
    records = [list(Link("webp", esn0_db=3.3, seed=s, max_bpp=0.6).run(pictures)) for s in (1, 1, 2)]
    first, again, other = (_strip(r for _, r in run) for run in records)
    assert first == again
    assert [r["blocks_failed"] for r in first] != [r["blocks_failed"] for r in other]


def test_the_summary_is_strict_json(pictures):
    records = [record for _, record in Link("ncsc", esn0_db=2).run(pictures)]
    json.dumps(summary(records), allow_nan=False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"system": "nosuch"},
        {"channel": "nosuch"},
        {"mcs": "16qam-7/9"},
        {"model": "nosuch"},
        {"esn0_db": float("nan")},
        {"esn0_db": float("inf")},
        {"max_bpp": -1.0},
        {"airtime": -1},
        {"fading": "sometimes"},
        {"quality": 999},
        {"rician_k": -1.0},
        {"seed": -1},
        {"code": "turbo"},
        {"harq": 0},
        {"harq": 5},
        {"outage": 0.0},
        {"assumed_esn0_db": "guessed"},
        {"assumed_esn0_db": float("nan")},
    ],
)
def test_impossible_arguments_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).split("_")[0]):
        Link(**wrong).stages()

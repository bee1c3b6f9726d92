# SPDX-License-Identifier: GPL-3.0-or-later
"""The digital chain as stages, and the arithmetic of its blocks and symbols."""

import dataclasses
import json

import numpy as np
import pytest

from gnuradio.semcom.phy import segmentation
from gnuradio.semcom.phy.interleaver import from_air, spread, to_air
from gnuradio.semcom.phy.mcs import get, names
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


def run(steps, arrays, meta):
    for step in steps:
        assert len(arrays) == len(step.inputs)
        before = [array.copy() for array in arrays]
        results, after = step.run(arrays, meta)
        assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True)), "inputs must not change"
        assert [array.dtype for array in results] == [port.dtype for port in step.outputs]
        assert after is not meta
        json.dumps(after, allow_nan=False)
        arrays, meta = results, after
    return arrays, meta


def link(mcs="16qam-1/3", esn0_db=30.0, model="awgn", interleave=False, block_bits=1536, fading="128", seed=0):
    return (
        ChannelEncoder(mcs, block_bits, interleave), Mapper(), Framer(), Channel(model, esn0_db, fading, seed=seed),
        Equaliser(), Deframer(), SoftDemapper(), ChannelDecoder(),
    )  # fmt: skip


def payload(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2, count, dtype=np.uint8)


@pytest.mark.parametrize("interleave", [False, True])
@pytest.mark.parametrize("count", [0, 1, 1512, 1513, 40_000])
@pytest.mark.parametrize("mcs", names())
def test_payloads_of_any_length_arrive(mcs, count, interleave):
    bits = payload(count)
    (received,), meta = run(link(mcs, 45.0, interleave=interleave), (bits,), {"id": 3})
    np.testing.assert_array_equal(received, bits)
    assert meta["symbols_total"] == meta["digital"] == segmentation.symbols_total(count, mcs)
    assert meta["blocks_ok"] == [1] * meta["blocks"] and meta["blocks_failed"] == 0
    assert meta["id"] == 3 and meta["bits"] == count and meta["esn0_db"] == 45.0 and meta["channel"] == "awgn"


def test_the_papers_block_is_the_papers_code():
    _, meta = run(link(), (payload(1512 * 5),), {})
    assert (meta["blocks"], meta["block_bits"], meta["block_coded"]) == (5, 1536, 4608)


def test_a_million_bits_arrive():
    bits = payload(1_000_003)
    (received,), meta = run(link("64qam-2/3"), (bits,), {})
    np.testing.assert_array_equal(received, bits)


def test_fading_block_failures_are_flagged_and_only_they_are_wrong():
    bits = payload(1500 * 20)
    (received,), meta = run(link("16qam-1/3", 9.0, "rayleigh", fading="1152"), (bits,), {"id": 1})
    good = segmentation.bits_ok(meta["bits"], meta["blocks_ok"])
    assert 0 < meta["blocks_failed"] < 20 and meta["blocks_failed"] == meta["blocks_ok"].count(0)
    assert good.shape == bits.shape
    np.testing.assert_array_equal(received[good], bits[good])
    assert np.any(received[~good] != bits[~good])


def test_a_hopeless_channel_gives_a_message_with_all_blocks_flagged():
    bits = payload(5000)
    (received,), meta = run(link("16qam-1/3", -20.0), (bits,), {})
    assert received.shape == bits.shape and meta["blocks_ok"] == [0] * 4


@pytest.mark.parametrize("mcs", ["16qam-1/3", "qpsk-1/12"])
def test_an_erased_burst_is_flagged_even_if_all_zeros_were_sent(mcs):
    steps = link(mcs)
    (burst,), meta = run(steps[:3], (np.zeros(3000, np.uint8),), {})
    assert np.mean(np.abs(burst) ** 2) == pytest.approx(1, abs=0.05)  # scrambled: unit energy for any payload
    zeros = np.zeros_like(burst)
    (_,), meta = run(steps[4:], (zeros, zeros), {**meta, "esn0_db": 10.0})
    assert meta["blocks_failed"] == meta["blocks"]


def test_randomness_depends_on_seed_and_message_only():
    channel = Channel("rayleigh", 3.0, seed=5)
    burst = np.ones(500, np.complex64)
    first = channel.run((burst,), {"id": 4})[0]
    channel.run((burst,), {"id": 5})
    again = channel.run((burst,), {"id": 4, "name": "other"})[0]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], channel.run((burst,), {"id": 5})[0][0])
    assert not np.array_equal(first[0], dataclasses.replace(channel, seed=6).run((burst,), {"id": 4})[0][0])


def test_interleaving_spreads_a_fade_over_all_blocks():
    bits = payload(1512 * 10)
    failed = [
        run(link("16qam-1/3", 9.0, "rayleigh", interleave, fading="512"), (bits,), {"id": i})[1]["blocks_failed"]
        for interleave in (False, True) for i in range(10)
    ]  # fmt: skip
    assert sum(failed[:10]) > 3 * sum(failed[10:])


@pytest.mark.parametrize("take_turns", [False, True])
@pytest.mark.parametrize("bit_interleaver", [False, True])
@pytest.mark.parametrize("symbols", [1, 2, 7, 1152])
def test_the_order_on_air_is_undone(symbols, bit_interleaver, take_turns):
    words = np.arange(3 * symbols * 4, dtype=np.float32).reshape(3, -1)
    air = to_air(words, 4, bit_interleaver, take_turns)
    assert sorted(air) == sorted(words.reshape(-1))
    np.testing.assert_array_equal(from_air(air, 3, 4, bit_interleaver, take_turns), words)


def test_neighbours_on_air_are_far_apart_in_the_code():
    order = spread(1152)
    assert sorted(order) == list(range(1152))
    stretch = np.sort(order[300:428])  # 128 symbols in a row
    assert np.diff(stretch).min() >= 5 and np.diff(stretch).max() <= 21


def test_both_parts_share_one_burst():
    digital = np.exp(1j * np.arange(20)).astype(np.complex64)
    analog = np.exp(-1j * np.arange(7)).astype(np.complex64)
    (burst,), meta = Framer("both").run((digital, analog), {"id": 0})
    assert (meta["digital"], meta["analog"], meta["symbols_total"]) == (20, 7, 27)
    variance = np.arange(27, dtype=np.float32)
    deframer = Deframer("both")
    parts, _ = deframer.run((burst, variance), meta)
    for found, expected in zip(parts, (digital, variance[:20], analog, variance[20:]), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert [port.name for port in deframer.outputs] == ["digital", "digital_noise_var", "analog", "analog_noise_var"]
    (only,), meta = Framer("symbols").run((analog,), {})
    assert (meta["digital"], meta["analog"]) == (0, 7)
    assert np.array_equal(Deframer("symbols").run((only, variance[:7]), meta)[0][0], analog)


@pytest.mark.parametrize("block_bits", [25, 100, 1536, 8448])
@pytest.mark.parametrize("mcs", names())
def test_the_largest_payload_fits_and_one_bit_more_does_not(mcs, block_bits):
    for airtime in (0, 1, 17, 100, 1153, 5000, 29_491):
        most = segmentation.largest_payload(airtime, mcs, block_bits)
        assert segmentation.symbols_total(most, mcs, block_bits) <= airtime
        assert all(segmentation.symbols_total(most + i, mcs, block_bits) > airtime for i in range(1, 30))


@pytest.mark.parametrize("count", [1, 23, 1512, 1513, 9999, 123_456])
def test_padding_is_less_than_a_bit_a_block(count):
    plan = segmentation.layout(count, "16qam-1/3")
    assert 0 <= plan.padding < plan.blocks and plan.k <= 1536 and plan.n % 4 == 0
    assert plan.n - 4 < plan.k * 3 <= plan.n


def test_the_papers_count_of_symbols():
    assert segmentation.symbols_payload(39_322, "16qam-1/3") == pytest.approx(29_491.5)


def test_good_bits_follow_their_blocks():
    plan = segmentation.layout(4000, "16qam-1/3")
    good = segmentation.bits_ok(4000, [1, 0, 1])
    size = plan.k - 24
    assert good[:size].all() and not good[size : 2 * size].any() and good[2 * size :].all()
    assert segmentation.bits_ok(0, []).shape == (0,) and not segmentation.bits_ok(5, []).any()


@pytest.mark.parametrize(
    "call",
    [
        lambda: ChannelEncoder("16qam"), lambda: ChannelEncoder(block_bits=24), lambda: Framer("all"),
        lambda: Deframer(""),
        lambda: Channel("cable"), lambda: Channel(esn0_db=float("nan")), lambda: Channel(fading="now"),
        lambda: Channel(rician_k=-1), lambda: Channel(seed=-1), lambda: SoftDemapper("hard"), lambda: ChannelDecoder(0),
        lambda: segmentation.layout(-1, "16qam-1/3"), lambda: segmentation.largest_payload(-1, "16qam-1/3"),
        lambda: get(3),
    ],
)  # fmt: skip
def test_bad_parameters_are_refused_when_the_stage_is_made(call):
    with pytest.raises(ValueError, match="must be"):
        call()


def test_a_stage_names_what_its_packet_lacks():
    with pytest.raises(ValueError, match="Mapper needs 'mcs'"):
        Mapper().run((np.zeros(4, np.uint8),), {"id": 1})
    meta = {"mcs": "16qam-1/3", "bits": 10, "blocks": 1, "block_bits": 34, "block_coded": 104}
    with pytest.raises(ValueError, match="1 blocks of 104 LLRs, found 8"):
        ChannelDecoder().run((np.zeros(8, np.float32),), meta)
    with pytest.raises(ValueError, match="bits must be 0 and 1"):
        ChannelEncoder().run((np.full(4, 7, np.uint8),), {})

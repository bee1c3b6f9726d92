# SPDX-License-Identifier: GPL-3.0-or-later
"""Redundancy versions combine, what failed is sent again, and all airtime is counted."""

from __future__ import annotations

import numpy as np
import pytest

from gnuradio.semcom.links.chain import run_chain
from gnuradio.semcom.phy import bounds
from gnuradio.semcom.phy.harq import HarqDecoder, HarqEncoder
from gnuradio.semcom.phy.ldpc import LDPC5G
from gnuradio.semcom.phy.modulation import Modulation
from gnuradio.semcom.phy.segmentation import layout
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


def chain(esn0_db, mcs="16qam-1/2", transmissions=4, model="awgn", fading="packet", interleave=False):
    encoder = HarqEncoder(mcs, interleave=interleave, max_transmissions=transmissions)
    channel = Channel(model, esn0_db, fading, seed=4)
    return [encoder, Mapper(), Framer(), channel, Equaliser(), Deframer(), SoftDemapper(), HarqDecoder()]


def send(stages, bits=4000, messages=12):
    rng = np.random.default_rng(1)
    for number in range(messages):
        sent = rng.integers(0, 2, bits, dtype=np.uint8)
        (received,), meta = run_chain(stages, (sent,), {"id": number})
        yield sent, received, meta


def block_errors(rvs, esn0_db, k=1536, n=2304, blocks=60):
    rng = np.random.default_rng(7)
    code, mapping = LDPC5G(k, n, rvs), Modulation("16qam")
    bits = rng.integers(0, 2, (blocks, k), dtype=np.uint8)
    symbols = mapping.map(code.encode(bits))
    noise_var = 10 ** (-esn0_db / 10)
    noise = rng.standard_normal((2, *symbols.shape)) * np.sqrt(noise_var / 2)
    decoded, _, _ = code.decode(mapping.llr(symbols + noise[0] + 1j * noise[1], noise_var))
    return np.mean((decoded != bits).any(axis=1))


@pytest.mark.parametrize(("k", "n"), [(24, 60), (640, 1000), (1536, 2304), (3000, 4000), (8448, 9600)])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_word_of_several_versions_is_their_words_in_turn(k, n, count):
    rvs = (0, 2, 3, 1)[:count]
    bits = np.random.default_rng(k + count).integers(0, 2, (3, k), dtype=np.uint8)
    word = LDPC5G(k, n, rvs).encode(bits)
    single = [LDPC5G(k, n, rv).encode(bits) for rv in rvs]
    np.testing.assert_array_equal(word, np.concatenate(single, axis=1))
    decoded, ok, _ = LDPC5G(k, n, rvs).decode(4.0 - 8.0 * word.astype(np.float32))
    assert ok.all()
    np.testing.assert_array_equal(decoded, bits)


def test_new_redundancy_beats_repetition_and_repetition_beats_nothing():
    # Rate 2/3: the second transmission halves it. Each step's gain is what theory of the rate says, and more.
    assert block_errors((0,), 7.0) == 1.0
    assert block_errors((0, 0), 4.5) > 0.9
    assert block_errors((0, 2), 4.5) == 0.0
    assert block_errors((0, 2, 3, 1), 1.0) < 0.2


def test_combined_versions_stay_near_the_normal_approximation():
    # Two transmissions of rate 2/3 are one of rate 1/3.
    limit = bounds.normal_approximation_esn0_db(4 / 3, 1152, 1e-2, "16qam")
    assert block_errors((0, 2), limit + 1.1) < 0.05


@pytest.mark.parametrize("wrong", [(), (0, 4), (-1,), ("0",), (0,) * 1000])
def test_impossible_versions_are_refused(wrong):
    with pytest.raises(ValueError, match="rv"):
        LDPC5G(1536, 4608, wrong)


@pytest.mark.parametrize("interleave", [False, True])
def test_a_clean_channel_takes_one_transmission_like_a_link_without_arq(interleave):
    plain = chain(15.0, interleave=interleave)
    plain[0], plain[-1] = ChannelEncoder("16qam-1/2", interleave=interleave), ChannelDecoder()
    both = zip(send(chain(15.0, interleave=interleave)), send(plain), strict=True)
    for (sent, received, meta), (_, _, other) in both:
        np.testing.assert_array_equal(received, sent)
        assert meta["transmissions"] == 1
        assert meta["symbols_total"] == other["symbols_total"] == layout(4000, "16qam-1/2").symbols
        assert meta["blocks_ok"] == other["blocks_ok"]


def test_only_what_failed_is_sent_again_and_every_symbol_is_counted():
    first = layout(4000, "16qam-1/2").symbols
    counts = []
    for sent, received, meta in send(chain(4.0)):
        assert meta["blocks_failed"] == 0 and meta["transmissions"] > 1
        np.testing.assert_array_equal(received, sent)
        assert first < meta["symbols_total"] <= meta["transmissions"] * first
        assert (meta["symbols_total"] - first) % (first // meta["blocks"]) == 0
        counts.append(meta["symbols_total"])
        assert not {"transmission", "sent_blocks", "max_transmissions"} & set(meta)
    assert min(counts) < 2 * first or max(counts) == min(counts)


def test_a_hopeless_channel_ends_after_the_last_transmission():
    for sent, received, meta in send(chain(-12.0, transmissions=3), messages=2):
        assert received.shape == sent.shape
        assert meta["transmissions"] == 3 and meta["blocks_failed"] == meta["blocks"]
        assert meta["symbols_total"] == 3 * layout(4000, "16qam-1/2").symbols


def test_every_transmission_meets_its_own_channel():
    # One fade a packet: without new fades a message lost once would be lost always.
    lost = [sum(m["blocks_failed"] > 0 for *_, m in send(chain(8.0, transmissions=t, model="rayleigh"), messages=40))
            for t in (1, 4)]  # fmt: skip
    assert lost[0] >= 8 and lost[1] <= 1


def test_an_empty_message_is_acknowledged():
    for _, received, meta in send(chain(5.0), bits=0, messages=1):
        assert received.size == 0 and meta["blocks"] == 0 and meta["symbols_total"] == 0


@pytest.mark.parametrize(
    "wrong", [{"mcs": "uncoded-qpsk"}, {"code": "polar-512"}, {"max_transmissions": 0}, {"max_transmissions": 5}]
)
def test_impossible_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match="HARQ|max_transmissions"):
        HarqEncoder(**wrong)

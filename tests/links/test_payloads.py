# SPDX-License-Identifier: GPL-3.0-or-later
"""Systems that send analog symbols, alone or beside bits, go through the same link."""

from __future__ import annotations

import numpy as np
import pytest

from gnuradio.semcom.links import Link
from gnuradio.semcom.message import Message, Payload
from gnuradio.semcom.systems import registry, stages
from gnuradio.semcom.systems.base import System
from gnuradio.semcom.systems.stages import Decoder, Encoder


class Analog(System):
    """Every two values of a picture are one symbol; knows what the transmitter assumes."""

    name, title, kind, payload, snr_aware = "analog", "pixels as symbols", "image", "symbols", True

    def __init__(self):
        self.assumed = []

    def encode(self, message, request):
        self.assumed.append(request.esn0_db)
        values = (message.data.reshape(-1, 2).astype(np.float32) - 128) / 74
        symbols = (values * np.float32(np.sqrt(0.5))).view(np.complex64).ravel()
        if request.max_symbols is not None and symbols.size > request.max_symbols:
            return None
        return Payload(symbols=symbols)

    def decode(self, received, meta, model="", device="auto"):
        assert received.noise_var.shape == received.symbols.shape and (received.noise_var > 0).all()
        return self.picture(received, meta), 0

    @staticmethod
    def picture(received, meta):
        values = received.symbols.view(np.float32) * np.sqrt(2) * 74 + 128
        return Message("image", np.clip(np.rint(values), 0, 255).astype(np.uint8).reshape(meta["shape"]))


class Both(Analog):
    """The same, and a line of bits that must arrive whole."""

    name, payload, snr_aware = "both_parts", "both", False
    bits = np.tile(np.array([1, 0, 1, 1], np.uint8), 300)

    def encode(self, message, request):
        return Payload(self.bits, super().encode(message, request).symbols)

    def decode(self, received, meta, model="", device="auto"):
        assert received.bits.size == self.bits.size
        if received.bits_ok.all():
            np.testing.assert_array_equal(received.bits, self.bits)
        return self.picture(received, meta), 0


@pytest.fixture
def systems(monkeypatch):
    found = {**registry.systems(), "analog": Analog(), "both_parts": Both()}
    monkeypatch.setattr(registry, "systems", lambda: found)
    stages.forget_payloads()
    return found


@pytest.fixture
def pictures():
    rng = np.random.default_rng(3)
    return [Message("image", rng.integers(0, 256, (40 + k, 64, 3), dtype=np.uint8), {"name": str(k)}) for k in range(3)]


@pytest.mark.parametrize("system", ["analog", "both_parts"])
@pytest.mark.parametrize(("channel", "esn0_db"), [("awgn", 25.0), ("rayleigh", 12.0), ("awgn", -20.0)])
def test_the_flowgraph_equals_the_plain_call_chain(systems, pictures, system, channel, esn0_db):
    link = Link(system, channel=channel, esn0_db=esn0_db, mcs="qpsk-1/2", seed=2)
    direct, graph = list(link.run(pictures)), list(link.run_flowgraph(pictures, 4096, timeout_s=60))
    assert len(direct) == len(graph) == 3
    for (left, first), (right, second), sent in zip(direct, graph, pictures, strict=True):
        np.testing.assert_array_equal(left.data, right.data)
        assert {**first, "elapsed_s": 0} == {**second, "elapsed_s": 0}
        analog = sent.data.size // 2
        assert first["symbols_total"] > analog if system == "both_parts" else first["symbols_total"] == analog
        assert first["metrics"]["bandwidth_ratio"] == first["symbols_total"] / sent.data.size
        assert first["metrics"]["bits_per_pixel"] is None
        if esn0_db == 25.0:
            assert first["delivered"] and first["metrics"]["psnr_db"] > 25
        if system == "both_parts" and esn0_db < 0:
            assert not first["delivered"] and first["reason"] == "channel"


def test_only_systems_that_want_it_are_told_the_snr(systems, pictures):
    list(Link("analog", esn0_db=7.0).run(pictures[:1]))
    list(Link("analog", esn0_db=8.0, assumed_esn0_db=3.0).run(pictures[:1]))
    assert systems["analog"].assumed == [7.0, 3.0]
    list(Link("both_parts", esn0_db=7.0, mcs="qpsk-1/2").run(pictures[:1]))
    assert systems["both_parts"].assumed == [None]


def test_an_airtime_that_is_too_short_is_a_message_with_a_reason(systems, pictures):
    ((received, record),) = Link("analog", airtime=100).run_flowgraph(pictures[:1])
    assert record["reason"] == "does_not_fit" and record["symbols_total"] == 0
    assert (received.data == 128).all()


def test_ports_are_those_of_the_payload(systems):
    ports = {name: ([p.name for p in Encoder(name).outputs], [p.name for p in Decoder(name).inputs])
             for name in ("webp", "analog", "both_parts")}  # fmt: skip
    assert ports == {
        "webp": (["bits"], ["bits"]),
        "analog": (["symbols"], ["symbols", "noise_var"]),
        "both_parts": (["bits", "symbols"], ["bits", "symbols", "noise_var"]),
    }


@pytest.mark.parametrize("system", ["analog", "both_parts"])
def test_harq_is_for_bits(systems, system):
    with pytest.raises(ValueError, match="harq"):
        Link(system, harq=2)

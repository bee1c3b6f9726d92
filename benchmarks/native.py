# SPDX-License-Identifier: GPL-3.0-or-later
"""What GNU Radio's own blocks lose and cost in a link with a polar code, written to benchmarks/native.json.

    .venv/bin/python benchmarks/native.py [--blocks 20000] [--output benchmarks/native.json]

154 bits and CRC-16 in polar words of 512 bits, 16-QAM, list 8. Block errors: the encoder and mapper are GNU Radio's,
one part after the other behind them changes from ours to GNU Radio's; receivers behind one channel get the same noise.
Speeds: the link of examples/ncsc_native.grc between bits and bits, beside our own chain with the same code.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gnuradio import blocks, channels, digital, fec, gr, trellis

from gnuradio.semcom import packets
from gnuradio.semcom.bench.intervals import clopper_pearson
from gnuradio.semcom.blocks.channel import channel
from gnuradio.semcom.blocks.collect_sink import collect_sink
from gnuradio.semcom.blocks.equaliser import equaliser
from gnuradio.semcom.blocks.framer import framer
from gnuradio.semcom.blocks.message_source import message_source
from gnuradio.semcom.blocks.native_polar import native_polar_decoder, native_polar_segmenter
from gnuradio.semcom.blocks.packets_to_stream import packets_to_stream
from gnuradio.semcom.blocks.soft_demapper import soft_demapper
from gnuradio.semcom.blocks.stream_to_packets import stream_to_packets
from gnuradio.semcom.links.chain import run_chain
from gnuradio.semcom.links.flowgraph import stream
from gnuradio.semcom.output import processor
from gnuradio.semcom.phy import native
from gnuradio.semcom.phy.coding import LIST_SIZE
from gnuradio.semcom.phy.snr import noise_var
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
from gnuradio.semcom.stage import Stage

MCS, CODE, N = "16qam-1/3", "polar-512", 512
K = native.information_bits(MCS, CODE)
PAYLOAD, SYMBOL_BITS, SPAN, PRECISION = K - 16, 4, 2.0, 6
MESSAGE_BLOCKS = 100
LIMIT_S = 900
FADING = (8, 0.01, False, 4.0)  # sinusoids, Doppler in cycles a symbol, Rayleigh
FEC_BLOCKS = 4000  # gr-fec's decoder is slow

OURS = "our demapper and decoder"
DEMAPPERS = {
    "native soft decision, as it comes": None,
    'native soft decision, table "auto"': 1.0,
    "native soft decision, its table for N0": 0.0,
    "native soft decision, our table": "exact",
}
FEC = "our demapper, gr-fec's list decoder (which knows no CRC)"


class Graph(gr.top_block):
    """A link whose receivers all hear the same channel; keeps its blocks."""

    def __init__(self, sent: list[Any], esn0_db: float, channel_kind: str, receivers: Sequence[str]) -> None:
        gr.top_block.__init__(self, "native link")
        self.kept: list[Any] = []
        encoder = fec.polar_encoder.make(N, K, native.frozen_positions(MCS, CODE), [0], False)
        self.segmenter = native_polar_segmenter(MCS, CODE)
        head = self.chain(
            message_source(sent), self.segmenter, packets_to_stream("byte", 0, 0, K), fec.encoder(encoder, 1, 1),
            trellis.permutation(N, native.permutation(CODE), 1, 1), blocks.pack_k_bits_bb(SYMBOL_BITS),
            digital.chunks_to_symbols_bc(native.points(MCS), 1), stream_to_packets("complex", N, K * SYMBOL_BITS),
            framer("bits"),
        )  # fmt: skip
        self.equaliser = equaliser()
        if channel_kind == "ours":
            ours = self.chain(head, channel("awgn", esn0_db))
            self.chain(ours, self.equaliser)
            self.connect((ours, 1), (self.equaliser, 1))
        else:
            self.native_channel(head, esn0_db, channel_kind == "native, Rayleigh")
        self.sinks = {name: self.receiver(name, esn0_db) for name in receivers}
        if not {OURS, FEC} & set(receivers):
            self.chain((self.equaliser, 1), blocks.null_sink(4))

    def chain(self, *points: Any) -> Any:
        self.kept += points
        self.connect(*points)
        return points[-1]

    def native_channel(self, head: Any, esn0_db: float, faded: bool) -> None:
        padded = self.chain(head, packets_to_stream("complex", 8, 24))
        model = channels.channel_model(native.noise_voltage(esn0_db), 0.0, 1.0, [1.0], 1)
        first = [channels.fading_model(*FADING, 1)] if faded else []
        second = [channels.fading_model(*FADING, 1)] if faded else []
        received = stream_to_packets("complex", 1, 1, -3, {"esn0_db": esn0_db})
        self.chain(padded, *first, model, received, (self.equaliser, 0))
        self.chain(
            padded, blocks.multiply_const_cc(0), blocks.add_const_cc(1), *second, stream_to_packets("complex"),
            (self.equaliser, 1),
        )  # fmt: skip

    def receiver(self, name: str, esn0_db: float) -> collect_sink:
        sink = collect_sink()
        if name in DEMAPPERS:
            kind = DEMAPPERS[name]
            found = digital.constellation_calcdist(native.points(MCS), [], 4, 1, digital.constellation.NO_NORMALIZATION)
            scale, sign = 1.0, -1.0
            if kind == "exact":
                found.set_soft_dec_lut(native.soft_table(MCS, esn0_db, PRECISION, SPAN), PRECISION)
                scale, sign = 1 / SPAN, 1.0
            elif kind is not None:
                found.gen_soft_dec_lut(8, kind or noise_var(esn0_db))
            self.chain(
                self.equaliser, blocks.multiply_const_cc(scale), digital.constellation_soft_decoder_cf(found.base()),
                blocks.multiply_const_ff(sign), stream_to_packets("float", SYMBOL_BITS), native_polar_decoder(), sink,
            )  # fmt: skip
            return sink
        demapper = soft_demapper()
        self.chain(self.equaliser, demapper)
        self.connect((self.equaliser, 1), (demapper, 1))
        if name == OURS:
            self.chain(demapper, native_polar_decoder(), sink)
            return sink
        frozen = native.frozen_positions(MCS, CODE)
        decoder = fec.polar_decoder_sc_list.make(LIST_SIZE, N, K, frozen, [0] * len(frozen))
        inverse = np.argsort(native.permutation(CODE)).tolist()
        self.chain(
            demapper, blocks.multiply_const_ff(-1), trellis.permutation(N, inverse, 1, 4), fec.decoder(decoder, 4, 1),
            stream_to_packets("byte", K, N), sink,
        )  # fmt: skip
        return sink


def messages(count: int) -> list[Any]:
    """Random payloads of whole blocks."""
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2, (count // MESSAGE_BLOCKS, MESSAGE_BLOCKS * PAYLOAD), dtype=np.uint8)
    return [(row, {"id": number}) for number, row in enumerate(bits)]


def wrong_blocks(name: str, graph: Graph, sent: list[Any]) -> int:
    """Blocks that differ from what was sent; gr-fec's decoder gives blocks with their CRC."""
    wrong = 0
    for (bits, meta), (got, _) in zip(sent, graph.sinks[name].received, strict=True):
        expected = graph.segmenter.stage.run((bits,), meta)[0][0] if name == FEC else bits
        wrong += int((got != expected).reshape(MESSAGE_BLOCKS, -1).any(axis=1).sum())
    return wrong


def row(kind: str, esn0_db: float, receiver: str, count: int, wrong: int) -> dict[str, Any]:
    """A block error rate with its 95 % interval of Clopper and Pearson."""
    low, high = clopper_pearson(wrong, count)
    found = {
        "channel": kind, "esn0_db": esn0_db, "receiver": receiver, "blocks": count, "errors": wrong,
        "bler": wrong / count, "low": round(low, 6), "high": round(high, 6),
    }  # fmt: skip
    print(json.dumps(found), flush=True)
    return found


def our_chain(esn0_db: float) -> list[Stage]:
    """The same link without a native block."""
    return [
        ChannelEncoder(MCS, code=CODE), Mapper(), Framer(), Channel("awgn", esn0_db), Equaliser(), Deframer(),
        SoftDemapper(), ChannelDecoder(),
    ]  # fmt: skip


def error_rates(count: int) -> list[dict[str, Any]]:
    """One row a receiver: what was native before it and in it, and its block errors."""
    sent, wrong = messages(count), 0
    for bits, meta in sent:
        got = run_chain(our_chain(4.5), (bits,), meta)[0][0]
        wrong += int((got != bits).reshape(MESSAGE_BLOCKS, -1).any(axis=1).sum())
    rows = [row("ours", 4.5, "our whole chain, encoder and mapper too", count, wrong)]
    cases = [
        ("ours", 4.5, (OURS,), count),
        ("native", 4.5, (OURS, *DEMAPPERS), count),
        ("native", 4.5, (OURS, FEC), min(count, FEC_BLOCKS)),
        ("native, Rayleigh", 12.0, (OURS, "native soft decision, our table"), count),
    ]
    for kind, esn0_db, receivers, blocks_count in cases:
        sent = messages(blocks_count)
        graph = Graph(sent, esn0_db, kind, receivers)
        packets.run(graph, timeout_s=LIMIT_S)
        for name in receivers:
            rows.append(row(kind, esn0_db, name, blocks_count, wrong_blocks(name, graph, sent)))
    return rows


def speeds(repeats: int = 3, bits_per_packet: int = 47_000, count: int = 40) -> dict[str, float]:
    """Msymbol/s, the best of a few runs, all at Es/N0 6 dB."""
    bits = np.random.default_rng(1).integers(0, 2, bits_per_packet, dtype=np.uint8)
    sent = [(bits, {"id": number}) for number in range(count)]

    def ours() -> int:
        return sum(meta["symbols_total"] for _, meta, _ in stream(iter(sent), our_chain(6.0), 0, LIMIT_S))

    def mixed(receiver: str) -> int:
        graph = Graph(sent, 6.0, "native", (receiver,))
        packets.run(graph, timeout_s=LIMIT_S)
        return sum(meta["symbols_total"] for _, meta in graph.sinks[receiver].received)

    runs = {
        "our chain": ours,
        "native encoder, mapper and channel": lambda: mixed(OURS),
        "the same with native soft decision, our table": lambda: mixed("native soft decision, our table"),
        "the same with native soft decision, as it comes": lambda: mixed("native soft decision, as it comes"),
    }
    best = {}
    for name, run in runs.items():
        best[name] = 0.0
        for _ in range(repeats):
            begun = time.perf_counter()
            symbols = run()
            best[name] = max(best[name], symbols / (time.perf_counter() - begun) / 1e6)
    return {name: round(value, 3) for name, value in best.items()}


def noise_power(seeds: int = 8, count: int = 400_000) -> dict[str, float]:
    """`channels.channel_model` at noise voltage 1: its noise comes from a table of 8,192 values, drawn once."""
    found, largest, values = [], 0.0, 0
    for seed in range(1, seeds + 1):
        tb = gr.top_block()
        kept = blocks.null_source(8), blocks.head(8, count), channels.channel_model(1.0, 0.0, 1.0, [1.0], seed)
        sink = blocks.vector_sink_c()
        tb.connect(*kept, sink)
        tb.run()
        noise = np.array(sink.data())
        found.append(float(np.mean(np.abs(noise) ** 2)))
        largest, values = max(largest, float(np.abs(noise).max())), max(values, len(np.unique(noise)))
    return {
        "seeds": seeds, "least": round(min(found), 4), "most": round(max(found), 4), "largest_value": round(largest, 2),
        "different_values": values,
    }  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=20_000)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/native.json"))
    arguments = parser.parse_args()
    result = {
        "command": f"python benchmarks/native.py --blocks {arguments.blocks}",
        "processor": processor(),
        "mcs": MCS,
        "code": CODE,
        "list_size": LIST_SIZE,
        "noise_power_of_channel_model": noise_power(),
        "msymbol_s": speeds(),
        "error_rates": error_rates(arguments.blocks),
    }
    print(json.dumps(result, indent=1))
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

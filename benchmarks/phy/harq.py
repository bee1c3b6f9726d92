# SPDX-License-Identifier: GPL-3.0-or-later
"""What hybrid ARQ carries: information bits for each symbol sent, against links that send once.

Messages of ten LDPC blocks through the stages of the link, over AWGN and over Rayleigh fading with one coefficient for
each transmission: 16-QAM 2/3 with up to four transmissions, the same sent once, and a robust scheme sent once.
Throughput counts the bits of messages that came through whole, divided by the symbols of all transmissions; beside it
stands the ergodic capacity of the constellation, which no scheme can pass. Writes `harq.json` beside this file.
Run: python benchmarks/phy/harq.py
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np

from gnuradio.semcom.bench import CURVES_FORMAT, POINT_FORMAT
from gnuradio.semcom.bench.intervals import metric, share
from gnuradio.semcom.links.chain import run_chain
from gnuradio.semcom.media.bits import random_bits
from gnuradio.semcom.output import processor, progress_bar, versions, write_text
from gnuradio.semcom.phy.harq import HarqDecoder, HarqEncoder
from gnuradio.semcom.phy.stages import Channel, Deframer, Equaliser, Framer, Mapper, SoftDemapper

BITS = 15_120  # ten blocks of 1536 with their CRCs
MESSAGES = 200
RESAMPLES = 1000
SCHEMES = (("16qam-2/3", 4), ("16qam-2/3", 1), ("16qam-1/3", 1))
CHANNELS = {"awgn": np.arange(-4.0, 10.1, 1.0), "rayleigh": np.arange(-4.0, 24.1, 2.0)}
COMMAND = "python benchmarks/phy/harq.py"


def measure(mcs: str, transmissions: int, model: str, esn0_db: float) -> dict[str, object]:
    """One point in the form of a sweep's."""
    encoder = HarqEncoder(mcs, max_transmissions=transmissions)
    stages = [encoder, Mapper(), Framer(), Channel(model, esn0_db, "packet", seed=1), Equaliser(), Deframer()]
    stages += [SoftDemapper(), HarqDecoder()]
    carried, symbols, sent = (np.zeros(MESSAGES) for _ in range(3))
    for number in range(MESSAGES):
        bits = random_bits(BITS, 1, number)
        (received,), meta = run_chain(stages, (bits,), {"id": number})
        carried[number] = BITS * np.array_equal(bits, received)
        symbols[number] = meta["symbols_total"]
        sent[number] = meta["transmissions"]
    picks = np.random.default_rng(0).integers(0, MESSAGES, (RESAMPLES, MESSAGES))
    rates = carried[picks].sum(axis=1) / symbols[picks].sum(axis=1)
    ends = [float(x) for x in np.percentile(rates, [2.5, 97.5])]
    throughput = float(carried.sum() / symbols.sum())
    low, high = (float(x) for x in np.percentile(sent[picks].mean(axis=1), [2.5, 97.5]))
    lost = int(np.sum(carried == 0))
    name = f"up to {transmissions} times" if transmissions > 1 else "once"
    air = {"awgn": "AWGN", "rayleigh": "Rayleigh"}[model]
    return {
        "format": POINT_FORMAT, "sweep": "harq", "curve": f"{air}, {mcs}, sent {name}", "kind": "code",
        "axis": {"esn0_db": float(esn0_db)}, "seed": 1, "stopped": "messages", "messages": MESSAGES,
        "settings": {"mcs": mcs, "harq": transmissions, "channel": model, "fading": "packet", "bits": BITS},
        "metrics": {
            "throughput_bit_symbol": metric(throughput, *ends, MESSAGES, None, "bootstrap"),
            "transmissions": metric(float(sent.mean()), low, high, MESSAGES, None, "bootstrap"),
            "message_error_rate": share(lost, MESSAGES),
        },
        "elapsed_s": 0.0, "timings": {}, "command": COMMAND, "versions": versions(), "processor": processor(),
        "date": date.today().isoformat(), "error": None,
    }  # fmt: skip


def main() -> None:
    """Measure every scheme on every channel."""
    grid = [(*scheme, model, x) for model, axis in CHANNELS.items() for scheme in SCHEMES for x in axis]
    points = []
    progress = progress_bar(len(grid), "points")
    for mcs, transmissions, model, esn0_db in grid:
        points.append(measure(mcs, transmissions, model, float(esn0_db)))
        progress.update()
    progress.close()
    collection = {
        "format": CURVES_FORMAT, "title": "Throughput with and without hybrid ARQ, one fade a transmission",
        "command": COMMAND,
        "axis": "esn0_db", "metric": "throughput_bit_symbol", "logy": False, "bounds": ["ergodic_capacity"],
        "versions": versions(), "processor": processor(), "date": date.today().isoformat(), "points": points,
    }  # fmt: skip
    write_text(Path(__file__).with_name("harq.json"), json.dumps(collection, indent=1) + "\n")
    for point in points:
        m = point["metrics"]
        print(f"{point['curve']:44} {point['axis']['esn0_db']:6.1f} dB  "
              f"{m['throughput_bit_symbol']['value']:.3f} bit/symbol  {m['transmissions']['value']:.2f} transmissions  "
              f"{m['message_error_rate']['value']:.3f} lost")  # fmt: skip


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""A long run: 10,000 bursts over ZeroMQ with random gaps, through simulated air above the threshold of their MCS.

The receiver is `semcom rx` in a process of its own, the sender is here. Each burst is a picture of 16 x 16 pixels in
QPSK 1/3 at Es/N0 4 dB, 1e-3 cycles a sample and 20 ppm off; gaps are uniform from 0 to 20,000 samples. What is counted:
messages lost, repeated and damaged, and the memory of both processes once a second: its growth from a fifth of the run
on, as the slope of a line.

Writes `radio_soak.json` beside this file. Run: python benchmarks/radio_soak.py [--bursts N]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from gnuradio.semcom.message import Message
from gnuradio.semcom.output import processor
from gnuradio.semcom.phy.ofdm import SAMPLES_PER_SYMBOL
from gnuradio.semcom.radio.pipe_blocks import pipe_sink
from gnuradio.semcom.radio.pipes import Ending, ZmqOutlet
from gnuradio.semcom.radio.sender import Sender, Transmission, numbers
from gnuradio.semcom.radio.simulated_air import Impairments

OUT = Path(__file__).with_name("radio_soak.json")
AIR = Impairments(esn0_db=4.0, carrier_offset=1e-3, sampling_offset_ppm=20.0, seed=1)
MOST_GAP = 20_000


def resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def growth(series: list[tuple[float, float]]) -> dict[str, float]:
    """Megabytes at the places of the run, and how many more from its fifth to its end by the straight line."""
    late = np.array(series[len(series) // 5 :])
    slope = float(np.polyfit(late[:, 0], late[:, 1], 1)[0]) if len(late) > 2 else 0.0
    at = {f"at_{share}_percent_mb": round(series[min(len(series) - 1, len(series) * share // 100)][1], 1)
          for share in (5, 20, 50, 80, 100)}  # fmt: skip
    return {**at, "most_mb": round(max(mb for _, mb in series), 1),
            "growth_mb": round(slope * (late[-1, 0] - late[0, 0]), 2)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bursts", type=int, default=10_000)
    count = parser.parse_args().bursts
    rng = np.random.default_rng(0)
    picture = Message("image", rng.integers(0, 256, (16, 16, 3), dtype=np.uint8), {"name": "noise"})
    sent: dict[str, Any] = {"samples": 0, "last": 0.0}

    def report(record: dict[str, Any]) -> None:
        sent["samples"] = record["sample_start"] + record["sample_count"]
        sent["one"] = record

    with tempfile.TemporaryDirectory() as name:
        place = f"ipc://{name}/pipe"
        command = [sys.executable, "-m", "gnuradio.semcom", "rx", "--from", f"zmq:{place}", "--output", f"{name}/out"]
        with open(f"{name}/log", "wb") as log:
            receiver = subprocess.Popen([*command, "--timeout", "60"], stderr=log)
        ending = Ending()
        sender = Sender(
            repeat(picture, count), Transmission("webp", mcs="qpsk-1/3", header="short"), numbers(0, 1),
            pipe_sink(ZmqOutlet(place), ending), gap=lambda: int(rng.integers(0, MOST_GAP + 1)), air=AIR, report=report,
            ending=ending,
        )  # fmt: skip
        memory: dict[str, list[tuple[float, float]]] = {"sender": [], "receiver": []}
        over = threading.Event()

        def watch() -> None:
            begun = time.monotonic()
            while not over.wait(1.0):
                if "one" in sent:
                    now = time.monotonic() - begun
                    memory["sender"].append((now, resident_mb(os.getpid())))
                    memory["receiver"].append((now, resident_mb(receiver.pid)))

        watcher = threading.Thread(target=watch)
        watcher.start()
        begun = time.monotonic()
        sender.execute()
        over.set()
        watcher.join()
        spent = time.monotonic() - begun
        status = receiver.wait(300)
        records = [json.loads(line) for line in Path(name, "out", "received.jsonl").read_text().splitlines()]
        told = Path(name, "log").read_text().splitlines()[-3:]
    came = [record["id"] for record in records if record["reason"] != "lost"]
    one = sent["one"]
    result = {
        "bursts": count, "received": len(came), "lost": count - len(set(came)), "twice": len(came) - len(set(came)),
        "damaged": sum(not record["delivered"] for record in records), "in_order": came == sorted(came),
        "status": status, "esn0_db": AIR.esn0_db, "mcs": "qpsk-1/3", "header": "short", "samples": sent["samples"],
        "burst": {"samples": one["sample_count"], "bits": one["bits"], "symbols_total": one["symbols_total"]},
        "gap_samples": [0, MOST_GAP], "seconds": round(spent, 1),
        "msample_s": round(sent["samples"] / spent / 1e6, 2), "bursts_s": round(count / spent, 1),
        "share_of_time_on_air": round(count * one["sample_count"] / sent["samples"], 3),
        "symbol_samples": round(SAMPLES_PER_SYMBOL, 4),
        "memory": {who: growth(series) for who, series in memory.items()}, "receiver_says": told,
        "processor": processor(),
    }  # fmt: skip
    OUT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

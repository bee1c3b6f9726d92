# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets a second through six packet blocks in series, written to benchmarks/packets.json.

The six blocks pass on packets of 100 items with the meta of a real link; a source and a sink stand at the ends.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gnuradio import gr
from numpy.typing import NDArray

from gnuradio.semcom import packets
from gnuradio.semcom.message import Meta
from gnuradio.semcom.output import processor
from gnuradio.semcom.stage import Port

BLOCKS = 6
PACKET_ITEMS = 100
TARGET = 5000  # packets a second
META = {"id": 0, "name": "photo.png", "kind": "image", "shape": [5, 7, 3], "mcs": "16qam-1/3", "bits": 100, "blocks": 1}
ITEMS = (Port("items", np.uint8),)


class Source(packets.PacketBlock):
    """Sends `count` packets."""

    def __init__(self, count: int) -> None:
        super().__init__("benchmark source", (), ITEMS)
        self.count = count

    def packets(self) -> Iterator[tuple[Any, ...]]:
        """The same items each time, numbered in the meta."""
        items = np.arange(PACKET_ITEMS, dtype=np.uint8)
        for number in range(self.count):
            yield items, {**META, "id": number}


class Pass(packets.PacketBlock):
    """Passes each packet on."""

    def __init__(self) -> None:
        super().__init__("benchmark pass", ITEMS, ITEMS)

    def process(self, *arrays: NDArray[Any], meta: Meta) -> tuple[Any, ...]:
        """The same packet."""
        return arrays[0], meta


class Sink(packets.PacketBlock):
    """Checks the order of what arrives."""

    def __init__(self) -> None:
        super().__init__("benchmark sink", ITEMS, ())
        self.arrived = 0

    def process(self, *arrays: NDArray[Any], meta: Meta) -> None:
        """Count one packet."""
        assert meta["id"] == self.arrived and len(arrays[0]) == PACKET_ITEMS
        self.arrived += 1


def measure(count: int) -> float:
    """Seconds that `count` packets take from start to end."""
    tb = gr.top_block("packet benchmark")
    chain = [Source(count), *(Pass() for _ in range(BLOCKS)), Sink()]
    tb.connect(*chain)
    begun = time.perf_counter()
    packets.run(tb, timeout_s=120)
    elapsed = time.perf_counter() - begun
    assert chain[-1].arrived == count
    return elapsed


def main() -> None:
    """Measure three times, keep the best, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=20000)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    times = [measure(arguments.packets) for _ in range(3)]
    rates = [round(arguments.packets / seconds) for seconds in times]
    result = {
        "name": "six packet blocks in series, packets of 100 items",
        "command": f"python benchmarks/packets.py --packets {arguments.packets}",
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "gnuradio": gr.version(),
        "python": platform.python_version(),
        "packets": arguments.packets,
        "packets_per_second": {"best": max(rates), "all": rates},
        "target": TARGET,
    }
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

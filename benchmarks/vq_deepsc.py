# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed of VQ-DeepSC: batches of 32 pictures of 128x128 through GNU Radio, and what each end costs on one core.

    .venv/bin/python benchmarks/vq_deepsc.py [--batches 6] [--output benchmarks/vq_deepsc.json]

Every picture is another one, so nothing is encoded from a cache. The clock runs from the start of the flowgraph to the
last picture out of it: source, encoder, LDPC, 16-QAM, AWGN, and back. Promised: 25 pictures a second on two cores; 60
ms for encoding and decoding on one.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gnuradio.semcom.links import Link
from gnuradio.semcom.links.flowgraph import stream
from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.output import processor, versions
from gnuradio.semcom.systems.vq_deepsc.codec import codec

SIDE, BATCH = 128, 32


def crops(count: int, seed: int) -> list[np.ndarray]:
    """Different pieces of the packaged photograph, uint8 [128, 128, 3]."""
    whole = read_image(packaged_photograph()).data
    random = np.random.default_rng(seed)
    corners = [[random.integers(length - SIDE) for length in whole.shape[:2]] for _ in range(count)]
    return [np.ascontiguousarray(whole[top : top + SIDE, left : left + SIDE]) for top, left in corners]


def throughput(model: str, batches: int) -> dict[str, float]:
    """Pictures a second through the flowgraph: each batch is a run of its own; the worst, the median, the best."""
    rates = []
    for batch in range(batches + 1):
        stages = Link("vq_deepsc", model, mcs="16qam-1/3", esn0_db=8.0).stages()
        for stage in stages:
            stage.prepare()
        messages = [
            (picture.ravel(), {"id": number, "kind": "image", "shape": list(picture.shape)})
            for number, picture in enumerate(crops(BATCH, batch))
        ]
        begun = time.perf_counter()
        done = sum(meta["delivered"] for _, meta, _ in stream(iter(messages), stages, 0, 600))
        assert done == BATCH, f"{BATCH} pictures went in, {done} were delivered"
        rates.append(BATCH / (time.perf_counter() - begun))
    low, middle, high = np.quantile(rates[1:], [0, 0.5, 1])  # the first run of a session is slower
    return {"pictures_s_min": round(low, 1), "pictures_s": round(middle, 1), "pictures_s_max": round(high, 1)}


def milliseconds(call: Callable[[np.ndarray], Any], inputs: list[np.ndarray]) -> float:
    """Median CPU milliseconds of a call."""
    times = []
    for one in inputs:
        begun = time.process_time()
        call(one)
        times.append(time.process_time() - begun)
    return round(1e3 * float(np.median(times[1:])), 2)


def cost(model: str, repeats: int = 20) -> dict[str, float]:
    """Median CPU milliseconds of each step for one picture."""
    one, pictures = codec(model), crops(repeats, 4)
    sent = [one.encode(picture) for picture in pictures]
    short = [one.encode_short(picture) for picture in pictures]
    lost = np.arange(one.geometry.bits) % 4 > 0
    return {
        "encode_cpu_ms": milliseconds(one.encode, pictures),
        "decode_cpu_ms": milliseconds(lambda bits: one.decode(bits, SIDE, SIDE), sent),
        "repair_and_decode_cpu_ms": milliseconds(lambda bits: one.decode(bits, SIDE, SIDE, lost), sent),
        "encode_short_cpu_ms": milliseconds(one.encode_short, pictures),
        "decode_short_cpu_ms": milliseconds(lambda bits: one.decode_short(bits, SIDE, SIDE), short),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=6, help="batches of 32 pictures")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/vq_deepsc.json"))
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "command": "python benchmarks/vq_deepsc.py",
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": versions(),
    }
    for model in ("four_scales", "three_scales"):
        result[model] = {**throughput(model, arguments.batches), **cost(model)}
    print(json.dumps(result, indent=1))
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

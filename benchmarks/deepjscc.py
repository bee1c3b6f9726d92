# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed of DeepJSCC: pictures of 256x256 a second through GNU Radio, and what each end costs on one core.

    .venv/bin/python benchmarks/deepjscc.py [--pictures 300] [--output benchmarks/deepjscc.json]

Every picture is another one, so nothing is encoded from a cache. The clock runs from the start of the flowgraph to
the last picture out of it: source, encoder, framer, Rayleigh channel at 10 dB, equaliser, deframer, decoder, sink.
`plain` calls the same stages one after another in one thread. Metrics are not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gnuradio.semcom.links import Link
from gnuradio.semcom.links.chain import run_chain
from gnuradio.semcom.links.flowgraph import stream
from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.output import processor, versions
from gnuradio.semcom.systems.deepjscc.codec import codec

SIDE = 256


def crops(count: int, seed: int) -> list[np.ndarray]:
    """Different pieces of the packaged photograph, uint8 [256, 256, 3]."""
    whole = read_image(packaged_photograph()).data
    random = np.random.default_rng(seed)
    corners = [[random.integers(length - SIDE) for length in whole.shape[:2]] for _ in range(count)]
    return [np.ascontiguousarray(whole[top : top + SIDE, left : left + SIDE]) for top, left in corners]


def throughput(quality: int, count: int) -> dict[str, float]:
    """Pictures a second through the flowgraph, and by plain calls."""
    link = Link("deepjscc", channel="rayleigh", esn0_db=10.0, quality=quality)

    def source(seed: int, count: int) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        for number, picture in enumerate(crops(count, seed)):
            yield picture.ravel(), {"id": number, "kind": "image", "shape": list(picture.shape)}

    stages = link.stages()
    for stage in stages:
        stage.prepare()
    for array, meta in source(1, 3):  # the first runs of a session are slower
        run_chain(stages, (array,), meta)
    messages = list(source(2, count))
    begun = time.perf_counter()
    done = sum(meta["delivered"] for _, meta, _ in stream(iter(messages), stages, 0, 600))
    graph = time.perf_counter() - begun
    assert done == count, f"{count} pictures went in, {done} came out"
    few = list(source(3, max(1, count // 4)))
    begun = time.perf_counter()
    for array, meta in few:
        run_chain(stages, (array,), meta)
    plain = time.perf_counter() - begun
    return {
        "flowgraph_pictures_s": round(count / graph, 1),
        "plain_pictures_s": round(len(few) / plain, 1),
    }


def cost(quality: int, repeats: int = 20) -> dict[str, float]:
    """Median CPU milliseconds of encoder and decoder."""
    times = []
    for picture in crops(repeats, 4):
        begun = time.process_time()
        symbols = codec("standard").encode(picture, quality, 10.0)
        middle = time.process_time()
        codec("standard").decode(symbols, np.full(symbols.size, 0.1, np.float32), SIDE, SIDE)
        times.append((middle - begun, time.process_time() - middle))
    encode, decode = 1e3 * np.median(times[1:], axis=0)
    return {"encode_cpu_ms": round(float(encode), 2), "decode_cpu_ms": round(float(decode), 2)}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=300, help="pictures through the flowgraph")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/deepjscc.json"))
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "command": "python benchmarks/deepjscc.py",
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": versions(),
        "pixels": SIDE * SIDE,
        "pictures": arguments.pictures,
    }
    for quality, name in enumerate(("ratio_1_12", "ratio_1_6")):
        result[name] = {**throughput(quality, arguments.pictures), **cost(quality)}
    print(json.dumps(result, indent=1))
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

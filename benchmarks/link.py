# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed of the whole digital chain through GNU Radio, of NCSC on one core, and the memory of a run.

    .venv/bin/python benchmarks/link.py [--output benchmarks/link.json]

The chain is bits, LDPC, 16-QAM, AWGN at 6 dB, exact demapper, decoder, one picture's worth of bits a packet. The
ratio is against the same stages called one after another in one thread.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from gnuradio.semcom.links.flowgraph import stream
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.output import processor
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


def chain(bits_per_packet: int = 47_000, packets: int = 60) -> dict[str, float]:
    """Msymbol/s of the chain as a flowgraph and as plain calls."""
    random = np.random.default_rng(1)
    bits = random.integers(0, 2, bits_per_packet, dtype=np.uint8)
    stages = [
        ChannelEncoder(), Mapper(), Framer(), Channel("awgn", 6.0), Equaliser(), Deframer(), SoftDemapper(),
        ChannelDecoder(20),
    ]  # fmt: skip

    def source():
        for number in range(packets):
            yield bits, {"id": number, "bits": len(bits)}

    def direct() -> int:
        symbols = 0
        for array, meta in source():
            arrays = (array,)
            for stage in stages:
                arrays, meta = stage.run(arrays, meta)
            assert np.array_equal(arrays[0], bits)
            symbols += meta["symbols_total"]
        return symbols

    direct()
    begun = time.perf_counter()
    symbols = direct()
    plain = symbols / (time.perf_counter() - begun) / 1e6
    begun = time.perf_counter()
    symbols = sum(meta["symbols_total"] for _, meta, _ in stream(source(), stages, 0, 300))
    graph = symbols / (time.perf_counter() - begun) / 1e6
    return {
        "flowgraph_msymbol_s": round(graph, 3),
        "plain_msymbol_s": round(plain, 3),
        "ratio": round(graph / plain, 2),
    }


def ncsc(height: int = 512, width: int = 768, repeats: int = 5) -> dict[str, float]:
    """Median seconds of NCSC's encoder and decoder on one core."""
    from gnuradio.semcom.media.images import read_image
    from gnuradio.semcom.systems.ncsc.codec import codec

    photograph = read_image(packaged_photograph()).data
    picture = np.pad(
        photograph,
        ((0, max(0, height - photograph.shape[0])), (0, max(0, width - photograph.shape[1])), (0, 0)),
        mode="reflect",
    )
    picture = np.ascontiguousarray(picture[:height, :width])
    times = []
    for _ in range(repeats + 1):
        begun = time.process_time()
        data = codec().encode(picture)
        middle = time.process_time()
        codec().decode(data, np.ones(len(data), bool), (height, width))
        times.append((middle - begun, time.process_time() - middle))
    encode, decode = np.median(times[1:], axis=0)
    return {"encode_s": round(float(encode), 3), "decode_s": round(float(decode), 3), "pixels": height * width}


def memory() -> float:
    """Peak memory of `semcom run ncsc` on the packaged photograph, MB."""
    command = [sys.executable, "-m", "gnuradio.semcom", "run", "ncsc", "--input", str(packaged_photograph()), "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/link.json"))
    output = parser.parse_args().output
    result = {
        "command": "python benchmarks/link.py",
        "processor": processor(),
        "digital_chain": chain(),
        "ncsc_768x512_cpu_seconds": ncsc(),
        "semcom_run_peak_mb": memory(),
    }
    print(json.dumps(result, indent=1))
    output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

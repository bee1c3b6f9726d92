# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the polar decoder's speed on one core and its block error rates, and gr-fec's beside it.

(256, 512), BPSK, AWGN, with the 5G reliability order; a CRC takes its bits from the 256. Speeds are information bits
for each second of CPU time, the best of five runs, because other work may share the machine; they hardly depend on
the noise. gr-fec's list decoder, which knows no CRC, is timed in the flowgraph that a user would run, without making
it and without reading the sink. Writes `polar_speed.json` beside this file. Run: python benchmarks/phy/polar.py
"""

from __future__ import annotations

import ctypes
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from gnuradio import blocks, fec, gr
from ldpc import RUNS, best_time

from gnuradio.semcom.kernels import library
from gnuradio.semcom.output import processor
from gnuradio.semcom.phy.polar import Polar, information_positions

N, CARRIED, BLOCKS, NATIVE_BLOCKS = 512, 256, 4000, 400
SPEED_EBN0_DB = 2.0
ERROR_POINTS_DB = (1.0, 1.5, 2.0, 2.5)
ERROR_BLOCKS = {"gr-semcom": 20_000, "gr-fec": 4_000}
FROZEN = np.setdiff1d(np.arange(N), information_positions(CARRIED, N)).tolist()
BIT_REVERSED = [int(f"{i:09b}"[::-1], 2) for i in range(N)]


def kernel() -> str:
    """Which decoder the library takes now."""
    function = library().semcom_polar_kernel
    function.restype = ctypes.c_char_p
    return function().decode()


def received(code: Polar, ebn0_db: float, count: int, seed: int) -> tuple[Any, Any]:
    """Bits and LLRs of `count` blocks; Eb counts the code's k bits, a CRC is a cost."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (count, code.k), dtype=np.uint8)
    n0 = code.n / code.k / 10 ** (ebn0_db / 10)
    noisy = 1 - 2.0 * code.encode(bits) + rng.normal(0, np.sqrt(n0 / 2), (count, code.n))
    return bits, (4 / n0 * noisy).astype(np.float32)


def native(llr: Any, list_size: int) -> tuple[Any, float]:
    """gr-fec's list decoder: bits [count, 256] and CPU seconds. It wants bit-reversed input, log P(1)/P(0)."""
    decoder = fec.polar_decoder_sc_list.make(list_size, N, CARRIED, FROZEN, [0] * len(FROZEN))
    graph = gr.top_block()
    source = blocks.vector_source_f((-llr[:, BIT_REVERSED]).ravel(), False)
    block, sink = fec.decoder(decoder, gr.sizeof_float, gr.sizeof_char), blocks.vector_sink_b()
    graph.connect(source, block, sink)
    start = time.process_time()
    graph.run()
    seconds = time.process_time() - start
    return np.array(sink.data(), np.uint8).reshape(len(llr), CARRIED), seconds


def block_errors(name: str, list_size: int, crc: str | None) -> list[dict[str, Any]]:
    """Block error rates of one decoder, the same words and noise for every list size."""
    code = Polar(CARRIED - (11 if crc else 0), N, list_size, crc)
    rows = []
    for ebn0_db in ERROR_POINTS_DB:
        failed = 0
        for seed in range(ERROR_BLOCKS[name] // BLOCKS):
            bits, llr = received(code, ebn0_db, BLOCKS, 1 + seed)
            decoded = native(llr, list_size)[0] if name == "gr-fec" else code.decode(llr)[0]
            failed += int(np.sum(np.any(decoded != bits, axis=1)))
        count = ERROR_BLOCKS[name]
        rows.append({"decoder": name, "list_size": list_size, "crc": crc, "k": code.k, "ebn0_db": ebn0_db,
                     "blocks": count, "failed": failed, "bler": failed / count})  # fmt: skip
    return rows


def main() -> None:
    """Measure and write."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    bits, _ = received(Polar(CARRIED, N), SPEED_EBN0_DB, BLOCKS, 0)
    result: dict[str, Any] = {
        "processor": processor(), "cores_used": 1, "command": "python benchmarks/phy/polar.py", "n": N,
        "modulation": "bpsk", "ebn0_db": SPEED_EBN0_DB, "time": "CPU seconds, best of 5, machine shared",
        "encode_mbit_s": round(bits.size / 1e6 / best_time(lambda: Polar(CARRIED, N).encode(bits)), 1),
        "decode": [],
    }  # fmt: skip
    for wish in ("", "avx2", "plain"):
        os.environ["SEMCOM_KERNEL"] = wish
        if wish and kernel() != wish:
            continue
        for list_size, crc in ((1, None), (2, None), (4, None), (8, None), (32, None), (8, "crc11"), (32, "crc11")):
            code = Polar(CARRIED - (11 if crc else 0), N, list_size, crc)
            bits, llr = received(code, SPEED_EBN0_DB, BLOCKS, 0)
            speed = bits.size / 1e6 / best_time(lambda code=code, llr=llr: code.decode(llr))  # type: ignore[misc]
            result["decode"].append({"decoder": "gr-semcom", "kernel": kernel(), "list_size": list_size, "crc": crc,
                                     "mbit_s": round(speed, 2)})  # fmt: skip
    os.environ["SEMCOM_KERNEL"] = ""
    for list_size in (1, 2, 4, 8, 32):
        _, llr = received(Polar(CARRIED, N), SPEED_EBN0_DB, NATIVE_BLOCKS, 0)
        speed = NATIVE_BLOCKS * CARRIED / 1e6 / min(native(llr, list_size)[1] for _ in range(RUNS))
        result["decode"].append({"decoder": "gr-fec", "kernel": "volk", "list_size": list_size, "crc": None,
                                 "mbit_s": round(speed, 3)})  # fmt: skip
    result["block_error_rate"] = [
        row
        for name, list_size, crc in (
            ("gr-semcom", 1, None), ("gr-semcom", 2, None), ("gr-semcom", 4, None), ("gr-semcom", 8, None),
            ("gr-semcom", 32, None), ("gr-semcom", 8, "crc11"), ("gr-semcom", 32, "crc11"),
            ("gr-fec", 1, None), ("gr-fec", 4, None), ("gr-fec", 8, None),
        )
        for row in block_errors(name, list_size, crc)
    ]  # fmt: skip
    text = json.dumps(result, indent=1)
    print(text)
    Path(__file__).with_name("polar_speed.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the kernels' speed on one core and the block error rates beside it.

(1536, 4608), 16-QAM, AWGN, exact LLRs, 20 iterations at most. Speeds are information bits (or symbols) for each second
of CPU time, the best of five runs, because other work may share the machine. Writes `ldpc_speed.json` beside this file.
Run: python benchmarks/phy/ldpc.py
"""

from __future__ import annotations

import ctypes
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gnuradio.semcom.kernels import library
from gnuradio.semcom.output import processor
from gnuradio.semcom.phy import LDPC5G, Modulation
from gnuradio.semcom.phy.channel import noise
from gnuradio.semcom.phy.snr import noise_var

K, N, ITERATIONS, BLOCKS, RUNS = 1536, 4608, 20, 1000, 5


def best_time(call: Callable[[], Any]) -> float:
    """CPU seconds of the fastest of several runs."""
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def kernel() -> str:
    """Which decoder the library takes now."""
    function = library().semcom_ldpc_kernel
    function.restype = ctypes.c_char_p
    return function().decode()


def received(code: LDPC5G, modulation: Modulation, esn0_db: float, blocks: int, seed: int) -> tuple[Any, Any]:
    """Bits and noisy symbols."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (blocks, K), dtype=np.uint8)
    symbols = modulation.map(code.encode(bits))
    return bits, symbols + noise(symbols.size, noise_var(esn0_db), rng).reshape(symbols.shape)


def main() -> None:
    """Measure and write."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    code, modulation = LDPC5G(K, N), Modulation("16qam")
    bits, symbols = received(code, modulation, 4.25, BLOCKS, 0)
    mega = BLOCKS * K / 1e6
    result: dict[str, Any] = {
        "processor": processor(), "cores_used": 1, "command": "python benchmarks/phy/ldpc.py", "k": K, "n": N,
        "modulation": "16qam", "max_iterations": ITERATIONS, "time": "CPU seconds, best of 5, machine shared",
        "encode_mbit_s": round(mega / best_time(lambda: code.encode(bits)), 1),
        "map_msymbol_s": round(symbols.size / 1e6 / best_time(lambda: modulation.map(code.encode(bits))), 1),
    }  # fmt: skip
    for method in ("exact", "maxlog"):
        seconds = best_time(lambda method=method: modulation.llr(symbols, noise_var(4.25), method))  # type: ignore[misc]
        result[f"demap_{method}_msymbol_s"] = round(symbols.size / 1e6 / seconds, 1)
    result["decode"] = []
    for wish in ("", "avx2", "plain"):
        os.environ["SEMCOM_KERNEL"] = wish
        if wish and kernel() != wish:
            continue
        for esn0_db in (3.5, 4.25, 6.0):
            _, noisy = received(code, modulation, esn0_db, BLOCKS, 0)
            llr = modulation.llr(noisy, noise_var(esn0_db))
            speed = mega / best_time(lambda llr=llr: code.decode(llr, ITERATIONS))  # type: ignore[misc]
            mean = float(np.mean(code.decode(llr, ITERATIONS)[2]))
            row = {"kernel": kernel(), "esn0_db": esn0_db, "mbit_s": round(speed, 1), "mean_iterations": round(mean, 2)}
            result["decode"].append(row)
    os.environ["SEMCOM_KERNEL"] = ""
    result["block_error_rate"] = []
    for esn0_db, limit in ((3.5, 20), (3.75, 20), (4.0, 20), (3.5, 50), (3.75, 50)):
        failed, blocks = 0, 10_000
        for seed in range(blocks // 1000):
            sent, noisy = received(code, modulation, esn0_db, 1000, 1 + seed)
            decoded, _, _ = code.decode(modulation.llr(noisy, noise_var(esn0_db)), limit)
            failed += int(np.sum(np.any(decoded != sent, axis=1)))
        result["block_error_rate"].append(
            {"esn0_db": esn0_db, "iterations": limit, "blocks": blocks, "failed": failed, "bler": failed / blocks}
        )
    text = json.dumps(result, indent=1)
    print(text)
    Path(__file__).with_name("ldpc_speed.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the LDPC kernel and the demapper against what we promise: speeds on one core, and block error rates.

(1536, 4608), 16-QAM, AWGN, exact LLRs. Speeds are information bits (or symbols) for each second of CPU time, the best
of five runs, because other work may share the machine; gr-fec's decoder (`gr_fec.py`) runs beside ours. Block error
rates are measured for the plain code and for what the MCS table makes of it (its own alpha, 38.212's bit interleaver).
Writes `ldpc_speed.json` beside this file. Run: python benchmarks/phy/ldpc.py [--without-gr-fec]
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gr_fec
import numpy as np

from gnuradio.semcom.bench.intervals import clopper_pearson
from gnuradio.semcom.kernels import library
from gnuradio.semcom.output import processor
from gnuradio.semcom.phy import LDPC5G, Modulation
from gnuradio.semcom.phy.channel import noise
from gnuradio.semcom.phy.interleaver import from_air, to_air
from gnuradio.semcom.phy.mcs import get
from gnuradio.semcom.phy.snr import noise_var

K, N, ITERATIONS, BLOCKS, RUNS = 1536, 4608, 20, 1000, 5
SPEED_AT_DB = 3.95
BLER_BLOCKS = 100_000
POINTS = [(x, 20, 10_000) for x in (3.25, 3.5, 3.75, 4.0)]
POINTS += [(3.5, 50, 10_000), *((x, 50, BLER_BLOCKS) for x in (3.75, 3.8, 3.85, 3.9, 3.95, 4.0))]
PROMISED = {
    "esn0_db_at_bler_1e-3": 4.0, "mean_iterations_at_bler_1e-3": 14.0, "decode_mbit_s": {"avx512": 25, "avx2": 25,
    "plain": 15}, "ratio_to_gr_fec": 200, "demap_exact_msymbol_s": 20, "demap_maxlog_msymbol_s": 40,
}  # fmt: skip


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


def received(
    code: LDPC5G, modulation: Modulation, esn0_db: float, blocks: int, seed: int, interleaved: bool = False
) -> tuple[Any, Any]:
    """Bits and noisy symbols; `interleaved` as the link sends them."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (blocks, K), dtype=np.uint8)
    coded = code.encode(bits)
    if interleaved:
        coded = to_air(coded, modulation.bits_per_symbol, True, False).reshape(blocks, -1)
    symbols = modulation.map(coded)
    return bits, symbols + noise(symbols.size, noise_var(esn0_db), rng).reshape(symbols.shape)


def speeds(modulation: Modulation) -> dict[str, Any]:
    """Encoder, mapper and demapper, and the decoder on every path that this processor has."""
    code, mega = LDPC5G(K, N), BLOCKS * K / 1e6
    bits, symbols = received(code, modulation, SPEED_AT_DB, BLOCKS, 0)
    coded, variance = code.encode(bits), noise_var(SPEED_AT_DB)
    result = {
        "encode_mbit_s": round(mega / best_time(lambda: code.encode(bits)), 1),
        "map_msymbol_s": round(symbols.size / 1e6 / best_time(lambda: modulation.map(coded)), 1),
    }
    each = np.full(symbols.shape, variance, np.float32)
    for method in ("exact", "maxlog"):
        for name, spread in (("", variance), ("_noise_per_symbol", each)):
            seconds = best_time(lambda v=spread, m=method: modulation.llr(symbols, v, m))  # type: ignore[misc]
            result[f"demap_{method}{name}_msymbol_s"] = round(symbols.size / 1e6 / seconds, 1)
    result["decode"] = []
    for wish in ("avx512", "avx2", "plain"):
        os.environ["SEMCOM_KERNEL"] = wish
        if kernel() != wish:
            continue
        for esn0_db in (3.5, SPEED_AT_DB, 4.25, 6.0):
            _, noisy = received(code, modulation, esn0_db, BLOCKS, 0)
            llr = modulation.llr(noisy, noise_var(esn0_db))
            speed = mega / best_time(lambda llr=llr: code.decode(llr, ITERATIONS))  # type: ignore[misc]
            mean = float(np.mean(code.decode(llr, ITERATIONS)[2]))
            row = {"kernel": wish, "esn0_db": esn0_db, "mbit_s": round(speed, 1), "mean_iterations": round(mean, 2)}
            result["decode"].append(row)
    os.environ["SEMCOM_KERNEL"] = ""
    return result


def block_error_rates(modulation: Modulation, settings: str, alpha: float | None, interleaved: bool) -> dict[str, Any]:
    """The curve of one setting, and where it crosses 1e-3 with at most 50 iterations."""
    code, rows = LDPC5G(K, N, alpha=alpha), []
    for esn0_db, limit, blocks in POINTS:
        failed, undetected, iterations = 0, 0, 0
        for seed in range(blocks // 1000):
            sent, noisy = received(code, modulation, esn0_db, 1000, 1 + seed, interleaved)
            llr = modulation.llr(noisy, noise_var(esn0_db))
            if interleaved:
                llr = from_air(llr.reshape(-1), 1000, modulation.bits_per_symbol, True, False)
            decoded, ok, done = code.decode(llr, limit)
            wrong = np.any(decoded != sent, axis=1)
            failed += int(np.sum(wrong))
            undetected += int(np.sum(wrong & ok))
            iterations += int(np.sum(done))
        rows.append({
            "esn0_db": esn0_db, "iterations": limit, "blocks": blocks, "failed": failed, "bler": failed / blocks,
            "interval_95": clopper_pearson(failed, blocks), "undetected": undetected,
            "mean_iterations": round(iterations / blocks, 2),
        })  # fmt: skip
        print(settings, json.dumps(rows[-1]), flush=True)
    steep = [row for row in rows if row["iterations"] == 50 and row["failed"]]
    logs = [-np.log10(row["bler"]) for row in steep]
    crossed = bool(logs) and min(logs) <= 3.0 <= max(logs)
    at, mean = (
        round(float(np.interp(3.0, logs, [row[key] for row in steep])), 3) if crossed else None
        for key in ("esn0_db", "mean_iterations")
    )
    return {
        "settings": settings, "alpha": code.alpha, "bit_interleaver": interleaved, "esn0_db_at_bler_1e-3": at,
        "mean_iterations_at_bler_1e-3": mean, "rows": rows,
    }  # fmt: skip


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without-gr-fec", action="store_true", help="saves a minute")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    modulation, scheme = Modulation("16qam"), get("16qam-1/3")
    result: dict[str, Any] = {
        "processor": processor(), "cores_used": 1, "command": "python benchmarks/phy/ldpc.py", "k": K, "n": N,
        "modulation": "16qam", "max_iterations": ITERATIONS, "time": "CPU seconds, best of 5, machine shared",
        "promised": PROMISED, **speeds(modulation),
    }  # fmt: skip
    if not arguments.without_gr_fec:
        theirs = gr_fec.measure(SPEED_AT_DB, ITERATIONS)
        best = max(row["mbit_s"] for row in theirs)
        result["gr_fec"] = {"code": "(1536, 4576), all bits sent", "esn0_db": SPEED_AT_DB, "rows": theirs}
        for row in result["decode"]:
            if row["esn0_db"] == SPEED_AT_DB:
                row["ratio_to_gr_fec"] = round(row["mbit_s"] / best)
    curves = [
        block_error_rates(modulation, "plain code", None, False),
        block_error_rates(modulation, "MCS table", scheme.alpha, scheme.interleaved),
    ]
    result["block_error_rate"] = curves
    text = json.dumps(result, indent=1)
    print(text)
    Path(__file__).with_name("ldpc_speed.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

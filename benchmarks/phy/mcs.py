# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures where each MCS works: the columns alpha, interleaved and gap_db of the MCS table.

For every scheme, both settings of the bit interleaver and several min-sum factors it looks for the Es/N0 at
which 1536-bit blocks reach a block error rate of 1e-2 over AWGN with 50 iterations, and writes the best setting and
its distance from the normal approximation to `mcs.json` beside this file. Run: python benchmarks/phy/mcs.py
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from gnuradio.semcom.phy import bounds
from gnuradio.semcom.phy.channel import noise
from gnuradio.semcom.phy.ldpc import LDPC5G
from gnuradio.semcom.phy.mcs import MCS, get, names
from gnuradio.semcom.phy.modulation import Modulation
from gnuradio.semcom.phy.snr import noise_var

K = 1536
TARGET = 1e-2
BLOCKS = 2000
STEP_DB = 0.1


def block_error_rate(scheme: MCS, alpha: float, interleaved: bool, esn0_db: float) -> float:
    """Measured over BLOCKS random blocks, the same bits and noise for every setting."""
    bits_per_symbol = scheme.bits_per_symbol
    n = math.ceil(K / scheme.code_rate / bits_per_symbol) * bits_per_symbol
    code, modulation = LDPC5G(K, n, alpha=alpha), Modulation(scheme.modulation)
    rng = np.random.default_rng(1)
    failed = 0
    for _ in range(BLOCKS // 500):
        bits = rng.integers(0, 2, (500, K), dtype=np.uint8)
        flips = rng.integers(0, 2, (500, n), dtype=np.uint8)  # scrambling: equiprobable points for every code
        words = code.encode(bits)
        if interleaved:
            words = words.reshape(500, bits_per_symbol, -1).swapaxes(1, 2).reshape(500, n)
        symbols = modulation.map(words ^ flips)
        received = symbols + noise(symbols.size, noise_var(esn0_db), rng).reshape(symbols.shape)
        llr = modulation.llr(received, noise_var(esn0_db)) * (1 - 2 * flips.astype(np.float32))
        if interleaved:
            llr = llr.reshape(500, -1, bits_per_symbol).swapaxes(1, 2).reshape(500, n)
        decoded, _, _ = code.decode(llr, 50)
        failed += int(np.sum(np.any(decoded != bits, axis=1)))
    return failed / BLOCKS


def threshold_db(scheme: MCS, alpha: float, interleaved: bool, start_db: float) -> float:
    """Es/N0 at the target, by interpolating the logarithm of the block error rate."""
    last, level = 0.0, start_db
    for _ in range(40):
        rate = math.log10(max(block_error_rate(scheme, alpha, interleaved, level), 0.1 / BLOCKS))
        if rate <= math.log10(TARGET):
            return level if last == 0.0 else level - STEP_DB * (math.log10(TARGET) - rate) / (last - rate)
        last, level = rate, level + STEP_DB
    return math.inf


def main() -> None:
    """Measure all schemes and write the table."""
    rows = []
    for scheme in (get(name) for name in names()):
        if not scheme.coded:
            continue
        symbols = math.ceil(K / scheme.efficiency)
        limit = bounds.normal_approximation_esn0_db(scheme.efficiency, symbols, TARGET, scheme.modulation)
        found = {}
        for interleaved in (False, True) if scheme.bits_per_symbol > 2 else (False,):
            for alpha in (0.65625, 0.71875, 0.78125, 0.84375):
                found[interleaved, alpha] = threshold_db(scheme, alpha, interleaved, limit + 0.3)
        (interleaved, alpha), level = min(found.items(), key=lambda item: item[1])
        rows.append({
            "mcs": scheme.name, "alpha": alpha, "interleaved": interleaved, "esn0_db": round(level, 2),
            "normal_approximation_db": round(limit, 2), "gap_db": round(level - limit, 2),
            "tried": {f"{'on' if i else 'off'} {a}": round(x, 2) for (i, a), x in found.items() if x < math.inf},
        })  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
    result = {"k": K, "bler": TARGET, "blocks": BLOCKS, "iterations": 50, "channel": "awgn", "rows": rows}
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

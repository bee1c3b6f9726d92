# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares our PHY with the answers of sionna-no-rt (`answers.py`): run by `make cross-check`.

    python compare.py ANSWERS.npz

Codes, checks and sequences must agree bit for bit, LLRs within the rounding of float32 (sionna's are double
precision), block error rates of the same noisy symbols within their intervals. Prints a table, writes
`../cross_check.json`, and ends with status 1 if anything differs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cases
import numpy as np
from scipy.stats import binomtest

from gnuradio.semcom.bench.intervals import clopper_pearson
from gnuradio.semcom.output import processor
from gnuradio.semcom.phy import LDPC5G, Modulation, crc, tdl
from gnuradio.semcom.phy.interleaver import from_air, to_air
from gnuradio.semcom.phy.polar import Polar
from gnuradio.semcom.phy.scrambler import gold_sequence
from gnuradio.semcom.phy.snr import noise_var

CONFIDENCE = 0.99
DIAGONAL = np.exp(0.25j * np.pi)  # their BPSK is real, the standard's lies on the diagonal
LEAST_P = 1e-3  # below it, decoders of the same symbols differ by more than chance

answers: Any = None
facts: dict[str, Any] = {}
rows: list[dict[str, Any]] = []


def unpack(name: str, count: int) -> np.ndarray:
    return np.unpackbits(answers[name], axis=-1)[..., :count]


def row(what: str, cases_: int, compared: int, mismatches: int, **more: Any) -> None:
    rows.append({"what": what, "cases": cases_, "compared": compared, "mismatches": int(mismatches), **more})


def ldpc() -> None:
    codes, mismatches, compared, graphs = cases.ldpc_codes(), 0, 0, set()
    for k, n in codes:
        code, coded = LDPC5G(k, n), unpack(f"ldpc-{k}-{n}-coded", n)
        graph, z = answers[f"ldpc-{k}-{n}-graph"]
        mismatches += (code.base_graph, code.z) != (graph, z)
        mismatches += np.count_nonzero(code.encode(unpack(f"ldpc-{k}-{n}-bits", k)) != coded)
        compared += coded.size
        graphs.add((int(graph), int(z)))
    sizes = {f"lifting_sizes_of_base_graph_{g}": sum(a == g for a, _ in graphs) for g in (1, 2)}
    row("LDPC encoder, graph and size", len(codes), compared, mismatches, **sizes)


def redundancy_versions() -> None:
    mismatches, compared = 0, 0
    for k, n in cases.RATE_MATCHED:
        bits, coded = unpack(f"rv-{k}-{n}-bits", k), unpack(f"rv-{k}-{n}-coded", n)
        for rv in range(4):
            mismatches += np.count_nonzero(LDPC5G(k, n, rv=rv).encode(bits) != coded[:, rv])
        compared += coded.size
    row("LDPC redundancy versions 0 to 3", 4 * len(cases.RATE_MATCHED), compared, mismatches)


def repetition() -> None:
    mismatches, compared = 0, 0
    for k, buffer, n in cases.REPEATED:
        expected = np.resize(unpack(f"repeated-{k}-coded", buffer).T, (n, cases.LDPC_WORDS)).T
        mismatches += np.count_nonzero(LDPC5G(k, n).encode(unpack(f"repeated-{k}-bits", k)) != expected)
        compared += expected.size
    row("LDPC repetition below the mother rate", len(cases.REPEATED), compared, mismatches)


def bit_interleaver() -> None:
    mismatches, compared = 0, 0
    for n, bits_per_symbol in cases.INTERLEAVED:
        # Ours goes on to spread the symbols over the air: that step is taken back.
        air = to_air(np.arange(n)[None], bits_per_symbol, True, False)
        ours = from_air(air, 1, bits_per_symbol, False, False)[0]
        mismatches += np.count_nonzero(ours != answers[f"interleaver-{n}-{bits_per_symbol}"])
        compared += n
    row("bit interleaver", len(cases.INTERLEAVED), compared, mismatches)


def polar() -> None:
    mismatches, compared = 0, 0
    for k, n, list_size, crc_name in cases.POLAR:
        code = Polar(k, n, list_size, crc_name)
        bits, coded = unpack(f"polar-{k}-{n}-bits", k), unpack(f"polar-{k}-{n}-coded", n)
        mismatches += np.count_nonzero(code.encode(bits) != coded)
        mismatches += np.count_nonzero(code.decode(np.float32(3) - np.float32(6) * coded)[0] != bits)
        compared += coded.size + bits.size
    row("polar encoder, with and without CRC", len(cases.POLAR), compared, mismatches)


def checks() -> None:
    mismatches, compared = 0, 0
    for name in cases.CRCS:
        for length in cases.CRC_LENGTHS:
            check = unpack(f"crc-{name}-{length}-check", crc.crc_length(name))
            mismatches += np.count_nonzero(crc.crc(unpack(f"crc-{name}-{length}-bits", length), name) != check)
            compared += check.size
    row("CRC, six polynomials", len(cases.CRCS) * len(cases.CRC_LENGTHS), compared, mismatches)


def scrambling() -> None:
    mismatches = 0
    for n_rnti, n_id in cases.SCRAMBLERS:
        ours = gold_sequence((n_rnti << 15) + n_id, cases.SCRAMBLED_BITS)
        mismatches += np.count_nonzero(ours != unpack(f"scrambler-{n_rnti}-{n_id}", cases.SCRAMBLED_BITS))
    row("scrambling sequence", len(cases.SCRAMBLERS), len(cases.SCRAMBLERS) * cases.SCRAMBLED_BITS, mismatches)


def mapping() -> None:
    compared, difference = 0, 0.0
    for name in cases.MODULATIONS:
        turned = DIAGONAL if name == "bpsk" else 1.0
        points = answers[f"points-{name}"] * turned
        difference = max(difference, float(np.abs(Modulation(name).points - points).max()))
        compared += points.size
    row("constellation points", len(cases.MODULATIONS), compared, difference > 3e-7, largest_difference=difference)
    for method in cases.METHODS:
        compared, mismatches, relative = 0, 0, 0.0
        for name in cases.MODULATIONS:
            turned = np.complex64(DIAGONAL if name == "bpsk" else 1)
            symbols = answers[f"symbols-{name}"] * turned
            for i, variance in enumerate((*cases.NOISE_VARIANCES, answers[f"noise_var-{name}"])):
                ours = Modulation(name).llr(symbols, np.float32(variance), method)
                theirs = -answers[f"llr-{name}-{method}-{i}"]  # their sign is log P(1)/P(0)
                # What float32 can hold of the distances that the LLR is a difference of.
                scale = np.repeat((np.abs(symbols) + 1.5) ** 2 / variance, cases.MODULATIONS[name])
                error = np.abs(ours - theirs) / scale
                relative = max(relative, float(error.max()))
                mismatches += np.count_nonzero(error > 1e-6)
                compared += ours.size
        row(f"LLRs, {method}", len(cases.MODULATIONS) * 4, compared, mismatches, largest_relative_difference=relative)


def tapped_delay_lines() -> None:
    compared, difference = 0, 0.0
    for model in cases.TDL_MODELS:
        delays, powers = tdl.power_delay_profile(f"TDL-{model}")
        if delays[0] == delays[1]:  # theirs counts the direct path and the scattered one of its delay as one
            delays, powers = delays[1:], np.concatenate(([powers[0] + powers[1]], powers[2:]))
        theirs = answers[f"tdl-{model}-delays"] / cases.TDL_DELAY_SPREAD_S, answers[f"tdl-{model}-powers"]
        if len(delays) != len(theirs[0]):
            difference = np.inf
            continue
        for found, expected in zip((delays, powers), theirs, strict=True):
            difference = max(difference, float(np.abs(found - expected).max()))
        compared += 2 * len(delays)
    row("tapped delay lines", len(cases.TDL_MODELS), compared, difference > 1e-6, largest_difference=difference)


def compare_errors(what: str, esn0_db: float, ours: np.ndarray, theirs: np.ndarray, same_rule: bool) -> None:
    """One point of a curve. Both decoders saw the same symbols, so words that only one gets wrong tell most.

    The intervals must meet; and where both follow the same rule, ours must not fail where theirs does not more often
    than chance explains.
    """
    blocks = len(ours)
    sides = {}
    for name, wrong in (("ours", ours), ("theirs", theirs)):
        failed = int(np.sum(wrong))
        limits = clopper_pearson(failed, blocks, CONFIDENCE)
        sides[name] = {"failed": failed, "bler": failed / blocks, "interval": limits}
    apart = sides["ours"]["interval"][0] > sides["theirs"]["interval"][1]
    apart |= sides["ours"]["interval"][1] < sides["theirs"]["interval"][0]
    only_ours, only_theirs = int(np.sum(ours & ~theirs)), int(np.sum(theirs & ~ours))
    different = only_ours + only_theirs
    p = float(binomtest(only_ours, different, alternative="greater").pvalue) if different else 1.0
    row(
        what, 1, blocks, apart or (same_rule and p < LEAST_P), esn0_db=esn0_db, **sides, confidence=CONFIDENCE,
        only_ours_failed=only_ours, only_theirs_failed=only_theirs, p_of_no_worse=p,
    )  # fmt: skip


def best_seconds(call: Callable[[], Any], runs: int = 3) -> float:
    """Processor time of the fastest of several runs, as the other side measures it."""
    call()
    times = []
    for _ in range(runs):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def best_mbit_s(call: Callable[[], Any], bits: int) -> float:
    return bits / best_seconds(call) / 1e6


def received(name: str, number: int, k: int, modulation: str, esn0_db: float) -> tuple[np.ndarray, np.ndarray]:
    """The other side's bits, and our LLRs of its noisy symbols."""
    turned = np.complex64(DIAGONAL if modulation == "bpsk" else 1)
    symbols = answers[f"{name}-{number}-symbols"] * turned
    return unpack(f"{name}-{number}-bits", k), Modulation(modulation).llr(symbols, noise_var(esn0_db))


def ldpc_block_errors() -> dict[str, float]:
    what = cases.LDPC_BLER
    code, iterations = LDPC5G(what["k"], what["n"]), what["iterations"]
    for number, (esn0_db, _) in enumerate(cases.LDPC_POINTS):
        bits, llr = received("ldpc_bler", number, code.k, what["modulation"], esn0_db)
        ours = np.any(code.decode(llr, iterations)[0] != bits, axis=1)
        flooding, layered = (answers[f"ldpc_bler-{number}-{kind}"] for kind in ("flooding", "layered"))
        compare_errors("LDPC, to sum-product", esn0_db, ours, flooding, False)
        compare_errors("LDPC, to layered min-sum", esn0_db, ours[: len(layered)], layered, True)
    # Theirs always does all iterations; so does ours on blocks that cannot be decoded.
    hopeless = np.random.default_rng(0).normal(size=(100, code.n)).astype(np.float32)
    return {
        "theirs_mbit_s": code.k / facts["seconds_per_block"]["ldpc"] / 1e6,
        "ours_all_iterations_mbit_s": best_mbit_s(lambda: code.decode(hopeless, iterations), 100 * code.k),
        "ours_at_last_point_mbit_s": best_mbit_s(lambda: code.decode(llr, iterations), len(llr) * code.k),
    }


def combined_block_errors() -> None:
    what = cases.COMBINED_BLER
    code = LDPC5G(what["k"], what["n"], rv=what["rvs"])
    for number, (esn0_db, _) in enumerate(cases.COMBINED_POINTS):
        bits, llr = received("combined_bler", number, code.k, what["modulation"], esn0_db)
        ours = np.any(code.decode(llr, what["iterations"])[0] != bits, axis=1)
        theirs = answers[f"combined_bler-{number}-flooding"]
        compare_errors("LDPC, versions 0 and 2, to sum-product", esn0_db, ours, theirs, False)


def polar_block_errors(what: dict[str, Any], name: str, points: Any) -> dict[str, float]:
    code = Polar(what["k"], what["n"], what["list_size"], what["crc"])
    for number, (esn0_db, _) in enumerate(points):
        bits, llr = received(name, number, what["k"], what["modulation"], esn0_db)
        ours = np.any(code.decode(llr)[0] != bits, axis=1)
        title = f"polar, list {what['list_size']}, {what['crc'] or 'no CRC'}"
        compare_errors(title, esn0_db, ours, answers[f"{name}-{number}-list"], True)
    return {
        "theirs_mbit_s": what["k"] / facts["seconds_per_block"][name] / 1e6,
        "ours_mbit_s": best_mbit_s(lambda: code.decode(llr), len(llr) * what["k"]),
    }


def with_ratios(found: dict[str, float]) -> dict[str, float]:
    ratios = {
        key.replace("_mbit_s", "_ratio"): round(value / found["theirs_mbit_s"])
        for key, value in found.items() if key.startswith("ours")
    }  # fmt: skip
    return {**{key: round(value, 4) for key, value in found.items()}, **ratios}


def table() -> str:
    lines = [f"{'':48} {'cases':>6} {'compared':>9} {'differ':>7}"]
    for found in rows:
        name, text = found["what"], ""
        if "esn0_db" in found:
            name += f", {found['esn0_db']:.2f} dB"
            both = (
                f"{side} {found[side]['bler']:.4f} [{found[side]['interval'][0]:.4f}, {found[side]['interval'][1]:.4f}]"
                for side in ("ours", "theirs")
            )
            text = f"  {'; '.join(both)}; p {found['p_of_no_worse']:.3f}"
        lines.append(f"{name:48} {found['cases']:6} {found['compared']:9} {found['mismatches']:7}{text}")
    return "\n".join(lines)


def main() -> int:
    global answers
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with np.load(sys.argv[1]) as file:
        answers = {name: file[name] for name in file.files}
    facts.update(json.loads(str(answers["facts"])))
    for part in (
        ldpc, redundancy_versions, repetition, bit_interleaver, polar, checks, scrambling, mapping, tapped_delay_lines,
        combined_block_errors,
    ):  # fmt: skip
        part()
    decode = {
        "ldpc": with_ratios(ldpc_block_errors()),
        "polar": with_ratios(polar_block_errors(cases.POLAR_BLER, "polar_bler", cases.POLAR_POINTS)),
        "polar_with_crc": with_ratios(polar_block_errors(cases.CHECKED_BLER, "checked_bler", cases.CHECKED_POINTS)),
    }
    result = {
        "command": "make cross-check",
        "theirs": facts["versions"],
        "ours": {"numpy": np.__version__},
        "processor": processor(),
        "rows": rows,
        "decoding": {"time": "CPU seconds, best of 3, one core each", **decode},
    }
    (Path(__file__).parents[1] / "cross_check.json").write_text(json.dumps(result, indent=1) + "\n")
    print(table())
    for name, found in decode.items():
        print(f"decoding {name}: " + ", ".join(f"{key} {value}" for key, value in found.items()))
    wrong = sum(found["mismatches"] > 0 for found in rows)
    print(f"{len(rows) - wrong} of {len(rows)} comparisons agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the public package sionna-no-rt makes of the cases: run by `make cross-check` in an environment of its own.

    python answers.py OUTPUT.npz

Bits are packed, most significant first. LLRs here and in the file are sionna's: log P(1)/P(0).
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from importlib import metadata
from typing import Any

import cases
import numpy as np
import torch
from sionna.phy.channel.tr38901 import TDL
from sionna.phy.fec.crc import CRCEncoder
from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
from sionna.phy.fec.polar import PolarEncoder, PolarSCLDecoder
from sionna.phy.fec.polar.utils import generate_5g_ranking
from sionna.phy.fec.scrambling import TB5GScrambler
from sionna.phy.mapping import Constellation, Demapper, Mapper

arrays: dict[str, np.ndarray] = {}
facts: dict[str, Any] = {
    "versions": {name: metadata.version(name) for name in ("sionna-no-rt", "torch", "numpy")},
    "seconds_per_block": {},
}


def say(text: str) -> None:
    print(f"sionna: {text}", file=sys.stderr, flush=True)


def random_bits(seed: list[int], *shape: int) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).integers(0, 2, shape), dtype=torch.float32)


def keep_bits(name: str, bits: torch.Tensor | np.ndarray) -> None:
    arrays[name] = np.packbits(np.asarray(bits).astype(np.uint8), axis=-1)


def ldpc() -> None:
    for k, n in cases.ldpc_codes():
        encoder = LDPC5GEncoder(k, n)
        bits = random_bits([1, k, n], cases.LDPC_WORDS, k)
        keep_bits(f"ldpc-{k}-{n}-bits", bits)
        keep_bits(f"ldpc-{k}-{n}-coded", encoder(bits))
        arrays[f"ldpc-{k}-{n}-graph"] = np.array([1 if encoder._bg == "bg1" else 2, encoder.z])
    for k, n in cases.RATE_MATCHED:
        bits = random_bits([2, k, n], cases.LDPC_WORDS, k)
        keep_bits(f"rv-{k}-{n}-bits", bits)
        keep_bits(f"rv-{k}-{n}-coded", LDPC5GEncoder(k, n)(bits, rv=[0, 1, 2, 3]))  # [words, 4, n]
    for k, buffer, _ in cases.REPEATED:
        bits = random_bits([10, k], cases.LDPC_WORDS, k)
        keep_bits(f"repeated-{k}-bits", bits)
        keep_bits(f"repeated-{k}-coded", LDPC5GEncoder(k, buffer)(bits))
    for n, bits_per_symbol in cases.INTERLEAVED:
        encoder = LDPC5GEncoder(100, 200)
        arrays[f"interleaver-{n}-{bits_per_symbol}"] = encoder.generate_out_int(n, bits_per_symbol)[0]


def polar_code(k: int, n: int, crc_name: str | None) -> tuple[Any, np.ndarray]:
    """An encoder that appends the CRC, if any, to k bits, and the frozen positions."""
    check = CRCEncoder(crc_name.upper(), k=k) if crc_name else None
    frozen = generate_5g_ranking(k + (check.crc_length if check else 0), n)[0]
    encoder = PolarEncoder(frozen, n)
    return (lambda bits: encoder(check(bits) if check else bits)), frozen


def polar() -> None:
    for k, n, _, crc_name in cases.POLAR:
        bits = random_bits([3, k, n], cases.POLAR_WORDS, k)
        keep_bits(f"polar-{k}-{n}-bits", bits)
        keep_bits(f"polar-{k}-{n}-coded", polar_code(k, n, crc_name)[0](bits))


def crc() -> None:
    for name in cases.CRCS:
        for length in cases.CRC_LENGTHS:
            bits = random_bits([4, length], 4, length)
            keep_bits(f"crc-{name}-{length}-bits", bits)
            keep_bits(f"crc-{name}-{length}-check", CRCEncoder(name.upper())(bits)[:, length:])


def scrambling() -> None:
    for n_rnti, n_id in cases.SCRAMBLERS:
        zeros = torch.zeros(1, cases.SCRAMBLED_BITS)
        keep_bits(f"scrambler-{n_rnti}-{n_id}", TB5GScrambler(n_rnti, n_id)(zeros)[0])


def constellation(bits_per_symbol: int, **options: Any) -> Constellation:
    """BPSK is sionna's two-level amplitude modulation: real, where the standard's lies on the diagonal."""
    return Constellation("pam" if bits_per_symbol == 1 else "qam", bits_per_symbol, **options)


def mapping() -> None:
    for name, bits_per_symbol in cases.MODULATIONS.items():
        rng = np.random.default_rng([5, bits_per_symbol])
        points = constellation(bits_per_symbol, precision="double")
        arrays[f"points-{name}"] = points.points.numpy()
        symbols = (1.3 * (rng.normal(size=(cases.SYMBOLS, 2)) @ [1, 1j])).astype(np.complex64)
        each = (10 ** rng.uniform(-2.5, 0.5, cases.SYMBOLS)).astype(np.float32)
        arrays[f"symbols-{name}"], arrays[f"noise_var-{name}"] = symbols, each
        for ours, theirs in cases.METHODS.items():
            demapper = Demapper(theirs, constellation=points, precision="double")
            for i, variance in enumerate((*cases.NOISE_VARIANCES, each)):
                no = torch.tensor(np.float32(variance).astype(np.float64))
                llr = demapper(torch.tensor(symbols.astype(np.complex128)), no)
                arrays[f"llr-{name}-{ours}-{i}"] = llr.numpy().reshape(-1)


def seconds(call: Any, runs: int = 3) -> float:
    """Processor time of the fastest of several runs."""
    call()  # builds
    times = []
    for _ in range(runs):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def wrong(decode: Any, llr: torch.Tensor, bits: torch.Tensor, batch: int) -> np.ndarray:
    """Which words the decoder gets wrong."""
    pieces = [decode(llr[i : i + batch]) for i in range(0, len(llr), batch)]
    return torch.any(torch.cat(pieces)[:, : bits.shape[1]] != bits, dim=1).numpy()


def received(
    name: str, number: int, encode: Any, k: int, modulation: str, point: tuple[float, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random bits and sionna's LLRs of their noisy symbols; keeps bits and symbols for the other side."""
    esn0_db, blocks = point
    say(f"{name} at {esn0_db} dB, {blocks} blocks")
    points = constellation(cases.MODULATIONS[modulation])
    seed = [6, *name.encode(), number]
    bits = random_bits([*seed, 0], blocks, k)
    symbols = Mapper(constellation=points)(encode(bits)).numpy()
    variance = np.float32(10 ** (-esn0_db / 10))
    noise = np.random.default_rng([*seed, 1]).normal(size=(*symbols.shape, 2)) @ [1, 1j]
    symbols = (symbols + noise * np.sqrt(variance / 2)).astype(np.complex64)
    keep_bits(f"{name}-{number}-bits", bits)
    arrays[f"{name}-{number}-symbols"] = symbols
    return bits, Demapper("app", constellation=points)(torch.tensor(symbols), torch.tensor(variance))


def ldpc_block_errors() -> None:
    what = cases.LDPC_BLER
    encoder = LDPC5GEncoder(what["k"], what["n"])
    flooding = LDPC5GDecoder(encoder, cn_update="boxplus-phi", num_iter=what["iterations"])
    # Our check rule and schedule, in floating point and without clipping; 22/32 is our factor at this code rate.
    layered = LDPC5GDecoder(
        encoder, cn_update="minsum", cn_schedule="layered", num_iter=what["iterations"], llr_max=None,
        c2v_callbacks=[lambda messages, iteration: messages * (22 / 32)],
    )  # fmt: skip
    for number, (point, again) in enumerate(zip(cases.LDPC_POINTS, cases.LAYERED_BLOCKS, strict=True)):
        bits, llr = received("ldpc_bler", number, encoder, what["k"], what["modulation"], point)
        arrays[f"ldpc_bler-{number}-flooding"] = wrong(flooding, llr, bits, 50)
        arrays[f"ldpc_bler-{number}-layered"] = wrong(layered, llr[:again], bits[:again], 10)
    facts["seconds_per_block"]["ldpc"] = min(seconds(lambda b=b: flooding(llr[:b])) / b for b in (5, 10, 30))


def combined_block_errors() -> None:
    """Two transmissions of one word, combined: hybrid ARQ with incremental redundancy."""
    what = cases.COMBINED_BLER
    rvs, n = list(what["rvs"]), what["n"]
    encoder = LDPC5GEncoder(what["k"], n)
    decoder = LDPC5GDecoder(encoder, num_iter=what["iterations"], harq_mode=True)
    for number, point in enumerate(cases.COMBINED_POINTS):
        bits, llr = received(
            "combined_bler", number, lambda b: encoder(b, rv=rvs).flatten(1), what["k"], what["modulation"], point
        )
        decode = lambda x: decoder(x.reshape(-1, len(rvs), n), rv=rvs)  # noqa: E731
        arrays[f"combined_bler-{number}-flooding"] = wrong(decode, llr, bits, 50)


def polar_block_errors() -> None:
    for name, what, points in (
        ("polar_bler", cases.POLAR_BLER, cases.POLAR_POINTS),
        ("checked_bler", cases.CHECKED_BLER, cases.CHECKED_POINTS),
    ):
        encode, frozen = polar_code(what["k"], what["n"], what["crc"])
        check = what["crc"].upper() if what["crc"] else None
        decoder = PolarSCLDecoder(frozen, what["n"], list_size=what["list_size"], crc_degree=check)
        for number, point in enumerate(points):
            bits, llr = received(name, number, encode, what["k"], what["modulation"], point)
            arrays[f"{name}-{number}-list"] = wrong(decoder, llr, bits, 500)
        batches = (100, 500)
        facts["seconds_per_block"][name] = min(seconds(lambda b=b, d=decoder, x=llr: d(x[:b])) / b for b in batches)


def tapped_delay_lines() -> None:
    for model in cases.TDL_MODELS:
        line = TDL(model, cases.TDL_DELAY_SPREAD_S, 3.5e9, precision="double")
        arrays[f"tdl-{model}-delays"] = np.asarray(line.delays)
        arrays[f"tdl-{model}-powers"] = np.asarray(line.mean_powers)


def main() -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Effective coderate")
    for part in (
        ldpc, polar, crc, scrambling, mapping, tapped_delay_lines, ldpc_block_errors, combined_block_errors,
        polar_block_errors,
    ):  # fmt: skip
        say(part.__name__)
        part()
    np.savez(sys.argv[1], facts=np.array(json.dumps(facts)), **arrays)


if __name__ == "__main__":
    main()

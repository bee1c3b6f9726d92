# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of kind `code`: block errors of a channel code over a mapping and a channel, in batches.

A message is one code block of random bits. Sent in groups of 64 blocks, each group with its own generator, so that
neither the size of a batch nor the end of the point changes what a block meets. Errors are counted against the bits
that were sent, not by what the decoder believes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..phy import mcs as mcs_table
from ..phy.channel import check_model, check_rician_k, coherence, fades, noise
from ..phy.equaliser import equalise
from ..phy.interleaver import from_air, to_air
from ..phy.modulation import METHODS, Modulation
from ..phy.snr import noise_var
from .intervals import Metric, Moments, metric, share
from .settings import typed
from .stopping import Stop

GROUP = 64
MOST_GROUPS = 4  # of one batch: the arrays of 256 blocks stay in the cache

FIELDS: dict[str, type] = {
    "code": str, "mcs": str, "k": int, "n": int, "modulation": str, "channel": str, "esn0_db": float, "fading": str,
    "rician_k": float, "max_iterations": int, "alpha": float, "list_size": int, "crc": str, "interleaved": bool,
    "demapper": str,
}  # fmt: skip
SOURCES = ("phy/*.py", "phy/data/*", "kernels.py", "bench/code.py", "bench/intervals.py", "bench/stopping.py")
VERSIONS = ("numpy",)
DEFAULT_STOP = Stop(errors=100, cap=100_000, metric="bler", clean=1)
CODES = ("ldpc", "polar")
NO_CRC = "none"
ONLY = {"max_iterations": "ldpc", "alpha": "ldpc", "list_size": "polar", "crc": "polar"}

Bits = NDArray[np.uint8]


class Code(Protocol):
    """What is measured of a code."""

    def encode(self, bits: Bits) -> Bits:
        """Information bits [B, k] to coded bits [B, n]."""

    def decode(self, llr: NDArray[np.float32]) -> tuple[Bits, NDArray[np.bool_], NDArray[np.int32] | None]:
        """LLRs [B, n] to bits [B, k], whether the decoder holds them for right, and its iterations if it has any."""


class _Ldpc:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        from ..phy.ldpc import LDPC5G

        self.code = LDPC5G(settings["k"], settings["n"], alpha=settings["alpha"])
        self.max_iterations = settings["max_iterations"]
        self.encode = self.code.encode

    def decode(self, llr: NDArray[np.float32]) -> tuple[Bits, NDArray[np.bool_], NDArray[np.int32] | None]:
        return self.code.decode(llr, self.max_iterations)


class _Polar:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        from ..phy.polar import Polar

        crc = None if settings["crc"] == NO_CRC else settings["crc"]
        self.code = Polar(settings["k"], settings["n"], settings["list_size"], crc)
        self.encode = self.code.encode

    def decode(self, llr: NDArray[np.float32]) -> tuple[Bits, NDArray[np.bool_], NDArray[np.int32] | None]:
        bits, ok = self.code.decode(llr)
        return bits, ok, None


def resolve(given: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of a point, from those that are given. ValueError, with the setting's name first, if one is wrong.

    Either `mcs` (k is 1536 unless given; code rate, mapping, decoder factor and interleaver are the scheme's) or `k`,
    `n` and `modulation`. `crc` of a polar code is a name of `phy.crc`, or "none".
    """
    s: dict[str, Any] = {name: typed(name, value, FIELDS[name]) for name, value in given.items()}
    s.setdefault("code", "ldpc")
    if s["code"] not in CODES:
        raise ValueError(f"code must be one of {', '.join(CODES)}, not {s['code']!r}")
    for name, code in ONLY.items():
        if name in s and s["code"] != code:
            raise ValueError(f"{name} belongs to code {code}, not to {s['code']}")
    if "mcs" in s:
        _from_mcs(s)
    for name in ("k", "n", "modulation"):
        if name not in s:
            raise ValueError(f"{name} is missing: a code needs mcs, or k, n and modulation")
    defaults: dict[str, Any] = {"channel": "awgn", "esn0_db": 6.0, "rician_k": 1.0, "interleaved": False}
    defaults |= {"demapper": "exact", "fading": "128"}
    if s["code"] == "ldpc":
        from ..phy.ldpc import default_alpha

        if not 0 < s["k"] <= s["n"]:
            raise ValueError(f"k must be from 1 to n = {s['n']} bits, not {s['k']}")
        defaults |= {"max_iterations": 50, "alpha": default_alpha(s["k"] / s["n"])}
    else:
        defaults |= {"list_size": 8, "crc": "crc11"}
    s = {**defaults, **s}
    _check(s)
    return dict(sorted(s.items()))


def _from_mcs(s: dict[str, Any]) -> None:
    for name in ("n", "modulation"):
        if name in s:
            raise ValueError(f"{name} is decided by mcs: give one of the two")
    if s["code"] != "ldpc":
        raise ValueError("mcs names an LDPC scheme: give k, n and modulation for a polar code")
    scheme = mcs_table.get(s.pop("mcs"))
    if not scheme.coded:
        raise ValueError(f"mcs must be a scheme with a channel code, not {scheme.name}")
    s.setdefault("k", 1536)
    symbols = -(-s["k"] * scheme.code_rate.denominator // (scheme.code_rate.numerator * scheme.bits_per_symbol))
    s |= {"n": symbols * scheme.bits_per_symbol, "modulation": scheme.modulation}
    s.setdefault("alpha", scheme.alpha)
    s.setdefault("interleaved", scheme.interleaved)


def _check(s: Mapping[str, Any]) -> None:
    bits = Modulation(s["modulation"]).bits_per_symbol
    if s["n"] % bits:
        raise ValueError(f"n must be a multiple of the {bits} bits of a {s['modulation']} symbol, not {s['n']}")
    check_model(s["channel"])
    coherence(s["fading"])
    check_rician_k(s["rician_k"])
    if s["demapper"] not in METHODS:
        raise ValueError(f"demapper must be one of {', '.join(METHODS)}, not {s['demapper']!r}")
    if s["code"] == "ldpc":
        if not 1 <= s["max_iterations"] <= 10_000:
            raise ValueError(f"max_iterations must be from 1 to 10000, not {s['max_iterations']}")
        _Ldpc(s)
    else:
        _Polar(s)


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing outside the settings decides a result."""
    return {}


def label(settings: Mapping[str, Any]) -> str:
    """What a curve is called where the sweep does not name it."""
    name = "LDPC" if settings["code"] == "ldpc" else f"polar, list {settings['list_size']}"
    if settings["code"] == "polar" and settings["crc"] != NO_CRC:
        name += f", {settings['crc']}"
    return f"{name} ({settings['k']}, {settings['n']}) {settings['modulation']}, {settings['channel']}"


class _Chain:
    """The blocks of one point."""

    def __init__(self, settings: Mapping[str, Any], seed: int) -> None:
        self.s, self.seed = settings, seed
        self.code: Code = _Ldpc(settings) if settings["code"] == "ldpc" else _Polar(settings)
        self.mapping = Modulation(settings["modulation"])
        self.symbols = settings["n"] // self.mapping.bits_per_symbol
        self.variance = noise_var(settings["esn0_db"])
        # the order on air does not matter where all symbols meet the same channel, unless bits change their places
        self.ordered = settings["channel"] != "awgn" or settings["interleaved"]
        self.decoder_s = 0.0

    def bits(self, rng: np.random.Generator) -> Bits:
        """Information bits, uint8 [GROUP, k]."""
        count = GROUP * self.s["k"]
        random = np.frombuffer(rng.bytes(-(-count // 8)), np.uint8)
        return np.unpackbits(random)[:count].reshape(GROUP, self.s["k"])

    def coefficients(self, rng: np.random.Generator) -> NDArray[np.complex64]:
        """Every block begins with a new coefficient, complex64 [GROUP, symbols]."""
        length = min(coherence(self.s["fading"]) or self.symbols, self.symbols)
        count = -(-self.symbols // length)
        h = fades(self.s["channel"], GROUP * count, rng, self.s["rician_k"]).reshape(GROUP, count)
        return np.repeat(h, length, axis=1)[:, : self.symbols]

    def batch(self, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int32] | None]:
        """Bit errors [B], `ok` [B] and iterations [B] of the blocks `first` to `last` - 1; `first` begins a group."""
        sent, llr = [], []
        for group in range(first // GROUP, -(-last // GROUP)):
            rng = np.random.default_rng([self.seed, group])
            bits = self.bits(rng)
            h = None if self.s["channel"] == "awgn" else self.coefficients(rng)
            z = noise(GROUP * self.symbols, self.variance, rng).reshape(GROUP, self.symbols)
            sent.append(bits)
            llr.append(self.received(self.code.encode(bits), h, z))
        count = last - first
        bits, values = np.concatenate(sent)[:count], np.concatenate(llr)[:count]
        begun = time.perf_counter()
        found, ok, iterations = self.code.decode(values)
        self.decoder_s += time.perf_counter() - begun
        return np.count_nonzero(found != bits, axis=1), ok, iterations

    def received(self, words: Bits, h: NDArray[Any] | None, z: NDArray[Any]) -> NDArray[np.float32]:
        """Code words [GROUP, n] to their LLRs."""
        bits_per_symbol, interleaved = self.mapping.bits_per_symbol, self.s["interleaved"]
        air = to_air(words, bits_per_symbol, interleaved, False).reshape(words.shape) if self.ordered else words
        symbols = self.mapping.map(air)
        if h is None:
            llr = self.mapping.llr(symbols + z, self.variance, self.s["demapper"])
        else:
            llr = self.mapping.llr(*equalise(symbols * h + z, h, self.variance), self.s["demapper"])
        return from_air(llr.ravel(), GROUP, bits_per_symbol, interleaved, False) if self.ordered else llr


def measure(settings: Mapping[str, Any], seed: int, stop: Stop) -> dict[str, Any]:
    """Blocks until the rule is fulfilled; `messages`, `metrics`, `stopped` and `timings` of the result."""
    chain = _Chain(settings, seed)
    blocks = bit_errors = block_errors = undetected = 0
    shares, iterations = Moments(), Moments()
    k = settings["k"]

    def metrics() -> dict[str, Metric]:
        bler = share(block_errors, blocks)
        ber = shares.mean(errors=bit_errors, scale=1 / k)
        # a block that is right has no wrong bit: the block error rate bounds what Student's interval cannot see
        if block_errors == 0:
            ber |= {"low": 0.0, "high": bler["high"], "interval": "clopper-pearson"}
        elif ber["low"] is not None:
            ber["low"] = max(ber["low"], 0.0)
        ber["count"] = blocks * k
        found = {"bler": bler, "ber": ber}
        if settings.get("crc") != NO_CRC:  # without a check the decoder holds everything for right
            found["undetected"] = share(undetected, blocks)
        return found | ({"mean_iterations": iterations.mean()} if iterations.count else {})

    begun = time.perf_counter()
    groups, stopped = 1, None
    while stopped is None:
        last = blocks + groups * GROUP
        wrong, ok, used = chain.batch(blocks, min(last, stop.limit or last))
        blocks += len(wrong)
        bit_errors += int(wrong.sum())
        block_errors += int(np.count_nonzero(wrong))
        undetected += int(np.count_nonzero(wrong[ok]))
        shares.add(wrong)
        if used is not None:
            iterations.add(used)
        groups = min(2 * groups, MOST_GROUPS)
        stopped = stop.reason(blocks, metrics, time.perf_counter() - begun)
    elapsed = time.perf_counter() - begun
    speeds = {
        "blocks_s": blocks / elapsed,
        "msymbol_s": blocks * chain.symbols / elapsed / 1e6,
        "mbit_s": blocks * k / max(chain.decoder_s, 1e-9) / 1e6,  # of the decoder alone
    }
    timings = {name: metric(value, count=blocks) for name, value in speeds.items()}
    return {"messages": blocks, "metrics": metrics(), "stopped": stopped, "timings": timings}

# SPDX-License-Identifier: GPL-3.0-or-later
"""The PHY as stages of a link: pure functions on whole packets (see `stage.py`), profile `ideal`.

What a stage must know of another travels in the packet's meta: `mcs`, `bits`, `blocks`, `block_bits` (k),
`block_coded` (n), `code`, `interleave`, `digital`, `analog`, `symbols_total`, `channel`, `esn0_db`, `blocks_ok`,
`blocks_failed`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..message import Meta
from ..stage import Arrays, Port, Stage
from . import coding, reliability
from .channel_stages import Channel as Channel
from .checks import integer
from .equaliser import equalise
from .interleaver import from_air, to_air
from .mcs import MCS, get
from .modulation import METHODS, Modulation
from .polar import MAX_LIST
from .scrambler import descramble_llr, scramble
from .segmentation import DEFAULT_BLOCK_BITS, Layout, check_code, layout
from .snr import noise_var

PAYLOADS = ("bits", "symbols", "both")


def _check_payload(payload: str) -> None:
    if payload not in PAYLOADS:
        raise ValueError(f"payload must be one of {', '.join(PAYLOADS)}, not {payload!r}")


def _needed(meta: Meta, key: str, stage: str) -> object:
    if key not in meta:
        found = ", ".join(sorted(meta)) or "nothing"
        raise ValueError(f"{stage} needs {key!r} in the packet's meta, found only {found}")
    return meta[key]


def _scheme(meta: Meta, stage: str) -> MCS:
    return get(str(_needed(meta, "mcs", stage)))


@dataclass(frozen=True)
class ChannelEncoder(Stage):
    """Payload bits to coded bits in the order on air: CRC, channel code, interleaver, scrambler.

    `code` is "ldpc", with blocks of at most `block_bits` information bits, or "polar-N", with words of N bits.
    `interleave` sends the code blocks' symbols in turns (symbol t belongs to block t mod C), which spreads every
    fade over all blocks of the message and costs no airtime.
    """

    mcs: str = "16qam-1/3"
    block_bits: int = DEFAULT_BLOCK_BITS
    interleave: bool = False
    code: str = "ldpc"

    inputs = (Port("bits", np.uint8),)
    outputs = (Port("coded", np.uint8),)

    def __post_init__(self) -> None:
        layout(1, self.mcs, self.block_bits, self.code)

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """uint8 [L] of 0 and 1 to uint8, whole symbols of the scheme."""
        plan, bits = self.plan(arrays[0])
        meta = {**meta, **self.described(plan)}
        if plan.blocks == 0:
            return (np.zeros(0, np.uint8),), meta
        if get(self.mcs).coded:
            return (self.on_air(coding.encode(bits, plan)),), meta
        coded = np.zeros(plan.n, np.uint8)
        coded[: plan.bits] = bits
        return (scramble(coded),), meta

    def plan(self, bits: NDArray[np.uint8]) -> tuple[Layout, NDArray[np.uint8]]:
        """The layout of a payload, and its bits, checked."""
        checked = np.asarray(bits, np.uint8)
        if checked.size and checked.max() > 1:
            raise ValueError(f"bits must be 0 and 1, found {checked.max()}")
        return layout(checked.size, self.mcs, self.block_bits, self.code), checked

    def described(self, plan: Layout) -> Meta:
        """What the receiver must know of a packet."""
        return {
            "mcs": self.mcs, "code": plan.code, "bits": plan.bits, "blocks": plan.blocks, "block_bits": plan.k,
            "block_coded": plan.n, "interleave": self.interleave,
        }  # fmt: skip

    def on_air(self, words: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Code words [B, n] in the order of transmission, scrambled, [B * n]."""
        scheme = get(self.mcs)
        interleaved = scheme.interleaved and self.code == "ldpc"
        return scramble(to_air(words, scheme.bits_per_symbol, interleaved, self.interleave))


@dataclass(frozen=True)
class Mapper(Stage):
    """Coded bits to symbols of the packet's scheme."""

    inputs = (Port("coded", np.uint8),)
    outputs = (Port("symbols", np.complex64),)

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """uint8 [n] to complex64 [n / bits per symbol]."""
        return (Modulation(_scheme(meta, "Mapper").modulation).map(arrays[0]),), dict(meta)


@dataclass(frozen=True)
class Framer(Stage):
    """Digital and analog symbols to one burst, digital first; `payload` says which there are."""

    payload: str = "bits"

    def __post_init__(self) -> None:
        _check_payload(self.payload)

    @property
    def inputs(self) -> tuple[Port, ...]:  # type: ignore[override]
        """One port for each part."""
        names = {"bits": ("digital",), "symbols": ("analog",), "both": ("digital", "analog")}[self.payload]
        return tuple(Port(name, np.complex64) for name in names)

    outputs = (Port("burst", np.complex64),)

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """complex64 [d] and or [a] to complex64 [d + a]."""
        sizes = {"digital": 0, "analog": 0}
        for port, array in zip(self.inputs, arrays, strict=True):
            sizes[port.name] = int(array.size)
        burst = np.concatenate(arrays).astype(np.complex64, copy=False)
        return (burst,), {**meta, **sizes, "symbols_total": int(burst.size)}


@dataclass(frozen=True)
class Equaliser(Stage):
    """Divides by the coefficients; the noise before it comes from the meta's `esn0_db`."""

    inputs = (Port("burst", np.complex64), Port("coefficients", np.complex64))
    outputs = (Port("burst", np.complex64), Port("noise_var", np.float32))

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """complex64 [n] twice to symbols, complex64 [n], and their noise variances, float32 [n]."""
        variance = noise_var(float(_needed(meta, "esn0_db", "Equaliser")))  # type: ignore[arg-type]
        return equalise(arrays[0], arrays[1], variance), dict(meta)


@dataclass(frozen=True)
class Deframer(Stage):
    """An equalised burst to its digital and analog symbols, each with its noise variances."""

    payload: str = "bits"

    def __post_init__(self) -> None:
        _check_payload(self.payload)

    inputs = (Port("burst", np.complex64), Port("noise_var", np.float32))

    @property
    def outputs(self) -> tuple[Port, ...]:  # type: ignore[override]
        """Two ports for each part."""
        names = {"bits": ("digital",), "symbols": ("analog",), "both": ("digital", "analog")}[self.payload]
        return tuple(p for name in names for p in (Port(name, np.complex64), Port(f"{name}_noise_var", np.float32)))

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """complex64 [n] and float32 [n] to the same for each part."""
        burst, variance = arrays
        digital = int(_needed(meta, "digital", "Deframer"))  # type: ignore[call-overload]
        analog = int(_needed(meta, "analog", "Deframer"))  # type: ignore[call-overload]
        if digital + analog != burst.size or burst.size != variance.size:
            raise ValueError(
                f"Deframer needs {digital} digital and {analog} analog symbols, found {burst.size} "
                f"and {variance.size} noise variances"
            )
        parts = {"bits": ("digital",), "symbols": ("analog",), "both": ("digital", "analog")}[self.payload]
        where = {"digital": slice(0, digital), "analog": slice(digital, digital + analog)}
        return tuple(array[where[part]] for part in parts for array in (burst, variance)), dict(meta)


@dataclass(frozen=True)
class SoftDemapper(Stage):
    """Symbols and their noise variances to log-likelihood ratios, log P(0)/P(1)."""

    method: str = "exact"

    inputs = (Port("symbols", np.complex64), Port("noise_var", np.float32))
    outputs = (Port("llr", np.float32),)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, not {self.method!r}")

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """complex64 [m] and float32 [m] to float32 [m * bits per symbol]."""
        modulation = Modulation(_scheme(meta, "SoftDemapper").modulation)
        return (modulation.llr(arrays[0], arrays[1], self.method),), dict(meta)


@dataclass(frozen=True)
class ChannelDecoder(Stage):
    """LLRs to payload bits, all code blocks of the message in one call; the meta says which blocks are good.

    Where the meta says `soft`, what is in doubt goes on as `llr` in the meta (see `reliability.py`).
    """

    max_iterations: int = 50
    list_size: int = coding.LIST_SIZE

    inputs = (Port("llr", np.float32),)
    outputs = (Port("bits", np.uint8),)

    def __post_init__(self) -> None:
        integer("max_iterations", self.max_iterations, 1, 10_000)
        integer("list_size", self.list_size, 1, MAX_LIST)

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """float32 [coded bits] to uint8 [L]; failed blocks hold the decoder's best guess."""
        plan = self.plan(meta)
        llr = np.asarray(arrays[0], np.float32)
        if llr.size != plan.blocks * plan.n:
            raise ValueError(f"ChannelDecoder needs {plan.blocks} blocks of {plan.n} LLRs, found {llr.size}")
        doubt = None
        if plan.blocks == 0:
            decoded, ok = np.zeros(0, np.uint8), np.zeros(0, bool)
        elif get(plan.mcs).coded:
            words = self.from_air(llr, plan.blocks, meta)
            blocks, ok = coding.decode(words, plan, self.max_iterations, list_size=self.list_size)
            decoded = blocks.reshape(-1)[: plan.bits]
            if meta.get("soft") and not ok.all():
                doubt = reliability.of_blocks(words, blocks, ok, plan)
        else:
            doubt = descramble_llr(llr)[: plan.bits]
            decoded, ok = (doubt < 0).astype(np.uint8), np.ones(1, bool)
        meta = {**meta, "blocks_ok": [int(value) for value in ok], "blocks_failed": int(np.sum(~ok))}
        if meta.get("soft") and doubt is not None:
            meta["llr"] = reliability.packed(doubt)
        return (decoded,), meta

    def plan(self, meta: Meta) -> Layout:
        """The layout that the packet's meta tells."""
        scheme = _scheme(meta, "ChannelDecoder")
        bits, blocks, k, n = (
            int(_needed(meta, key, "ChannelDecoder"))  # type: ignore[call-overload]
            for key in ("bits", "blocks", "block_bits", "block_coded")
        )
        code = check_code(str(meta.get("code", "ldpc")))
        return Layout(scheme.name, bits, blocks, k, n, blocks * n // scheme.bits_per_symbol, code)

    def from_air(self, llr: NDArray[np.float32], blocks: int, meta: Meta) -> NDArray[np.float32]:
        """LLRs in the order of transmission to those of each code word, [blocks, n]."""
        scheme = _scheme(meta, "ChannelDecoder")
        take_turns = bool(meta.get("interleave", False))
        interleaved = scheme.interleaved and meta.get("code", "ldpc") == "ldpc"
        return from_air(descramble_llr(llr), blocks, scheme.bits_per_symbol, interleaved, take_turns)

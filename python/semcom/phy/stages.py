# SPDX-License-Identifier: GPL-3.0-or-later
"""The PHY as stages of a link: pure functions on whole packets (see `stage.py`), profile `ideal`.

What a stage must know of another travels in the packet's meta: `mcs`, `bits`, `blocks`, `block_bits` (k),
`block_coded` (n), `interleave`, `digital`, `analog`, `symbols_total`, `channel`, `esn0_db`, `blocks_ok`,
`blocks_failed`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..message import Meta
from ..stage import Arrays, Port, Stage
from . import channel as channels
from .equaliser import equalise
from .interleaver import from_air, to_air
from .ldpc import ldpc_code
from .mcs import MCS, get
from .modulation import METHODS, Modulation
from .scrambler import descramble_llr, scramble
from .segmentation import DEFAULT_BLOCK_BITS, Layout, check_block_bits, desegment, layout, segment
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
    """Payload bits to coded bits in the order on air: CRC, LDPC, interleaver, scrambler.

    `interleave` sends the code blocks' symbols in turns (symbol t belongs to block t mod C), which spreads every
    fade over all blocks of the message and costs no airtime.
    """

    mcs: str = "16qam-1/3"
    block_bits: int = DEFAULT_BLOCK_BITS
    interleave: bool = False

    inputs = (Port("bits", np.uint8),)
    outputs = (Port("coded", np.uint8),)

    def __post_init__(self) -> None:
        get(self.mcs)
        check_block_bits(self.block_bits)

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """uint8 [L] of 0 and 1 to uint8, whole symbols of the scheme."""
        bits = np.asarray(arrays[0], np.uint8)
        if bits.size and bits.max() > 1:
            raise ValueError(f"bits must be 0 and 1, found {bits.max()}")
        scheme = get(self.mcs)
        plan = layout(bits.size, scheme, self.block_bits)
        meta = {
            **meta, "mcs": self.mcs, "bits": plan.bits, "blocks": plan.blocks, "block_bits": plan.k,
            "block_coded": plan.n, "interleave": self.interleave,
        }  # fmt: skip
        if plan.blocks == 0:
            return (np.zeros(0, np.uint8),), meta
        if scheme.coded:
            words = ldpc_code(plan.k, plan.n, alpha=scheme.alpha).encode(segment(bits, plan))
            coded = to_air(words, scheme.bits_per_symbol, scheme.interleaved, self.interleave)
        else:
            coded = np.zeros(plan.n, np.uint8)
            coded[: plan.bits] = bits
        return (scramble(coded),), meta


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
class Channel(Stage):
    """Noise and fading, with the coefficients beside it (perfect channel knowledge).

    `fading` is "symbol", "packet", "block" (128 symbols) or a block length; it does not matter over AWGN.
    """

    model: str = "awgn"
    esn0_db: float = 6.0
    fading: str | int = "128"
    rician_k: float = 1.0
    seed: int = 0

    inputs = (Port("burst", np.complex64),)
    outputs = (Port("burst", np.complex64), Port("coefficients", np.complex64))

    def __post_init__(self) -> None:
        channels.check_model(self.model)
        channels.coherence(self.fading)
        channels.check_rician_k(self.rician_k)
        noise_var(self.esn0_db)
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, not {self.seed}")

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """complex64 [n] to received burst and coefficients, complex64 [n] each."""
        rng = self.random(self.seed, meta)
        received, h = channels.transmit(arrays[0], self.model, self.esn0_db, rng, self.fading, self.rician_k)
        return (received, h), {**meta, "channel": self.model, "esn0_db": float(self.esn0_db)}


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
    """LLRs to payload bits, all code blocks of the message in one call; the meta says which blocks are good."""

    max_iterations: int = 50

    inputs = (Port("llr", np.float32),)
    outputs = (Port("bits", np.uint8),)

    def __post_init__(self) -> None:
        if not 1 <= self.max_iterations <= 10_000:
            raise ValueError(f"max_iterations must be from 1 to 10000, not {self.max_iterations!r}")

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """float32 [coded bits] to uint8 [L]; failed blocks hold the decoder's best guess."""
        scheme = _scheme(meta, "ChannelDecoder")
        bits, blocks, k, n = (
            int(_needed(meta, key, "ChannelDecoder"))  # type: ignore[call-overload]
            for key in ("bits", "blocks", "block_bits", "block_coded")
        )
        plan = Layout(scheme.name, bits, blocks, k, n, blocks * n // scheme.bits_per_symbol)
        llr = np.asarray(arrays[0], np.float32)
        if llr.size != blocks * n:
            raise ValueError(f"ChannelDecoder needs {blocks} blocks of {n} LLRs, found {llr.size}")
        if blocks == 0:
            decoded, ok = np.zeros(0, np.uint8), np.zeros(0, bool)
        elif scheme.coded:
            take_turns = bool(meta.get("interleave", False))
            words = from_air(descramble_llr(llr), blocks, scheme.bits_per_symbol, scheme.interleaved, take_turns)
            found, checks_hold, _ = ldpc_code(k, n, alpha=scheme.alpha).decode(words, self.max_iterations)
            decoded, crc_ok = desegment(found, plan)
            # The CRC decides (a parity bit may be wrong where the information is right), but zeros pass any CRC: an
            # erased block, which decodes to zeros, is caught by its undecided parity checks.
            ok = crc_ok & (checks_hold | found.any(axis=1))
        else:
            decoded, ok = (descramble_llr(llr)[:bits] < 0).astype(np.uint8), np.ones(1, bool)
        meta = {**meta, "blocks_ok": [int(value) for value in ok], "blocks_failed": int(np.sum(~ok))}
        return (decoded,), meta

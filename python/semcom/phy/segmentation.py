# SPDX-License-Identifier: GPL-3.0-or-later
"""How a payload of any number of bits becomes equal code blocks, and what that costs in symbols.

L bits in blocks of at most `block_bits` information bits (CRC-24B included) make C = ceil(L / (block_bits - 24))
blocks of k = ceil(L / C) + 24 bits: less than C bits of padding. Each is coded to n bits, k / code rate rounded up
to whole symbols. Uncoded schemes have one block without CRC, which is always taken for good.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import crc
from .ldpc import MAX_K
from .mcs import MCS, get

CRC_BITS = 24
DEFAULT_BLOCK_BITS = 1536


@dataclass(frozen=True)
class Layout:
    """What a payload becomes: `blocks` code blocks of `k` information and `n` coded bits; `symbols` in all."""

    mcs: str
    bits: int
    blocks: int
    k: int
    n: int
    symbols: int

    @property
    def padding(self) -> int:
        """Filler bits at the end of the last block."""
        return self.blocks * (self.k - (CRC_BITS if get(self.mcs).coded else 0)) - self.bits


def check_block_bits(block_bits: int) -> int:
    """ValueError unless a code block of this size can carry something."""
    if not CRC_BITS < block_bits <= MAX_K:
        raise ValueError(f"block_bits must be from {CRC_BITS + 1} to {MAX_K}, not {block_bits!r}")
    return int(block_bits)


def layout(bits: int, mcs: str | MCS, block_bits: int = DEFAULT_BLOCK_BITS) -> Layout:
    """Blocks and symbols of a payload of `bits` bits; 0 bits are 0 blocks."""
    scheme = get(mcs)
    check_block_bits(block_bits)
    if bits < 0:
        raise ValueError(f"bits must be at least 0, not {bits}")
    if bits == 0:
        return Layout(scheme.name, 0, 0, 0, 0, 0)
    if not scheme.coded:
        symbols = -(-bits // scheme.bits_per_symbol)
        return Layout(scheme.name, bits, 1, bits, symbols * scheme.bits_per_symbol, symbols)
    blocks = -(-bits // (block_bits - CRC_BITS))
    k = -(-bits // blocks) + CRC_BITS
    symbols = _ceil_div(k * scheme.code_rate.denominator, scheme.code_rate.numerator * scheme.bits_per_symbol)
    return Layout(scheme.name, bits, blocks, k, symbols * scheme.bits_per_symbol, blocks * symbols)


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def symbols_total(bits: int, mcs: str | MCS, block_bits: int = DEFAULT_BLOCK_BITS) -> int:
    """Symbols on air of a payload of `bits` bits, CRC and padding included (profile `ideal`)."""
    return layout(bits, mcs, block_bits).symbols


def symbols_payload(bits: int, mcs: str | MCS) -> float:
    """The papers' count: bits / (code rate x bits a symbol), without CRC and padding."""
    return bits / get(mcs).efficiency


def largest_payload(airtime: int, mcs: str | MCS, block_bits: int = DEFAULT_BLOCK_BITS) -> int:
    """The largest number of payload bits whose `symbols_total` is at most `airtime`; 0 if nothing fits."""
    scheme = get(mcs)
    check_block_bits(block_bits)
    if airtime < 0:
        raise ValueError(f"airtime must be at least 0 symbols, not {airtime}")
    if not scheme.coded:
        return airtime * scheme.bits_per_symbol
    most = block_bits - CRC_BITS  # payload bits of a full block
    rate = scheme.code_rate
    budget = airtime * scheme.bits_per_symbol * rate.numerator // rate.denominator
    # More blocks are more bits, so the first number of blocks that its own payload asks for is the best.
    for blocks in range((budget + most) // block_bits, 0, -1):
        k = (airtime // blocks) * scheme.bits_per_symbol * rate.numerator // rate.denominator
        bits = blocks * min(k - CRC_BITS, most)
        if bits > (blocks - 1) * most:
            return bits
    return 0


def segment(bits: ArrayLike, plan: Layout) -> NDArray[np.uint8]:
    """Payload bits [plan.bits] to blocks with CRC, uint8 [plan.blocks, plan.k]; only for coded schemes."""
    padded = np.zeros(plan.bits + plan.padding, np.uint8)
    padded[: plan.bits] = bits
    return crc.attach(padded.reshape(plan.blocks, plan.k - CRC_BITS))


def desegment(blocks: NDArray[np.uint8], plan: Layout) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Decoded blocks [plan.blocks, plan.k] to payload bits [plan.bits] and which blocks passed their CRC."""
    ok = crc.check(blocks)
    return np.ascontiguousarray(blocks[:, : plan.k - CRC_BITS]).reshape(-1)[: plan.bits], ok


def bits_ok(bits: int, blocks_ok: ArrayLike) -> NDArray[np.bool_]:
    """Which payload bits came in good blocks, bool [bits], from the meta's `bits` and `blocks_ok`."""
    good = np.asarray(blocks_ok, bool)
    if bits == 0:
        return np.zeros(0, bool)
    if good.size == 0:
        return np.zeros(bits, bool)
    return np.repeat(good, _ceil_div(bits, good.size))[:bits]

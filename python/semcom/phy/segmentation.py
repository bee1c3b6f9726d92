# SPDX-License-Identifier: GPL-3.0-or-later
"""How a payload of any number of bits becomes equal code blocks, and what that costs in symbols.

LDPC: L bits in blocks of at most `block_bits` information bits (CRC-24B included) make C = ceil(L / (block_bits - 24))
blocks of k = ceil(L / C) + 24 bits: less than C bits of padding. Each is coded to n bits, k / code rate rounded up
to whole symbols. Polar codes, "polar-N", have words of N bits and blocks of at most k = floor(N x code rate)
information bits (CRC-16 included); the blocks of a short payload have fewer, and so a lower rate.
Uncoded schemes have one block without CRC, which is always taken for good.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import integer
from .crc import crc_length
from .ldpc import MAX_K
from .mcs import MCS, get

DEFAULT_BLOCK_BITS = 1536
CODES = ("ldpc", "polar-128", "polar-256", "polar-512", "polar-1024")


@dataclass(frozen=True)
class Layout:
    """What a payload becomes: `blocks` code blocks of `k` information and `n` coded bits; `symbols` in all.

    n is a whole number of symbols; of a polar word's n bits the last n - N are fillers.
    """

    mcs: str
    bits: int
    blocks: int
    k: int
    n: int
    symbols: int
    code: str = "ldpc"

    @property
    def crc(self) -> str | None:
        """The CRC of each block, counted in k."""
        return crc_name(self.code) if get(self.mcs).coded else None

    @property
    def block_payload(self) -> int:
        """Payload bits of a block."""
        return self.k - (crc_length(self.crc) if self.crc else 0)

    @property
    def padding(self) -> int:
        """Filler bits at the end of the last block."""
        return self.blocks * self.block_payload - self.bits


def check_code(code: str) -> str:
    """ValueError, with the names, for an unknown channel code."""
    if code not in CODES:
        raise ValueError(f"code must be one of {', '.join(CODES)}, not {code!r}")
    return code


def crc_name(code: str) -> str:
    """The CRC of a code's blocks; a short polar block could not afford 24 bits."""
    return "crc24b" if code == "ldpc" else "crc16"


def polar_length(code: str) -> int:
    """N of "polar-N"."""
    return int(code.split("-")[1])


def check_block_bits(block_bits: int) -> int:
    """ValueError unless an LDPC code block of this size can carry something."""
    least = crc_length(crc_name("ldpc")) + 1
    return integer("block_bits", block_bits, least, MAX_K)


def _most_bits(scheme: MCS, block_bits: int, code: str) -> int:
    """Information bits of a full block, CRC included."""
    check_block_bits(block_bits)
    if check_code(code) == "ldpc":
        return block_bits
    most = polar_length(code) * scheme.code_rate.numerator // scheme.code_rate.denominator
    if most <= crc_length(crc_name(code)):
        raise ValueError(f"code {code} at {scheme.name} has no room for more than its CRC: choose a longer code")
    return most


def layout(bits: int, mcs: str | MCS, block_bits: int = DEFAULT_BLOCK_BITS, code: str = "ldpc") -> Layout:
    """Blocks and symbols of a payload of `bits` bits; 0 bits are 0 blocks."""
    scheme = get(mcs)
    most = _most_bits(scheme, block_bits, code)
    if bits < 0:
        raise ValueError(f"bits must be at least 0, not {bits}")
    if bits == 0:
        return Layout(scheme.name, 0, 0, 0, 0, 0, code)
    if not scheme.coded:
        symbols = -(-bits // scheme.bits_per_symbol)
        return Layout(scheme.name, bits, 1, bits, symbols * scheme.bits_per_symbol, symbols, code)
    crc_bits = crc_length(crc_name(code))
    blocks = -(-bits // (most - crc_bits))
    k = -(-bits // blocks) + crc_bits
    if code == "ldpc":
        symbols = _ceil_div(k * scheme.code_rate.denominator, scheme.code_rate.numerator * scheme.bits_per_symbol)
    else:
        symbols = _ceil_div(polar_length(code), scheme.bits_per_symbol)
    return Layout(scheme.name, bits, blocks, k, symbols * scheme.bits_per_symbol, blocks * symbols, code)


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def symbols_total(bits: int, mcs: str | MCS, block_bits: int = DEFAULT_BLOCK_BITS, code: str = "ldpc") -> int:
    """Symbols on air of a payload of `bits` bits, CRC and padding included (profile `ideal`)."""
    return layout(bits, mcs, block_bits, code).symbols


def symbols_payload(bits: int, mcs: str | MCS) -> float:
    """The papers' count: bits / (code rate x bits a symbol), without CRC and padding."""
    return bits / get(mcs).efficiency


def largest_payload(
    airtime: int, mcs: str | MCS, block_bits: int = DEFAULT_BLOCK_BITS, code: str = "ldpc"
) -> int:
    """The largest number of payload bits whose `symbols_total` is at most `airtime`; 0 if nothing fits."""
    scheme = get(mcs)
    full = _most_bits(scheme, block_bits, code)
    if airtime < 0:
        raise ValueError(f"airtime must be at least 0 symbols, not {airtime}")
    if not scheme.coded:
        return airtime * scheme.bits_per_symbol
    crc_bits = crc_length(crc_name(code))
    most = full - crc_bits  # payload bits of a full block
    if code != "ldpc":
        return airtime // _ceil_div(polar_length(code), scheme.bits_per_symbol) * most
    rate = scheme.code_rate
    budget = airtime * scheme.bits_per_symbol * rate.numerator // rate.denominator
    # More blocks are more bits, so the first number of blocks that its own payload asks for is the best.
    for blocks in range((budget + most) // full, 0, -1):
        k = (airtime // blocks) * scheme.bits_per_symbol * rate.numerator // rate.denominator
        bits = blocks * min(k - crc_bits, most)
        if bits > (blocks - 1) * most:
            return bits
    return 0


def bits_ok(bits: int, blocks_ok: ArrayLike) -> NDArray[np.bool_]:
    """Which payload bits came in good blocks, bool [bits], from the meta's `bits` and `blocks_ok`."""
    good = np.asarray(blocks_ok, bool)
    if bits == 0:
        return np.zeros(0, bool)
    if good.size == 0:
        return np.zeros(bits, bool)
    return np.repeat(good, _ceil_div(bits, good.size))[:bits]

# SPDX-License-Identifier: GPL-3.0-or-later
"""What GNU Radio's own polar encoder, mapper, channel and demapper need at their two ends.

The native encoder (`fec.polar_encoder`) has one block size for good, so every block has the k information bits of the
code rate, CRC included; they are scrambled before the CRC, not after coding. Its output is the code word of TS 38.212
in bit-reversed order; `trellis.permutation` brings it into that of `polar_interleaver.py`. Of GNU Radio 3.10's channel,
`fading_model`, `channel_model` without frequency offset and the soft decision give the same bits in every run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..message import Meta
from ..stage import Arrays, Port, Stage
from . import crc
from .coding import LIST_SIZE
from .mcs import get
from .modulation import Modulation
from .polar import information_positions, polar_code
from .polar_interleaver import polar_interleaver
from .scrambler import scramble
from .segmentation import check_code, crc_name, layout, polar_length
from .snr import noise_var
from .stages import ChannelDecoder, ChannelEncoder

DEFAULT_CODE = "polar-512"


def information_bits(mcs: str, code: str = DEFAULT_CODE) -> int:
    """k of the native encoder: information bits a block, CRC included."""
    if code == "ldpc" or not get(mcs).coded:
        raise ValueError(f"GNU Radio's polar encoder needs a coded MCS and a polar code, not {mcs} with {code}")
    layout(1, mcs, code=code)
    rate = get(mcs).code_rate
    if polar_length(code) % get(mcs).bits_per_symbol:
        raise ValueError(f"{mcs} has no whole number of symbols in a word of {code}")
    return polar_length(code) * rate.numerator // rate.denominator


def frozen_positions(mcs: str, code: str = DEFAULT_CODE) -> list[int]:
    """Bit indices that the native encoder sets to 0, rising."""
    n = polar_length(code)
    return sorted(set(range(n)) - set(information_positions(information_bits(mcs, code), n).tolist()))


@lru_cache(maxsize=8)
def bit_reversal(n: int) -> NDArray[np.intp]:
    """Index i with its bits in reversed order, [n], n a power of two; its own inverse."""
    order = np.zeros(1, np.intp)
    while order.size < n:
        order = np.concatenate((2 * order, 2 * order + 1))
    order.setflags(write=False)
    return order


def permutation(code: str = DEFAULT_CODE) -> list[int]:
    """For `trellis.permutation` behind the native encoder: which of its bits goes on air at each place."""
    n = polar_length(check_code(code))
    return bit_reversal(n)[polar_interleaver(n)].tolist()


def points(mcs: str) -> list[complex]:
    """The scheme's symbols for `digital.chunks_to_symbols` and `digital.constellation_calcdist` (without
    normalisation): index = bits, the first one highest."""
    return [complex(point) for point in Modulation(get(mcs).modulation).points]


def soft_table(mcs: str, esn0_db: float, precision: int = 6, span: float = 2.0) -> list[list[float]]:
    """Exact LLRs, log P(0)/P(1), for `constellation.set_soft_dec_lut(table, precision)`.

    GNU Radio looks a symbol up in a square of 2**precision cells from -1 to 1 each way, rows by the imaginary part,
    and takes what lies outside to the edge: symbols must be divided by `span` before. One noise variance for all.
    """
    cells = 1 << precision
    centre = ((np.arange(cells) + 0.5) * (2 / cells) - 1) * span
    modulation = Modulation(get(mcs).modulation)
    grid = (centre[None, :] + 1j * centre[:, None]).astype(np.complex64).ravel()
    return modulation.llr(grid, noise_var(esn0_db)).reshape(cells * cells, -1).tolist()


def noise_voltage(esn0_db: float) -> float:
    """For `channels.channel_model`: the square root of the total complex noise variance at Es = 1."""
    return math.sqrt(noise_var(esn0_db))


@dataclass(frozen=True)
class NativePolarSegmenter(Stage):
    """Payload bits to blocks of k information bits, CRC included, for GNU Radio's polar encoder."""

    mcs: str = "16qam-1/3"
    code: str = DEFAULT_CODE

    inputs = (Port("bits", np.uint8),)
    outputs = (Port("blocks", np.uint8),)

    def __post_init__(self) -> None:
        information_bits(self.mcs, self.code)

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """uint8 [L] of 0 and 1 to uint8 [blocks * k]."""
        coder = ChannelEncoder(self.mcs, code=self.code)
        plan, bits = coder.plan(arrays[0])
        meta = {**meta, **coder.described(plan)}
        if plan.blocks == 0:
            return (np.zeros(0, np.uint8),), meta
        padded = np.zeros(plan.bits + plan.padding, np.uint8)
        padded[: plan.bits] = bits
        check = crc_name(self.code)
        blocks = np.zeros((plan.blocks, information_bits(self.mcs, self.code) - crc.crc_length(check)), np.uint8)
        blocks[:, : plan.block_payload] = padded.reshape(plan.blocks, -1)
        return (crc.attach(scramble(blocks.ravel()).reshape(blocks.shape), check).ravel(),), meta


@dataclass(frozen=True)
class NativePolarDecoder(Stage):
    """LLRs of polar words in their order on air to payload bits; our list decoder."""

    list_size: int = LIST_SIZE

    inputs = (Port("llr", np.float32),)
    outputs = (Port("bits", np.uint8),)

    def __post_init__(self) -> None:
        polar_code(list_size=self.list_size)

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """float32 [blocks * N] to uint8 [L]; failed blocks hold the decoder's best guess."""
        plan = ChannelDecoder().plan(meta)
        n = polar_length(plan.code)
        llr = np.asarray(arrays[0], np.float32)
        if llr.size != plan.blocks * n:
            raise ValueError(f"NativePolarDecoder needs {plan.blocks} blocks of {n} LLRs, found {llr.size}")
        if plan.blocks == 0:
            decoded, ok = np.zeros((0, 0), np.uint8), np.zeros(0, bool)
        else:
            check = crc_name(plan.code)
            k = information_bits(plan.mcs, plan.code) - crc.crc_length(check)
            words = np.empty((plan.blocks, n), np.float32)
            words[:, polar_interleaver(n)] = llr.reshape(plan.blocks, n)
            decoded, ok = polar_code(k, n, self.list_size, check).decode(words)
            decoded = scramble(decoded.ravel()).reshape(decoded.shape)
        bits = decoded[:, : plan.block_payload].reshape(-1)[: plan.bits] if plan.blocks else decoded.ravel()
        meta = {**meta, "blocks_ok": [int(good) for good in ok], "blocks_failed": int(np.sum(~ok))}
        return (bits,), meta

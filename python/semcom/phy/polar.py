# SPDX-License-Identifier: GPL-3.0-or-later
"""Polar codes with the reliability order of 5G NR (3GPP TS 38.212, 5.3.1.2) and list decoding.

Encoding and decoding run in the C++ kernel (`lib/polar.cpp`), a whole batch in one call without the interpreter
lock. No interleaver and no rate matching: n is a power of two.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..kernels import library, pointer
from . import crc as crcs
from .checks import bit_blocks, integer, llr_blocks

MIN_N = 32
MAX_N = 1024
MAX_LIST = 32


@lru_cache(maxsize=1)
def _reliability() -> NDArray[np.int32]:
    """Table 5.3.1.2-1: int32 [1024], bit indices from the least to the most reliable."""
    path = Path(__file__).with_name("data") / "polar_reliability.tsv"
    return np.loadtxt(path, np.int32, delimiter="\t", skiprows=1)[:, 1]


def information_positions(k: int, n: int) -> NDArray[np.int32]:
    """The k most reliable of n bit indices, int32 [k], rising."""
    order = _reliability()
    return np.sort(order[order < n][n - k :])


class Polar:
    """One block of `k` information bits in `n` coded bits, natural order, decoded by successive cancellation list.

    n: a power of two from 32 to 1024. list_size: 1 to 32 paths (the work is that of the next power of two).
    crc: None or the name of a CRC of TS 38.212, 5.1 (see `phy.crc`), whose bits follow the k bits inside the code;
    it chooses among the paths. k: 1 to n less the CRC. Objects are immutable and may be shared by threads.
    Raises ValueError for anything else.
    """

    def __init__(self, k: int = 256, n: int = 512, list_size: int = 4, crc: str | None = None) -> None:
        self.n = integer("n", n, MIN_N, MAX_N)
        if self.n & (self.n - 1):
            raise ValueError(f"n must be a power of two from {MIN_N} to {MAX_N}, not {n}")
        self.crc = crc
        self._crc_bits = 0 if crc is None else crcs.crc_length(crc)
        self.k = integer("k", k, 1, self.n - self._crc_bits)
        self.list_size = integer("list_size", list_size, 1, MAX_LIST)
        self._positions = information_positions(self.k + self._crc_bits, self.n)
        self._syndromes = None if crc is None else self._crc_of_code_bits(crc)

    def __repr__(self) -> str:
        return f"Polar(k={self.k}, n={self.n}, list_size={self.list_size}, crc={self.crc!r})"

    def _crc_of_code_bits(self, name: str) -> NDArray[np.uint32]:
        """uint32 [n]: what each code bit that is 1 adds to the CRC remainder of the word; a sound word adds up to 0."""
        weights = np.zeros(self.n, np.uint32)
        weights[self._positions] = crcs.remainders(name, self.k + self._crc_bits)
        half = 1
        while half < self.n:
            pairs = weights.reshape(-1, 2, half)
            pairs[:, 1] ^= pairs[:, 0]
            half *= 2
        return weights

    def encode(self, bits: ArrayLike) -> NDArray[np.uint8]:
        """Information bits, uint8 [B, k] of 0 and 1, to coded bits, uint8 [B, n]; [k] gives [n]."""
        array = bit_blocks(bits, self.k)
        if self.crc is not None:
            array = crcs.attach(array, self.crc)
        coded = np.empty((*array.shape[:-1], self.n), np.uint8)
        library().semcom_polar_encode(
            pointer(array), ctypes.c_int64(coded.size // self.n), array.shape[-1], pointer(self._positions),
            self.n, pointer(coded),
        )  # fmt: skip
        return coded

    def decode(self, llr: ArrayLike) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The most likely path in the list; with a CRC, the most likely of those that pass it.

        llr: float32 [B, n], log P(0)/P(1), on any scale (the decoder is min-sum). NaN counts as 0 (nothing known);
        infinities and very large values saturate. Returns bits uint8 [B, k] and ok bool [B]; a single block [n]
        gives [k] and a scalar's array. With a CRC `ok` says that it holds; where no path passes, the most likely
        one is returned. Without, nothing can tell a wrong word from a right one, and `ok` says only that there was
        something to decode. In both cases a block in which fewer than k (and CRC) LLRs say anything is not ok: an
        erased block would else be the all-zero word, which passes every CRC.
        """
        array = llr_blocks(llr, self.n)
        lead = array.shape[:-1]
        bits = np.empty((*lead, self.k), np.uint8)
        ok = np.empty(lead, np.uint8)
        status = library().semcom_polar_decode(
            pointer(array), ctypes.c_int64(array.size // self.n), self.n, pointer(self._positions),
            len(self._positions), self.k, None if self._syndromes is None else pointer(self._syndromes),
            self.list_size, pointer(bits), pointer(ok),
        )  # fmt: skip
        if status:
            raise MemoryError("no memory for the polar decoder")
        return bits, ok.astype(bool)


@lru_cache(maxsize=256)
def polar_code(k: int = 256, n: int = 512, list_size: int = 4, crc: str | None = None) -> Polar:
    """A shared `Polar` with these parameters, made once."""
    return Polar(k, n, list_size, crc)

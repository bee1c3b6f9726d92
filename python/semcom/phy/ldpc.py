# SPDX-License-Identifier: GPL-3.0-or-later
"""The LDPC code of 5G NR (3GPP TS 38.212, 5.2.2, 5.3.2, 5.4.2.1 and 7.2.2) for one code block.

Encoding and decoding run in the C++ kernel (`lib/ldpc.cpp`), a whole batch in one call without the interpreter
lock. No CRC and no bit interleaving: those belong to the link.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..kernels import library, pointer
from .checks import bit_blocks, integer, llr_blocks

MIN_K = 24
MAX_K = 8448
MAX_N = 1 << 20
_SYSTEMATIC = {1: 22, 2: 10}  # information columns of each base graph
_COLUMNS = {1: 68, 2: 52}
_START = {1: (0, 17, 33, 56), 2: (0, 13, 25, 43)}  # table 5.4.2.1-2, in units of Z, without limited buffer
_ALPHA_STEPS = 32


@lru_cache(maxsize=2)
def _base_graph(number: int) -> NDArray[np.int32]:
    """Tables 5.3.2-2 and 5.3.2-3: int32 [edges, 10], each row, column, shifts of the eight lifting sets."""
    path = Path(__file__).with_name("data") / f"base_graph_{number}.tsv"
    table = np.loadtxt(path, np.int32, delimiter="\t", skiprows=1)
    return table[np.lexsort((table[:, 1], table[:, 0]))]


def _lifting_sizes() -> list[tuple[int, int]]:
    """Table 5.3.2-1: (Z, set index) in rising order of Z."""
    sizes = [(a << j, i) for i, a in enumerate((2, 3, 5, 7, 9, 11, 13, 15)) for j in range(8) if a << j <= 384]
    return sorted(sizes)


def choose_base_graph(k: int, n: int) -> int:
    """TS 38.212, 7.2.2, with A = k and R = k/n; above 3840 bits only base graph 1 holds a block undivided."""
    rate = k / n
    if k <= 292 or (k <= 3824 and rate <= 0.67) or (k <= 3840 and rate <= 0.25):
        return 2
    return 1


def default_alpha(rate: float) -> float:
    """The min-sum factor that suits a code rate (measured, see docs of the MCS table)."""
    return 0.7 if rate <= 0.4 else 0.75 if rate <= 0.58 else 0.8


class LDPC5G:
    """One code block of `k` information bits in `n` coded bits.

    k: 24 to 8448. n: k to 2**20; below the mother rate (1/3 or 1/5) the circular buffer repeats.
    rv: redundancy version 0 to 3, or several of them, such as (0, 2): then a word is that many transmissions of `n`
    bits one after the other, at most 2**20 bits in all, and the decoder combines them softly (hybrid ARQ with
    incremental redundancy). alpha: factor of the normalised min-sum, 0 < alpha <= 1, kept in steps of 1/32; None
    takes `default_alpha` of the rate of all transmissions. Objects are immutable and may be shared by threads.
    Raises ValueError for anything else.
    """

    def __init__(self, k: int, n: int, rv: int | Sequence[int] = 0, alpha: float | None = None) -> None:
        self.k = integer("k", k, MIN_K, MAX_K)
        self.n = integer("n", n, self.k, MAX_N)
        several = isinstance(rv, Sequence) and not isinstance(rv, str)
        self.rvs = tuple(integer("rv", one, 0, 3) for one in (rv if several else (rv,)))  # type: ignore[union-attr]
        self.length = self.n * len(self.rvs)
        if not self.rvs or self.length > MAX_N:
            raise ValueError(f"rv must name 1 to {MAX_N // self.n} transmissions of {self.n} bits, not {len(self.rvs)}")
        if alpha is None:
            alpha = default_alpha(self.k / self.length)
        if not 0.0 < alpha <= 1.0:
            raise ValueError(f"alpha must be above 0 and at most 1, not {alpha!r}")
        self._alpha = max(1, round(alpha * _ALPHA_STEPS))
        self.alpha = self._alpha / _ALPHA_STEPS
        self.base_graph = choose_base_graph(self.k, self.n)
        self._systematic = _SYSTEMATIC[self.base_graph]
        self._columns = _COLUMNS[self.base_graph]
        self.z, lifting_set = self._lifting()
        self._runs = self._sent_runs()
        self._lift(lifting_set)

    def __repr__(self) -> str:
        rv = self.rvs[0] if len(self.rvs) == 1 else self.rvs
        return f"LDPC5G(k={self.k}, n={self.n}, rv={rv}, alpha={self.alpha})"

    def _lifting(self) -> tuple[int, int]:
        filled = self._systematic
        if self.base_graph == 2:
            filled = 10 if self.k > 640 else 9 if self.k > 560 else 8 if self.k > 192 else 6
        return next((z, i) for z, i in _lifting_sizes() if filled * z >= self.k)

    def _sent_runs(self) -> NDArray[np.int32]:
        """int32 [runs, 2]: (first position, length) in the whole word, in the order of transmission."""
        buffer = (self._columns - 2) * self.z
        fillers = range(self.k, self._systematic * self.z)
        pieces = []  # what can be sent of the circular buffer, as positions of the whole word
        if self.k > 2 * self.z:
            pieces.append((2 * self.z, self.k))
        pieces.append((fillers.stop, 2 * self.z + buffer))
        runs: list[tuple[int, int]] = []
        for rv in self.rvs:
            start = 2 * self.z + _START[self.base_graph][rv] * self.z
            left = self.n
            while left:
                for low, high in pieces:
                    low = max(low, start)
                    if low < high and left:
                        runs.append((low, min(high - low, left)))
                        left -= runs[-1][1]
                start = 0
        return np.array(runs, np.int32)

    def systematic(self) -> NDArray[np.int64]:
        """Where in the coded bits each information bit is first sent, int64 [k]; -1 where it never is."""
        places = np.full(self.k, -1, np.int64)
        at = self.length
        for first, length in self._runs[::-1]:
            at -= int(length)
            inside = max(0, min(self.k, first + length) - first)
            places[first : first + inside] = np.arange(at, at + inside)
        return places

    def _lift(self, lifting_set: int) -> None:
        """Keep the rows that can tell something: the core, and extension rows whose own parity column is sent."""
        sent = np.zeros(self._columns, bool)
        for first, length in self._runs:
            sent[first // self.z : (first + length - 1) // self.z + 1] = True
        edges = _base_graph(self.base_graph)
        self._all_edges = self._arrays(edges, lifting_set)
        last_sent = int(np.flatnonzero(sent).max())
        self._encoder_rows = max(4, last_sent - self._systematic + 1)
        row = edges[:, 0]
        self._used_edges = self._arrays(edges[(row < 4) | sent[np.minimum(row + self._systematic, self._columns - 1)]],
                                        lifting_set)
        self._decoder_rows = len(self._used_edges[0]) - 1

    def _arrays(self, edges: NDArray[np.int32], lifting_set: int) -> tuple[NDArray[np.int32], ...]:
        _, counts = np.unique(edges[:, 0], return_counts=True)
        starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        column = np.ascontiguousarray(edges[:, 1])
        shift = np.ascontiguousarray(edges[:, 2 + lifting_set] % self.z)
        return starts, column, shift

    def encode(self, bits: ArrayLike) -> NDArray[np.uint8]:
        """Information bits, uint8 [B, k] of 0 and 1, to coded bits, uint8 [B, length]; [k] gives [length]."""
        array = bit_blocks(bits, self.k)
        coded = np.empty((*array.shape[:-1], self.length), np.uint8)
        blocks = array.size // self.k
        starts, column, shift = self._all_edges
        status = library().semcom_ldpc_encode(
            pointer(array), ctypes.c_int64(blocks), self.k, self._systematic, self.z, self._columns,
            self._encoder_rows, pointer(starts), pointer(column), pointer(shift),
            pointer(self._runs), len(self._runs), self.length, pointer(coded),
        )  # fmt: skip
        if status:
            raise MemoryError("no memory for the LDPC encoder")
        return coded

    def decode(
        self, llr: ArrayLike, max_iterations: int = 50
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.int32]]:
        """Layered normalised min-sum with early stop for each block.

        llr: float32 [B, length] (n times the transmissions), log P(0)/P(1) in natural units. NaN counts as 0 (nothing
        known); infinities and very large values saturate. Returns bits uint8 [B, k], ok bool [B], iterations int32
        [B] (at least 1). `ok` says that every parity check holds; a bit about which nothing is known at the end (LLR
        exactly 0) fulfils none, so an erased block is not ok. A single block [length] gives [k] and two scalars'
        arrays.
        """
        limit = integer("max_iterations", max_iterations, 1, 10_000)
        array = llr_blocks(llr, self.length)
        lead = array.shape[:-1]
        bits = np.empty((*lead, self.k), np.uint8)
        ok = np.empty(lead, np.uint8)
        iterations = np.empty(lead, np.int32)
        starts, column, shift = self._used_edges
        status = library().semcom_ldpc_decode(
            pointer(array), ctypes.c_int64(array.size // self.length), self.k, self._systematic, self.z, self._columns,
            self._decoder_rows, pointer(starts), pointer(column), pointer(shift),
            pointer(self._runs), len(self._runs), self.length, self._alpha, limit,
            pointer(bits), pointer(ok), pointer(iterations),
        )  # fmt: skip
        if status:
            raise MemoryError("no memory for the LDPC decoder")
        return bits, ok.astype(bool), iterations


@lru_cache(maxsize=256)
def ldpc_code(k: int, n: int, rv: int | tuple[int, ...] = 0, alpha: float | None = None) -> LDPC5G:
    """A shared `LDPC5G` with these parameters, made once."""
    return LDPC5G(k, n, rv, alpha)

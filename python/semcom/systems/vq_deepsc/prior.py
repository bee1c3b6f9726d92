# SPDX-License-Identifier: GPL-3.0-or-later
"""How likely each index is, given those before it: the entropy coder's model, exact integers throughout.

Scales from the coarsest to the finest, in a scale along rising 2 row + column, which is what lets many places be coded
at once: each sees two rows above, two places to its left, and all coarser scales around it. Every neighbour picks a
row of a table; the rows' sum goes through two hidden layers to a logit for each code. The tables are trained
(`fit.py`) and rounded; what follows here has integers only, so that any two machines agree on every probability.

An index is coded as its bits, most significant first, each with one of the 256 fixed tables of `rans.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from . import rans
from .bits import Indices
from .presets import Geometry

HIDDEN = 64
TABLE_UNIT = 256  # of the rows that are summed
HIDDEN_SHIFT = 4  # sums to the hidden layer's units
HIDDEN_MAX = 127
WEIGHT_UNIT = 64
LAYER_SHIFT = 6  # sums of a layer to the next one's units; logits, in bits, to steps of 1/16
LARGEST_WEIGHT = 511  # of a layer: its sums stay below 2^24, exact in float32
STEPS = 16
CAUSAL = ((0, -1), (0, -2), (-1, 0), (-1, -1), (-1, 1), (-1, -2), (-2, 0), (-2, -1), (-2, 1), (-2, 2))
AROUND = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1))
POSITIONS = 8  # a side, of the grid that says where in the picture a place is
TILES_AT_ONCE = 16

Integers = NDArray[np.int32]


@lru_cache(maxsize=1)
def _powers() -> Integers:
    """65536 x 2^(-d / 16) for d = 0 to 511, at least 1, by integer arithmetic."""
    root = 2**960  # 2^(-1/16) as a fraction of 2^960
    from math import isqrt

    value = root // 2
    for _ in range(4):
        value = isqrt(value * root)
    powers, at = [], root
    for _ in range(512):
        powers.append(max(1, ((at >> 943) + 1) >> 1))
        at = at * value // root
    return np.array(powers, np.int32)


@dataclass(frozen=True)
class ScalePrior:
    """Tables of one scale, rounded: `near` [contexts, N + 1, H] for the neighbours before it (N: outside), `far` for
    each coarser scale [4, 9, N', H] by the place's phase in its parent, `place` [64, H]; then layers of weights and
    biases: `mix` [H, H] and `middle` [H], `output` [H, N] and `bias` [N].
    """

    near: Integers
    far: tuple[Integers, ...]
    place: Integers
    mix: NDArray[np.float32]
    middle: NDArray[np.float32]
    output: NDArray[np.float32]
    bias: NDArray[np.float32]

    @property
    def codes(self) -> int:
        """N."""
        return len(self.bias)

    def known(self, coarser: list[NDArray[np.uint8]], grid: int) -> Integers:
        """What coarser scales (nearest first, [T, h', w']) and the place say, int32 [T, grid, grid, H]."""
        tiles = len(coarser[0]) if coarser else 1
        sums = np.broadcast_to(self.place[positions(grid)], (tiles, grid, grid, HIDDEN)).copy()
        phase = phases(grid)
        for table, index in zip(self.far, coarser, strict=True):
            factor = grid // index.shape[1]
            for k, around in enumerate(shifted(index, AROUND)):
                wide = np.repeat(np.repeat(around, factor, axis=1), factor, axis=2)
                sums += table[phase, k, wide]
        return sums

    def frequencies(self, sums: Integers) -> NDArray[np.int64]:
        """Shares of the codes, not normalised, int64 [..., N], from the sums [..., H]."""
        hidden = _activation(sums, HIDDEN_SHIFT)  # integers below 2^24 from here: exact in any order
        hidden = _activation((hidden @ self.mix + self.middle).astype(np.int32), LAYER_SHIFT)
        logits = (hidden @ self.output + self.bias).astype(np.int32)
        below = (logits.max(-1, keepdims=True) - logits) >> LAYER_SHIFT
        return _powers()[np.minimum(below, len(_powers()) - 1)].astype(np.int64)


class Prior:
    """The model of one codebook; `arrays` as `fit.py` writes them."""

    def __init__(self, arrays: Mapping[str, NDArray[np.generic]], geometry: Geometry) -> None:
        self.geometry = geometry
        self.scales: list[ScalePrior] = []
        for number, scale in enumerate(geometry.scales):
            coarser = geometry.scales[number + 1 :]
            shapes = {"near": (len(CAUSAL), scale.codes + 1, HIDDEN), "place": (POSITIONS**2, HIDDEN)}
            shapes |= {f"far{other.level}": (4, len(AROUND), other.codes, HIDDEN) for other in coarser}
            shapes |= {"mix": (HIDDEN, HIDDEN), "middle": (HIDDEN,)}
            shapes |= {"output": (HIDDEN, scale.codes), "bias": (scale.codes,)}
            found = {}
            for name, shape in shapes.items():
                array = arrays.get(f"{scale.name}.{name}")
                if array is None or array.shape != shape or array.dtype.kind != "i":
                    raise ValueError(f"prior: {scale.name}.{name} must be integers of shape {list(shape)}")
                found[name] = array.astype(np.int32)
            weights = max(int(np.abs(found[name]).max()) for name in ("mix", "output"))
            biases = max(int(np.abs(found[name]).max()) for name in ("middle", "bias"))
            if weights > LARGEST_WEIGHT or biases >= 2**23:
                raise ValueError(f"prior: weights of {scale.name} are too large to be exact")
            far = tuple(found[f"far{other.level}"] for other in coarser)
            layers = (found[name].astype(np.float32) for name in ("mix", "middle", "output", "bias"))
            self.scales.append(ScalePrior(found["near"], far, found["place"], *layers))

    def shares(self, indices: Indices, number: int) -> NDArray[np.int64]:
        """Shares of the codes of scale `number` where all indices are known, int64 [T, h, w, N]."""
        prior, index = self.scales[number], indices[number]
        sums = prior.known(indices[number + 1 :], index.shape[1])
        if len(sums) < len(index):
            sums = np.repeat(sums, len(index), axis=0)
        for table, near in zip(prior.near, shifted(index, CAUSAL, outside=prior.codes), strict=True):
            sums += table[near]
        return prior.frequencies(sums)

    def bits(self, indices: Indices) -> NDArray[np.float32]:
        """Length of each tile's code in bits, float32 [T], without the coder's 4 bytes of state."""
        total = np.zeros(len(indices[0]), np.float32)
        for number, index in enumerate(indices):
            count = len(index)
            sent, tables = _binary(self.shares(indices, number).reshape(index.size, -1), index.reshape(-1))
            total += rans.COST[tables, sent].reshape(count, -1).sum(1)
        return total

    def encode(self, indices: Indices) -> bytes:
        """All tiles as one stream, coarse scales first."""
        sent, tables = [], []
        for number in reversed(range(len(indices))):
            index = indices[number]
            tiles, grid = index.shape[:2]
            shares = np.concatenate([
                self.shares([one[k : k + TILES_AT_ONCE] for one in indices], number)
                for k in range(0, tiles, TILES_AT_ONCE)
            ])  # fmt: skip
            bits, which = _binary(shares.reshape(index.size, -1), index.reshape(-1))
            order = np.arange(index.size).reshape(tiles, grid, grid)
            for rows, columns in _fronts(grid):
                at = order[:, rows, columns].reshape(-1)
                sent.append(bits[at].T.reshape(-1))
                tables.append(which[at].T.reshape(-1))
        return rans.encode(np.concatenate(sent), np.concatenate(tables))

    def decode(self, data: bytes, tiles: int) -> tuple[Indices, Indices, bool]:
        """Indices of so many tiles, which of them are known (uint8 of 0 and 1), and whether the stream ended where it
        should. What a cut-off stream does not tell is 0 and not known."""
        decoder = rans.Decoder(data)
        indices = [np.zeros((tiles, scale.grid, scale.grid), np.uint8) for scale in self.geometry.scales]
        known = [np.zeros_like(index) for index in indices]
        for number in reversed(range(len(indices))):
            prior, index = self.scales[number], indices[number]
            grid, outside = index.shape[1], prior.codes
            sums = np.concatenate([
                prior.known([one[k : k + TILES_AT_ONCE] for one in indices[number + 1 :]], grid)
                for k in range(0, tiles, TILES_AT_ONCE)
            ])  # fmt: skip
            if len(sums) < tiles:
                sums = np.repeat(sums[:1], tiles, axis=0)
            padded = np.full((tiles, grid + 2, grid + 4), outside, np.uint8)
            for rows, columns in _fronts(grid):
                at = sums[:, rows, columns]
                for table, (y, x) in zip(prior.near, CAUSAL, strict=True):
                    at += table[padded[:, rows + y + 2, columns + x + 2]]
                found = _decoded(decoder, prior.frequencies(at.reshape(-1, HIDDEN)))
                if found is None:
                    return indices, known, False
                index[:, rows, columns] = padded[:, rows + 2, columns + 2] = found.reshape(tiles, -1)
                known[number][:, rows, columns] = 1
        return indices, known, decoder.finished()


def _activation(sums: Integers, shift: int) -> NDArray[np.float32]:
    """Rounded down by `shift` bits and limited to 0 to 127."""
    return np.clip((sums + (1 << shift - 1)) >> shift, 0, HIDDEN_MAX).astype(np.float32)


def shifted(
    index: NDArray[np.uint8], offsets: tuple[tuple[int, int], ...], outside: int | None = None
) -> Iterator[NDArray[np.uint8]]:
    """The neighbour of each place at each offset (rows, columns), within 2: `outside` beyond the edges, or the edge."""
    pads = ((0, 0), (2, 2), (2, 2))
    if outside is None:
        padded = np.pad(index, pads, mode="edge")
    else:
        padded = np.pad(index, pads, constant_values=outside)
    height, width = index.shape[1:]
    for y, x in offsets:
        yield padded[:, 2 + y : 2 + y + height, 2 + x : 2 + x + width]


def phases(grid: int) -> NDArray[np.intp]:
    """Which child of its parent a place is, 0 to 3, [grid, grid]."""
    odd = np.arange(grid) % 2
    return 2 * odd[:, None] + odd[None]


def positions(grid: int) -> NDArray[np.intp]:
    """Where in the picture a place is, 0 to 63, [grid, grid]."""
    at = np.arange(grid) * POSITIONS // grid
    return at[:, None] * POSITIONS + at[None]


@lru_cache(maxsize=8)
def _fronts(grid: int) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]:
    """Rows and columns of the places that are coded together, in order."""
    rows, columns = np.indices((grid, grid))
    when = (2 * rows + columns).reshape(-1)
    order = np.argsort(when, kind="stable")
    cuts = np.flatnonzero(np.diff(when[order])) + 1
    return tuple((rows.reshape(-1)[part], columns.reshape(-1)[part]) for part in np.split(order, cuts))


def _binary(shares: NDArray[np.int64], index: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Bits of indices [n] and their tables, uint8 [n, bits an index] each, from shares [n, N]."""
    count, codes = shares.shape
    depth = codes.bit_length() - 1
    bits, tables = np.empty((2, count, depth), np.uint8)
    rows = np.arange(count)
    for level in range(depth):
        zero, both = _halves(shares, level)
        prefix = index >> (depth - level)
        bits[:, level] = index >> (depth - level - 1) & 1
        tables[:, level] = _table(zero[rows, prefix], both[rows, prefix])
    return bits, tables


def _decoded(decoder: rans.Decoder, shares: NDArray[np.int64]) -> NDArray[np.uint8] | None:
    """Indices [n] of places with such shares [n, N], None where the stream ends."""
    count, codes = shares.shape
    rows = np.arange(count)
    index = np.zeros(count, np.uint8)
    for level in range(codes.bit_length() - 1):
        zero, both = _halves(shares, level)
        bits = decoder.take(_table(zero[rows, index], both[rows, index]))
        if bits is None:
            return None
        index = (index << 1 | bits).astype(np.uint8)
    return index


def _halves(shares: NDArray[np.int64], level: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Share of a 0 and of both values of bit `level`, [n, 2^level], after each prefix."""
    sums = shares.reshape(len(shares), 1 << level, 2, -1).sum(3)
    return sums[:, :, 0], sums.sum(2)


def _table(zero: NDArray[np.int64], both: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.minimum(zero * rans.TABLES // both, rans.TABLES - 1).astype(np.uint8)

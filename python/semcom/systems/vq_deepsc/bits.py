# SPDX-License-Identifier: GPL-3.0-or-later
"""Indices to bits and back: fixed length, no entropy coder, nothing else in the message.

Tile after tile in reading order; in a tile the scales from the finest to the coarsest, each in reading order; of each
index its label, most significant bit first. The label of a code is its number (*natural*) or the one that
`channel_aware` finds, where codes whose labels differ in one bit are near each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .presets import Geometry

Indices = list[NDArray[np.uint8]]
"""Of each scale, finest first, the codes of all tiles: uint8 [T, h, w]."""

Labels = Sequence[NDArray[np.uint8]]
"""Of each scale the label of each code, uint8 [N]: a permutation of 0 to N - 1."""

STARTS = 24


def natural(geometry: Geometry) -> list[NDArray[np.uint8]]:
    """Labels that are the codes' own numbers."""
    return [np.arange(scale.codes, dtype=np.uint8) for scale in geometry.scales]


def pack(indices: Indices, labels: Labels, geometry: Geometry) -> NDArray[np.uint8]:
    """Indices to bits, uint8 of 0 and 1, [T * geometry.bits]."""
    tiles = len(indices[0])
    parts = []
    for index, label, scale in zip(indices, labels, geometry.scales, strict=True):
        sent = label[index].reshape(tiles, -1, 1)
        parts.append((sent >> _shifts(scale.bits_per_index) & 1).reshape(tiles, -1))
    return np.concatenate(parts, axis=1).reshape(-1).astype(np.uint8)


def unpack(bits: NDArray[np.uint8], labels: Labels, geometry: Geometry) -> Indices:
    """The inverse of `pack`; any bits are some indices, because every N is a power of two."""
    indices = []
    for part, label, scale in zip(split(bits, geometry), labels, geometry.scales, strict=True):
        received = (part.astype(np.uint8) << _shifts(scale.bits_per_index)).sum(3, dtype=np.uint8)
        indices.append(np.argsort(label).astype(np.uint8)[received])
    return indices


def split(values: NDArray[Any], geometry: Geometry) -> list[NDArray[Any]]:
    """One value a bit, [T * geometry.bits], by scale: [T, h, w, bits per index]."""
    tiles = values.reshape(-1, geometry.bits)
    ends = np.cumsum([scale.bits for scale in geometry.scales])[:-1]
    parts = np.split(tiles, ends, axis=1)
    return [
        part.reshape(len(tiles), scale.grid, scale.grid, scale.bits_per_index)
        for part, scale in zip(parts, geometry.scales, strict=True)
    ]


def evidence(llr: NDArray[np.float32], labels: Labels, geometry: Geometry) -> list[NDArray[np.float32]]:
    """What log P(0)/P(1) of each bit, [T * geometry.bits], says of each code: log-likelihoods up to a constant,
    float32 [T, N, h, w] for each scale."""
    found = []
    for part, label, scale in zip(split(llr, geometry), labels, geometry.scales, strict=True):
        signs = 0.5 - (label[:, None] >> _shifts(scale.bits_per_index) & 1).astype(np.float32)
        found.append(np.ascontiguousarray((part @ signs.T).transpose(0, 3, 1, 2), np.float32))
    return found


def _shifts(count: int) -> NDArray[np.uint8]:
    return np.arange(count - 1, -1, -1, dtype=np.uint8)


def exposure(codes: NDArray[np.float32], label: NDArray[np.uint8], usage: NDArray[np.float64]) -> float:
    """Mean squared distance that a single wrong bit moves a vector: codes [N, K], label [N], usage [N] of sum 1."""
    gaps = _gaps(codes)
    code_of = np.argsort(label)
    flips = 1 << np.arange(len(codes).bit_length() - 1)
    neighbours = code_of[label[:, None] ^ flips[None]]
    return float(np.mean(usage @ np.take_along_axis(gaps, neighbours, axis=1)))


def channel_aware(
    codes: NDArray[np.float32], usage: NDArray[np.float64] | None = None, seed: int = 0
) -> NDArray[np.uint8]:
    """Labels, uint8 [N], for which `exposure` is small.

    Pairs of labels change places for as long as that helps, from seeded random starts and from the order along the
    first principal axis in Gray code; the best end is taken. (Zeger and Gersho 1990, "Pseudo-Gray coding", go on the
    same way.) The same codes always give the same labels.
    """
    count = len(codes)
    usage = np.full(count, 1 / count) if usage is None else np.asarray(usage, np.float64)
    centred = codes.astype(np.float64) - codes.mean(0)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    rank = np.argsort(np.argsort(centred @ axis, kind="stable"), kind="stable")
    rng = np.random.default_rng(seed)
    starts = [np.arange(count), rank ^ rank >> 1, *(rng.permutation(count) for _ in range(STARTS))]
    gaps = _gaps(codes)
    weights = gaps * (usage[:, None] + usage[None])  # a flip goes both ways
    number = np.arange(count)
    adjacent = np.isin(number[:, None] ^ number[None], 1 << np.arange(count.bit_length() - 1)).astype(np.float64)
    best, least = starts[0], np.inf
    for start in starts:
        label, cost = _descend(start.copy(), weights, adjacent)
        if cost < least - 1e-12:
            best, least = label, cost
    return best.astype(np.uint8)


def _descend(
    label: NDArray[np.int64], weights: NDArray[np.float64], adjacent: NDArray[np.float64]
) -> tuple[NDArray[np.int64], float]:
    """Exchange the pair of labels that helps most until none does."""
    while True:
        near = adjacent[label][:, label]  # by code
        pull = weights @ near  # [a, b]: cost of code a at the place of code b
        own = np.diag(pull)
        change = pull + pull.T - own[:, None] - own[None] + 2 * weights * near
        a, b = np.unravel_index(np.argmin(change), change.shape)
        if change[a, b] >= -1e-9 * weights.max():
            return label, float((weights * near).sum())
        label[[a, b]] = label[[b, a]]


def _gaps(codes: NDArray[np.float32]) -> NDArray[np.float64]:
    x = codes.astype(np.float64)
    squares = (x**2).sum(1)
    return np.maximum(squares[:, None] + squares[None] - 2 * x @ x.T, 0.0)

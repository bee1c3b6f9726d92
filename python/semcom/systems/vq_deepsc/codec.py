# SPDX-License-Identifier: GPL-3.0-or-later
"""VQ-DeepSC, encoder and decoder: pictures to indices of codebooks, indices to bits, and back."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...zoo import Model, load
from . import bits as bit_maps
from .bits import Indices
from .presets import SIDE, get_geometry
from .prior import Prior
from .search import distances, nearest

BATCH = 16  # tiles that the networks take at once
CERTAIN = 31.75  # log-likelihood ratio of a bit that arrived
DOUBT = 0.9  # a vector counts as concealed where its most likely code is less likely than this
CELL = 4  # pixels a side of a cell of the map of damage
PRIOR_ROUNDS = 3  # of the choice of cheaper codes
LAMBDAS = 7  # steps of the search for the weight of bits

Picture = NDArray[np.uint8]
Features = list[NDArray[np.float32]]


@dataclass(frozen=True)
class Decoded:
    """A picture, uint8 [H, W, 3]; how many vectors had to be guessed; how doubtful each cell of 4x4 pixels is, uint8
    [rows, columns], None where nothing is."""

    picture: Picture
    concealed: int = 0
    doubt: NDArray[np.uint8] | None = None


class Codec:
    """One VQ-DeepSC model; without what `fit.py` adds where `fitted` is False."""

    def __init__(self, variant: str | Path, device: str = "auto", fitted: bool = True) -> None:
        self.model = Model(variant, device) if isinstance(variant, Path) else load("vq_deepsc", variant, device)
        card = self.model.card
        self.geometry = get_geometry(card["scales"])
        arrays = self.model.arrays("codebooks.npz")
        self.codes = [np.ascontiguousarray(arrays[scale.name], np.float32) for scale in self.geometry.scales]
        for codes, scale in zip(self.codes, self.geometry.scales, strict=True):
            if codes.ndim != 2 or len(codes) != scale.codes or not np.isfinite(codes).all():
                raise ValueError(f"{self.model.folder}: codebook {scale.name} must be {scale.codes} finite vectors")
        self.identity = zlib.crc32(b"".join(codes.tobytes() for codes in self.codes))
        plain = bit_maps.natural(self.geometry)
        self.labels = {"natural": plain, "aware": plain}  # before `fit.py` there is one map only
        if fitted and "bits.npz" in card["files"]:
            found = self.model.arrays("bits.npz")
            labels = [found[scale.name].astype(np.uint8) for scale in self.geometry.scales]
            for label, scale in zip(labels, self.geometry.scales, strict=True):
                if sorted(label.tolist()) != list(range(scale.codes)):
                    raise ValueError(f"{self.model.folder}: bits.npz is no permutation of {scale.codes} codes")
            self.labels["aware"] = labels
        self.prior: Prior | None = None
        if fitted and "prior.npz" in card["files"]:
            self.prior = Prior(self.model.arrays("prior.npz"), self.geometry)

    # pictures and indices

    def tiles(self, picture: Picture) -> NDArray[np.float32]:
        """uint8 [H, W, 3], continued by its edges to whole tiles, to float32 [T, 3, 128, 128] in 0 to 1."""
        rows, columns = tile_grid(*picture.shape[:2])
        below, right = rows * SIDE - picture.shape[0], columns * SIDE - picture.shape[1]
        padded = np.pad(picture, ((0, below), (0, right), (0, 0)), mode="edge")
        cut = padded.reshape(rows, SIDE, columns, SIDE, 3).transpose(0, 2, 4, 1, 3)
        return np.ascontiguousarray(cut.reshape(-1, 3, SIDE, SIDE), np.float32) * np.float32(1 / 255)

    def features(self, tiles: NDArray[np.float32]) -> Features:
        """Vectors before quantising, float32 [T, K, h, w] for each scale, finest first."""
        runs = [self.model.run("encoder", tiles[k : k + BATCH]) for k in range(0, len(tiles), BATCH)]
        return [np.concatenate(parts) for parts in zip(*runs, strict=True)]

    def indices(self, tiles: NDArray[np.float32]) -> Indices:
        """The nearest code at each place."""
        return [nearest(x, codes) for x, codes in zip(self.features(tiles), self.codes, strict=True)]

    def picture(self, vectors: Features, height: int, width: int) -> Picture:
        """Vectors of all tiles, [T, K, h, w] for each scale, to uint8 [H, W, 3]."""
        tiles = len(vectors[0])
        runs = [
            self.model.run("decoder", *(one[k : k + BATCH] for one in vectors))[0] for k in range(0, tiles, BATCH)
        ]
        rows, columns = tile_grid(height, width)
        pixels = np.rint(np.nan_to_num(np.concatenate(runs)) * np.float32(255)).clip(0, 255).astype(np.uint8)
        joined = pixels.reshape(rows, columns, 3, SIDE, SIDE).transpose(0, 3, 1, 4, 2)
        return np.ascontiguousarray(joined.reshape(rows * SIDE, columns * SIDE, 3)[:height, :width])

    def vectors(self, indices: Indices) -> Features:
        """The codes themselves, [T, K, h, w]."""
        return [
            np.ascontiguousarray(codes[index].transpose(0, 3, 1, 2))
            for codes, index in zip(self.codes, indices, strict=True)
        ]

    # fixed length

    def bits(self, height: int, width: int) -> int:
        """Bits of a picture without entropy coding."""
        rows, columns = tile_grid(height, width)
        return rows * columns * self.geometry.bits

    def encode(self, picture: Picture, labels: str = "aware") -> NDArray[np.uint8]:
        """uint8 [H, W, 3] to bits, uint8 of 0 and 1: exactly `bits(H, W)`."""
        return bit_maps.pack(self.indices(self.tiles(picture)), self.labels[labels], self.geometry)

    def decode(
        self,
        bits: NDArray[np.uint8],
        height: int,
        width: int,
        bits_ok: NDArray[np.bool_] | None = None,
        llr: NDArray[np.float32] | None = None,
        labels: str = "aware",
        repair: bool = True,
    ) -> Decoded | None:
        """The picture of as many bits as `bits(H, W)`; None for another number.

        With `llr`, log P(0)/P(1) of each bit, or with bits that are not `ok`, doubtful vectors become the mean of what
        the prior holds for likely there; without `repair` the bits are taken as they are.
        """
        if len(bits) != self.bits(height, width):
            return None
        received = bit_maps.unpack(bits, self.labels[labels], self.geometry)
        good = np.ones(len(bits), np.bool_) if bits_ok is None else bits_ok
        if llr is None or len(llr) != len(bits):
            llr = np.where(good, np.float32(CERTAIN) * (1 - 2 * bits.astype(np.float32)), np.float32(0))
        llr = np.nan_to_num(llr, nan=0.0).clip(-CERTAIN, CERTAIN)
        if np.abs(llr).min(initial=CERTAIN) >= CERTAIN:
            return Decoded(self.picture(self.vectors(received), height, width))
        if not repair or "repair.onnx" not in self.model.card["files"]:
            lost = bit_maps.split((~good).astype(np.uint8), self.geometry)
            doubts = [255 * part.any(3).astype(np.uint8) for part in lost]
            picture = self.picture(self.vectors(received), height, width)
            return self._decoded(picture, doubts, height, width)
        return self._repaired(bit_maps.evidence(llr, self.labels[labels], self.geometry), received, height, width)

    def _repaired(
        self, evidence: list[NDArray[np.float32]], received: Indices | None, height: int, width: int
    ) -> Decoded:
        """The picture from log-likelihoods of the codes, [T, N, h, w] for each scale."""
        runs = [
            self.model.run("repair", *(one[k : k + BATCH] for one in evidence), cpu_only=True)
            for k in range(0, len(evidence[0]), BATCH)
        ]
        beliefs = [np.concatenate(parts) for parts in zip(*runs, strict=True)]
        means = [
            np.einsum("tnyx,nk->tkyx", belief, codes, optimize=True).astype(np.float32)
            for belief, codes in zip(beliefs, self.codes, strict=True)
        ]
        doubts = []
        for number, belief in enumerate(beliefs):
            doubt = np.rint(255 * (1 - belief.max(1).clip(0, 1))).astype(np.uint8)
            if received is not None:
                doubt[belief.argmax(1) != received[number]] = 255
            doubts.append(doubt)
        return self._decoded(self.picture(means, height, width), doubts, height, width)

    def _decoded(self, picture: Picture, doubts: list[NDArray[np.uint8]], height: int, width: int) -> Decoded:
        """With the doubt of each cell: the largest of its vectors', where each coarser scale counts half as much."""
        rows, columns = tile_grid(height, width)
        side = SIDE // CELL
        cells = np.zeros((len(doubts[0]), side, side), np.uint8)
        for number, doubt in enumerate(doubts):
            factor = side // doubt.shape[1]
            np.maximum(cells, np.repeat(np.repeat(doubt >> number, factor, axis=1), factor, axis=2), out=cells)
        joined = cells.reshape(rows, columns, side, side).transpose(0, 2, 1, 3).reshape(rows * side, columns * side)
        concealed = sum(int(np.count_nonzero(doubt > 255 * (1 - DOUBT))) for doubt in doubts)
        return Decoded(picture, concealed, joined[: -(-height // CELL), : -(-width // CELL)])

    # entropy coded

    def encode_short(self, picture: Picture, max_bits: int | None = None) -> NDArray[np.uint8] | None:
        """uint8 [H, W, 3] to the entropy coder's bits; None where they are more than `max_bits` whatever is done.

        Where the nearest codes do not fit, codes of the finest scale that are nearly as near and cost fewer bits are
        taken: no other scale depends on them.
        """
        assert self.prior is not None
        tiles = self.tiles(picture)
        features = self.features(tiles)
        indices = [nearest(x, codes) for x, codes in zip(features, self.codes, strict=True)]
        stream = self.prior.encode(indices)
        if max_bits is not None and 8 * len(stream) > max_bits:
            found = self._cheaper(features[0], indices, max_bits)
            if found is None:
                return None
            stream = found
        return np.unpackbits(np.frombuffer(stream, np.uint8))

    def _cheaper(self, finest: NDArray[np.float32], indices: Indices, max_bits: int) -> bytes | None:
        """The stream with the least weight of bits against squared distance that fits, by bisection."""
        assert self.prior is not None
        gaps = distances(finest, self.codes[0])
        gaps = gaps - gaps.min(3, keepdims=True)
        unit = float(np.mean(np.partition(gaps, 1, axis=3)[..., 1]))  # to the second nearest
        low, high, best = -6.0, 7.0, None
        for _ in range(LAMBDAS):
            middle = (low + high) / 2
            weight = unit * 2.0**middle
            chosen = [indices[0].copy(), *indices[1:]]
            for _ in range(PRIOR_ROUNDS):
                shares = self.prior.shares(chosen, 0).astype(np.float64)
                cost = np.log2(shares.sum(3, keepdims=True)) - np.log2(shares)
                chosen[0] = (gaps + weight * cost).argmin(3).astype(np.uint8)
            stream = self.prior.encode(chosen)
            if 8 * len(stream) <= max_bits:
                high, best = middle, stream
            else:
                low = middle
        return best

    def decode_short(
        self, bits: NDArray[np.uint8], height: int, width: int, bits_ok: NDArray[np.bool_] | None = None
    ) -> Decoded:
        """The picture of an entropy-coded message: of a damaged one its undamaged beginning, and what the prior makes
        of the rest. Where damage shows only at the end nobody knows where it begins, and nothing of it is used."""
        assert self.prior is not None
        rows, columns = tile_grid(height, width)
        whole = len(bits) // 8 * 8
        good = np.ones(len(bits), np.bool_) if bits_ok is None else bits_ok
        intact = good.all()
        usable = len(bits) // 16 * 2 if intact else int(good.argmin()) // 16 * 2
        data = np.packbits(bits[:whole]).tobytes()[: len(bits) // 8 if intact else usable]
        indices, known, finished = self.prior.decode(data, rows * columns)
        if intact and finished:
            return Decoded(self.picture(self.vectors(indices), height, width))
        if intact:
            known = [np.zeros_like(one) for one in known]
        evidence = []
        for index, there, scale in zip(indices, known, self.geometry.scales, strict=True):
            sure = np.where(there, np.float32(CERTAIN), np.float32(0))
            evidence.append((index[:, None] == np.arange(scale.codes)[:, None, None]) * sure[:, None])
        return self._repaired(evidence, None, height, width)


def tile_grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of tiles of a picture."""
    return -(-height // SIDE), -(-width // SIDE)


@lru_cache(maxsize=8)
def codec(variant: str, device: str = "auto") -> Codec:
    """The codec of a model, made once a process."""
    return Codec(variant, device)

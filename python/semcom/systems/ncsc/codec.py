# SPDX-License-Identifier: GPL-3.0-or-later
"""NCSC, encoder and decoder: pictures to streams of `stream.py` and back, whatever part of them arrived."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...zoo import Model, load
from .conceal import extend_latents, fill_smoothly
from .entropy import Tables, tables
from .stream import Header, choose_tile, overhead, pack, parse

LATENTS = 128
HYPER_CLIP = 31
CONTEXT_CLIP = 255 / 16
DEFAULT_QUALITY = 107  # the rate of the paper, 0.117 bit/pixel, as a mean over the Kodak photographs
BAND = 2**20  # pixels a transform handles at once; bounds the memory for large pictures
HALO = 10  # latent rows on each side of a band: the reach of the transforms is 9
GREY = 128

Picture = NDArray[np.uint8]
Latents = NDArray[np.float32]
Box = tuple[slice, slice]


@dataclass(frozen=True)
class Decoded:
    """A decoded picture, uint8 [H, W, 3], with the number of segments sent and of those concealed."""

    picture: Picture
    segments: int
    concealed: int


@lru_cache(maxsize=16)
def _first_pass(height: int, width: int) -> NDArray[np.bool_]:
    """Latents of the first pass, bool [128, h, w]: a checkerboard, inverted for the upper half of channels."""
    board = np.add.outer(np.arange(height), np.arange(width)) % 2 == 1
    return np.concatenate([np.broadcast_to(b, (LATENTS // 2, height, width)) for b in (board, ~board)])


def _round(x: Latents) -> Latents:
    return np.floor(x + np.float32(0.5))


class Codec:
    """One NCSC model. Thread-safe after construction as far as ONNX Runtime sessions are."""

    def __init__(self, variant: str = "mse", device: str = "auto") -> None:
        self.model: Model = load("ncsc", variant, device)
        constants = self.model.arrays("constants.npz")
        self.log_gain = constants["log_gain"].astype(np.float64)
        self.log_inverse_gain = constants["log_inverse_gain"].astype(np.float64)
        self.hyper_index = constants["hyper_index"]  # uint8 [256, 32], for each quality byte
        self.identity = int(self.model.card["stream_id"])
        self.tables: Tables = tables()

    def encode(self, picture: Picture, *, quality: int | None = None, max_bytes: int | None = None) -> bytes | None:
        """Stream of uint8 [H, W, 3] at `quality` 0..255, or at the best one within `max_bytes`; None if none fits."""
        if quality is not None and not 0 <= quality <= 255:
            raise ValueError(f"quality must be 0 to 255, not {quality}")
        raw = self._analysis(picture)
        height, width = picture.shape[:2]
        tile = choose_tile(height, width)
        if max_bytes is None:
            header = Header(tile, DEFAULT_QUALITY if quality is None else quality, self.identity, height, width)
            return self._stream(raw, header)
        limit = 255 if quality is None else quality
        return self._best_within(raw, Header(tile, limit, self.identity, height, width), max_bytes)

    def _best_within(self, raw: Latents, header: Header, max_bytes: int) -> bytes | None:
        """Bracketing search on the quality byte; log(size) is nearly linear in it."""
        fixed = overhead(header.height, header.width)

        def at(quality: int) -> Header:
            return Header(header.tile, quality, header.model, header.height, header.width)

        low, high, guess = -1, header.quality + 1, min(DEFAULT_QUALITY, header.quality)
        best: bytes | None = None
        while high - low > 1:
            symbols = self._symbols(raw, at(guess))
            size = fixed + sum(4 + math.ceil(self.tables.bits(v, i) / 8) for v, i in symbols)
            # the estimate leaves out how the coder rounds: only the real stream decides near the limit
            stream = self._pack(symbols, at(guess)) if size < 1.02 * max_bytes + 16 else None
            if stream is not None and len(stream) <= max_bytes:
                low, best = guess, stream
                if len(stream) > 0.99 * max_bytes:
                    break
            else:
                high = guess
            ratio = math.log(max(max_bytes - fixed, 1) / max(size - fixed, 1))
            guess = min(max(guess + round(ratio / 0.009), low + 1), high - 1)
        return best

    def decode(self, data: bytes, bytes_ok: NDArray[np.bool_], shape: tuple[int, int]) -> Decoded:
        """Picture of `shape` (height, width) from a stream of which `bytes_ok` arrived.

        Lost segments are concealed from their neighbours; where nothing is left the picture is mid-grey.
        Never raises for what the channel did; a stream of another picture size or model counts as lost.
        """
        grey = np.full((*shape, 3), GREY, np.uint8)
        try:
            header, segments = parse(data, bytes_ok)
        except ValueError:
            return Decoded(grey, 1, 1)
        if (header.height, header.width) != tuple(shape) or header.model != self.identity:
            return Decoded(grey, len(segments), len(segments))
        rows, columns = -(-header.height // 64), -(-header.width // 64)
        latents = np.zeros((LATENTS, rows * 4, columns * 4), np.float32)
        lost = np.zeros((rows, columns), np.bool_)
        boxes = header.boxes()
        concealed = 0
        for (height, width), group in _by_shape(boxes, segments):
            values, good = self._decode_tiles([segment for _, segment in group], header.quality, height, width)
            for (box, _), value, ok in zip(group, values, good, strict=True):
                concealed += not ok
                lost[box] = not ok
                latents[(slice(None), *_scaled(box, 4))] = value
        if lost.all():
            return Decoded(grey, len(boxes), concealed)
        if concealed:
            extend_latents(latents, lost)
        picture = self._synthesis(latents * self._gain(self.log_inverse_gain, header.quality))
        if concealed:
            picture = fill_smoothly(picture, lost)
        return Decoded(picture[: shape[0], : shape[1]], len(boxes), concealed)

    # transforms

    def _gain(self, nodes: NDArray[np.float64], quality: int) -> Latents:
        at = quality / 255 * (len(nodes) - 1)
        low = min(int(at), len(nodes) - 2)
        return np.exp(nodes[low] + (at - low) * (nodes[low + 1] - nodes[low])).astype(np.float32)[:, None, None]

    def _analysis(self, picture: Picture) -> Latents:
        """Unscaled latents float32 [128, h, w] of the picture padded by its edges to multiples of 64."""
        height, width = picture.shape[:2]
        picture = np.pad(picture, ((0, -height % 64), (0, -width % 64), (0, 0)), mode="edge")
        x = np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32)[None] / np.float32(255)
        return self._banded("analysis", x, 16, 1)[0]

    def _synthesis(self, latents: Latents) -> Picture:
        x = self._banded("synthesis", latents[None], 1, 16)[0]
        return _round(x * np.float32(255)).astype(np.uint8).transpose(1, 2, 0)

    def _banded(self, part: str, x: Latents, unit_in: int, unit_out: int) -> Latents:
        """Run a transform in horizontal bands that overlap; a unit is one latent row."""
        units = x.shape[2] // unit_in
        row_pixels = x.shape[3] * unit_out * 16
        step = max(4, BAND // row_pixels)
        if units <= step:
            return self.model.run(part, x)[0]
        bands = []
        for top in range(0, units, step):
            bottom = min(units, top + step)
            first, last = max(0, top - HALO), min(units, bottom + HALO)
            y = self.model.run(part, np.ascontiguousarray(x[:, :, first * unit_in : last * unit_in]))[0]
            bands.append(y[:, :, (top - first) * unit_out : (bottom - first) * unit_out])
        return np.concatenate(bands, axis=2)

    # entropy coding

    def _symbols(self, raw: Latents, header: Header) -> list[tuple[Latents, NDArray[np.uint8]]]:
        """Values and table indices of each segment, in coding order: z, first pass, second pass."""
        scaled = raw * self._gain(self.log_gain, header.quality)
        boxes = header.boxes()
        result: list[Any] = [None] * len(boxes)
        for (height, width), group in _by_shape(boxes, list(range(len(boxes)))):
            y = np.stack([scaled[(slice(None), *_scaled(box, 4))] for box, _ in group])
            z_index = self._hyper_index(header.quality, height, width)
            z = _round(self.model.run("hyper_analysis", y)[0]).clip(-HYPER_CLIP, HYPER_CLIP)
            z = self.tables.clip(z.reshape(len(group), -1), z_index)
            hyper, mean, index = self._entropy_first(z.reshape(len(group), -1, height, width))
            first = _first_pass(height * 4, width * 4)
            value = self.tables.clip(_round(y - mean), index)
            known = np.where(first, value + mean, np.float32(0)).clip(-CONTEXT_CLIP, CONTEXT_CLIP)
            mean2, index2 = self._entropy_second(hyper, known)
            value2 = self.tables.clip(_round(y - mean2), index2)
            for k, (_, number) in enumerate(group):
                values = np.concatenate([z[k], value[k][first], value2[k][~first]])
                result[number] = values, np.concatenate([z_index, index[k][first], index2[k][~first]])
        return result

    def _pack(self, symbols: list[tuple[Latents, NDArray[np.uint8]]], header: Header) -> bytes:
        return pack(header, [self.tables.encode(values.astype(np.int32), index) for values, index in symbols])

    def _stream(self, raw: Latents, header: Header) -> bytes:
        return self._pack(self._symbols(raw, header), header)

    def _decode_tiles(
        self, segments: list[bytes | None], quality: int, height: int, width: int
    ) -> tuple[Latents, NDArray[np.bool_]]:
        """Latents [B, 128, 4h, 4w] of tiles of one shape, and which of them could be decoded."""
        count = len(segments)
        good = np.array([segment is not None for segment in segments])
        decoders = [self.tables.decoder(segment or b"") for segment in segments]

        def take(indices: NDArray[np.uint8]) -> NDArray[np.float32]:
            values = np.zeros(indices.shape, np.float32)
            for k, decoder in enumerate(decoders):
                if good[k]:
                    try:
                        values[k] = decoder.take(indices[k])
                    except ValueError:
                        good[k] = False
            return values

        z_index = self._hyper_index(quality, height, width)
        z = take(np.broadcast_to(z_index, (count, len(z_index)))).clip(-HYPER_CLIP, HYPER_CLIP)
        hyper, mean, index = self._entropy_first(z.reshape(count, -1, height, width))
        first = _first_pass(height * 4, width * 4)
        known = np.zeros_like(mean)
        known[:, first] = take(index[:, first]) + mean[:, first]
        mean2, index2 = self._entropy_second(hyper, known.clip(-CONTEXT_CLIP, CONTEXT_CLIP))
        known[:, ~first] = take(index2[:, ~first]) + mean2[:, ~first]
        for k, decoder in enumerate(decoders):
            if good[k]:
                try:
                    decoder.finish()
                except ValueError:
                    good[k] = False
        return known, good

    def _hyper_index(self, quality: int, height: int, width: int) -> NDArray[np.uint8]:
        return np.repeat(self.hyper_index[quality], height * width)

    def _entropy_first(self, z: Latents) -> tuple[Latents, Latents, NDArray[np.uint8]]:
        # the networks that choose tables always run on the CPU: TF32 or Winograd kernels are not exact
        hyper, mean, index = self.model.run("entropy_first", z.astype(np.float32), cpu_only=True)
        return hyper, mean, index.astype(np.uint8)

    def _entropy_second(self, hyper: Latents, known: Latents) -> tuple[Latents, NDArray[np.uint8]]:
        mean, index = self.model.run("entropy_second", hyper, known, cpu_only=True)
        return mean, index.astype(np.uint8)


def _scaled(box: Box, factor: int) -> Box:
    rows, columns = box
    return slice(rows.start * factor, rows.stop * factor), slice(columns.start * factor, columns.stop * factor)


def _by_shape(boxes: list[Box], items: list[Any]) -> list[tuple[tuple[int, int], list[tuple[Box, Any]]]]:
    """Boxes with their items, grouped by size so that a group runs as one batch of at most 16."""

    def size(pair: tuple[Box, Any]) -> tuple[int, int]:
        (rows, columns), _ = pair
        return rows.stop - rows.start, columns.stop - columns.start

    groups = []
    for shape, members in groupby(sorted(zip(boxes, items, strict=True), key=size), key=size):
        listed = list(members)
        groups += [(shape, listed[k : k + 16]) for k in range(0, len(listed), 16)]
    return groups


@lru_cache(maxsize=4)
def codec(variant: str = "mse", device: str = "auto") -> Codec:
    """The codec of a model, made once a process."""
    return Codec(variant, device)

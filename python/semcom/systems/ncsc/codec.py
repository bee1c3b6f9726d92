# SPDX-License-Identifier: GPL-3.0-or-later
"""NCSC, encoder and decoder: pictures to streams of `stream.py` and back, whatever part of them arrived."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...zoo import Model, load
from . import thumbnail
from .conceal import extend_latents, fill_smoothly
from .entropy import Tables, tables
from .stream import (
    COPIES,
    REPEATS,
    SCALES,
    STRIPES,
    THUMBNAIL_ONLY,
    Header,
    Segment,
    check_size,
    merged,
    overhead,
    pack,
    parse,
    protected,
    repaired,
    thumbnails,
)

HYPER_CLIP = 31
CONTEXT_CLIP = 255 / 16
DEFAULT_QUALITY = 107  # the rate of the paper, 0.117 bit/pixel, as a mean over the Kodak photographs
BAND = 2**20  # pixels a transform handles at once; bounds the memory for large pictures
HALO = 10  # latent rows on each side of a band: the reach of the transforms is 9
PROBE = SCALES.index(16)  # scale at which a picture is tried first: a sixteenth of the work
GROWTH = 0.0045  # of log(size) for each step of quality, about
SHRINKAGE = 1.7  # size falls by this power of the scale, about
PARITY_FROM = 2**17  # pixels; the parity of smaller pictures would be shorter than a code block
HOPE = 1.1  # how far above the limit a finer scale may be expected and still be tried
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
def _passes(order: bytes, height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of the first pass and of the second in latents [C, h, w], flat, in coding order.

    The first pass is a checkerboard, inverted for the upper half of channels; `order` lists the channels.
    """
    board = np.add.outer(np.arange(height), np.arange(width)) % 2 == 1
    first, second = [], []
    for channel in order:
        mine = board if channel < len(order) // 2 else ~board
        first.append(channel * height * width + np.flatnonzero(mine))
        second.append(channel * height * width + np.flatnonzero(~mine))
    return np.concatenate(first), np.concatenate(second)


def _round(x: Latents) -> Latents:
    return np.floor(x + np.float32(0.5))


class Codec:
    """One NCSC model. Thread-safe after construction as far as ONNX Runtime sessions are."""

    def __init__(self, variant: str = "mse", device: str = "auto") -> None:
        self.model: Model = load("ncsc", variant, device)
        if not self.model.card.get("runs_in_codec", True):
            raise ValueError(f"model {variant!r} of ncsc is the paper's network in parts, which no link runs")
        constants = self.model.arrays("constants.npz")
        self.log_gain = constants["log_gain"].astype(np.float64)
        self.log_inverse_gain = constants["log_inverse_gain"].astype(np.float64)
        self.hyper_index = constants["hyper_index"]  # uint8 [256, 32], for each quality byte
        self.identity = int(self.model.card["stream_id"])
        self.tables: Tables = tables()
        # channels that say most come first, so that the beginning of a segment is worth most: exact integers
        _, _, index = self._entropy_first(np.zeros((1, self.hyper_index.shape[1], 1, 1), np.float32))
        self.order = np.argsort(-index[0].astype(np.int64).sum((1, 2)), kind="stable").astype(np.uint8).tobytes()

    def encode(
        self, picture: Picture, *, quality: int | None = None, max_bytes: int | None = None, repeat: bool = False
    ) -> bytes | None:
        """Stream of uint8 [H, W, 3] at `quality` 0..255 and full size; or, within `max_bytes`, the finest scale and the
        best quality (up to `quality`) that fit, and at last a thumbnail only. None below 18 bytes.

        `repeat` makes the stream a quarter as long and sends it four times, for channels that lose half of it. Where
        bits no longer help the picture, at 0.25 bit/pixel and at the highest quality, parity takes the rest of the
        budget.
        """
        if quality is not None and not 0 <= quality <= 255:
            raise ValueError(f"quality must be 0 to 255, not {quality}")
        height, width = picture.shape[:2]
        check_size(height, width)
        highest = DEFAULT_QUALITY if max_bytes is None else 255
        highest = highest if quality is None else quality
        header = Header(0, highest, self.identity, height, width, thumbnail.encode(picture), 1 if repeat else 2)
        times = REPEATS if repeat else 1
        if max_bytes is None:
            return self._pack(self._symbols(self._analysis(picture), header), header) * times
        # from 0.25 bit/pixel on, a sixteenth more bits is worth less than a block that is not lost
        rich = quality is None and not repeat and 32 * max_bytes >= max(height * width, PARITY_FROM)
        stream = self._within(picture, header, (max_bytes * 16 // 17 if rich else max_bytes) // times)
        if stream and quality is None and not repeat and (rich or stream[1] == 255):
            return protected(stream, max_bytes)
        return None if stream is None else stream * times

    def _within(self, picture: Picture, header: Header, max_bytes: int) -> bytes | None:
        """The finest scale that fits at all is the best one, or as good (measured, docs/ncsc.md)."""
        raws: dict[int, Latents] = {}
        sizes: dict[int, int] = {}

        def raw(scale: int) -> Latents:
            if scale not in raws:
                raws[scale] = self._analysis(_resized(picture, replace(header, scale=scale).reduced))
            return raws[scale]

        def lowest(scale: int) -> int:
            """Bytes at quality 0."""
            if scale not in sizes:
                least = replace(header, scale=scale, quality=0)
                sizes[scale] = self._size(self._symbols(raw(scale), least), least)
            return sizes[scale]

        def expected(scale: int, known: int) -> float:
            """Bytes at quality 0 from those at a known scale."""
            return lowest(known) * (SCALES[known] / SCALES[scale]) ** SHRINKAGE

        scale, guess = 0, DEFAULT_QUALITY
        if max_bytes * 40 < header.height * header.width:  # below 0.2 bit/pixel
            coarsest = len(SCALES) - 1
            scale = next((k for k in range(coarsest) if expected(k, PROBE) <= max_bytes), coarsest)
            while True:
                if lowest(scale) > max_bytes and scale < coarsest:
                    scale += 1
                elif scale - 1 not in (-1, *sizes) and expected(scale - 1, scale) <= HOPE * max_bytes:
                    scale -= 1
                else:
                    break
            guess = int(math.log(max(max_bytes / lowest(scale), 1)) / GROWTH)
        for k in range(scale, len(SCALES)):
            if stream := self._best_within(raw(k), replace(header, scale=k), max_bytes, guess):
                return stream
        for copies in COPIES:
            stream = pack(replace(header, scale=THUMBNAIL_ONLY, copies=copies), [])
            if len(stream) <= max_bytes:
                return stream
        return None

    def _size(self, symbols: list[tuple[Latents, NDArray[np.uint8]]], header: Header) -> int:
        """Bytes of a stream, to about one for each segment."""
        lengths = [4 + math.ceil(self.tables.bits(v, i) / 8) for v, i in symbols]
        return sum(lengths) + overhead(header, lengths)

    def _best_within(self, raw: Latents, header: Header, max_bytes: int, guess: int) -> bytes | None:
        """Bracketing search on the quality byte up to that of `header`; log(size) is nearly linear in it."""
        low, high, guess = -1, header.quality + 1, min(guess, header.quality)
        best: bytes | None = None
        growth = GROWTH
        before: tuple[int, float] | None = None
        while high - low > 1:
            at = replace(header, quality=guess)
            symbols = self._symbols(raw, at)
            size = self._size(symbols, at)
            # the estimate leaves out how the coder rounds: only the real stream decides near the limit
            stream = self._pack(symbols, at) if size < 1.02 * max_bytes + 16 else None
            if stream is not None and len(stream) <= max_bytes:
                low, best = guess, stream
                if len(stream) > 0.985 * max_bytes:
                    break
            else:
                high = guess
            now = math.log(size if stream is None else len(stream))
            if before is not None:
                growth = min(max((now - before[1]) / (guess - before[0]), GROWTH / 3), 3 * GROWTH)
            before = guess, now
            wanted = guess + math.floor((math.log(max(max_bytes, 1)) - now) / growth)
            guess = min(max(wanted, low + 1), high - 1)
        return best

    def decode(self, data: bytes, bytes_ok: NDArray[np.bool_], shape: tuple[int, int]) -> Decoded:
        """Picture of `shape` (height, width) from a stream of which `bytes_ok` arrived.

        Of a damaged segment its undamaged beginning is used; where nothing of it is left, the thumbnail. Without any
        head the mean of the damaged thumbnails is all there is, and without those mid-grey. Never raises for what
        the channel did; a stream of another picture size or model has no head for this receiver.
        """
        found = self._parsed(data, bytes_ok, shape)
        if found is None:
            four, two = (thumbnails(data, copies) for copies in (4, 2))
            alike = thumbnail.difference(four) < thumbnail.difference(two) + 0.05
            mean = thumbnail.combine(four if alike else two)
            grey = np.full((*shape, 3), GREY, np.uint8)
            return Decoded(grey if mean is None else thumbnail.render(mean, *shape), 1, 1)
        header, segments = found
        values = thumbnail.decode(header.thumbnail)
        boxes = header.boxes()
        height, width = header.reduced
        rows, columns = -(-height // 64), -(-width // 64)
        latents = np.zeros((len(self.order), rows * 4, columns * 4), np.float32)
        lost = np.ones((rows, columns), np.bool_)
        concealed = 0
        for (h, w), group in _by_shape(boxes, segments):
            tiles, known, whole = self._decode_tiles([segment for _, segment in group], header.quality, h, w)
            concealed += int(np.count_nonzero(~whole))
            for (box, _), tile, begun in zip(group, tiles, known, strict=True):
                lost[box] = not begun
                latents[(slice(None), *_scaled(box, 4))] = tile
        if lost.all():
            return Decoded(thumbnail.render(values, *shape), max(len(boxes), 1), concealed)
        if lost.any():
            extend_latents(latents, lost)
        picture = self._synthesis(latents * self._gain(self.log_inverse_gain, header.quality))
        if lost.any():
            guess = _padded(thumbnail.render(values, height, width))
            picture = fill_smoothly(picture, lost, guess)
        return Decoded(_resized(picture[:height, :width], shape), len(boxes), concealed)

    def _parsed(
        self, data: bytes, bytes_ok: NDArray[np.bool_], shape: tuple[int, int]
    ) -> tuple[Header, list[Segment]] | None:
        """As a stream alone or, where that has no intact head, one sent four times or one with parity."""
        ways = [lambda: (data, bytes_ok), lambda: merged(data, bytes_ok)]
        ways += [partial(repaired, data, bytes_ok, stripes) for stripes in STRIPES]
        for way in ways:
            try:
                return parse(*way(), self.identity, *shape)
            except ValueError:
                continue
        return None

    # transforms

    def _gain(self, nodes: NDArray[np.float64], quality: int) -> Latents:
        at = quality / 255 * (len(nodes) - 1)
        low = min(int(at), len(nodes) - 2)
        return np.exp(nodes[low] + (at - low) * (nodes[low + 1] - nodes[low])).astype(np.float32)[:, None, None]

    def _analysis(self, picture: Picture) -> Latents:
        """Unscaled latents float32 [128, h, w] of the picture padded by its edges to multiples of 64."""
        x = np.ascontiguousarray(_padded(picture).transpose(2, 0, 1), np.float32)[None] / np.float32(255)
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
            first, second = _passes(self.order, height * 4, width * 4)
            value = self.tables.clip(_round(y - mean), index)
            known = np.zeros_like(y)
            _flat(known)[:, first] = _flat(value + mean)[:, first]
            mean2, index2 = self._entropy_second(hyper, known.clip(-CONTEXT_CLIP, CONTEXT_CLIP))
            value2 = self.tables.clip(_round(y - mean2), index2)
            values = np.concatenate([z, _flat(value)[:, first], _flat(value2)[:, second]], 1)
            indices = np.concatenate([_flat(index)[:, first], _flat(index2)[:, second]], 1)
            for k, (_, number) in enumerate(group):
                result[number] = values[k], np.concatenate([z_index, indices[k]])
        return result

    def _pack(self, symbols: list[tuple[Latents, NDArray[np.uint8]]], header: Header) -> bytes:
        return pack(header, [self.tables.encode(values.astype(np.int32), index) for values, index in symbols])

    def _decode_tiles(
        self, segments: list[Segment], quality: int, height: int, width: int
    ) -> tuple[Latents, NDArray[np.bool_], NDArray[np.bool_]]:
        """Latents [B, C, 4h, 4w] of tiles of one shape, which of them are known at all, and which wholly.

        What a cut-off segment does not tell is taken at its predicted mean.
        """
        count = len(segments)
        known, whole = np.ones((2, count), np.bool_)
        decoders = [self.tables.decoder(segment.data) for segment in segments]

        def take(indices: NDArray[np.uint8]) -> NDArray[np.float32]:
            values = np.zeros(indices.shape, np.float32)
            for k, decoder in enumerate(decoders):
                if whole[k]:
                    values[k], done = decoder.take_available(indices[k])
                    whole[k] = done == len(indices[k])
            return values

        z_index = self._hyper_index(quality, height, width)
        z = take(np.broadcast_to(z_index, (count, len(z_index)))).clip(-HYPER_CLIP, HYPER_CLIP)
        known &= whole
        hyper, mean, index = self._entropy_first(z.reshape(count, -1, height, width))
        first, second = _passes(self.order, height * 4, width * 4)
        latents = np.zeros_like(mean)
        _flat(latents)[:, first] = take(_flat(index)[:, first]) + _flat(mean)[:, first]
        mean2, index2 = self._entropy_second(hyper, latents.clip(-CONTEXT_CLIP, CONTEXT_CLIP))
        _flat(latents)[:, second] = take(_flat(index2)[:, second]) + _flat(mean2)[:, second]
        for k, decoder in enumerate(decoders):
            if segments[k].whole and not (whole[k] and decoder.finished()):
                known[k] = False  # damage that nobody saw: no telling where it begins
            whole[k] &= segments[k].whole and known[k]
        return latents, known, whole

    def _hyper_index(self, quality: int, height: int, width: int) -> NDArray[np.uint8]:
        return np.repeat(self.hyper_index[quality], height * width)

    def _entropy_first(self, z: Latents) -> tuple[Latents, Latents, NDArray[np.uint8]]:
        # the networks that choose tables always run on the CPU: TF32 or Winograd kernels are not exact
        hyper, mean, index = self.model.run("entropy_first", z.astype(np.float32), cpu_only=True)
        return hyper, mean, index.astype(np.uint8)

    def _entropy_second(self, hyper: Latents, known: Latents) -> tuple[Latents, NDArray[np.uint8]]:
        mean, index = self.model.run("entropy_second", hyper, known, cpu_only=True)
        return mean, index.astype(np.uint8)


def _flat(x: NDArray[Any]) -> NDArray[Any]:
    """View of [B, C, h, w] as [B, C * h * w]."""
    return x.reshape(len(x), -1)


def _padded(picture: Picture) -> Picture:
    """The picture continued by its edges to multiples of 64."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, -height % 64), (0, -width % 64), (0, 0)), mode="edge")


def _resized(picture: Picture, shape: tuple[int, int]) -> Picture:
    """The picture at another size; Lanczos both ways (other filters differ by 0.02 dB)."""
    if picture.shape[:2] == shape:
        return picture
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize(shape[::-1], Image.Resampling.LANCZOS))


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

# SPDX-License-Identifier: GPL-3.0-or-later
"""Coding tables and the range coder of NCSC: integers only, so that any two machines agree."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from ...kernels import library

TOTAL = 1 << 16


class Cursor(ctypes.Structure):
    """Position in a stream; layout of `Cursor` in lib/rans.cpp."""

    _fields_ = [("state", ctypes.c_uint32), ("started", ctypes.c_int32), ("at", ctypes.c_int64)]


class Tables:
    """64 frequency tables of zero-mean Gaussians; symbol s of table t stands for the value s - radius[t]."""

    def __init__(self, frequencies: NDArray[np.uint16], radius: NDArray[np.int64]) -> None:
        self.radius = radius.astype(np.int32)
        self.sizes = (2 * self.radius + 1).astype(np.uint16)
        self.cumulative = np.zeros((len(radius), frequencies.shape[1] + 1), np.uint32)
        np.cumsum(frequencies, axis=1, out=self.cumulative[:, 1:])
        if (self.cumulative[:, -1] != TOTAL).any():
            raise ValueError("coding tables must sum to 65536")
        with np.errstate(divide="ignore"):
            self.cost = np.where(frequencies > 0, 16.0 - np.log2(frequencies), 0.0).astype(np.float32)

    def clip(self, values: NDArray[np.float32], index: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Values limited to what their tables can say."""
        radius = self.radius[index].astype(np.float32)
        return np.clip(values, -radius, radius)

    def bits(self, values: NDArray[np.float32], index: NDArray[np.uint8]) -> float:
        """Length of the coded values in bits, without the coder's 4 bytes of state."""
        return float(self.cost[index, values.astype(np.int32) + self.radius[index]].sum())

    def encode(self, values: NDArray[np.int32], index: NDArray[np.uint8]) -> bytes:
        """Range-coded values [n], each with its table index [n]."""
        symbols = np.ascontiguousarray(values + self.radius[index], np.uint16)
        index = np.ascontiguousarray(index, np.uint8)
        out = np.empty(4 + 2 * len(symbols) + 8, np.uint8)
        length = library().semcom_rans_encode(
            _pointer(symbols), _pointer(index), ctypes.c_int64(len(symbols)), _pointer(self.cumulative),
            _pointer(self.sizes), len(self.sizes), self.cumulative.shape[1], _pointer(out), ctypes.c_int64(len(out)),
        )  # fmt: skip
        if length < 0:
            raise ValueError(f"range coder: a value or table index is out of range (code {length})")
        return out[:length].tobytes()

    def decoder(self, data: bytes) -> Decoder:
        """A decoder for one stream."""
        return Decoder(self, data)


class Decoder:
    """Takes values out of a stream, as many at a time as their tables are known."""

    def __init__(self, tables: Tables, data: bytes) -> None:
        self.tables = tables
        self.data = np.frombuffer(data, np.uint8)
        self.cursor = Cursor()

    def take(self, index: NDArray[np.uint8]) -> NDArray[np.int32]:
        """The next values, one a table index; ValueError where the stream is damaged or too short."""
        index = np.ascontiguousarray(index, np.uint8)
        symbols = np.empty(len(index), np.uint16)
        tables = self.tables
        status = library().semcom_rans_decode(
            _pointer(self.data), ctypes.c_int64(len(self.data)), ctypes.byref(self.cursor), _pointer(index),
            ctypes.c_int64(len(index)), _pointer(tables.cumulative), _pointer(tables.sizes), len(tables.sizes),
            tables.cumulative.shape[1], _pointer(symbols),
        )  # fmt: skip
        if status:
            raise ValueError("NCSC segment is damaged: the range coder ran past its end")
        return symbols.astype(np.int32) - tables.radius[index]

    def take_available(self, index: NDArray[np.uint8]) -> tuple[NDArray[np.int32], int]:
        """The next values as far as a cut-off stream tells them, and how many those are; zeros follow.

        A failed call leaves the coder where it was, so ever smaller steps end at the last value.
        """
        values = np.zeros(len(index), np.int32)
        done, step = 0, len(index)
        while step:
            try:
                values[done : done + step] = self.take(index[done : done + step])
                done += len(index[done : done + step])
                step = min(step, len(index) - done)
            except ValueError:
                step //= 2
        return values, done

    def finished(self) -> bool:
        """True where the stream is used up and the coder back at its start, as 1 in 65,536 wrong streams are."""
        return bool(library().semcom_rans_finished(ctypes.byref(self.cursor), ctypes.c_int64(len(self.data))))


def _pointer(array: NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@lru_cache(maxsize=1)
def tables() -> Tables:
    """The tables of the stream, as shipped: never computed where they are used."""
    with resources.files(__package__).joinpath("data/tables.npz").open("rb") as file:
        with np.load(file, allow_pickle=False) as content:
            return Tables(content["frequencies"], content["radius"])


def make_tables(scale_min: float, scale_max: float, count: int) -> dict[str, NDArray[np.generic]]:
    """Frequencies uint16 [count, widest] and radius int16 [count]; run once, by tools that export models.

    A table covers six standard deviations and at least +-12; every symbol has a frequency of at least 1.
    """
    from scipy.special import ndtr

    scales = scale_min * (scale_max / scale_min) ** (np.arange(count) / (count - 1))
    radius = np.ceil(np.maximum(12, 6 * scales)).astype(np.int16)
    frequencies = np.zeros((count, 2 * int(radius.max()) + 1), np.uint16)
    for row, (scale, r) in enumerate(zip(scales, radius, strict=True)):
        x = np.abs(np.arange(-r, r + 1))
        mass = ndtr((0.5 - x) / scale) - ndtr((-0.5 - x) / scale)
        size = 2 * r + 1
        share = 1 + np.floor(mass / mass.sum() * (TOTAL - size)).astype(np.int64)
        share[r] += TOTAL - share.sum()  # what rounding left goes to the most likely value
        frequencies[row, :size] = share
    return {"frequencies": frequencies, "radius": radius}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Bits of known probability to bytes and back: the range coder of lib/rans.cpp with 256 fixed binary tables.

Table t gives a zero the share (2 t + 1) / 512. Integers only: any two machines agree.
"""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from ...kernels import library, pointer

TABLES = 256
_TOTAL = 1 << 16
_CUMULATIVE = np.zeros((TABLES, 3), np.uint32)
_CUMULATIVE[:, 1] = 256 * np.arange(TABLES) + 128
_CUMULATIVE[:, 2] = _TOTAL
_SIZES = np.full(TABLES, 2, np.uint16)

_zeros = _CUMULATIVE[:, 1] / _TOTAL
COST = -np.log2(np.stack([_zeros, 1 - _zeros], 1)).astype(np.float32)
"""Bits that a 0 and a 1 cost with each table, float32 [256, 2]; the state of the coder costs 32 more."""

Bits = NDArray[np.uint8]


class _Cursor(ctypes.Structure):
    """Layout of `Cursor` in lib/rans.cpp."""

    _fields_ = [("state", ctypes.c_uint32), ("started", ctypes.c_int32), ("at", ctypes.c_int64)]


def encode(bits: Bits, tables: Bits) -> bytes:
    """Bits [n], uint8 of 0 and 1, each with its table [n], as a whole number of 16-bit words."""
    symbols, index = np.ascontiguousarray(bits, np.uint16), np.ascontiguousarray(tables, np.uint8)
    out = np.empty(2 * len(symbols) + 8, np.uint8)
    length = library().semcom_rans_encode(
        pointer(symbols), pointer(index), ctypes.c_int64(len(symbols)), pointer(_CUMULATIVE), pointer(_SIZES),
        TABLES, 3, pointer(out), ctypes.c_int64(len(out)),
    )  # fmt: skip
    if length < 0:
        raise ValueError(f"bits must be 0 or 1 (code {length})")
    return out[:length].tobytes()


class Decoder:
    """Takes bits out of a stream, as many at a time as their tables are known."""

    def __init__(self, data: bytes) -> None:
        self._data = np.frombuffer(data, np.uint8)
        self._cursor = _Cursor()

    def take(self, tables: Bits) -> Bits | None:
        """The next bits, one a table; None where the stream ends before them."""
        index = np.ascontiguousarray(tables, np.uint8)
        symbols = np.empty(len(index), np.uint16)
        status = library().semcom_rans_decode(
            pointer(self._data), ctypes.c_int64(len(self._data)), ctypes.byref(self._cursor), pointer(index),
            ctypes.c_int64(len(index)), pointer(_CUMULATIVE), pointer(_SIZES), TABLES, 3, pointer(symbols),
        )  # fmt: skip
        return None if status else symbols.astype(np.uint8)

    def finished(self) -> bool:
        """True where the stream is used up and the coder back at its start, as 1 in 65,536 wrong streams are."""
        return bool(library().semcom_rans_finished(ctypes.byref(self._cursor), ctypes.c_int64(len(self._data))))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of arguments that several parts share."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """A whole number from `low` to `high` (None: any above); ValueError naming the legal range for anything else."""
    span = f"from {low} to {high}" if high is not None else f"at least {low}"
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be an integer {span}, not {value!r}") from None
    if number < low or (high is not None and number > high):
        raise ValueError(f"{name} must be {span}, not {number}")
    return number


def bit_blocks(bits: ArrayLike, k: int) -> NDArray[np.uint8]:
    """Blocks of k bits as an encoder takes them: uint8 [B, k] or [k] of 0 and 1, contiguous; ValueError otherwise."""
    array = _blocks("bits", np.asarray(bits), k)
    if array.dtype.kind not in "iub":
        raise ValueError(f"bits must be integers 0 and 1 (uint8), not {array.dtype}")
    if array.size and (array.max() > 1 or array.min() < 0):
        raise ValueError(f"bits must be 0 and 1, found {array.min()} to {array.max()}")
    return np.ascontiguousarray(array, np.uint8)


def llr_blocks(llr: ArrayLike, n: int) -> NDArray[np.float32]:
    """Blocks of n LLRs as a decoder takes them: float32 [B, n] or [n], contiguous; ValueError otherwise."""
    array = np.asarray(llr)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"llr must be real numbers (float32), not {array.dtype}")
    return np.ascontiguousarray(_blocks("llr", array, n), np.float32)


def _blocks(name: str, array: NDArray[Any], length: int) -> NDArray[Any]:
    if array.ndim not in (1, 2) or array.shape[-1] != length:
        raise ValueError(f"{name} must have shape [B, {length}], not {list(array.shape)}")
    return array

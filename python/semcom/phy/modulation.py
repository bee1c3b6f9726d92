# SPDX-License-Identifier: GPL-3.0-or-later
"""Gray mappings of 3GPP TS 38.211, 5.1, and their soft demapper.

Every mapping but BPSK is two amplitude modulations, real part by the even bits and imaginary part by the odd
ones, so the demapper works on real numbers: twice the values, but the square root of the number of levels.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

BITS_PER_SYMBOL = {"bpsk": 1, "qpsk": 2, "16qam": 4, "64qam": 6, "256qam": 8}
METHODS = ("exact", "maxlog")
_CHUNK = 1 << 13  # values demapped at a time: the scratch arrays stay in the cache
_MAX_PRECISION = np.float32(1e12)  # of one value, 1 / noise_var: beyond it float32 differences lose their meaning


@lru_cache(maxsize=8)
def gray_levels(bits: int) -> NDArray[np.float64]:
    """Amplitudes [2**bits] of one dimension, index = its bits, first bit highest; odd integers 1, 3, ...

    TS 38.211, 5.1.3 to 5.1.6: (1-2b0)(2**(m-1) - (1-2b1)(2**(m-2) - ...)).
    """
    index = np.arange(1 << bits)
    level = np.ones(1 << bits)
    for j in range(bits - 1, -1, -1):
        sign = 1 - 2 * ((index >> (bits - 1 - j)) & 1)
        level = sign * (level if j == bits - 1 else (1 << (bits - 1 - j)) - level * 1.0)
    return level


class Modulation:
    """A mapping by name: bpsk, qpsk, 16qam, 64qam or 256qam; mean symbol energy 1. ValueError for other names."""

    def __init__(self, name: str) -> None:
        if name not in BITS_PER_SYMBOL:
            raise ValueError(f"modulation must be one of {', '.join(BITS_PER_SYMBOL)}, not {name!r}")
        self.name = name
        self.bits_per_symbol = BITS_PER_SYMBOL[name]
        self._dimensions = 1 if name == "bpsk" else 2
        self._bits = max(1, self.bits_per_symbol // 2)  # of one dimension
        levels = gray_levels(self._bits)
        self.levels = levels / np.sqrt(2.0 * np.mean(levels**2))  # two dimensions share the unit energy

    def __repr__(self) -> str:
        return f"Modulation({self.name!r})"

    @cached_property
    def points(self) -> NDArray[np.complex64]:
        """complex64 [2**bits_per_symbol]: the symbol of each bit pattern, first bit most significant."""
        index = np.arange(1 << self.bits_per_symbol)
        if self._dimensions == 1:
            return (self.levels[index] * (1 + 1j)).astype(np.complex64)
        real = np.zeros_like(index)
        imaginary = np.zeros_like(index)
        for j in range(self._bits):
            real = real * 2 + ((index >> (self.bits_per_symbol - 1 - 2 * j)) & 1)
            imaginary = imaginary * 2 + ((index >> (self.bits_per_symbol - 2 - 2 * j)) & 1)
        return (self.levels[real] + 1j * self.levels[imaginary]).astype(np.complex64)

    def map(self, bits: ArrayLike) -> NDArray[np.complex64]:
        """Bits, integers [..., n] of 0 and 1, to symbols, complex64 [..., n / bits_per_symbol], first bit highest.

        ValueError unless n is a multiple of bits_per_symbol.
        """
        array = np.asarray(bits)
        if array.dtype.kind not in "uib":
            raise ValueError(f"bits must be integers 0 and 1 (uint8), not {array.dtype}")
        if array.ndim == 0 or array.shape[-1] % self.bits_per_symbol:
            raise ValueError(
                f"bits must have a last axis that is a multiple of {self.bits_per_symbol}, not {list(array.shape)}"
            )
        if array.size and (array.max() > 1 or array.min() < 0):
            raise ValueError(f"bits must be 0 and 1, found {array.min()} to {array.max()}")
        array = array.astype(np.uint8, copy=False)
        groups = array.reshape(*array.shape[:-1], array.shape[-1] // self.bits_per_symbol, self.bits_per_symbol)
        index = groups[..., 0].copy()
        for j in range(1, self.bits_per_symbol):
            index <<= 1
            index |= groups[..., j]
        return self.points[index]

    def decide(self, symbols: ArrayLike) -> NDArray[np.uint8]:
        """Hard decisions: symbols [..., m] to the bits of the nearest points, uint8 [..., m * bits_per_symbol]."""
        return (self.llr(symbols, 1.0, "maxlog") < 0).astype(np.uint8)

    def llr(self, symbols: ArrayLike, noise_var: ArrayLike, method: str = "exact") -> NDArray[np.float32]:
        """Log-likelihood ratios log P(0)/P(1), float32 [..., m * bits_per_symbol], of equiprobable bits.

        symbols: complex64 [..., m], equalised. noise_var: the complex noise variance N0, a number or one for each
        symbol, above 0; infinite, or so large that nothing is known, gives LLR 0. method: "exact" or "maxlog".
        A real or imaginary part that is not a number gives its bits LLR 0. ValueError for a noise variance that is
        not above 0.
        """
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
        received = np.ascontiguousarray(symbols, np.complex64)
        if received.ndim == 0:
            raise ValueError("symbols must be an array, not one number")
        noise = np.asarray(noise_var, np.float32)
        if noise.size and not noise.min() > 0:
            raise ValueError(f"noise_var must be above 0, found {noise.min()}")
        if noise.ndim and noise.shape != received.shape:
            shapes = f"{list(received.shape)}, not {list(noise.shape)}"
            raise ValueError(f"noise_var must be one number or have shape {shapes}")
        with np.errstate(over="ignore", divide="ignore"):
            precision = np.minimum(np.float32(1.0) / noise, _MAX_PRECISION)
        out = np.empty((*received.shape[:-1], received.shape[-1], self.bits_per_symbol), np.float32)
        flat = received.reshape(-1)
        target = out.reshape(-1, self.bits_per_symbol)
        per_symbol = precision.reshape(-1) if noise.ndim else None
        for first in range(0, flat.size, _CHUNK):
            piece = slice(first, first + _CHUNK)
            scale = precision if per_symbol is None else per_symbol[piece]
            self._demap(flat[piece], scale, method, target[piece])
        return out.reshape(*received.shape[:-1], -1)

    def _demap(
        self, symbols: NDArray[np.complex64], precision: NDArray[np.float32], method: str, out: NDArray[np.float32]
    ) -> None:
        if self._dimensions == 1:
            # Both parts carry the same bit: along the diagonal its LLR is 4 sqrt(1/2) (re + im) / N0.
            with np.errstate(invalid="ignore", over="ignore"):
                out[:, 0] = (symbols.real + symbols.imag) * (np.float32(4 * self.levels[0]) * precision)
            _no_nan(out)
            return
        for dimension, part in enumerate((symbols.real, symbols.imag)):
            with np.errstate(invalid="ignore", over="ignore"):
                for j, values in enumerate(self._demap_levels(part, precision, method)):
                    out[:, 2 * j + dimension] = values
        _no_nan(out)

    def _demap_levels(
        self, values: NDArray[np.float32], precision: NDArray[np.float32], method: str
    ) -> list[NDArray[np.float32]]:
        if self._bits == 1:  # one positive and one negative level: linear, exact and max-log agree
            return [values * (np.float32(4 * self.levels[0]) * precision)]
        # -(y - a)^2 / N0 without the common -y^2 / N0
        slope = values * (np.float32(2.0) * precision)
        metrics = np.empty((len(self.levels), values.size), np.float32)
        for i, level in enumerate(self.levels):
            np.multiply(slope, np.float32(level), out=metrics[i])
            metrics[i] -= np.float32(level**2) * precision
        join = _largest if method == "maxlog" else _log_sum
        index = np.arange(len(self.levels))
        result = []
        for j in range(self._bits):
            ones = (index >> (self._bits - 1 - j)) & 1
            result.append(join(metrics, np.flatnonzero(ones == 0)) - join(metrics, np.flatnonzero(ones == 1)))
        return result


def _no_nan(values: NDArray[np.float32]) -> None:
    # A sum is a cheap test: one NaN (or an infinity, rarer) makes it non-finite.
    with np.errstate(invalid="ignore", over="ignore"):
        suspicious = not np.isfinite(np.sum(values))
    if suspicious:
        np.copyto(values, np.float32(0), where=np.isnan(values))


def _largest(metrics: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    result = np.maximum(metrics[rows[0]], metrics[rows[1]])
    for row in rows[2:]:
        np.maximum(result, metrics[row], out=result)
    return result


def _log_sum(metrics: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """log of the sum of exponentials over rows, safe for any range."""
    if len(rows) == 2:
        first, second = metrics[rows[0]], metrics[rows[1]]
        total = first - second
        np.abs(total, out=total)
        np.negative(total, out=total)
        np.exp(total, out=total)
        total += np.float32(1)
        np.log(total, out=total)
        total += np.maximum(first, second)
        return total
    top = _largest(metrics, rows)
    total = np.zeros_like(top)
    scratch = np.empty_like(top)
    for row in rows:
        np.subtract(metrics[row], top, out=scratch)
        np.exp(scratch, out=scratch)
        total += scratch
    np.log(total, out=total)
    total += top
    return total

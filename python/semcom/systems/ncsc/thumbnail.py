# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture in 112 bits of fixed length: what is left to show when a head arrives and no segment, or not even a head.

The lowest frequencies of the cosine transform of the whole picture, each with its own number of bits. No bit changes
the meaning of another, so wrong bits cost quality and nothing else, and means over damaged copies make sense.
Bits and steps are shared out after the variances that coefficients have on BSDS500 photographs.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

THUMBNAIL_BYTES = 14
SIDE = 12  # frequencies a direction at most
# for each of Y, Cb and Cr, in rising order of frequency: so many coefficients of so many bits, step
_SHARES = (((1, 5, 8), (4, 4, 6), (10, 3, 5), (18, 2, 5), (9, 1, 5)), ((1, 4, 5), (2, 2, 4)), ((1, 4, 5), (2, 2, 4)))
_COUNTS = tuple(sum(count for count, _, _ in share) for share in _SHARES)
_BITS = np.concatenate([np.repeat(bits, count) for share in _SHARES for count, bits, _ in share])
_STEPS = np.concatenate([np.repeat(step, count) for share in _SHARES for count, _, step in share])
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587], [1, 1.772, 0]])  # JFIF
_FROM_RGB = np.linalg.inv(_TO_RGB)
MIDDLE = 128
CHANCE = 0.42  # share of differing bits above which copies are taken to be none; it is 0.5 for unrelated bits


@lru_cache(maxsize=16)
def _frequencies(height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Vertical and horizontal frequency and channel of each coefficient, in the order sent; small pictures have fewer.

    Rising in (u * width)^2 + (v * height)^2, which is exact in integers.
    """
    pairs = sorted(
        ((u * width) ** 2 + (v * height) ** 2, u, v) for u in range(min(SIDE, height)) for v in range(min(SIDE, width))
    )
    listed = [(u, v, channel) for channel, count in enumerate(_COUNTS) for _, u, v in pairs[:count]]
    rows = np.array(listed, np.intp)
    return rows[:, 0], rows[:, 1], rows[:, 2]


@lru_cache(maxsize=16)
def _used(height: int, width: int) -> NDArray[np.intp]:
    """Which of the fields a picture of this size has."""
    have = min(SIDE, height) * min(SIDE, width)
    starts = np.cumsum([0, *_COUNTS])
    return np.concatenate([start + np.arange(min(count, have)) for start, count in zip(starts, _COUNTS, strict=False)])


@lru_cache(maxsize=16)
def _cosines(size: int) -> NDArray[np.float32]:
    """Cosines of unit mean square, [SIDE, size]."""
    basis = np.cos(np.pi * np.outer(np.arange(SIDE), np.arange(size) + 0.5) / size)
    basis[1:] *= np.sqrt(2)
    return basis.astype(np.float32)


def encode(picture: NDArray[np.uint8]) -> bytes:
    """The 14 bytes of uint8 [H, W, 3]."""
    height, width = picture.shape[:2]
    rows = np.tensordot(_cosines(height), picture.astype(np.float32), (1, 0))
    rgb = np.einsum("vw,uwc->uvc", _cosines(width), rows, optimize=True).astype(np.float64) / (height * width)
    rgb[0, 0] -= MIDDLE
    values = (rgb @ _FROM_RGB.T)[_frequencies(height, width)]
    index, used = np.zeros(len(_BITS), np.int64), _used(height, width)
    half = 1 << (_BITS[used] - 1)
    index[used] = np.clip(np.floor(values / _STEPS[used]) + half, 0, 2 * half - 1)
    bits = [index[k] >> place & 1 for k in range(len(index)) for place in range(_BITS[k] - 1, -1, -1)]
    return np.packbits(bits).tobytes()


def decode(data: bytes) -> Floats:
    """The values of the coefficients, float64 [48]."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    return _expected(bits.astype(np.float64), np.inf)


def difference(copies: list[bytes]) -> float:
    """Share of bits in which two of the copies differ; 0.5, that of unrelated bits, where there are no two."""
    if len(copies) < 2:
        return 0.5
    ones = _ones(copies)
    return float(np.mean(2 * ones * (len(copies) - ones))) / (len(copies) * (len(copies) - 1))


def combine(copies: list[bytes]) -> Floats | None:
    """The expected values, float64 [48], given copies that all have wrong bits; None if they are not copies at all.

    How often they differ tells the share of wrong bits, and that the probability of each bit; coefficients are taken
    to be Gaussian.
    """
    differ = difference(copies)
    if differ > CHANCE:
        return None
    wrong = max((1 - np.sqrt(1 - 2 * differ)) / 2, 0.01)
    return _expected(1 / (1 + (wrong / (1 - wrong)) ** (2 * _ones(copies) - len(copies))), 1 / 6)


def _ones(copies: list[bytes]) -> Floats:
    """In how many copies each bit is one, [112]."""
    return np.sum([np.unpackbits(np.frombuffer(data, np.uint8)) for data in copies], axis=0, dtype=np.float64)


def _expected(bits: Floats, spread: float) -> Floats:
    """Expected values, given the probabilities of ones in 112 bits and the standard deviations in parts of ranges."""
    values = np.zeros(len(_BITS))
    for k, own in enumerate(np.split(bits, np.cumsum(_BITS)[:-1])):
        size = 1 << len(own)
        level = np.arange(size)
        place = level - (size - 1) / 2
        chance = np.exp(-((place / (spread * size)) ** 2) / 2)
        for bit, one in enumerate(own):
            chance = chance * np.where(level >> (len(own) - 1 - bit) & 1, one, 1 - one)
        values[k] = (chance @ place) / chance.sum() * _STEPS[k]
    return values


def render(values: Floats, height: int, width: int) -> NDArray[np.uint8]:
    """The picture, uint8 [height, width, 3], of a thumbnail's values."""
    coefficients = np.zeros((SIDE, SIDE, 3))
    coefficients[_frequencies(height, width)] = values[_used(height, width)]
    rgb = coefficients @ _TO_RGB.T
    rgb[0, 0] += MIDDLE
    rows = np.einsum("uh,uvc->hvc", _cosines(height), rgb.astype(np.float32))
    picture = np.einsum("hvc,vw->hwc", rows, _cosines(width), optimize=True)
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)

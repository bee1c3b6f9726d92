# SPDX-License-Identifier: GPL-3.0-or-later
"""What a classic picture codec is to the rest of the module."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
GREY = 128


class ImageCodec(ABC):
    """A codec with a whole-number quality, from `lowest` to `highest`, larger is better."""

    name: ClassVar[str]
    title: ClassVar[str]
    models: ClassVar[tuple[str, ...]] = ()
    lowest: ClassVar[int]
    highest: ClassVar[int]
    default: ClassVar[int]

    @abstractmethod
    def compress(self, image: Picture, quality: int, model: str) -> bytes:
        """The file of uint8 [H, W, 3] at one quality."""

    @abstractmethod
    def decode(self, data: bytes, shape: tuple[int, int]) -> Picture:
        """The picture of `shape` (height, width); ValueError where the file is damaged or of another size."""

    def encode(
        self, image: Picture, *, quality: int | None = None, max_bytes: int | None = None, model: str = ""
    ) -> bytes | None:
        """The file at `quality`, or at the highest quality up to it that fits into `max_bytes`; None if none fits."""
        if quality is not None and not self.lowest <= quality <= self.highest:
            raise ValueError(f"quality of {self.name} must be {self.lowest} to {self.highest}, not {quality}")
        if max_bytes is None:
            return self.compress(image, self.default if quality is None else quality, model)
        # sizes grow with quality but for small exceptions, so bisection comes close to the best
        low, high = self.lowest, self.highest if quality is None else quality
        best: bytes | None = None
        while low <= high:
            middle = (low + high) // 2
            data = self.compress(image, middle, model)
            if len(data) <= max_bytes:
                best, low = data, middle + 1
            else:
                high = middle - 1
        return best

    def conceal(self, data: bytes, intact_bytes: int, shape: tuple[int, int]) -> Picture:
        """What can be shown of a file of which only the first `intact_bytes` are right: here nothing."""
        return np.full((*shape, 3), GREY, np.uint8)


def checked(image: Picture, shape: tuple[int, int]) -> Picture:
    """The picture if it has the expected shape; ValueError otherwise."""
    if image.shape != (*shape, 3):
        raise ValueError(f"decoded picture is {image.shape[1]}x{image.shape[0]}, expected {shape[1]}x{shape[0]}")
    return image

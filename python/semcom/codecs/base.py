# SPDX-License-Identifier: GPL-3.0-or-later
"""What every picture codec is, and the search for the best picture within so many bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Shape = tuple[int, ...]

MID_GREY = 128
"""What stands where nothing is known of a pixel."""


def mid_grey(shape: Shape) -> Picture:
    """The picture of a receiver that got nothing: uint8 [H, W, 3], all 128."""
    return np.full((shape[0], shape[1], 3), MID_GREY, np.uint8)


class ImageCodec(ABC):
    """A codec. Subclasses give `compress` and `decode`, and `salvage` where a damaged file still shows something."""

    name: ClassVar[str]
    title: ClassVar[str]
    models: ClassVar[tuple[str, ...]] = ()
    """Variants a user may choose, the default first; empty where there is no choice."""

    qualities: ClassVar[range]
    """The codec's own scale, from the smallest file to the largest."""

    default_quality: ClassVar[int]

    def check_installed(self) -> None:  # noqa: B027  # most come with packages that every link needs
        """ValueError in one line that says what to install, where the codec's package is missing."""

    def encode(
        self, image: Picture, *, quality: int | None = None, max_bytes: int | None = None, model: str = ""
    ) -> bytes | None:
        """The file of a picture, uint8 [H, W, 3], in at most `max_bytes`; None where it does not fit.

        Without `quality` the highest that fits is taken, or the codec's default where there is no limit.
        ValueError for a picture, quality, limit or model that cannot be.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"image must be uint8 [H, W, 3], got {image.dtype} {list(image.shape)}")
        if quality is not None and quality not in self.qualities:
            raise ValueError(f"quality of {self.name} must be {self._scale()}, got {quality}")
        if max_bytes is not None and max_bytes < 0:
            raise ValueError(f"max_bytes must be at least 0, got {max_bytes}")
        if model and model not in self.models:
            raise ValueError(f"unknown model {model!r} for {self.name}: expected {', '.join(self.models) or 'none'}")
        model = model or next(iter(self.models), "")
        return self._encode(np.ascontiguousarray(image), quality, max_bytes, model)

    @abstractmethod
    def compress(self, image: Picture, quality: int, variant: Any) -> bytes:
        """The file at one quality and one of `variants`."""

    @abstractmethod
    def decode(self, data: bytes, shape: Shape) -> Picture:
        """uint8 [H, W, 3] of a whole file. `shape` (H, W, ...) is what the receiver expects: a file that says
        otherwise is refused before memory is taken. ValueError for everything that is not a good file."""

    def variants(self, model: str) -> tuple[Any, ...]:
        """Ways to encode that are tried at one limit; the one nearest to the picture wins."""
        return ("",)

    def salvage(self, prefix: bytes, size: int, shape: Shape) -> Picture:
        """The picture that the first bytes of a file of `size` bytes show; ValueError where they show nothing."""
        raise ValueError(f"{self.name} shows nothing of a broken file")

    def conceal(self, data: bytes, ok_prefix_bytes: int, shape: Shape) -> Picture:
        """A picture of the right shape whatever arrived: `data` is good up to `ok_prefix_bytes`. Never raises for
        what the channel did; mid-grey where the codec can show nothing."""
        try:
            return self.salvage(data[: max(0, ok_prefix_bytes)], len(data), shape)
        except ValueError:
            return mid_grey(shape)

    def _encode(self, image: Picture, quality: int | None, max_bytes: int | None, model: str) -> bytes | None:
        variants = self.variants(model)
        if quality is None and max_bytes is None:
            quality = self.default_quality
        if quality is not None:
            data = self.compress(image, quality, variants[0])
            return None if max_bytes is not None and len(data) > max_bytes else data
        assert max_bytes is not None
        tried = [self._largest(image, variant, max_bytes) for variant in variants]
        found = [file for file in tried if file is not None]
        if len(found) < 2:
            return found[0] if found else None
        return min(found, key=lambda data: _squared_error(image, self.decode(data, image.shape)))

    def _largest(self, image: Picture, variant: Any, max_bytes: int) -> bytes | None:
        """Bisection over the scale: sizes rise with quality, nearly without exception."""
        best: bytes | None = None
        low, high = 0, len(self.qualities) - 1
        while low <= high:
            middle = (low + high) // 2
            data = self.compress(image, self.qualities[middle], variant)
            if len(data) <= max_bytes:
                best, low = data, middle + 1
            else:
                high = middle - 1
        return best

    def _scale(self) -> str:
        first, last = self.qualities[0], self.qualities[-1]
        return f"{min(first, last)} to {max(first, last)} ({last} is best)"


def _squared_error(a: Picture, b: Picture) -> float:
    difference = a.astype(np.float64) - b
    return float(np.vdot(difference, difference))

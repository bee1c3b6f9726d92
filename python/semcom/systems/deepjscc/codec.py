# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures to analog symbols and back, by ONNX Runtime."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...zoo import Model, load
from .geometry import PLANES, STRIDE, grid, symbol_count, to_planes, to_symbols

Picture = NDArray[np.uint8]
Symbols = NDArray[np.complex64]


class Codec:
    """One DeepJSCC model."""

    def __init__(self, variant: str = "standard", device: str = "auto") -> None:
        self.model: Model = load("deepjscc", variant, device)
        for part in ("encoder", "decoder"):
            self.model.session(part)

    def encode(self, picture: Picture, quality: int, esn0_db: float) -> Symbols:
        """uint8 [H, W, 3] to complex64 [n] of mean energy 1, made for a channel of that Es/N0 in dB."""
        rows, columns = grid(*picture.shape[:2])
        below, right = rows * STRIDE - picture.shape[0], columns * STRIDE - picture.shape[1]
        padded = np.pad(picture, ((0, below), (0, right), (0, 0)), mode="edge")
        x = np.ascontiguousarray(padded.transpose(2, 0, 1)[None], np.float32) * np.float32(1 / 255)
        (planes,) = self.model.run("encoder", x, _one(esn0_db), _one(quality))
        return to_symbols(planes[0], quality)

    def decode(self, symbols: Symbols, noise_var: NDArray[np.float32], height: int, width: int) -> Picture | None:
        """The picture, uint8 [H, W, 3]; None where the number of symbols is none that such a picture has."""
        quality = next((q for q in range(len(PLANES)) if symbol_count(height, width, q) == symbols.size), None)
        if quality is None or noise_var.size != symbols.size:
            return None
        planes, trust = to_planes(symbols, noise_var, quality, *grid(height, width))
        (picture,) = self.model.run("decoder", planes[None], trust[None], _one(quality))
        pixels = np.rint(picture[0, :, :height, :width] * np.float32(255)).clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(pixels.transpose(1, 2, 0))


@lru_cache(maxsize=4)
def codec(variant: str, device: str = "auto") -> Codec:
    """The codec of a model, made once a process."""
    return Codec(variant, device)


def _one(value: float) -> NDArray[np.float32]:
    return np.array([value], np.float32)

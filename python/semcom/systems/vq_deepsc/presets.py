# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent: the scales of a picture of 128x128, their codebooks and their bits. NumPy only, no Torch.

Source: paper 002, section III and Table I: four scales of 32x32 to 4x4 places with 16, 8, 4 and 2 codes, or the three
coarser ones with 64, 32 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass

SIDE = 128
"""Pixels along each side of the picture that one message holds; larger ones are tiled."""

PAPER_DIMENSIONS = {1: 128, 2: 256, 3: 512, 4: 1024}
SMALL_DIMENSIONS = {1: 8, 2: 8, 3: 8, 4: 8}
SMALL_DIMENSIONS_THREE = {2: 16, 3: 16, 4: 16}


@dataclass(frozen=True)
class Scale:
    """One grid of vectors: `level` 1 (finest) to 4, `codes` N of dimension `dimension` K, `grid` places a side."""

    level: int
    codes: int
    dimension: int

    @property
    def name(self) -> str:
        """How graphs and constants call it."""
        return f"scale{self.level}"

    @property
    def grid(self) -> int:
        """Places along each side: 32, 16, 8 or 4."""
        return SIDE // 2 ** (self.level + 1)

    @property
    def bits_per_index(self) -> int:
        """log2 N."""
        return self.codes.bit_length() - 1

    @property
    def bits(self) -> int:
        """Bits of all indices of the scale."""
        return self.grid**2 * self.bits_per_index


@dataclass(frozen=True)
class Geometry:
    """The scales that are sent, finest first; `name` is `four_scales` or `three_scales`."""

    name: str
    scales: tuple[Scale, ...]

    @property
    def bits(self) -> int:
        """Bits of one picture."""
        return sum(scale.bits for scale in self.scales)


CODES = {
    "four_scales": {1: 16, 2: 8, 3: 4, 4: 2},
    "three_scales": {2: 64, 3: 32, 4: 8},
}
PRESETS = ("small", "paper")


def get_geometry(name: str, preset: str = "small") -> Geometry:
    """The geometry `four_scales` (5,008 bits) or `three_scales` (1,904 bits); ValueError for other names.

    Numbers of codes and places are the paper's in both presets, dimensions of `small` are smaller.
    """
    if name not in CODES:
        raise ValueError(f"scales must be {' or '.join(CODES)}, not {name!r}")
    if preset not in PRESETS:
        raise ValueError(f"preset of vq_deepsc must be {' or '.join(PRESETS)}, not {preset!r}")
    small = SMALL_DIMENSIONS if name == "four_scales" else SMALL_DIMENSIONS_THREE
    dimensions = PAPER_DIMENSIONS if preset == "paper" else small
    return Geometry(name, tuple(Scale(level, codes, dimensions[level]) for level, codes in CODES[name].items()))

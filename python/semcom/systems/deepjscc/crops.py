# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs for training, and random crops of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]
SHRINK = (0.7, 0.5)  # copies of large photographs: finer texture, fewer traces of JPEG
LARGE = 256  # shorter side, pixels, from which on a photograph has shrunk copies


def photograph_files(folder: Path) -> list[Path]:
    """Splits train and val of a folder with a MANIFEST.tsv, else every picture below it, sorted."""
    manifest = folder / "MANIFEST.tsv"
    if not manifest.exists():
        return sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))
    with manifest.open(newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [folder / row["file"] for row in rows if row.get("split", "train") in ("train", "val")]


def load_photographs(folders: Sequence[Path], side: int) -> list[Picture]:
    """All photographs with sides of at least `side` pixels, uint8 [H, W, 3], in the order of the folders.

    ValueError where there are none.
    """
    pictures = []
    for file in (file for folder in folders for file in photograph_files(folder)):
        with Image.open(file) as picture:
            if min(picture.size) >= side:
                pictures.append(np.asarray(picture.convert("RGB")))
    if not pictures:
        raise ValueError(f"no photographs of at least {side}x{side} pixels below {', '.join(map(str, folders))}")
    return pictures


class Crops:
    """Seeded random crops of `side` pixels, mirrored and transposed; three in four come from large photographs."""

    def __init__(self, pictures: Sequence[Picture], side: int, seed: int) -> None:
        self.side = side
        self.random = np.random.default_rng(seed)
        large = [p for p in pictures if min(p.shape[:2]) >= LARGE]
        copies = [c for p in large for f in SHRINK if min((c := _shrunk(p, f)).shape[:2]) >= side]
        small = [p for p in pictures if min(p.shape[:2]) < LARGE]
        self.sets = [s for s in (large + copies, small) if s]
        self.shares = np.array([0.75, 0.25] if len(self.sets) == 2 else [1.0])

    def batch(self, count: int) -> Picture:
        """uint8 [count, 3, side, side]."""
        return np.stack([self.crop() for _ in range(count)])

    def crop(self) -> Picture:
        """uint8 [3, side, side]."""
        pictures = self.sets[self.random.choice(len(self.sets), p=self.shares)]
        picture = pictures[self.random.integers(len(pictures))]
        top, left = (self.random.integers(length - self.side + 1) for length in picture.shape[:2])
        crop = picture[top : top + self.side, left : left + self.side]
        if self.random.random() < 0.5:
            crop = crop[:, ::-1]
        if self.random.random() < 0.25:
            crop = crop.transpose(1, 0, 2)
        return crop.transpose(2, 0, 1)


def _shrunk(picture: Picture, factor: float) -> Picture:
    height, width = (round(length * factor) for length in picture.shape[:2])
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))

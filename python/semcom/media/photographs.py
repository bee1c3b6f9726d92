# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs that come inside an installed package, for demonstrations and tests without a download."""

from __future__ import annotations

import importlib.util
from pathlib import Path

NAMES = ("coffee.png", "astronaut.png", "rocket.jpg", "chelsea.png")


def packaged_photograph(name: str = "coffee.png") -> Path:
    """Path of a photograph of scikit-image (public domain or CC0); ValueError where that is not installed."""
    if name not in NAMES:
        raise ValueError(f"unknown photograph {name!r}: expected one of {', '.join(NAMES)}")
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise ValueError("the packaged photographs need scikit-image: run `make setup`, or give a picture of your own")
    path = Path(spec.origin).parent / "data" / name
    if not path.is_file():
        raise ValueError(f"this version of scikit-image lacks {name}; give a picture of your own")
    return path

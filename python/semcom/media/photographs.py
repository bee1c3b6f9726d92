# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs that come inside installed Python packages: real pictures for the demo and the tests, no download."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PHOTOGRAPHS = {
    "china": ("scikit-learn", "sklearn", "datasets/images/china.jpg"),
    "flower": ("scikit-learn", "sklearn", "datasets/images/flower.jpg"),
    "coffee": ("scikit-image", "skimage", "data/coffee.png"),
    "chelsea": ("scikit-image", "skimage", "data/chelsea.png"),
    "astronaut": ("scikit-image", "skimage", "data/astronaut.png"),
    "motorcycle": ("scikit-image", "skimage", "data/motorcycle_left.png"),
    "hopper": ("matplotlib", "matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}
"""Name to distribution, package and path below it. china and flower are 640x427, coffee 600x400, motorcycle 741x500."""


def packaged_photograph(name: str = "coffee") -> Path:
    """The file of a photograph of `PHOTOGRAPHS`; the package that brings it is found but not imported.

    ValueError for an unknown name, or where the package is not installed.
    """
    if name not in PHOTOGRAPHS:
        raise ValueError(f"unknown photograph {name!r}: expected one of {', '.join(PHOTOGRAPHS)}")
    distribution, package, below = PHOTOGRAPHS[name]
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (file := Path(folder) / below).is_file():
            return file
    raise ValueError(
        f"the photograph {name!r} comes with {distribution}, which is not here: pip install {distribution}"
    )

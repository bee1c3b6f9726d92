# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the module's own files lie, in a source tree or below an installation prefix."""

from __future__ import annotations

import os
from pathlib import Path


def grc_blocks() -> Path:
    """Folder of our block descriptions; ValueError where there is none."""
    package = Path(__file__).resolve().parent
    places = [package.parents[1] / "grc", *(p / "share/gnuradio/grc/blocks" for p in package.parents)]
    for place in places:
        if (place / "semcom.tree.yml").is_file():
            return place
    raise ValueError(
        f"the block descriptions of gr-semcom were not found (looked in {', '.join(map(str, places[:3]))})"
    )


def grc_environment() -> dict[str, str]:
    """The environment in which GRC and the flowgraphs it makes find our blocks and our module."""
    environment = dict(os.environ)

    def put_first(name: str, *values: str) -> None:
        old = [v for v in environment.get(name, "").split(os.pathsep) if v and v not in values]
        environment[name] = os.pathsep.join([*values, *old])

    put_first("GRC_BLOCKS_PATH", str(grc_blocks()))
    import sys

    # Companion runs under Debian's Python: it must see what our interpreter sees
    put_first("PYTHONPATH", *[p for p in sys.path if p and Path(p).is_dir() and "site-packages" in p])
    put_first("PATH", str(Path(sys.executable).parent))
    return environment

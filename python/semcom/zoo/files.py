# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the files that a card names. A card may come from anywhere, so a name is only a name, and sizes are bounded."""

from __future__ import annotations

import hashlib
from pathlib import Path

LARGEST_FILE = 512 * 2**20  # bytes
REINSTALL = "the file was changed, install the model again"


def locate(folder: Path, name: str) -> Path:
    """The file of that name in the folder; ValueError for a name with a folder in it, or a file that is not there."""
    path = folder / name
    if not name or Path(name).name != name or "\0" in name:
        raise ValueError(f"{folder / 'card.yml'}: file name {name!r} must not contain a folder")
    if not path.is_file():
        raise ValueError(f"{path}: listed in card.yml but missing; install the model again")
    return path


def read_verified(
    folder: Path, name: str, sha256: str | None = None, largest: int = LARGEST_FILE, advice: str = REINSTALL
) -> bytes:
    """Content of a file beside a card; ValueError where it is missing, larger than `largest` bytes or changed.

    `advice` ends the message about a wrong hash; `{path}` in it is the file.
    """
    path = locate(folder, name)
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"{path}: larger than {largest} bytes, refused")
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise ValueError(
            f"{path}: sha256 {found[:12]}... does not match {sha256[:12]}... of card.yml; {advice.format(path=path)}"
        )
    return content

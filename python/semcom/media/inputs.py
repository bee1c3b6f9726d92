# SPDX-License-Identifier: GPL-3.0-or-later
"""What `--input` names: one file, a folder with a MANIFEST.tsv, or any folder of pictures."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from .images import READABLE


@dataclass(frozen=True)
class Input:
    """One file to send; `name` is relative to the folder given, `split` is the manifest's, if any."""

    path: Path
    name: str
    split: str = ""


def list_inputs(path: str | Path, split: str | None = None) -> list[Input]:
    """The inputs in a fixed order; ValueError where there are none.

    A manifest is read as tab-separated with a `file` column; names that lead out of its folder are refused.
    """
    path = Path(path)
    if path.is_file():
        return [Input(path, path.name)]
    if not path.is_dir():
        raise ValueError(f"{path}: no such file or folder")
    manifest = path / "MANIFEST.tsv"
    found = _from_manifest(manifest) if manifest.is_file() else _from_folder(path)
    if split:
        found = [item for item in found if item.split == split]
    if not found:
        wanted = f"of split {split!r} " if split else ""
        raise ValueError(f"{path}: no pictures {wanted}here; expected MANIFEST.tsv or files {' '.join(READABLE)}")
    return found


def _from_manifest(manifest: Path) -> list[Input]:
    folder = manifest.parent.resolve()
    found = []
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                name = row.get("file") or ""
                path = folder / name
                if not name or not path.resolve().is_relative_to(folder):
                    raise ValueError(f"{manifest}: file {name!r} is empty or leads out of the folder")
                found.append(Input(manifest.parent / name, name, row.get("split") or ""))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{manifest}: not a tab-separated UTF-8 file ({error})") from error
    return found


def _from_folder(folder: Path) -> list[Input]:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in READABLE and p.is_file())
    return [Input(p, str(p.relative_to(folder))) for p in paths]

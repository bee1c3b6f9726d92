# SPDX-License-Identifier: GPL-3.0-or-later
"""What `--input PATH` stands for: one file, the files of a MANIFEST.tsv, or all files of a kind below a folder."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, field
from pathlib import Path

from .images import is_image
from .speech import is_speech

MANIFEST = "MANIFEST.tsv"
NAMES = {"image": "picture", "speech": "recording", "text": "text"}


@dataclass(frozen=True)
class Input:
    """One file to send: `name` is its path below the given folder; `split` and `columns` come from the manifest."""

    path: Path
    name: str
    split: str = ""
    columns: dict[str, str] = field(default_factory=dict)


def list_inputs(path: str | os.PathLike[str], split: str | None = None, kind: str = "image") -> list[Input]:
    """The files behind `path`, only those of `split` if one is named.

    A folder with a MANIFEST.tsv gives the files of its `file` column in that order, any other folder every file of the
    `kind` below it ("image", "speech" or "text"), sorted by path (hidden files and folders left out). ValueError, one
    line, where nothing is found, where a manifest is broken or names a file outside its folder, or where there is no
    such split.
    """
    root = Path(path)
    try:
        found = _found(root, kind)
    except (OSError, UnicodeError, csv.Error) as error:
        raise ValueError(f"cannot read {root}: {' '.join(str(error).split())}") from error
    if split is None:
        return found
    chosen = [item for item in found if item.split == split]
    if not chosen:
        known = ", ".join(sorted({item.split for item in found if item.split})) or "no splits at all"
        raise ValueError(f"{root} has no split {split!r}: expected one of its own ({known})")
    return chosen


def _found(root: Path, kind: str) -> list[Input]:
    if "\0" in str(root):
        raise ValueError(f"not a path: {str(root)!r}")
    if root.is_file():
        return [Input(root, root.name)]
    if not root.is_dir():
        raise ValueError(f"no such file or folder: {root}; check the path")
    found = _of_manifest(root) if (root / MANIFEST).is_file() else _of_folder(root, kind)
    if not found:
        raise ValueError(f"the folder {root} holds no {NAMES[kind]}: expected files or a {MANIFEST}")
    return found


def _of_folder(root: Path, kind: str) -> list[Input]:
    names = sorted(p.relative_to(root) for p in root.rglob("*"))
    visible = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    return [Input(root / name, name.as_posix()) for name in visible if _is_kind(root / name, kind)]


def _is_kind(path: Path, kind: str) -> bool:
    if kind == "image":
        return is_image(path)
    return path.is_file() and (is_speech(path) if kind == "speech" else path.suffix.lower() == ".txt")


def _of_manifest(root: Path) -> list[Input]:
    manifest = root / MANIFEST
    inside = root.resolve()
    found = []
    with manifest.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        if "file" not in (rows.fieldnames or ()):
            raise ValueError(f"{manifest} has no column 'file': its first line must name the columns")
        for row in rows:
            name = row["file"] or ""
            where = f"{manifest} line {rows.line_num}"
            if not name or "\0" in name:
                raise ValueError(f"{where} names no file")
            if not (inside / name).resolve().is_relative_to(inside):
                raise ValueError(f"{where} names {name!r}, which is outside the folder: paths must stay inside")
            if not (root / name).is_file():
                raise ValueError(f"{where} names {name!r}, which is not there")
            columns = {key: value for key, value in row.items() if isinstance(key, str) and isinstance(value, str)}
            found.append(Input(root / name, name, columns.get("split", ""), columns))
    return found

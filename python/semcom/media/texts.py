# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts from and to files, and the transcripts that lie beside recordings."""

from __future__ import annotations

import os
from pathlib import Path

from ..message import Message, text_message
from .inputs import Input
from .speech import write_whole

MAX_BYTES = 1 << 20
TRANSCRIPT = "transcript"


def read_text(path: str | os.PathLike[str]) -> Message:
    """The text in a file as a message: UTF-8, at most 1 MB, white space at the ends left out. ValueError, one line."""
    file = Path(path)
    try:
        if not file.is_file():
            raise ValueError(f"no such text: {file}; check the path")
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}; expected a text in UTF-8") from error
    if len(content) > MAX_BYTES:
        raise ValueError(f"{file} is larger than {MAX_BYTES} bytes: expected a text")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no text in UTF-8: {error.reason} at byte {error.start}") from error
    return text_message(text.strip(), {"name": file.name})



def write_text_file(path: str | os.PathLike[str], text: str) -> None:
    """Write a text and a line end, whole or not at all; ValueError, one line, where it cannot be written."""
    write_whole(Path(path), (text + "\n").encode())


def transcript(item: Input) -> str | None:
    """What is said in a recording: the manifest's column `transcript`, else the `.txt` of its name beside it."""
    written = item.columns.get(TRANSCRIPT)
    if written is not None and written.strip():
        return written
    beside = item.path.with_suffix(".txt")
    return read_text(beside).data.tobytes().decode() if beside.is_file() else None

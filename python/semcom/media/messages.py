# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of every kind from the files of an input, and what is received back into files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..message import Message, message_text
from .images import read_image, write_png
from .inputs import Input
from .speech import read_speech, write_wav
from .texts import read_text, transcript, write_text_file
from .utterances import cut


def read_messages(item: Input, kind: str) -> Iterator[Message]:
    """The messages of one file: one, or the utterances of a long recording, numbered after a # in their names.

    Speech has its `transcript` and `emotion` in the meta where somebody wrote them down; an utterance of several has
    the transcript of the whole recording and its place, `piece` [number, of how many]. ValueError, one line, for a file
    that cannot be read.
    """
    if kind == "speech":
        yield from _speech(item)
        return
    message = read_image(item.path) if kind == "image" else read_text(item.path)
    yield Message(message.kind, message.data, {**message.meta, "name": item.name})


def _speech(item: Input) -> Iterator[Message]:
    message = read_speech(item.path)
    said = transcript(item)
    meta = message.meta | {"name": item.name} | ({} if said is None else {"transcript": said})
    meta |= {"emotion": item.columns["emotion"]} if item.columns.get("emotion") else {}
    pieces = cut(message.data)
    if len(pieces) == 1:
        yield Message("speech", message.data, meta)
        return
    for number, piece in enumerate(pieces, 1):
        yield Message("speech", piece, {**meta, "name": f"{item.name}#{number}", "piece": [number, len(pieces)]})


def write_message(stem: Path, message: Message) -> list[Path]:
    """Write a received message beside `stem`: a picture as PNG, speech as WAV, text as .txt; speech with both."""
    if message.kind == "image":
        write_png(Path(f"{stem}.png"), message.data)
        return [Path(f"{stem}.png")]
    written = [Path(f"{stem}.txt")]
    write_text_file(written[0], message_text(message))
    if message.kind == "speech":
        written.append(Path(f"{stem}.wav"))
        write_wav(written[1], message.data)
    return written

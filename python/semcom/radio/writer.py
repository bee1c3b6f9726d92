# SPDX-License-Identifier: GPL-3.0-or-later
"""Received messages into files: pictures as PNG, speech as WAV, texts as .txt, and a line each in received.jsonl."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..media.messages import write_message
from ..message import Message, Meta, message_text
from ..output import safe_name
from ..phy import mcs, segmentation
from ..stage import Arrays
from . import sigmf
from .opener import Lie, Opened, Opener, Unknown
from .originals import OriginalMessages

RECORDS = "received.jsonl"


class Writer:
    """Decodes what came and writes it, one record a message, whatever the channel did.

    `taken` counts messages, those known to be lost included, `received` those that came, `delivered` those of which
    nothing failed; with `annotate`, `notes` are the annotations of a recording. `say` takes lines for the user.
    """

    def __init__(
        self,
        folder: Path,
        opener: Opener,
        originals: OriginalMessages | None,
        say: Callable[[str], object],
        annotate: bool = False,
    ) -> None:
        self.folder, self.opener, self.originals, self.say = folder, opener, originals, say
        self.annotate = annotate
        self.taken = self.received = self.delivered = 0
        self.notes: list[dict[str, Any]] = []
        self._skipped: set[str] = set()
        self._stream = (folder / RECORDS).open("w", encoding="utf-8")

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stream.close()

    def take(self, arrays: Arrays, meta: Meta) -> None:
        """One message."""
        try:
            opened = self.opener.open(meta)
        except Unknown as error:
            if str(error) not in self._skipped and len(self._skipped) < 100:
                self._skipped.add(str(error))
                self.say(str(error))
            record = {"id": meta["id"], "system_id": meta["system_id"], "model_id": meta["model_id"]}
            self._write({**record, "reason": "unknown", "delivered": False, "radio": meta.get("radio"), "files": []})
            return
        for number in meta.get("lost", ()):
            self._lost(number, opened)
        self.taken += 1
        self.received += 1
        about = self._about(meta, opened)
        try:
            message, meta = self.opener.decode(arrays, meta)
        except Lie as error:
            self._write({**about, "reason": "description", "delivered": False, "files": []})
            self.say(f"number {about['id']}, {opened.name}: {error}")
            return
        except Exception as error:  # a foreign payload may break any decoder; the receiver goes on
            self._write({**about, "reason": "undecodable", "delivered": False, "files": []})
            text = " ".join(str(error).split()) or type(error).__name__
            self.say(f"number {about['id']}, {opened.name}: cannot be decoded: {text:.200}")
            return
        self._finish(message, meta, about, opened)

    def _finish(self, message: Message, meta: Meta, about: dict[str, Any], opened: Opened) -> None:
        sent = self._original(about["id"], opened)
        name = str(sent.meta.get("name", "")) if sent is not None else ""
        piece = f"_{sent.meta['piece'][0]}" if sent is not None and "piece" in sent.meta else ""
        stem = f"{self.received - 1:05d}_{safe_name(name) if name else safe_name(opened.name)}{piece}"
        files = write_message(self.folder / stem, message)
        extra: dict[str, Any] = {} if message.kind == "image" else {"text": message_text(message)}
        if sent is not None and self.originals is not None:
            extra |= self.originals.measured(sent, message, opened.name, opened.model, about["symbols_total"])
        self.delivered += bool(meta["delivered"])
        record = {
            **about, "input": name, "delivered": bool(meta["delivered"]), "reason": meta["reason"],
            "blocks": meta.get("blocks", 0) if opened.system.payload != "symbols" else 0,
            "blocks_failed": meta.get("blocks_failed", 0), "concealed": meta["concealed"],
            "files": [path.name for path in files], **extra, "written_at": time.time(),
        }  # fmt: skip
        self._write(record)
        self.say(self._line(record))
        if self.annotate:
            self._note(record)

    def finish(self, missing: Iterable[tuple[int, tuple[int, ...]]]) -> None:
        """The end: numbers of each system id that were still awaited."""
        for system_id, numbers in missing:
            for number in numbers:
                self._lost(number, self.opener.known(system_id))

    def _about(self, meta: Meta, opened: Opened) -> dict[str, Any]:
        coded = opened.system.payload != "symbols"
        spent = segmentation.symbols_payload(meta["bits"], mcs.get(meta["mcs"])) if coded else 0
        return {
            "id": meta["id"], "system": opened.name, "model": opened.model, "late": bool(meta.get("late")),
            "mcs": meta["mcs"] if coded else None, "code": meta["code"] if coded else None, "bits": meta["bits"],
            "symbols_payload": spent + meta["analog"], "symbols_total": meta["symbols_total"],
            "samples": meta.get("samples"), "radio": meta.get("radio"), "found_at": meta.get("found_at"),
        }  # fmt: skip

    def _lost(self, number: int, opened: Opened | None) -> None:
        self.taken += 1
        record = {"id": number, "system": opened.name if opened else None, "reason": "lost", "delivered": False}
        metrics: dict[str, float | None] = {}
        sent = self._original(number, opened) if opened else None
        if sent is not None and opened is not None and self.originals is not None:
            metrics = self.originals.measured_lost(sent, opened.system.delivered_kind)
        name = str(sent.meta.get("name", "")) if sent is not None else ""
        self._write({**record, "input": name, "files": [], "metrics": metrics})
        self.say(f"number {number}: lost")

    def _original(self, number: int, opened: Opened) -> Message | None:
        if self.originals is None:
            return None
        try:
            return self.originals.find(number, opened.system.kind)
        except ValueError as error:  # the folder has none of that kind
            if str(error) not in self._skipped:
                self._skipped.add(str(error))
                self.say(str(error))
            return None

    def _line(self, record: dict[str, Any]) -> str:
        radio, whole = record["radio"] or {}, "whole" if record["delivered"] else record["reason"]
        line = f"number {record['id']}, {record['system']}: {whole}, Es/N0 {radio.get('esn0_db', 0):.1f} dB"
        for name, unit in (("psnr_db", " dB PSNR"), ("cer", " CER")):
            value = record.get("metrics", {}).get(name)
            line += f", {value:.2f}{unit}" if value is not None else ""
        return f"{line}: {', '.join(record['files'])}"

    def _note(self, record: dict[str, Any]) -> None:
        radio = record["radio"] or {}
        about: dict[str, Any] = {key: record.get(key) for key in ("id", "model", "bits", "mcs", "delivered")}
        about |= {key: radio.get(key) for key in ("esn0_db", "carrier_offset", "header")}
        when = sigmf.timestamp(record["found_at"]) if record["found_at"] else None
        start, count = int(radio.get("start", 0)), int(record["samples"] or 0)
        self.notes.append(sigmf.annotation(start, count, record["system"], received_at=when, **about))

    def _write(self, record: dict[str, Any]) -> None:
        print(json.dumps(_strict(record), allow_nan=False), file=self._stream, flush=True)


def _strict(value: Any) -> Any:
    """A record as strict JSON: NaN and infinities are null."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value

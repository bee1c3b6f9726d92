# SPDX-License-Identifier: GPL-3.0-or-later
"""What was sent, for a receiver that has it: found again by the number of the message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..media.inputs import list_inputs
from ..media.messages import read_messages
from ..message import Message, text_message
from ..metrics import image_metrics
from ..speech.measure import rates_beside, speech_metrics, speech_texts
from ..systems import registry

GREY = 128


class OriginalMessages:
    """The messages of a folder (or file), or of a `split` of it, in the order in which `semcom tx` sends them, for each
    kind of message."""

    def __init__(self, path: Path, judges: bool = True, split: str = "") -> None:
        if not path.exists():
            raise ValueError(f"no such file or folder: {path}; check --originals")
        self.path, self.judges, self.split = path, judges, split or None
        self._places: dict[str, list[tuple[Any, int]]] = {}

    def find(self, number: int, kind: str) -> Message:
        """The message that was sent under that number; ValueError where the folder has none of that kind."""
        places = self._of(kind)
        item, piece = places[number % len(places)]
        return next(m for place, m in enumerate(read_messages(item, kind)) if place == piece)

    def _of(self, kind: str) -> list[tuple[Any, int]]:
        if kind not in self._places:
            found: list[tuple[Any, int]] = []
            for item in list_inputs(self.path, self.split, kind):
                count = 1 if kind == "image" else sum(1 for _ in read_messages(item, kind))
                found += [(item, piece) for piece in range(count)]
            self._places[kind] = found
        return self._places[kind]

    def measured(self, sent: Message, received: Message, system: str, model: str, symbols: int) -> dict[str, Any]:
        """What a record says of a received message beside its original: `metrics`, and of speech and text the texts."""
        if sent.kind == "image":
            if sent.data.shape != received.data.shape:
                return {"metrics": {}, "original": f"has shape {list(sent.data.shape)}: another picture was sent"}
            return {"metrics": image_metrics(sent.data, received.data)}
        recogniser = registry.get(system).recogniser(model) if self.judges else ""
        about = speech_texts(sent, received, recogniser)
        return {**about, "metrics": speech_metrics(sent, received, self.judges) | rates_beside(about, symbols)}

    def measured_lost(self, sent: Message, delivers: str) -> dict[str, float | None]:
        """The worst there is, for a message that never came: mid-grey, silence or no text."""
        if sent.kind == "image":
            metrics = image_metrics(sent.data, np.full_like(sent.data, GREY))
            return {name: v if name == "psnr_db" or v is None else 0.0 for name, v in metrics.items()}
        nothing = text_message("") if delivers == "text" else Message("speech", np.zeros(1, np.float32), {"text": ""})
        return speech_metrics(sent, nothing, False)

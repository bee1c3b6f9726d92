# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares what arrived with what was sent."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

import numpy as np
import pmt
from numpy.typing import NDArray

from ..message import Message, Meta, message_text, text_message
from ..metrics.text import edit_distance
from ..packets import PacketBlock
from ..systems.stages import message_port
from .originals import Original, originals

GREY = 128
KINDS = ("image", "speech", "text")
COPIED = (
    "system", "model", "channel", "esn0_db", "mcs", "code", "bits", "symbols_total", "transmissions", "blocks",
    "blocks_failed", "demapper",
)  # fmt: skip


class link_meter(PacketBlock):
    """Measures each received message against the one that was sent: pictures, uint8 [H*W*3], or random bits; where
    `kind` is "text" texts, uint8, where it is "speech" speech, float32, both against what was said.

    The original of random bits is made again from their seed; that of another message is what a source of this process
    kept under the message number, or the file of that name in the folder `folder`. Records go to `results` and, as JSON
    lines, to the file `output` ("-": standard output, empty: nowhere); running means go to the message port `figures`.
    A message that never came is an erasure: it counts mid-grey for PSNR, 1 for error rates and 0 for every other
    metric. Erasures are known when a later message comes or the stream ends. Error rates of texts are those of all
    texts together.
    """

    def __init__(self, output: str = "", folder: str = "", kind: str = "image") -> None:
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        super().__init__("link_meter", (message_port(kind),), ())
        self.output, self.folder, self.kind = output, folder, kind
        self.results: list[dict[str, Any]] = []
        self._file: TextIO | None = None
        self._files: list[Any] = []
        self._next: dict[int, int] = {}  # by source: the first message number not yet accounted for
        self._bit_sources: set[int] = set()
        self._since = 0
        self._counts = {"delivered": 0, "erased": 0}
        self._sums: dict[str, tuple[float, int]] = {}
        self._errors: dict[str, tuple[int, int]] = {}  # of texts: wrong characters or words, and all of them
        self.gateway.message_port_register_out(pmt.intern("figures"))

    def prepare(self) -> None:
        """Open the output and list the folder."""
        self.results.clear()
        self._next.clear()
        self._bit_sources.clear()
        self._sums.clear()
        self._errors.clear()
        self._counts = {"delivered": 0, "erased": 0}
        self._since = originals.serial
        if self.output:
            self._file = sys.stdout if self.output == "-" else open(self.output, "w", encoding="utf-8")
        if self.folder:
            from ..media.inputs import list_inputs

            self._files = list_inputs(self.folder, kind="image" if self.kind == "image" else "speech")

    def process(self, *arrays: NDArray[Any], meta: Meta) -> None:
        """Measure one message, and count those that are missing before it."""
        source, number = meta.get("source", 0), meta["id"]
        self._erase(source, number)
        self._next[source] = max(number + 1, self._next.get(source, 0))
        record = {"id": number, "input": meta.get("name", ""), "erased": False}
        record |= {"delivered": meta.get("delivered"), "reason": meta.get("reason")}
        record |= {key: meta[key] for key in COPIED if key in meta}
        if meta.get("kind") == "bits":
            from ..media.bits import random_bits
            from ..metrics.bits import bit_metrics

            sent = random_bits(meta["bits"], meta["bits_seed"], number)
            record["delivered"], record["reason"] = not meta.get("blocks_failed"), None
            if not record["delivered"]:
                record["reason"] = "channel"
            record["metrics"] = bit_metrics(sent, arrays[0], meta.get("blocks_ok", []))
            self._bit_sources.add(source)
        elif self.kind == "image":
            original = self._original(source, number, meta.get("name", ""))
            record["metrics"] = self._metrics(original, arrays[0].reshape(meta["shape"]))
        else:
            about: Meta = {key: meta[key] for key in ("text", "user", "sample_rate") if key in meta}
            received = Message(self.kind, arrays[0], about)
            record |= self._speech(self._original(source, number, meta.get("name", "")), received, meta)
        self._record(record)

    def finish(self) -> None:
        """Count what never came, unless the user stopped the flowgraph with messages on their way."""
        if self.gateway.detail().done():
            for source in list(self._next) or originals.begun_since(self._since):
                self._erase(source, originals.sent(source))
        if self._file is not None and self._file is not sys.stdout:
            self._file.close()
        self._file = None

    def figures(self) -> dict[str, Any]:
        """Counts and the mean of each metric over all messages, erasures included."""
        means = {name: total / count if count else None for name, (total, count) in self._sums.items()}
        for name, (errors, length) in self._errors.items():
            means[name] = errors / length if length else None
        return {"messages": len(self.results), **self._counts, **means}

    def _erase(self, source: int, end: int) -> None:
        for number in range(self._next.get(source, 0), end):
            if source in self._bit_sources:
                from ..metrics.bits import WORST

                record = {"id": number, "input": "", "erased": True, "delivered": False, "reason": "erased"}
                self._record({**record, "metrics": dict(WORST)})
                continue
            original = self._original(source, number, "")
            metrics: dict[str, float | None] = {}
            if original is not None and self.kind != "image":
                nothing = text_message("") if self.kind == "text" else Message("speech", np.zeros(0, np.float32))
                metrics = self._speech(original, nothing, {})["metrics"]
            elif original is not None:
                grey = self._metrics(original, np.full_like(original.data, GREY))
                metrics = {name: value if name == "psnr_db" or value is None else 0.0 for name, value in grey.items()}
            name = original.name if original is not None else ""
            record = {"id": number, "input": name, "erased": True, "delivered": False, "reason": "erased"}
            self._record({**record, "metrics": metrics})

    def _original(self, source: int, number: int, name: str) -> Original | None:
        kept = originals.find(source, number)
        if kept is not None or not self._files:
            return kept
        from ..media.messages import read_messages

        named = [item for item in self._files if item.name == name]
        item = named[0] if named else self._files[number % len(self._files)]
        message = next(read_messages(item, "image" if self.kind == "image" else "speech"))
        return Original(item.name, message.data, message.kind, message.meta)

    def _metrics(self, original: Original | None, received: NDArray[Any]) -> dict[str, float | None]:
        if original is None:
            return {}
        from ..metrics import image_metrics

        if original.data.shape != received.shape:
            raise ValueError(f"{original.name} has shape {list(original.data.shape)}, received {list(received.shape)}")
        return image_metrics(original.data, received)

    def _speech(self, original: Original | None, received: Message, meta: Meta) -> dict[str, Any]:
        """What a record tells of an utterance or text; metrics only where the original is known."""
        if original is None:
            return {"text": message_text(received), "metrics": {}}
        from ..speech.measure import rates_beside, speech_metrics, speech_texts

        sent = original.message
        about = speech_texts(sent, received, self._recogniser(meta))
        metrics = speech_metrics(sent, received)
        if meta:
            metrics |= rates_beside(about, meta.get("symbols_total", 0))
        if "system" in meta:
            from ..systems import registry

            metrics |= registry.get(meta["system"]).compare(sent, meta.get("arrived", {}), meta.get("model", ""))
        reference = about["reference"]
        text = about["text"]
        if reference is not None and text is not None and "piece" not in about:
            for name, sent_as, came_as in (("cer", reference, text), ("wer", reference.split(), text.split())):
                errors, length = self._errors.get(name, (0, 0))
                self._errors[name] = (errors + edit_distance(sent_as, came_as), length + len(sent_as))
        return {**about, "metrics": metrics}

    @staticmethod
    def _recogniser(meta: Meta) -> str:
        """The recogniser of the system that the meta names; none where the source has no text to compare with."""
        if "system" not in meta:
            return ""
        from ..systems import registry

        return registry.get(meta["system"]).recogniser(meta.get("model", ""))

    def _record(self, record: dict[str, Any]) -> None:
        self.results.append(record)
        for name in self._counts:
            self._counts[name] += bool(record[name])
        for name, value in record["metrics"].items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total, count) if value is None else (total + value, count + 1)
        if self._file is not None:
            print(json.dumps(record, allow_nan=False), file=self._file, flush=True)
        self.gateway.message_port_pub(pmt.intern("figures"), pmt.to_pmt(self.figures()))

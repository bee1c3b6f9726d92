# SPDX-License-Identifier: GPL-3.0-or-later
"""One utterance through GNU Radio, with all that the page shows of it."""

from __future__ import annotations

import contextlib
import difflib
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..links import Link
from ..media.utterances import cut
from ..message import SAMPLE_RATE, Message, Meta
from ..phy.stages import Equaliser
from ..speech.synthesis.users import voice_of
from ..stage import Arrays, Port, Stage
from ..systems import registry
from ..systems.base import Request

LONGEST_S = 60.0
SHOWN_SYMBOLS = 4000


def speech_systems() -> dict[str, list[str]]:
    """The systems that take speech, DeepSC-ST first, each with the models that can run as things are installed."""
    found: dict[str, list[str]] = {}
    for name, system in sorted(registry.systems().items(), key=lambda item: (item[0] != "deepsc_st", item[0])):
        for model in system.models() if system.kind == "speech" else ():
            with contextlib.suppress(ValueError):  # a package is missing
                system.check(Request(model))
                found.setdefault(name, []).append(model)
    return found


@dataclass(frozen=True)
class Tap(Stage):
    """Hands everything on and keeps the first array of each packet."""

    ports: tuple[Port, ...] = ()
    kept: list[NDArray[Any]] = field(default_factory=list, compare=False)

    @property
    def inputs(self) -> tuple[Port, ...]:  # type: ignore[override]
        """As they come."""
        return self.ports

    @property
    def outputs(self) -> tuple[Port, ...]:  # type: ignore[override]
        """As they come."""
        return self.ports

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """The same."""
        self.kept.append(arrays[0].copy())
        return arrays, meta


@dataclass(frozen=True)
class TappedLink(Link):
    """A link whose equalised symbols can be looked at."""

    tap: Tap = field(default_factory=lambda: Tap(Equaliser.outputs), compare=False)

    def stages(self) -> list[Stage]:
        """Those of the link, the tap behind the equaliser."""
        stages = super().stages()
        place = next(number for number, stage in enumerate(stages) if isinstance(stage, Equaliser))
        return [*stages[: place + 1], self.tap, *stages[place + 1 :]]


@dataclass(frozen=True)
class Answer:
    """What came of an utterance: `words` are (mark, sent, received) with mark "equal", "replace", "delete" or
    "insert"; `speech` float32 of 16 kHz, empty where nothing is spoken; `symbols` complex64 as they were equalised."""

    sent: NDArray[np.float32]
    speech: NDArray[np.float32]
    text: str
    reference: str | None
    words: list[tuple[str, str, str]]
    symbols: NDArray[np.complex64]
    records: list[dict[str, Any]]
    mcs: str
    elapsed_s: float
    note: str = ""


def compare(reference: str, text: str) -> list[tuple[str, str, str]]:
    """Runs of words that are equal, replaced, missing or added."""
    left, right = reference.split(), text.split()
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    return [(tag, " ".join(left[a:b]), " ".join(right[c:d])) for tag, a, b, c, d in matcher.get_opcodes()]


def ask(
    speech: NDArray[np.float32],
    transcript: str | None = None,
    *,
    system: str,
    model: str = "",
    channel: str = "awgn",
    esn0_db: float = 10.0,
    user: str = "",
    seed: int = 0,
    timeout_s: float = 120.0,
) -> Answer:
    """Send speech, float32 [N] of 16 kHz, through the flowgraph of `system` and return what arrived.

    Without a transcript the reference is what the system's own recogniser reads without a channel. ValueError where
    the utterance is longer than a minute, or names are unknown.
    """
    if speech.size > LONGEST_S * SAMPLE_RATE:
        raise ValueError(f"this demonstration takes at most {LONGEST_S:.0f} s: cut the recording")
    begun = time.perf_counter()
    note = ""
    if user and (registry.get(system).delivered_kind == "speech"):
        user, note = "", "This system sends the voice itself."
    if user:
        try:
            voice_of(user).prepare()
        except ValueError as error:
            user, note = "", str(error)
    link = TappedLink(system, model, channel=channel, esn0_db=esn0_db, user=user, seed=seed, judges=False)
    pieces = [Message("speech", piece, {"name": "utterance", "sample_rate": SAMPLE_RATE}) for piece in cut(speech)]
    texts, spoken, records = [], [], []
    for received, record in link.run_flowgraph(pieces, timeout_s=timeout_s):
        texts.append(record["text"])
        records.append(record)
        if received.kind == "speech":
            spoken.append(received.data)
    text = " ".join(part for part in texts if part)
    reference = _reference(transcript, registry.get(system).recogniser(model), pieces)
    symbols = np.concatenate([np.zeros(0, np.complex64), *link.tap.kept])[:SHOWN_SYMBOLS]
    return Answer(
        sent=speech,
        speech=np.concatenate([np.zeros(0, np.float32), *spoken]),
        text=text,
        reference=reference,
        words=[] if reference is None else compare(reference, text),
        symbols=symbols,
        records=records,
        mcs=link.chosen_mcs if registry.get(system).payload != "symbols" else "analog symbols",
        elapsed_s=time.perf_counter() - begun,
        note=note,
    )


def _reference(transcript: str | None, recogniser: str, pieces: list[Message]) -> str | None:
    from ..speech import recognisers
    from ..text.alphabet import normalise

    if transcript and transcript.strip():
        return normalise(transcript)
    if not recogniser:
        return None
    return " ".join(filter(None, (recognisers.recognise(recogniser, piece.data) for piece in pieces)))

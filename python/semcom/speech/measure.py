# SPDX-License-Identifier: GPL-3.0-or-later
"""What a received utterance or text is worth beside the sent one, message by message."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..message import SAMPLE_RATE, Message, message_text
from ..metrics.audio import predicted_mos, stoi
from ..metrics.similarity import similarity
from ..metrics.text import error_rate
from ..text.alphabet import normalise
from . import recognisers
from .voice_probe import voice_metrics

JUDGES = ("moonshine", "whisper")
"""Recognisers of packages that read speech for which a system itself gives no text, the first that is installed."""


@lru_cache(maxsize=1)
def judge() -> str:
    """The recogniser that reads what nobody else has read; empty where none of `JUDGES` is installed."""
    for name in JUDGES:
        try:
            recognisers.get(name).check_installed()
        except ValueError:
            continue
        return name
    return ""


def reference_text(sent: Message) -> str | None:
    """What was said, in the alphabet; None where nobody wrote it down."""
    if sent.kind == "text":
        return normalise(message_text(sent))
    transcript = sent.meta.get("transcript")
    return None if transcript is None else normalise(str(transcript))


def received_text(sent: Message, received: Message, judges: bool = True) -> str | None:
    """What is read of a received message, in the alphabet: its text, or what `judge` reads in speech without one.

    None where nobody reads it: no judge, `judges` off, or no reference to compare with.
    """
    if received.kind == "text" or "text" in received.meta:
        return normalise(message_text(received))
    if not judges or reference_text(sent) is None or not judge():
        return None
    return recognisers.recognise(judge(), received.data)


def speech_metrics(sent: Message, received: Message, judges: bool = True) -> dict[str, float | None]:
    """`cer`, `wer`, `similarity` of the sentences (see `metrics/similarity.py` for whose embeddings), and of received
    speech `stoi`, `predicted_mos` and what `voice_metrics` tells of the voice; None without a reference text, or a
    judge.

    A piece of a longer recording has no reference of its own (see `bench/speech.py`). STOI compares in step, and the
    voice is to be the same, so both are only for speech that was sent itself, not for a text spoken anew.
    """
    reference = None if "piece" in sent.meta else reference_text(sent)
    said = received_text(sent, received, judges)
    rates: dict[str, float | None] = {"cer": None, "wer": None, "similarity": None}
    if reference is not None and said is not None:
        rates["cer"], rates["wer"] = error_rate(reference, said), error_rate(reference.split(), said.split())
        rates["similarity"] = similarity(reference, said) if judges else None
    if received.kind != "speech" or sent.kind != "speech":
        return rates
    own = judges and "user" not in received.meta
    rates["stoi"] = stoi(sent.data, received.data) if own else None
    rates["predicted_mos"] = predicted_mos(received.data) if judges else None
    return rates | (voice_metrics(sent, received) if own else {})


def speech_texts(sent: Message, received: Message, recogniser: str, judges: bool = True) -> dict[str, Any]:
    """What a record tells of an utterance: `seconds`, the `text` that came, the `reference`, what the recogniser of
    that name reads from the sent speech, `without_channel`, and `piece` [number, of how many] of a recording that was
    cut. Text that only a judge could read has his name beside it, `read_by`, and he reads the sent speech, too.
    """
    speech = sent.kind == "speech"
    about: dict[str, Any] = {"seconds": round(sent.data.size / SAMPLE_RATE, 4)} if speech else {}
    about["text"] = received_text(sent, received, judges)
    about["reference"] = reference_text(sent)
    if received.kind == "speech" and "text" not in received.meta and about["text"] is not None:
        about["read_by"] = recogniser = judge()
    if recogniser and speech and about["reference"] is not None:
        about["without_channel"] = recognisers.recognise(recogniser, sent.data)
    if "piece" in sent.meta:
        about["piece"] = list(sent.meta["piece"])
    return about


def rates_beside(about: dict[str, Any], symbols_total: int) -> dict[str, float | None]:
    """`delta_wer`, the increase over what the recogniser reads without a channel, and `symbols_per_second`, of what
    `speech_texts` told."""
    found: dict[str, float | None] = {}
    if "seconds" in about:
        found["symbols_per_second"] = symbols_total / about["seconds"] if about["seconds"] else None
    if "without_channel" in about and "piece" not in about:
        reference = about["reference"].split()
        after, before = (error_rate(reference, about[key].split()) for key in ("text", "without_channel"))
        found["delta_wer"] = None if after is None or before is None else after - before
    return found

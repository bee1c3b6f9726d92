# SPDX-License-Identifier: GPL-3.0-or-later
"""What a received utterance or text is worth beside the sent one, message by message."""

from __future__ import annotations

from typing import Any

from ..message import SAMPLE_RATE, Message, message_text
from ..metrics.audio import predicted_mos, stoi
from ..metrics.similarity import similarity
from ..metrics.text import error_rate
from ..text.alphabet import normalise
from . import recognisers


def reference_text(sent: Message) -> str | None:
    """What was said, in the alphabet; None where nobody wrote it down."""
    if sent.kind == "text":
        return normalise(message_text(sent))
    transcript = sent.meta.get("transcript")
    return None if transcript is None else normalise(str(transcript))


def speech_metrics(sent: Message, received: Message, judges: bool = True) -> dict[str, float | None]:
    """`cer`, `wer`, `similarity` of the sentences (see `metrics/similarity.py` for whose embeddings), and of received
    speech `stoi` and `predicted_mos`; None without a reference text, or a judge.

    A piece of a longer recording has no reference of its own (see `bench/speech.py`). STOI compares in step, so it is
    only for speech that was sent itself, not for a text spoken anew.
    """
    reference = None if "piece" in sent.meta else reference_text(sent)
    said = normalise(message_text(received))
    rates: dict[str, float | None] = {"cer": None, "wer": None}
    if reference is not None:
        rates = {"cer": error_rate(reference, said), "wer": error_rate(reference.split(), said.split())}
    rates["similarity"] = similarity(reference, said) if judges and reference is not None else None
    if received.kind != "speech" or sent.kind != "speech":
        return rates
    rates["stoi"] = stoi(sent.data, received.data) if judges and "user" not in received.meta else None
    rates["predicted_mos"] = predicted_mos(received.data) if judges else None
    return rates


def speech_texts(sent: Message, received: Message, recogniser: str) -> dict[str, Any]:
    """What a record tells of an utterance: `seconds`, the `text` that came, the `reference`, what the recogniser of
    that name reads from the sent speech, `without_channel`, and `piece` [number, of how many] of a recording that was
    cut.
    """
    speech = sent.kind == "speech"
    about: dict[str, Any] = {"seconds": round(sent.data.size / SAMPLE_RATE, 4)} if speech else {}
    about["text"] = normalise(message_text(received))
    about["reference"] = reference_text(sent)
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

# SPDX-License-Identifier: GPL-3.0-or-later
"""Error rates of a whole set of utterances: summed counts with bootstrap intervals over utterances."""

from __future__ import annotations

from typing import Any

from ..metrics.removal import removed_shares
from ..metrics.text import edit_distance
from .intervals import Metric, difference, mean, metric, ratio

Counts = tuple[int, int]


def corpus_metrics(records: list[dict[str, Any]]) -> dict[str, Metric]:
    """`cer`, `wer`, `delta_wer`, `symbols_per_second` and the shares of `metrics/removal.py` of records with texts;
    what nobody can know is left out.

    Pieces of one recording, whose reference is that of the whole, are put together again. `delta_wer` is the word error
    rate less that of the same recogniser without a channel.
    """
    found: dict[str, Metric] = {}
    spoken = [r for r in records if r.get("seconds")]
    if spoken:
        rate = sum(r["symbols_total"] for r in spoken) / sum(r["seconds"] for r in spoken)
        found["symbols_per_second"] = metric(rate, count=len(spoken))
    removed = removed_shares([r["removal"] for r in records if r.get("removal")])
    found |= {name: mean(values) for name, values in removed.items()}
    whole = [r for r in recordings(records) if r.get("reference") is not None]
    if not whole:
        return found
    letters = [counted(r["reference"], r["text"]) for r in whole]
    words = [counted(r["reference"].split(), r["text"].split()) for r in whole]
    found["cer"] = ratio([e for e, _ in letters], [n for _, n in letters], 0)
    found["wer"] = ratio([e for e, _ in words], [n for _, n in words], 0)
    if all(r.get("without_channel") is not None for r in whole):
        before = [counted(r["reference"].split(), r["without_channel"].split())[0] for r in whole]
        found["delta_wer"] = difference([e for e, _ in words], before, [n for _, n in words], 0)
    return found


def recordings(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The texts of records, those of the pieces of one recording joined; a recording that ends early is left out."""
    found: list[dict[str, Any]] = []
    pieces: list[dict[str, Any]] = []
    for record in records:
        if record.get("text") is None:  # no speech, or nobody read it
            continue
        if "piece" not in record:
            found.append(record)
            continue
        number, count = record["piece"]
        pieces = [*pieces, record] if number == len(pieces) + 1 else []
        if len(pieces) == count:
            joined = {"reference": record["reference"]}
            for key in ("text", "without_channel"):
                texts = [piece.get(key) for piece in pieces]
                joined[key] = None if None in texts else " ".join(t for t in texts if t)
            found.append(joined)
            pieces = []
    return found


def counted(reference: Any, hypothesis: Any) -> Counts:
    """Errors and length of the reference."""
    return edit_distance(reference, hypothesis), len(reference)


def summarised(records: list[dict[str, Any]]) -> dict[str, float | None]:
    """The same as `semcom run` tells it: a value under its name, limits of 95 % under `name_low` and `name_high`."""
    found: dict[str, float | None] = {}
    for name, measured in corpus_metrics(records).items():
        found[name] = measured["value"]
        if measured["low"] is not None:
            found |= {f"{name}_low": measured["low"], f"{name}_high": measured["high"]}
    return found

# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of what an attention loop gives the redundancy removal keeps off the air.

For a sentence with c words sent out of q steps, q being the length to which a batch of 16 sentences is padded as in the
paper, `removed_share` is 1 - c/q. It has two parts: what the first EOS ends, and UNK or PAD before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..text.vocabulary import EOS, kept

BATCH = 16  # the paper's


def counts(ids: Sequence[int], states: int) -> dict[str, int]:
    """Of one utterance: `steps` of the loop, EOS included; `sent` words; `unknown`, how many UNK and PAD came before
    the first EOS; `states`, what attention looked at."""
    end = list(ids).index(EOS) if EOS in ids else len(ids)
    sent = len(kept(ids))
    return {"steps": min(end + 1, len(ids)), "sent": sent, "unknown": end - sent, "states": states}


def shares(sent: int, unknown: int, padded: int) -> dict[str, float]:
    """`removed_share` 1 - c/q of one sentence padded to `padded` steps, and its parts by EOS and by UNK or PAD.

    ValueError where more words than steps are claimed.
    """
    if padded < 1 or sent + unknown > padded:
        raise ValueError(f"a sentence of {padded} steps cannot have {sent} words sent and {unknown} unknown")
    return {
        "removed_share": 1 - sent / padded,
        "removed_share_eos": 1 - (sent + unknown) / padded,
        "removed_share_unk": unknown / padded,
    }


def removed_shares(sentences: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    """The shares of each sentence, batches of 16 in the order given, and `removed_of_states`, 1 - c/states."""
    found: dict[str, list[float]] = {}
    for first in range(0, len(sentences), BATCH):
        batch = sentences[first : first + BATCH]
        padded = max(s["steps"] for s in batch)
        for sentence in batch:
            values = shares(sentence["sent"], sentence["unknown"], padded)
            values["removed_of_states"] = 1 - sentence["sent"] / sentence["states"]
            for name, value in values.items():
                found.setdefault(name, []).append(value)
    return found

# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of a point from the records of its messages, those of a link or of a flowgraph's meter."""

from __future__ import annotations

from typing import Any

from .intervals import Metric, mean, ratio, share
from .speech import corpus_metrics

_PLACES = ("id", "esn0_db", "elapsed_s")  # numbers of a record that measure nothing


def record_metrics(records: list[dict[str, Any]], independent: bool) -> dict[str, Metric]:
    """Error rates, then means of the metrics and of all that is counted.

    `independent`: the code blocks of one message fail independently of each other.
    """
    count = len(records)
    lost = sum(not record["delivered"] for record in records)
    found = {"message_error_rate": share(lost, count), "delivered": share(count - lost, count) | {"errors": None}}
    coded = [record for record in records if record.get("blocks")]
    if coded:
        blocks, wrong = [r["blocks"] for r in coded], [r["blocks_failed"] for r in coded]
        found["bler"] = share(sum(wrong), sum(blocks)) if independent else ratio(wrong, blocks, 0)
    if any("reason" in record for record in records):
        found["does_not_fit"] = share(sum(record.get("reason") == "does_not_fit" for record in records), count)
    for name in dict.fromkeys(name for record in records for name in record.get("metrics", {})):
        found[name] = mean([record.get("metrics", {}).get(name) for record in records])
    for name in dict.fromkeys(name for record in records for name in record):
        if name not in _PLACES and name not in found:
            values = [record.get(name) for record in records]
            if all(value is None or _number(value) for value in values) and any(map(_number, values)):
                found[name] = mean(values)
    return found | corpus_metrics(records)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

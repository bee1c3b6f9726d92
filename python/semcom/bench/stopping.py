# SPDX-License-Identifier: GPL-3.0-or-later
"""When a point has enough messages, and when a curve has enough points."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from .intervals import Metric


@dataclass(frozen=True)
class Stop:
    """Whatever comes first ends a point; 0 leaves a rule out.

    Errors and intervals are looked at after each message, beyond 32 after each 16th.

    `errors` and the two widths look at `metric`. `width` is the wanted whole width of its interval in the metric's
    own unit, `relative_width` the same as a share of its value. `seconds` makes results depend on the machine.
    `clean`: the curve ends after so many points in a row, by rising x, without an error of `metric`.
    """

    errors: int = 0
    messages: int = 0
    cap: int = 0
    width: float = 0.0
    relative_width: float = 0.0
    seconds: float = 0.0
    metric: str = ""
    clean: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "metric":
                if not isinstance(value, str):
                    raise ValueError(f"metric must be a name, not {value!r}")
                continue
            whole = field.type == "int"
            right = isinstance(value, int) if whole else isinstance(value, int | float)
            if not right or isinstance(value, bool) or not 0 <= value < math.inf:
                kind = "a whole number" if whole else "a number"
                raise ValueError(f"{field.name} must be {kind} of at least 0, not {value!r}")

    @property
    def limit(self) -> int | None:
        """The most messages there can be; None without a limit."""
        limits = [number for number in (self.messages, self.cap) if number]
        return min(limits) if limits else None

    def reason(self, messages: int, metrics: Callable[[], Mapping[str, Metric]], elapsed_s: float) -> str | None:
        """Why to stop after so many messages, None to go on; `metrics` is only called where a rule needs it."""
        if self.messages and messages >= self.messages:
            return "messages"
        looked_at = messages < 32 or messages % 16 == 0 or messages == self.limit
        if looked_at and (self.errors or self.width or self.relative_width):
            found = metrics().get(self.metric)
            if found is not None:
                if self.errors and (found["errors"] or 0) >= self.errors:
                    return "errors"
                if found["low"] is not None and found["high"] is not None and found["value"] is not None:
                    width = found["high"] - found["low"]
                    if self.width and width <= self.width:
                        return "interval"
                    if self.relative_width and found["value"] and width <= self.relative_width * abs(found["value"]):
                        return "interval"
        if self.cap and messages >= self.cap:
            return "cap"
        if self.seconds and elapsed_s >= self.seconds:
            return "time"
        return None

    def as_dict(self) -> dict[str, Any]:
        """For results."""
        return asdict(self)


def is_clean(point: Mapping[str, Any]) -> bool:
    """Whether a measured point was free of errors of its rule's metric."""
    found = point["metrics"].get(point["stop"]["metric"])
    return point["error"] is None and found is not None and found["count"] > 0 and found["errors"] == 0

# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kind of point can be told, and the checks that all kinds share."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

KINDS = {"system": ".system", "code": ".code", "flowgraph": ".flowgraph", "on_air": ".radio"}
"""Name of a kind to its module, which has FIELDS (setting to type), `resolve`, `identity`, `label` and `measure`."""

UNITS = {
    "esn0_db": "dB", "mismatch_db": "dB", "airtime": "symbols", "max_bpp": "bit/pixel", "rician_k": "a ratio",
    "timeout_s": "seconds",
}  # fmt: skip
LIMITS = {"esn0_db": (-100.0, 100.0), "mismatch_db": (-100.0, 100.0)}


def kind_module(kind: str) -> ModuleType:
    """The module of a kind; ValueError lists the kinds."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    return import_module(KINDS[kind], __package__)


def typed(name: str, value: Any, wanted: type) -> Any:
    """`value` as a setting of that type. ValueError that names the unit where a word stands in for a number."""
    unit = f" ({UNITS[name]})" if name in UNITS else ""
    if wanted is object:  # several types: whoever takes the setting knows
        return value
    if wanted is bool:
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, not {value!r}")
        return value
    if wanted is str:
        if isinstance(value, bool | list | dict) or value is None:
            raise ValueError(f"{name} must be a word, not {value!r}")
        return str(value)
    if isinstance(value, str):
        number = re.match(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(\D.*)", value)
        write = f": write {number[1]} without {number[2].strip()!r}" if number else ""
        raise ValueError(f"{name} must be a number{unit}, not {value!r}{write}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number{unit}, not {value!r}")
    low, high = LIMITS.get(name, (-math.inf, math.inf))
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low:g} to {high:g}{unit}, not {value}")
    if wanted is int:
        if value != int(value):
            raise ValueError(f"{name} must be a whole number{unit}, not {value}")
        return int(value)
    return float(value)


def canonical(value: Any) -> str:
    """JSON that is the same for equal content."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def derived_seed(seed: int, kind: str, settings: Mapping[str, Any]) -> int:
    """The seed of a point, 31 bits: from the sweep's seed and all that decides what is measured.

    The stopping rule is not part of it: more messages begin with the same messages.
    """
    return int(digest([seed, kind, dict(settings)])[:8], 16) >> 1

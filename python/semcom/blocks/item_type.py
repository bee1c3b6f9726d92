# SPDX-License-Identifier: GPL-3.0-or-later
"""Item types by the names that Companion gives them."""

from __future__ import annotations

from typing import Any

import numpy as np

ITEM_TYPES: dict[str, type[Any]] = {"byte": np.uint8, "float": np.float32, "complex": np.complex64}


def item_dtype(item_type: str) -> type[Any]:
    """numpy's type; ValueError, with the names, for an unknown one."""
    if item_type not in ITEM_TYPES:
        raise ValueError(f"item_type must be one of {', '.join(ITEM_TYPES)}, not {item_type!r}")
    return ITEM_TYPES[item_type]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Error rates of bits and of code blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

WORST = {"ber": 1.0, "bler": 1.0, "undetected_bler": 0.0}


def bit_metrics(sent: NDArray[np.uint8], received: NDArray[np.uint8], blocks_ok: ArrayLike) -> dict[str, float | None]:
    """`ber`, `bler` (blocks with a wrong bit) and `undetected_bler` (of these, the blocks said to be good).

    sent, received: uint8 [n] of 0 and 1. blocks_ok: for each of the equal code blocks that hold the n bits in order
    whether the receiver took it for good; one block if there are none. ValueError if the lengths differ.
    """
    if sent.shape != received.shape:
        raise ValueError(f"received must have shape {list(sent.shape)} like what was sent, not {list(received.shape)}")
    if not sent.size:
        return dict.fromkeys(WORST, 0.0)
    good = np.asarray(blocks_ok, bool)
    wrong = np.flatnonzero(sent != received)
    result: dict[str, Any] = {"ber": wrong.size / sent.size}
    count = max(good.size, 1)
    hit = np.zeros(count, bool)
    hit[wrong // -(-sent.size // count)] = True
    result["bler"] = float(np.mean(hit))
    result["undetected_bler"] = float(np.mean(hit & good)) if good.size else 0.0
    return result

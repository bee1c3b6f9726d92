# SPDX-License-Identifier: GPL-3.0-or-later
"""How sure a receiver is of each payload bit, and how that travels in a packet's meta.

Only where something is in doubt: in uncoded schemes and in failed code blocks. A system that says `soft` is told.
"""

from __future__ import annotations

import base64
import binascii

import numpy as np
from numpy.typing import NDArray

from .ldpc import ldpc_code
from .segmentation import Layout

STEP = 0.25  # of a log-likelihood ratio in one byte
LARGEST = 127 * STEP
NOT_SENT = 0.5  # of a bit that only the failed decoder knows: 28 to 45 % of those are wrong (measured)

LLR = NDArray[np.float32]


def of_blocks(llr: LLR, bits: NDArray[np.uint8], ok: NDArray[np.bool_], plan: Layout) -> LLR:
    """log P(0)/P(1) of the payload bits, float32 [plan.bits], from the channel's LLRs [blocks, n].

    `bits` [blocks, payload] and `ok` [blocks] are what the decoder made of them. Bits of good blocks are certain. A
    failed LDPC block tells what the channel said of its information bits; of the few that are never sent (the first
    two columns of 38.212) the decoder's decision counts a little. Failed polar blocks, whose information bits are not
    sent as such, tell nothing.
    """
    sign = 1.0 - 2.0 * bits.astype(np.float32)
    found = np.where(ok[:, None], LARGEST * sign, 0.0).astype(np.float32)
    if plan.code == "ldpc" and not ok.all():
        bad = np.flatnonzero(~ok)
        places = ldpc_code(plan.k, plan.n).systematic()[: plan.block_payload]
        sent = places >= 0
        found[bad] = np.where(sent, llr[bad][:, places], NOT_SENT * sign[bad])
    return found.reshape(-1)[: plan.bits]


def packed(llr: LLR) -> str:
    """LLRs as text, one byte each before base64: steps of 0.25, at most 31.75."""
    steps = np.rint(np.clip(np.nan_to_num(llr, nan=0.0), -LARGEST, LARGEST) / STEP).astype(np.int8)
    return base64.b64encode(steps.tobytes()).decode()


def unpacked(text: object, count: int) -> LLR:
    """What `packed` gave, float32 [count]; empty where it is no such text of that length."""
    try:
        data = base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != count:
        return np.zeros(0, np.float32)
    return np.frombuffer(data, np.int8).astype(np.float32) * np.float32(STEP)

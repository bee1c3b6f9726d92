# SPDX-License-Identifier: GPL-3.0-or-later
"""Payload bits to code words and back, for every channel code and block layout (see `segmentation.py`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import crc
from .ldpc import ldpc_code
from .mcs import get
from .polar import polar_code
from .polar_interleaver import polar_interleaver
from .segmentation import Layout, polar_length

LIST_SIZE = 8  # of the polar decoder where nobody says otherwise


def encode(bits: ArrayLike, plan: Layout, rv: int = 0) -> NDArray[np.uint8]:
    """Payload bits [plan.bits] to code words, uint8 [plan.blocks, plan.n]; `rv` is LDPC's redundancy version.

    Polar words leave in 38.212's own order: in natural order the unequal bits of a QAM symbol meet the code so badly
    that at 16-QAM 1/3 ten times as many blocks are lost.
    """
    padded = np.zeros(plan.bits + plan.padding, np.uint8)
    padded[: plan.bits] = bits
    blocks = padded.reshape(plan.blocks, plan.block_payload)
    if plan.code == "ldpc":
        return ldpc_code(plan.k, plan.n, rv, get(plan.mcs).alpha).encode(crc.attach(blocks))
    length = polar_length(plan.code)
    words = polar_code(plan.block_payload, length, LIST_SIZE, plan.crc).encode(blocks)
    return np.pad(words[:, polar_interleaver(length)], ((0, 0), (0, plan.n - length)))


def decode(
    llr: NDArray[np.float32],
    plan: Layout,
    max_iterations: int = 50,
    rvs: tuple[int, ...] = (0,),
    list_size: int = LIST_SIZE,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """LLRs [B, plan.n * transmissions] of any B blocks to their payload bits, uint8 [B, block_payload], and which are
    good; `rvs` names the transmissions that lie one after the other, `list_size` is the polar decoder's."""
    if plan.code != "ldpc":
        length = polar_length(plan.code)
        words = np.empty((len(llr), length), np.float32)
        words[:, polar_interleaver(length)] = llr[:, :length]
        return polar_code(plan.block_payload, length, list_size, plan.crc).decode(words)
    alpha = get(plan.mcs).alpha if len(rvs) == 1 else None  # the table's is for one transmission's rate
    found, checks_hold, _ = ldpc_code(plan.k, plan.n, rvs, alpha).decode(llr, max_iterations)
    # The CRC decides (a parity bit may be wrong where the information is right), but zeros pass any CRC: an erased
    # block, which decodes to zeros, is caught by its undecided parity checks.
    ok = crc.check(found) & (checks_hold | found.any(axis=1))
    return np.ascontiguousarray(found[:, : plan.block_payload]), ok

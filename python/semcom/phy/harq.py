# SPDX-License-Identifier: GPL-3.0-or-later
"""Hybrid ARQ with incremental redundancy: what failed is sent again with other bits of its code word.

One message is outstanding. The first transmission is that of a link without ARQ (redundancy version 0); each further
one carries only the code blocks that the receiver asked for, with redundancy versions 2, 3 and 1 in turn (TS 38.212,
5.4.2.1; the usual order of 5G NR). The receiver keeps the LLRs of every transmission and decodes them together. The
feedback, one bit a code block, is free of errors, delay and airtime; all transmissions' symbols are counted.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..message import Meta
from ..stage import Arrays
from . import coding
from .checks import integer
from .mcs import get
from .segmentation import Layout
from .stages import ChannelDecoder, ChannelEncoder

REDUNDANCY_VERSIONS = (0, 2, 3, 1)
MOST_TRANSMISSIONS = len(REDUNDANCY_VERSIONS)


@dataclass(frozen=True)
class HarqEncoder(ChannelEncoder):
    """A channel encoder that sends up to `max_transmissions` times; only for coded schemes and LDPC."""

    max_transmissions: int = MOST_TRANSMISSIONS

    def __post_init__(self) -> None:
        super().__post_init__()
        integer("max_transmissions", self.max_transmissions, 1, MOST_TRANSMISSIONS)
        if not get(self.mcs).coded or self.code != "ldpc":
            raise ValueError(f"HARQ needs a coded MCS and the code ldpc, not {self.mcs} with {self.code}")

    def transmissions(self, bits: NDArray[np.uint8], meta: Meta) -> Generator[tuple[Arrays, Meta], list[int], None]:
        """The packets of one message: coded bits, uint8 [n], and their meta; wants `blocks_ok` after each."""
        plan, bits = self.plan(bits)
        meta = {**meta, **self.described(plan), "max_transmissions": self.max_transmissions}
        if plan.blocks == 0:
            yield (np.zeros(0, np.uint8),), {**meta, "transmission": 0, "sent_blocks": []}
            return
        wanted = list(range(plan.blocks))
        for number, rv in enumerate(REDUNDANCY_VERSIONS[: self.max_transmissions]):
            words = coding.encode(bits, plan, rv)[wanted]
            sent = {**meta, "transmission": number, "sent_blocks": wanted}
            blocks_ok = yield (self.on_air(words),), sent
            wanted = [block for block, good in enumerate(blocks_ok) if not good]
            if not wanted:
                return


@dataclass
class SoftBuffer:
    """What the receiver remembers of the message that is outstanding."""

    plan: Layout
    llr: list[list[NDArray[np.float32]]] = field(default_factory=list)  # [block][transmission], each [n]
    bits: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    ok: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    symbols: int = 0


@dataclass(frozen=True)
class HarqDecoder(ChannelDecoder):
    """A channel decoder that combines the transmissions of a message."""

    def receive(
        self, llr: NDArray[np.float32], meta: Meta, buffer: SoftBuffer | None
    ) -> tuple[SoftBuffer, list[int], tuple[NDArray[np.uint8], Meta] | None]:
        """One transmission: the buffer for the next one, `blocks_ok` so far, and the message's bits once it is over.

        llr: float32 [sent blocks * n]. `buffer` is None for the first transmission.
        """
        if buffer is None:
            plan = self.plan(meta)
            buffer = SoftBuffer(plan, [[] for _ in range(plan.blocks)])
            buffer.bits = np.zeros((plan.blocks, plan.block_payload if plan.blocks else 0), np.uint8)
            buffer.ok = np.zeros(plan.blocks, bool)
        plan, sent, number = buffer.plan, meta["sent_blocks"], meta["transmission"]
        if llr.size != len(sent) * plan.n:
            raise ValueError(f"HarqDecoder needs {len(sent)} blocks of {plan.n} LLRs, found {llr.size}")
        buffer.symbols += meta["symbols_total"]
        if sent:
            for block, word in zip(sent, self.from_air(llr, len(sent), meta), strict=True):
                buffer.llr[block].append(word)
            words = np.stack([np.concatenate(buffer.llr[block]) for block in sent])
            rvs = REDUNDANCY_VERSIONS[: number + 1]
            buffer.bits[sent], buffer.ok[sent] = coding.decode(words, plan, self.max_iterations, rvs)
        blocks_ok = [int(good) for good in buffer.ok]
        if not all(blocks_ok) and number + 1 < meta["max_transmissions"]:
            return buffer, blocks_ok, None
        dropped = ("transmission", "sent_blocks", "max_transmissions")
        meta = {key: value for key, value in meta.items() if key not in dropped} | {
            "symbols_total": buffer.symbols,
            "transmissions": number + 1,
            "blocks_ok": blocks_ok,
            "blocks_failed": blocks_ok.count(0),
        }
        return buffer, blocks_ok, (buffer.bits.reshape(-1)[: plan.bits], meta)

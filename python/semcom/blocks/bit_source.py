# SPDX-License-Identifier: GPL-3.0-or-later
"""Random bits into a flowgraph, for error rates."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

from ..media.bits import random_bits
from ..packets import PacketBlock
from ..stage import Port


class bit_source(PacketBlock):
    """Sends `messages` messages of `bits` random bits each, uint8 of 0 and 1; for ever if `messages` is 0.

    The link meter makes the same bits again from `seed`, so it may run in another process.
    """

    def __init__(self, bits: int = 15120, messages: int = 100, seed: int = 0) -> None:
        super().__init__("bit_source", (), (Port("bits", np.uint8),))
        if messages < 0:
            raise ValueError(f"messages must be a number, or 0 for ever, not {messages}")
        random_bits(0, seed, 0)
        random_bits(bits, seed, 0)
        self.bits, self.messages, self.seed = bits, messages, seed

    def packets(self) -> Iterator[tuple[Any, ...]]:
        """All messages, numbered through."""
        source = self.gateway.unique_id()
        for number in range(self.messages) if self.messages else count():
            meta = {"id": number, "source": source, "name": f"bits {number}", "kind": "bits", "bits_seed": self.seed}
            yield random_bits(self.bits, self.seed, number), meta

# SPDX-License-Identifier: GPL-3.0-or-later
"""Bits to a burst."""

from __future__ import annotations

import numpy as np

from ..stage import Port
from .channel_encoder import channel_encoder
from .framer import framer
from .hier_block import HierBlock
from .mapper import mapper


class digital_tx(HierBlock):
    """Channel encoder, mapper and framer: bits, uint8 of 0 and 1, to a burst, complex64."""

    def __init__(
        self, mcs: str = "16qam-1/3", block_bits: int = 1536, interleave: bool = False, code: str = "ldpc"
    ) -> None:
        super().__init__("digital_tx", (Port("bits", np.uint8),), (Port("burst", np.complex64),))
        self.encoder = channel_encoder(mcs, block_bits, interleave, code)
        self.mapper = mapper()
        self.framer = framer("bits")
        self.connect(self, self.encoder, self.mapper, self.framer, self)

    def set_mcs(self, mcs: str) -> None:
        """Change modulation and code rate."""
        self.encoder.set_mcs(mcs)

    def set_block_bits(self, block_bits: int) -> None:
        """Change the information bits a block."""
        self.encoder.set_block_bits(block_bits)

    def set_interleave(self, interleave: bool) -> None:
        """Switch interleaving of the blocks' symbols on or off."""
        self.encoder.set_interleave(interleave)

    def set_code(self, code: str) -> None:
        """Change the channel code."""
        self.encoder.set_code(code)

    @staticmethod
    def knows(mcs: str, code: str = "ldpc") -> bool:
        """Whether there is an MCS of that name, and room for it in the code."""
        return channel_encoder.knows(mcs, code, auto=False)

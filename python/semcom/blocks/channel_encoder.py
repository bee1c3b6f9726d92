# SPDX-License-Identifier: GPL-3.0-or-later
"""Bits to coded bits."""

from __future__ import annotations

from ..phy import mcs as mcs_table
from ..phy.stages import ChannelEncoder
from .stage_block import StageBlock


class channel_encoder(StageBlock):
    """Cuts the bits of a message into blocks, adds a CRC to each and encodes them.

    In and out: bits, uint8 of 0 and 1. `mcs` names modulation and code rate, for example "16qam-1/3";
    `block_bits` is the number of information bits a block, CRC included. `interleave` sends the blocks' symbols in
    turns, which spreads every fade over all blocks of the message.
    """

    def __init__(self, mcs: str = "16qam-1/3", block_bits: int = 1536, interleave: bool = False) -> None:
        stage = ChannelEncoder(mcs=mcs, block_bits=block_bits, interleave=interleave)
        super().__init__(stage, "channel_encoder")

    @staticmethod
    def knows(mcs: str) -> bool:
        """Whether there is an MCS of that name; for Companion, which turns a wrong one red."""
        try:
            mcs_table.get(mcs)
        except ValueError:
            return False
        return True

    def set_mcs(self, mcs: str) -> None:
        """Change the MCS; the receiver reads it from each packet."""
        self.set_parameter("mcs", mcs)

    def set_block_bits(self, block_bits: int) -> None:
        """Change the information bits a block."""
        self.set_parameter("block_bits", block_bits)

    def set_interleave(self, interleave: bool) -> None:
        """Switch interleaving on or off; the receiver reads it from each packet."""
        self.set_parameter("interleave", interleave)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of a link that has GNU Radio's own polar encoder inside."""

from __future__ import annotations

from ..phy import native
from ..phy.coding import LIST_SIZE
from .stage_block import StageBlock


class native_polar_segmenter(StageBlock):
    """Bits, uint8 of 0 and 1, to the blocks of information bits that GNU Radio's polar encoder takes, uint8.

    `mcs` and `code` decide k: `phy.native.information_bits(mcs, code)`; the native encoder must be made with the same.
    """

    def __init__(self, mcs: str = "16qam-1/3", code: str = native.DEFAULT_CODE) -> None:
        super().__init__(native.NativePolarSegmenter(mcs, code), "native_polar_segmenter")

    @staticmethod
    def knows(mcs: str, code: str = native.DEFAULT_CODE) -> bool:
        """Whether the native encoder can be used for these; for Companion, which turns wrong ones red."""
        try:
            native.information_bits(mcs, code)
        except ValueError:
            return False
        return True


class native_polar_decoder(StageBlock):
    """LLRs, float32 log P(0)/P(1) in the order of GNU Radio's polar encoder, to bits, uint8, by list decoding.

    `list_size`: 1 to 32 paths. The meta says which blocks failed.
    """

    def __init__(self, list_size: int = LIST_SIZE) -> None:
        super().__init__(native.NativePolarDecoder(list_size), "native_polar_decoder")

    def set_list_size(self, list_size: int) -> None:
        """Change the number of paths."""
        self.set_parameter("list_size", list_size)

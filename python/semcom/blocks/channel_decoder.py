# SPDX-License-Identifier: GPL-3.0-or-later
"""Log-likelihood ratios to bits."""

from __future__ import annotations

from ..phy.stages import ChannelDecoder
from .stage_block import StageBlock


class channel_decoder(StageBlock):
    """Decodes log P(0)/P(1), float32, to bits, uint8 of 0 and 1, and says in the meta which blocks failed.

    Decoding of an LDPC block stops early, at the latest after `max_iterations`; `list_size` is the polar decoder's.
    """

    def __init__(self, max_iterations: int = 50, list_size: int = 8) -> None:
        super().__init__(ChannelDecoder(max_iterations, list_size), "channel_decoder")

    def set_max_iterations(self, max_iterations: int) -> None:
        """Change the limit of iterations."""
        self.set_parameter("max_iterations", max_iterations)

    def set_list_size(self, list_size: int) -> None:
        """Change the number of paths that the polar decoder keeps."""
        self.set_parameter("list_size", list_size)

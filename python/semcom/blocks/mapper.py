# SPDX-License-Identifier: GPL-3.0-or-later
"""Coded bits to symbols."""

from __future__ import annotations

from ..phy.stages import Mapper
from .stage_block import StageBlock


class mapper(StageBlock):
    """Maps coded bits, uint8 of 0 and 1, to symbols, complex64 of unit mean energy, as the packet's MCS says."""

    def __init__(self) -> None:
        super().__init__(Mapper(), "mapper")

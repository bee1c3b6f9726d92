# SPDX-License-Identifier: GPL-3.0-or-later
"""Symbols to log-likelihood ratios."""

from __future__ import annotations

from ..phy.stages import SoftDemapper
from .stage_block import StageBlock


class soft_demapper(StageBlock):
    """Symbols, complex64, and their noise variances, float32, to log P(0)/P(1) of each bit, float32.

    `method` is "exact" or "maxlog".
    """

    def __init__(self, method: str = "exact") -> None:
        super().__init__(SoftDemapper(method=method), "soft_demapper")

    def set_method(self, method: str) -> None:
        """Change the method."""
        self.set_parameter("method", method)

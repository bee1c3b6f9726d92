# SPDX-License-Identifier: GPL-3.0-or-later
"""Divides the channel out."""

from __future__ import annotations

from ..phy.stages import Equaliser
from .stage_block import StageBlock


class equaliser(StageBlock):
    """Burst and coefficients, complex64, to symbols, complex64, and the noise variance of each, float32."""

    def __init__(self) -> None:
        super().__init__(Equaliser(), "equaliser")

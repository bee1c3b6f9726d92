# SPDX-License-Identifier: GPL-3.0-or-later
"""One burst to the parts of a payload."""

from __future__ import annotations

from ..phy.stages import Deframer
from .stage_block import StageBlock


class deframer(StageBlock):
    """Takes the symbols of a burst, complex64, and their noise variances, float32, apart again.

    Each part that `payload` ("bits", "symbols" or "both") names comes out as symbols and noise variances.
    """

    def __init__(self, payload: str = "bits") -> None:
        super().__init__(Deframer(payload=payload), "deframer")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a payload to one burst."""

from __future__ import annotations

from ..phy.stages import Framer
from .stage_block import StageBlock


class framer(StageBlock):
    """Puts digital and analog symbols into one burst; all complex64.

    `payload` "bits" takes digital symbols, "symbols" analog ones, "both" takes both, digital first.
    """

    def __init__(self, payload: str = "bits") -> None:
        super().__init__(Framer(payload=payload), "framer")

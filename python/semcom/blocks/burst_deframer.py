# SPDX-License-Identifier: GPL-3.0-or-later
"""The samples of one message to the parts of its payload."""

from __future__ import annotations

from ..phy.burst_stages import BurstDeframer
from .stage_block import StageBlock


class burst_deframer(StageBlock):
    """Finds a message's burst in the samples around it, complex64, and equalises it; every message comes out.

    Each part that `payload` ("bits", "symbols" or "both") names comes out as symbols, complex64, and noise variances,
    float32. The meta gets `radio`, what the receiver estimated; of a burst that was not found it is null, and `reason`
    is "lost". For samples of a radio, where no message is told from another beforehand: **Burst Receiver**.
    """

    def __init__(self, payload: str = "bits") -> None:
        super().__init__(BurstDeframer(payload=payload), "burst_deframer")

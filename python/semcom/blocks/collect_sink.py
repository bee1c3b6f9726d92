# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets from a flowgraph back to Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..message import Meta
from ..packets import PacketBlock
from ..stage import Port


class collect_sink(PacketBlock):
    """Appends each packet as (array [n], meta) to `received`, or hands it to `deliver` if that is given.

    `deliver` is called in the block's thread and may block: that holds the flowgraph back.
    """

    def __init__(self, deliver: Callable[[NDArray[Any], Meta], object] | None = None, dtype: type = np.uint8) -> None:
        super().__init__("collect_sink", (Port("message", dtype),), ())
        self.received: list[tuple[NDArray[Any], Meta]] = []
        self.deliver = deliver or (lambda array, meta: self.received.append((array, meta)))

    def prepare(self) -> None:
        """Forget what an earlier run received."""
        self.received.clear()

    def process(self, *arrays: NDArray[Any], meta: Meta) -> None:
        """Take one packet."""
        self.deliver(arrays[0], meta)

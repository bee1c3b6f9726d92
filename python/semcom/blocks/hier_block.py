# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of our hier blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gnuradio import gr

from ..stage import Port


class HierBlock(gr.hier_block2):
    """A hier block whose `connect` keeps a reference to every block: GNU Radio does not keep Python blocks alive."""

    def __init__(self, name: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        gr.hier_block2.__init__(self, name, _signature(inputs), _signature(outputs))
        self.input_count, self.output_count = len(inputs), len(outputs)
        self._kept: list[Any] = []

    def connect(self, *points: Any) -> None:
        """Connect endpoints in series, each a block or a (block, port)."""
        self._kept += [point[0] if isinstance(point, tuple) else point for point in points]
        super().connect(*points)


def _signature(ports: Sequence[Port]) -> Any:
    sizes = [np.dtype(port.dtype).itemsize for port in ports] or [0]
    return gr.io_signature.makev(len(ports), len(ports), sizes)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated air as a block of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..blocks.burst_receiver import _SampleReader
from ..message import Meta
from ..packets import PacketBlock
from ..phy.detection import sane
from ..stage import Port
from .simulated_air import Impairments, SimulatedAir

_SAMPLES = Port("samples", np.complex64)


class air_block(PacketBlock):
    """Samples, complex64, of bursts whose mean energy is 1 to what arrives of them; see `simulated_air.py`."""

    def __init__(self, settings: Impairments) -> None:
        super().__init__("air_block", (_SAMPLES,), (_SAMPLES,))
        self._readers = [_SampleReader(self.gateway, 0, _SAMPLES)]
        self.settings = settings
        self.prepare()

    def prepare(self) -> None:
        """Begin anew."""
        self.air = SimulatedAir(self.settings)

    def process(self, *arrays: NDArray[Any], meta: Meta) -> Iterator[tuple[Any, ...]]:  # type: ignore[override]
        """A piece of the stream."""
        arrived = self.air.push(sane(arrays[0]))
        if arrived.size:
            yield arrived, {}

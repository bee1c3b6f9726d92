# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples out of a flowgraph into a pipe, and out of a pipe into a flowgraph."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..message import Meta
from ..packets import PacketBlock
from ..stage import Port
from .pipes import Ending, Inlet, Outlet

_SAMPLES = Port("samples", np.complex64)
_WAIT_S = 0.05
_PATIENCE_S = 1.0  # how long a source may wait inside one call


class pipe_sink(PacketBlock):
    """Hands packets of samples, complex64, to an outlet and ends when the last one is taken.

    When nothing but silence is left and the receiver has gone, the rest is dropped.
    """

    def __init__(self, outlet: Outlet, ending: Ending) -> None:
        super().__init__("pipe_sink", (_SAMPLES,), (), heavy=True)  # it waits, outside the interpreter
        self.outlet, self.ending = outlet, ending

    def process(self, *arrays: NDArray[Any], meta: Meta) -> None:
        """Send one packet."""
        samples, piece = arrays[0], self.outlet.piece
        for begin in range(0, samples.size, piece):
            while not self.outlet.send(samples[begin : begin + piece], _WAIT_S):
                if self.ending.over.is_set() or (self.ending.idle.is_set() and self.outlet.abandoned()):
                    return

    def finish(self) -> None:
        """Wait until the last sample is taken."""
        self.outlet.close(wait=not self.ending.over.is_set())


class pipe_source(PacketBlock):
    """What comes from an inlet, complex64, until `ending` says that it is over."""

    def __init__(self, inlet: Inlet, ending: Ending) -> None:
        super().__init__("pipe_source", (), (_SAMPLES,), heavy=True)
        self.inlet, self.ending = inlet, ending

    def packets(self) -> Iterator[tuple[Any, ...] | None]:
        """Pieces as they come. GNU Radio asks a source that has nothing only four times a second: so it waits here."""
        while not self.ending.over.is_set():
            begun = time.monotonic()
            samples = self.inlet.receive(_WAIT_S)
            while samples is None and time.monotonic() < begun + _PATIENCE_S and not self.ending.over.is_set():
                samples = self.inlet.receive(_WAIT_S)
            yield (samples, {}) if samples is not None and samples.size else None

    def finish(self) -> None:
        """Let the inlet go."""
        self.inlet.close()

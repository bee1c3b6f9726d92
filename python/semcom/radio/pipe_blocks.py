# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples out of a flowgraph into a pipe, and out of a pipe into a flowgraph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..message import Meta
from ..packets import PacketBlock, _faults
from ..stage import Port
from .pipes import Ending, Inlet, Outlet

_SAMPLES = Port("samples", np.complex64)
_WAIT_S = 0.05


def over(ending: Ending) -> bool:
    """Whether a block that waits should give up: the end was called, or some block has failed."""
    return ending.over.is_set() or _faults.current is not None


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
                if over(self.ending) or (self.ending.idle.is_set() and self.outlet.abandoned()):
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
        """Pieces as they come.

        GNU Radio asks a source that had nothing only four times a second, so it waits here; None sends what was given
        on its way before that.
        """
        while not over(self.ending):
            samples = self.inlet.receive(0.0)
            if samples is None:
                yield None
                while samples is None and not over(self.ending):
                    samples = self.inlet.receive(_WAIT_S)
            if samples is not None and samples.size:
                yield samples, {}

    def finish(self) -> None:
        """Let the inlet go."""
        self.inlet.close()

# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage: one pure function of a link, run directly or inside a packet block with the same result.

A stage is a frozen dataclass whose fields are its parameters; `run` takes one numpy array for each input
port and the packet's meta, and returns one array for each output port and the new meta. It keeps no state,
so one object may serve any number of messages in any order. Randomness comes only from `Stage.random`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .message import Meta

Arrays = tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class Port:
    """Name and item type of a stage's input or output; `dtype` is uint8, float32 or complex64."""

    name: str
    dtype: type


@dataclass(frozen=True)
class Stage:
    """Base of all stages. Subclasses set `inputs` and `outputs` (or override them as properties)."""

    inputs: ClassVar[tuple[Port, ...]] = ()
    outputs: ClassVar[tuple[Port, ...]] = ()
    heavy: ClassVar[bool] = False  # takes much longer than its packet's arrays to copy: worth a processor of its own

    def prepare(self) -> None:
        """Load what is slow (models, tables) before the first packet; must be safe to call twice."""

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """Process one whole packet. Must not change `arrays` or `meta` in place."""
        raise TypeError(f"{type(self).__name__} does not define run()")

    def random(self, seed: int, meta: Meta) -> np.random.Generator:
        """The generator of this stage for this message: seeded by link seed, stage class and message id.

        Each further transmission of the same message (`transmission` in the meta) has its own.
        """
        key = [seed, zlib.crc32(type(self).__name__.encode()), int(meta.get("id", 0))]
        again = int(meta.get("transmission", 0))
        return np.random.default_rng([*key, again] if again else key)


@dataclass(frozen=True)
class Beside(Stage):
    """A stage that works on its own first arrays and hands the others, `passed`, on as they are."""

    stage: Stage
    passed: tuple[Port, ...] = ()

    @property
    def inputs(self) -> tuple[Port, ...]:  # type: ignore[override]
        """Those of the stage, then the passed ones."""
        return (*self.stage.inputs, *self.passed)

    @property
    def outputs(self) -> tuple[Port, ...]:  # type: ignore[override]
        """Those of the stage, then the passed ones."""
        return (*self.stage.outputs, *self.passed)

    @property
    def heavy(self) -> bool:  # type: ignore[override]
        """As the stage."""
        return self.stage.heavy

    def prepare(self) -> None:
        """Prepare the stage."""
        self.stage.prepare()

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """The stage's results, then the passed arrays."""
        own = len(self.stage.inputs)
        results, meta = self.stage.run(arrays[:own], meta)
        return (*results, *arrays[own:]), meta

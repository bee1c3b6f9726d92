# SPDX-License-Identifier: GPL-3.0-or-later
"""Any stage as a packet block."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from numpy.typing import NDArray

from ..message import Meta
from ..packets import PacketBlock
from ..stage import Stage


class StageBlock(PacketBlock):
    """Runs a stage on every packet; a parameter may change while the flowgraph runs."""

    def __init__(self, stage: Stage, name: str = "") -> None:
        super().__init__(name or type(stage).__name__, stage.inputs, stage.outputs, stage.heavy)
        self.stage = stage
        self._prepared = False

    def prepare(self) -> None:
        """Load what the stage needs."""
        self.stage.prepare()
        self._prepared = True

    def process(self, *arrays: NDArray[Any], meta: Meta) -> tuple[Any, ...]:
        """The stage's own result; the stage is read once, so a packet never sees half a change."""
        stage = self.stage
        results, meta = stage.run(arrays, meta)
        return (*results, meta)

    def set_parameter(self, name: str, value: Any) -> None:
        """Replace one parameter from the next packet on. ValueError if it is unknown or would change the ports."""
        known = [field.name for field in fields(self.stage)]
        if name not in known:
            raise ValueError(f"unknown parameter {name!r} of {self.title}: expected one of {', '.join(known)}")
        stage = replace(self.stage, **{name: value})
        if (stage.inputs, stage.outputs) != (self.stage.inputs, self.stage.outputs):
            raise ValueError(f"{name} of {self.title} decides its ports and cannot change to {value!r}")
        if self._prepared:
            stage.prepare()
        self.stage = stage

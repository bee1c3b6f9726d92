# SPDX-License-Identifier: GPL-3.0-or-later
"""What the two ends of a system have in common."""

from __future__ import annotations

from ..systems import registry
from ..systems.base import Request
from .stage_block import StageBlock


class SystemBlock(StageBlock):
    """A stage with a `system` and a `model`."""

    @staticmethod
    def knows(system: str, model: str = "") -> bool:
        """Whether the registry has that system with that model; for Companion, which turns a wrong one red."""
        try:
            registry.get(system).check(Request(model=model))
        except ValueError:
            return False
        return True

    def set_system(self, system: str) -> None:
        """Change the system."""
        self.set_parameter("system", system)

    def set_model(self, model: str) -> None:
        """Change the model."""
        self.set_parameter("model", model)

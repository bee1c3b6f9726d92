# SPDX-License-Identifier: GPL-3.0-or-later
"""What the two ends of a system have in common."""

from __future__ import annotations

from ..systems import registry
from ..systems.base import Request
from .stage_block import StageBlock


class SystemBlock(StageBlock):
    """A stage with a `system` and a `model`. `kind_of` names the system's attribute for its messages at this end."""

    kind_of = "kind"

    @staticmethod
    def check_payload(system: str, payload: str) -> None:
        """ValueError unless the system's payload is the one expected; an empty `payload` expects nothing."""
        found = registry.get(system).payload
        if payload not in ("", found):
            raise ValueError(f"payload of {system} is {found}, not {payload}")

    @classmethod
    def check_kind(cls, system: str, kind: str) -> None:
        """ValueError unless the messages at this end are of the kind expected; an empty `kind` expects nothing."""
        found = getattr(registry.get(system), cls.kind_of)
        if kind not in ("", found):
            raise ValueError(f"messages of {system} are {found} here, not {kind}")

    @classmethod
    def knows(cls, system: str, model: str = "", payload: str = "", kind: str = "") -> bool:
        """Whether the registry has that system with that model, payload and kind; for Companion: a wrong one turns
        red."""
        try:
            registry.get(system).check(Request(model=model))
            cls.check_payload(system, payload)
            cls.check_kind(system, kind)
        except ValueError:
            return False
        return True

    def set_system(self, system: str) -> None:
        """Change the system."""
        self.set_parameter("system", system)

    def set_model(self, model: str) -> None:
        """Change the model."""
        self.set_parameter("model", model)

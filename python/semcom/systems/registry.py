# SPDX-License-Identifier: GPL-3.0-or-later
"""All systems by name: one folder each below this one, the classic codecs, and other packages' entry points."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache
from importlib.metadata import entry_points

from .base import System


@lru_cache(maxsize=1)
def systems() -> dict[str, System]:
    """Every system that is here. A folder takes part by defining `SYSTEM`; a package by an entry point
    of group `semcom.systems` that names a `System`."""
    found: dict[str, System] = {}
    package = importlib.import_module(__package__ or "")
    for module in pkgutil.iter_modules(package.__path__):
        if module.ispkg:
            system = getattr(importlib.import_module(f"{__package__}.{module.name}"), "SYSTEM", None)
            if system is not None:
                found[system.name] = system
    from .classic import classic_systems

    for system in classic_systems():
        found[system.name] = system
    for point in entry_points(group="semcom.systems"):
        system = point.load()
        found[system.name] = system() if isinstance(system, type) else system
    return found


def get(name: str) -> System:
    """The system of that name; ValueError lists the names there are."""
    known = systems()
    if name not in known:
        raise ValueError(f"unknown system {name!r}: expected one of {', '.join(known)}")
    return known[name]

# SPDX-License-Identifier: GPL-3.0-or-later
"""All systems by name: one folder each below this one, the classic codecs, other packages' entry points, own models."""

from __future__ import annotations

import importlib
import logging
import pkgutil
from functools import lru_cache
from importlib.metadata import entry_points

from .base import System

log = logging.getLogger("semcom.systems")
GROUP = "semcom.systems"
CARDS = (".yml", ".yaml")


@lru_cache(maxsize=1)
def systems() -> dict[str, System]:
    """Every system that is here. A folder takes part by defining `SYSTEM`; a package by an entry point
    of group `semcom.systems` that names a `System`, a class of its own or an object; one that fails is a warning."""
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
    for point in entry_points(group=GROUP):
        try:
            loaded = point.load()
            system = loaded() if isinstance(loaded, type) else loaded
            if not isinstance(system, System) or system.name in found:
                raise ValueError("it is no System" if not isinstance(system, System) else f"{system.name!r} is taken")
        except Exception as error:  # somebody else's package must not take ours down
            log.warning("the system %s of another package is left out: %s", point.value, error)
            continue
        found[system.name] = system
    return found


def get(name: str) -> System:
    """The system of that name, or of the card at that path (`.yml`, `.yaml`); ValueError lists the names there are."""
    if name.endswith(CARDS):
        from .own_model import from_card

        return from_card(name)
    known = systems()
    if name not in known:
        raise ValueError(f"unknown system {name!r}: expected one of {', '.join(known)}, or the path of a card.yml")
    return known[name]

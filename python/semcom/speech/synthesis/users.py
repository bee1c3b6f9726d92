# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is registered, and with which voice."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from .voices import ENGINES, Voice

OWN_FILE = "SEMCOM_VOICES"
PACKAGED = Path(__file__).resolve().parents[1] / "data" / "voices.yml"
FIELDS = ("engine", "voice", "speed")


def voices_file() -> Path:
    """The file that holds the users."""
    return Path(os.environ.get(OWN_FILE) or PACKAGED)


def users(wanted: str | None = None) -> dict[str, dict[str, Any]]:
    """Every registered id with its `engine`, `voice` and `speed`.

    ValueError where the file is wrong, and where `wanted` is given and not registered.
    """
    path = voices_file()
    try:
        stamp = path.stat().st_mtime_ns
    except OSError as error:
        raise ValueError(f"{path}: no such file of voices; {OWN_FILE} names it ({error.strerror})") from error
    found = _read(path, stamp)
    if wanted is not None and wanted not in found:
        raise ValueError(
            f"user {wanted!r} is not registered: expected one of {', '.join(found)}; register voices in a file "
            f"that {OWN_FILE} names (see {path.name})"
        )
    return found


@lru_cache(maxsize=4)
def _read(path: Path, stamp: int) -> dict[str, dict[str, Any]]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path}: expected a mapping of user ids to voices")
    found = {}
    for user, entry in content.items():
        if not isinstance(entry, dict) or set(entry) - set(FIELDS):
            raise ValueError(f"{path}: {user} must be a mapping of {', '.join(FIELDS)}, not {entry!r}")
        engine, speed = entry.get("engine"), entry.get("speed", 1.0)
        if engine not in ENGINES:
            raise ValueError(f"{path}: engine of {user} must be one of {', '.join(ENGINES)}, not {engine!r}")
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0.5 <= speed <= 2:
            raise ValueError(f"{path}: speed of {user} must be from 0.5 to 2, not {speed!r}")
        found[str(user)] = {"engine": engine, "voice": str(entry.get("voice") or ""), "speed": float(speed)}
    return found


def voice_of(user: str) -> Voice:
    """The voice of a registered user; ValueError for an unknown id."""
    return _voice(**users(user)[user])


@lru_cache(maxsize=8)
def _voice(engine: str, voice: str, speed: float) -> Voice:
    return ENGINES[engine](voice, speed)

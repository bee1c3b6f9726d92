# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides a result, as one hash: settings, seed, rule, inputs, the versions and sources that compute it."""

from __future__ import annotations

import hashlib
import importlib.metadata as metadata
from functools import lru_cache
from pathlib import Path
from typing import Any

from .settings import digest, kind_module
from .sweep import Job

PACKAGE = Path(__file__).resolve().parents[1]
_NOT_DECIDING = ("inputs", "flowgraph", "timeout_s", "device")  # paths, a limit of time, a place: the content counts


@lru_cache(maxsize=8)
def sources(kind: str) -> str:
    """SHA-256 of the source files that a kind's numbers come from: other sources, other results."""
    sha = hashlib.sha256()
    found = {path for pattern in kind_module(kind).SOURCES for path in PACKAGE.glob(pattern) if path.is_file()}
    for path in sorted(found):
        sha.update(f"{path.relative_to(PACKAGE).as_posix()}\0".encode())
        sha.update(hashlib.sha256(path.read_bytes()).digest())
    return sha.hexdigest()


@lru_cache(maxsize=8)
def deciding_versions(kind: str) -> dict[str, str]:
    """Versions of the packages that a kind's numbers come from, without importing the large ones."""
    found = {}
    for name in kind_module(kind).VERSIONS:
        if name == "gnuradio":
            from gnuradio import gr

            found[name] = gr.version()
            continue
        for build in (name, f"{name}-gpu"):
            try:
                found[name] = metadata.version(build)
                break
            except metadata.PackageNotFoundError:
                continue
    return found


def fingerprint(job: Job) -> str:
    """What a finished point must have to be taken: a hash of what was asked, a dash, a hash of what computed it."""
    settings = {name: value for name, value in job.settings.items() if name not in _NOT_DECIDING}
    content: dict[str, Any] = {
        "kind": job.kind, "settings": settings, "seed": job.seed, "stop": job.stop.as_dict() | {"clean": 0},
        "identity": kind_module(job.kind).identity(job.settings),
    }  # fmt: skip
    return f"{digest(content)[:32]}-{digest([deciding_versions(job.kind), sources(job.kind)])[:16]}"

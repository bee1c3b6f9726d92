# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the packages of pyproject.toml's `dependencies` and of the named extras, one a line.

    python tools/requirements.py [--missing] [--gpu] EXTRA...

`--missing` prints only what this interpreter lacks; `--gpu` takes the GPU build of ONNX Runtime. Standard
library only: it runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

GPU_BUILDS = {"onnxruntime": "onnxruntime-gpu"}


def requirements(extras: list[str]) -> list[str]:
    """Names in order, without repeats; ValueError for an extra that pyproject.toml lacks."""
    with (Path(__file__).resolve().parent.parent / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    names = list(project["dependencies"])
    for extra in extras:
        if extra not in project["optional-dependencies"]:
            known = ", ".join(project["optional-dependencies"])
            raise ValueError(f"unknown extra {extra!r}: expected one of {known}")
        names += project["optional-dependencies"][extra]
    return list(dict.fromkeys(names))


def installed(requirement: str) -> bool:
    """Whether this interpreter has the package, in any build."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
    for build in (name, GPU_BUILDS.get(name, name)):
        try:
            metadata.version(build)
            return True
        except metadata.PackageNotFoundError:
            continue
    return False


def main(arguments: list[str]) -> int:
    """Entry point."""
    try:
        names = requirements([a for a in arguments if not a.startswith("--")])
    except ValueError as error:
        print(f"requirements.py: {error}", file=sys.stderr)
        return 2
    if "--missing" in arguments:
        names = [name for name in names if not installed(name)]
    if "--gpu" in arguments:
        names = [GPU_BUILDS.get(name, name) for name in names]
    print("\n".join(names))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

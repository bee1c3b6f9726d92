# SPDX-License-Identifier: GPL-3.0-or-later
"""A model is a folder `models/<system>/<variant>/` with a `card.yml` that lists its files and their hashes."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .files import LARGEST_FILE, read_verified
from .session import CPU, check_device, onnx_session

__all__ = ["LARGEST_FILE", "Model", "available", "find", "load", "roots"]


def roots() -> list[Path]:
    """Folders that may hold models: `SEMCOM_MODELS`, the source tree, the installation prefix."""
    package = Path(__file__).resolve().parents[1]
    places = [Path(p) for p in os.environ.get("SEMCOM_MODELS", "").split(os.pathsep) if p]
    places.append(package.parents[1] / "models")
    places += [parent / "share/gr-semcom/models" for parent in package.parents]
    return [place for place in places if place.is_dir()]


def available(system: str) -> list[str]:
    """Names of the variants of a system that are here, sorted."""
    return sorted({card.parent.name for root in roots() for card in root.glob(f"{system}/*/card.yml")})


def find(system: str, variant: str) -> Path:
    """Folder of a model; ValueError names the variants that exist."""
    if variant in available(system):
        for root in roots():
            folder = root / system / variant
            if (folder / "card.yml").is_file():
                return folder
    known = ", ".join(available(system)) or "none is installed"
    raise ValueError(f"unknown model {variant!r} for {system}: expected one of {known}")


class Model:
    """Verified files of one card, with a session for each ONNX part made when first used."""

    def __init__(self, folder: Path, device: str = "auto") -> None:
        import yaml

        self.folder = folder
        self.device = check_device(device)
        with (folder / "card.yml").open() as file:
            self.card: dict[str, Any] = yaml.safe_load(file)
        self._sessions: dict[tuple[str, bool], Any] = {}
        self.provider = CPU
        self._content = {name: read_verified(folder, name, sha256) for name, sha256 in self.card["files"].items()}

    def session(self, part: str, cpu_only: bool = False) -> Any:
        """The ONNX Runtime session of `<part>.onnx`."""
        key = (part, cpu_only)
        if key not in self._sessions:
            device = "cpu" if cpu_only else self.device
            session, provider = onnx_session(self._content[f"{part}.onnx"], device, part)
            if not cpu_only:
                self.provider = provider
            self._sessions[key] = session
        return self._sessions[key]

    def run(self, part: str, *inputs: NDArray[Any], cpu_only: bool = False) -> list[NDArray[Any]]:
        """Run one part on its inputs in the order the graph names them."""
        session = self.session(part, cpu_only)
        feed = {node.name: value for node, value in zip(session.get_inputs(), inputs, strict=True)}
        return session.run(None, feed)

    def text(self, name: str) -> str:
        """Content of a verified text file in UTF-8."""
        return self._content[name].decode()

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Content of a verified `.npz` file; pickled arrays are refused."""
        import io

        import numpy as np

        with np.load(io.BytesIO(self._content[name]), allow_pickle=False) as file:
            return {key: file[key] for key in file.files}


@lru_cache(maxsize=8)
def load(system: str, variant: str, device: str = "auto") -> Model:
    """The model of a system, verified once a process."""
    return Model(find(system, variant), device)

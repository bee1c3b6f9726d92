# SPDX-License-Identifier: GPL-3.0-or-later
"""A model is a folder `models/<system>/<variant>/` with a `card.yml` that lists its files and their hashes."""

from __future__ import annotations

import hashlib
import logging
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger("semcom.zoo")
LARGEST_FILE = 512 * 2**20  # bytes; a card may come from anywhere


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

        if device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"device must be auto, cpu or cuda, not {device!r}")
        self.folder = folder
        self.device = device
        with (folder / "card.yml").open() as file:
            self.card: dict[str, Any] = yaml.safe_load(file)
        self._content: dict[str, bytes] = {}
        self._sessions: dict[tuple[str, bool], Any] = {}
        self.provider = "CPUExecutionProvider"
        for name, expected in self.card["files"].items():
            self._content[name] = self._verified(name, expected)

    def _verified(self, name: str, expected: str) -> bytes:
        path = self.folder / name
        if Path(name).name != name:
            raise ValueError(f"{self.folder / 'card.yml'}: file name {name!r} must not contain a folder")
        if not path.is_file():
            raise ValueError(f"{path}: listed in card.yml but missing; install the model again")
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"{path}: larger than {LARGEST_FILE} bytes, refused")
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            raise ValueError(
                f"{path}: sha256 {found[:12]}... does not match {expected[:12]}... of card.yml; "
                "the file was changed, install the model again"
            )
        return content

    def session(self, part: str, cpu_only: bool = False) -> Any:
        """The ONNX Runtime session of `<part>.onnx`; one thread, no spinning: the graph is the parallelism."""
        key = (part, cpu_only)
        if key not in self._sessions:
            import onnxruntime as ort

            options = ort.SessionOptions()
            options.intra_op_num_threads = 1
            options.inter_op_num_threads = 1
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            options.log_severity_level = 3
            options.enable_cpu_mem_arena = False  # it would keep the peak of the largest picture for ever
            if os.environ.get("SEMCOM_ORT_OPTIMISE") == "off":  # to test that results do not depend on it
                options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            wanted = ["CPUExecutionProvider"]
            if self.device != "cpu" and not cpu_only and "CUDAExecutionProvider" in ort.get_available_providers():
                wanted.insert(0, "CUDAExecutionProvider")
            session = ort.InferenceSession(self._content[f"{part}.onnx"], options, providers=wanted)
            if not cpu_only:
                self.provider = session.get_providers()[0]
                if self.device == "cuda" and self.provider != "CUDAExecutionProvider":
                    log.warning("CUDA was asked for, but %s runs on %s", part, self.provider)
            self._sessions[key] = session
        return self._sessions[key]

    def run(self, part: str, *inputs: NDArray[Any], cpu_only: bool = False) -> list[NDArray[Any]]:
        """Run one part on its inputs in the order the graph names them."""
        session = self.session(part, cpu_only)
        feed = {node.name: value for node, value in zip(session.get_inputs(), inputs, strict=True)}
        return session.run(None, feed)

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Content of a verified `.npz` file; pickled arrays are refused."""
        import io

        with np.load(io.BytesIO(self._content[name]), allow_pickle=False) as file:
            return {key: file[key] for key in file.files}


@lru_cache(maxsize=8)
def load(system: str, variant: str, device: str = "auto") -> Model:
    """The model of a system, verified once a process."""
    return Model(find(system, variant), device)

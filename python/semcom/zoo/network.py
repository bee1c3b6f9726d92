# SPDX-License-Identifier: GPL-3.0-or-later
"""A network in a file of somebody's own: one interface, whichever runtime the file is for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

SUFFIXES = {
    ".onnx": "ONNX, run by ONNX Runtime",
    ".pt2": "an exported program of PyTorch, torch.export.save",
    ".pt": "TorchScript, torch.jit.save",
}


@dataclass(frozen=True)
class Declared:
    """What a file says of one input or output: numpy's name of the type, and a size, or None where it is free, for each
    axis. What it does not say is None."""

    name: str
    dtype: str | None
    shape: tuple[int | None, ...] | None


class Network(ABC):
    """A function of arrays. `inputs` and `outputs` are what the file declares, None where it does not."""

    provider: str
    inputs: tuple[Declared, ...] | None
    outputs: tuple[Declared, ...] | None

    @abstractmethod
    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs for these inputs, in the file's order. Whatever the runtime raises comes as RuntimeError."""


def open_network(name: str, content: bytes, device: str = "auto") -> Network:
    """The network in `content`, the bytes of the file `name`, by the name's suffix.

    ValueError, which begins with the name, for what is refused: another format, operators that are random, custom or
    reach for files, pickles.
    """
    suffix = "." + name.rpartition(".")[2]
    if suffix == ".onnx":
        from .onnx_network import OnnxNetwork

        return OnnxNetwork(name, content, device)
    if suffix == ".pt2":
        from .exported_program import ExportedProgram

        return ExportedProgram(name, content, device)
    if suffix == ".pt":
        from .torch_script import TorchScript

        return TorchScript(name, content, device)
    known = "; ".join(f"{key} ({what})" for key, what in SUFFIXES.items())
    raise ValueError(f"{name}: unknown kind of model file, expected one of {known}")

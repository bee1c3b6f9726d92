# SPDX-License-Identifier: GPL-3.0-or-later
"""What both kinds of PyTorch files need: a device, one thread, arrays in and out. Torch is imported when called."""

from __future__ import annotations

import contextlib
import logging
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from numpy.typing import NDArray

from .files import LARGEST_FILE
from .session import check_device

log = logging.getLogger("semcom.zoo")


def torch_module(name: str) -> Any:
    """Torch; ValueError that says how to get it."""
    try:
        import torch
    except ImportError as error:
        raise ValueError(f"{name}: needs torch, which is not installed: run `make setup`, or export to ONNX") from error
    return torch


def torch_device(device: str, name: str) -> str:
    """Torch's name: "cuda" where it is wanted and there, else "cpu"; a warning where CUDA was asked for in vain."""
    wanted = check_device(device) != "cpu"
    if wanted and torch_module(name).cuda.is_available():
        return "cuda"
    if device == "cuda":
        log.warning("CUDA was asked for, but %s runs on Torch's CPU", name)
    return "cpu"


@contextlib.contextmanager
def one_thread(name: str) -> Iterator[Any]:
    """Torch without gradients, on one thread: the graph is the parallelism."""
    torch = torch_module(name)
    threads = torch.get_num_threads()
    if threads != 1:
        torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield torch
    finally:
        if threads != 1:
            torch.set_num_threads(threads)


def to_tensors(torch: Any, inputs: tuple[NDArray[Any], ...], device: str) -> list[Any]:
    """Arrays as tensors on the device, copied: a model may work in place."""
    return [torch.from_numpy(array.copy()).to(device) for array in inputs]


def to_arrays(name: str, outputs: Any, torch: Any) -> list[NDArray[Any]]:
    """A tensor, or a tuple or list of them, as arrays."""
    several = list(outputs) if isinstance(outputs, tuple | list) else [outputs]
    for output in several:
        if not isinstance(output, torch.Tensor):
            raise RuntimeError(f"Torch: {name} gave a {type(output).__name__} where a tensor belongs")
    try:
        return [output.contiguous().cpu().numpy() for output in several]
    except TypeError as error:  # a type that numpy does not have
        raise RuntimeError(f"Torch: {name} gave {error}") from error


def packed(top: str, files: dict[str, bytes]) -> BytesIO:
    """The files as an archive again: what another reader finds in it is what was looked at, and nothing else."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for path, content in files.items():
            file.writestr(f"{top}/{path}", content)
    stream.seek(0)
    return stream


def archive(name: str, content: bytes, kind: str) -> tuple[str, dict[str, bytes]]:
    """The top folder of a PyTorch archive and its files below it, unpacked in memory.

    ValueError for what is no archive, such as a plain pickle, or would unpack to more than `LARGEST_FILE` bytes.
    """
    try:
        with zipfile.ZipFile(BytesIO(content)) as file:
            entries = file.infolist()
            if sum(entry.file_size for entry in entries) > LARGEST_FILE:
                raise ValueError(f"{name}: unpacks to more than {LARGEST_FILE} bytes, refused")
            paths = [entry.filename for entry in entries]
            if len(set(paths)) != len(paths):
                raise ValueError(f"{name}: an archive with one name twice, refused")
            tops = {path.partition("/")[0] for path in paths}
            if len(tops) != 1:
                raise ValueError(f"{name}: not {kind}: found an archive of {len(tops)} folders")
            top = tops.pop()
            return top, {entry.filename[len(top) + 1 :]: file.read(entry) for entry in entries}
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError) as error:
        raise ValueError(f"{name}: not {kind}: expected an archive, found something else (a pickle?)") from error

# SPDX-License-Identifier: GPL-3.0-or-later
"""What every command that writes results needs: folders, files, a progress bar, versions, memory."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any


def prepare_output(folder: Path) -> None:
    """Make the folder and prove that it can be written, before any work is done."""
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"output folder {folder} cannot be written: {error.strerror}; choose another") from error


def write_text(path: Path, text: str) -> None:
    """Write aside, then rename: a reader never sees half a file."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text)
    os.replace(temporary, path)


def safe_name(name: str) -> str:
    """A message's name as a file name in the output folder."""
    stem = name.rsplit(".", 1)[0] if "." in Path(name).name else name
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stem).lstrip(".") or "message"


def progress_bar(total: int, unit: str) -> Any:
    """A bar on stderr where a person watches, else nothing."""
    from tqdm import tqdm

    return tqdm(total=total, unit=f" {unit}", file=sys.stderr, disable=None, leave=False)


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    import importlib.metadata as metadata

    import numpy
    from gnuradio import gr

    found = {"gnuradio": gr.version(), "numpy": numpy.__version__}
    for name in ("onnxruntime", "pillow", "av", "soundfile", "faster-whisper", "moonshine-voice", "hibari-tts"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def return_large_blocks() -> None:
    """Let glibc give large arrays back when they are freed; else every thread of a flowgraph keeps its peak.

    Halves the memory of a run with a 6 Mpixel picture, at no cost in time.
    """
    import ctypes

    with contextlib.suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(-3, 4 * 2**20)  # M_MMAP_THRESHOLD


def processor() -> str:
    """Name of the processor, for results: what the kernel says, else what Python knows."""
    import platform

    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

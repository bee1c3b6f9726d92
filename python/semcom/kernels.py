# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the C++ kernels (`lib/`), one shared library with a plain C interface, through ctypes.

ctypes releases the interpreter lock during a call, so kernels run beside Python.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray


def pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    """Where an array's items begin, as a kernel takes it; the array must be contiguous and must be kept alive."""
    return ctypes.c_void_p(array.ctypes.data)


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The kernel library that lies beside this file.

    Raises RuntimeError, in one line that says how to build it, if it is missing or does not load.
    """
    path = Path(__file__).with_name("_kernels.so")
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise RuntimeError(
            f"the kernel library {path.name} is missing or unusable ({error}): "
            "run `make setup`, or build and install the module with cmake"
        ) from error

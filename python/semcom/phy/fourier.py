# SPDX-License-Identifier: GPL-3.0-or-later
"""Fourier transforms that stay in single precision (numpy's do not); scipy is imported by the first one."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray


def fft(array: NDArray[Any], norm: str | None = None) -> NDArray[Any]:
    """The transform along the last axis; complex64 gives complex64."""
    from scipy import fft as transforms

    return transforms.fft(array, axis=-1, norm=norm)


def ifft(array: NDArray[Any], norm: str | None = None) -> NDArray[Any]:
    """The inverse transform along the last axis; complex64 gives complex64."""
    from scipy import fft as transforms

    return transforms.ifft(array, axis=-1, norm=norm)

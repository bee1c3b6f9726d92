# SPDX-License-Identifier: GPL-3.0-or-later
"""Distances between two sets of utterances in the space of a recogniser's last hidden layer (Binkowski et al. 2020).

Each utterance is one vector, the mean of its hidden frames. The two formulas are those of DeepSC-ST with its misprints
corrected: FDSD's trace has the factor 2, without which equal sets were apart; KDSD's three terms compare the first set
with itself, the second with itself, and the two with each other. Values of different recognisers do not compare.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vectors = NDArray[np.float64]


def fdsd(sent: ArrayLike, received: ArrayLike) -> float:
    """Frechet distance of the Gaussians fitted to [U, V] and [W, V]; sets of at least 2 vectors.

    |m - n|^2 + tr(S + T - 2 (S T)^(1/2)), and of that the root. The last trace is the sum of the singular values of the
    cross Gram matrix of the centred sets, which is exact where there are fewer utterances than dimensions.
    """
    first, second = _checked(sent, received)
    a = (first - first.mean(0)) / np.sqrt(len(first) - 1)
    b = (second - second.mean(0)) / np.sqrt(len(second) - 1)
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    distance = np.sum((first.mean(0) - second.mean(0)) ** 2) + np.sum(a**2) + np.sum(b**2) - 2 * cross
    return float(np.sqrt(max(distance, 0.0)))


def kdsd_squared(sent: ArrayLike, received: ArrayLike) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (a.b / V + 1)^3; may be negative for equal sets."""
    first, second = _checked(sent, received)

    def kernel(a: Vectors, b: Vectors) -> Vectors:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a: Vectors) -> float:
        k = kernel(a, a)
        return float((k.sum() - np.trace(k)) / (len(a) * (len(a) - 1)))

    return within(first) + within(second) - 2 * float(kernel(first, second).mean())


def kdsd(sent: ArrayLike, received: ArrayLike) -> float:
    """The root of `kdsd_squared`, 0 where that is negative."""
    return float(np.sqrt(max(kdsd_squared(sent, received), 0.0)))


def _checked(sent: ArrayLike, received: ArrayLike) -> tuple[Vectors, Vectors]:
    sets = np.asarray(sent, np.float64), np.asarray(received, np.float64)
    if any(s.ndim != 2 or len(s) < 2 for s in sets) or sets[0].shape[1] != sets[1].shape[1]:
        shapes = " and ".join(str(list(s.shape)) for s in sets)
        raise ValueError(f"two sets of at least 2 vectors of one length are needed, not {shapes}")
    return sets

# SPDX-License-Identifier: GPL-3.0-or-later
"""The presets of NCSC: which network, and what training must know of it beside its layers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .network import QUALITIES, Small
from .paper import Paper

# one lambda a quality node of `small`, for R + lambda * 255^2 * MSE (R in bit/pixel)
LAMBDAS = [0.0006, 0.00092, 0.00141, 0.00217, 0.00333, 0.0051, 0.012, 0.03]
STRUCTURE_FACTOR = 1300.0  # lambda of 1 - MS-SSIM per lambda of MSE: equal rates in the public tables
LOSSES = ("mse", "ms_ssim")
PAPER_LAMBDAS = {"mse": 0.0018, "ms_ssim": 2.4}
"""What gives the paper's rates, 0.117 and 0.100 bit/pixel, in the public results of this kind of network."""


@dataclass(frozen=True)
class Goal:
    """One step's aim: at `quality`, bit/pixel + `error` * 255^2 * MSE + `structure` * (1 - MS-SSIM)."""

    quality: float
    error: float
    structure: float


@dataclass(frozen=True)
class Preset:
    """A network to train: `build` makes it; `large` and `small` are side and number of crops in a batch from
    photographs at least as large (`small` None: smaller photographs are left out); `goal` draws a step's aim;
    `qualities` are those that validation reports; `mixed_precision` is bfloat16 and, on the CPU, channels last (with
    which Torch 2.13 crashes in narrow strided 1x1 convolutions)."""

    name: str
    build: Callable[[], Small | Paper]
    learning_rate: float
    goal: Callable[[random.Random], Goal]
    large: tuple[int, int]
    small: tuple[int, int] | None = None
    qualities: tuple[float, ...] = field(default=(0.0,))
    mixed_precision: bool = False


def get_preset(name: str = "small", loss: str = "mse", rate_lambda: float | None = None) -> Preset:
    """The preset of that name: `small`, `paper` (128 channels) or `paper-192`, for a loss of `LOSSES`.

    `rate_lambda` is the one rate point of the paper's network; `small` learns all of its own. ValueError for what
    there is not.
    """
    if loss not in LOSSES:
        raise ValueError(f"loss must be {' or '.join(LOSSES)}, not {loss!r}")
    if name == "small":
        if rate_lambda is not None:
            raise ValueError("lambda is for the paper's network: `small` learns all its rates at once")
        return Preset(
            name, Small, 6e-4, lambda chooser: _small_goal(chooser, loss), (192, 8), (128, 16),
            (0.0, 1.5, 3.0, 5.0, 7.0), mixed_precision=True,
        )  # fmt: skip
    if name not in ("paper", "paper-192"):
        raise ValueError(f"preset of ncsc must be small, paper or paper-192, not {name!r}")
    weight = PAPER_LAMBDAS[loss] if rate_lambda is None else rate_lambda
    if not 0 < weight < float("inf"):
        raise ValueError(f"lambda must be above 0 and finite, not {weight}")
    channels = 192 if name == "paper-192" else 128
    goal = Goal(0.0, weight, 0.0) if loss == "mse" else Goal(0.0, 0.0, weight)
    return Preset(name, lambda: Paper(channels), 1e-4, lambda chooser: goal, (256, 8))


def _small_goal(chooser: random.Random, loss: str) -> Goal:
    # low rates are what links use most: half of the time the lower three nodes
    quality = chooser.uniform(0, 3) if chooser.random() < 0.5 else chooser.uniform(0, QUALITIES - 1)
    factor = float(np.exp(np.interp(quality, range(QUALITIES), np.log(LAMBDAS))))
    if loss == "mse":
        return Goal(quality, factor, 0.0)
    return Goal(quality, 0.02 * factor, factor * STRUCTURE_FACTOR)

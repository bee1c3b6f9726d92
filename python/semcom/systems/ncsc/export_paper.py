# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the paper's network as graphs, for those who build a coder on them: ours does not run them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..exporting import Part, picture_input
from .paper import REACH, Paper


def noise(channels: int, side: int) -> Tensor:
    """Normal values [1, channels, side, side + 1]."""
    return torch.randn(1, channels, side, side + 1) * 2


class _Head(nn.Module):
    """Mixtures with weights, means and scales in channels, [B, 3N, h, w] each: component, then latent."""

    def __init__(self, model: Paper) -> None:
        super().__init__()
        self.head = model.head

    def forward(self, hyper: Tensor, context: Tensor) -> tuple[Tensor, ...]:
        return tuple(t.flatten(1, 2) for t in self.head.mixture(hyper, context))


class _PaperSynthesis(nn.Module):
    def __init__(self, model: Paper) -> None:
        super().__init__()
        self.part = model.synthesis

    def forward(self, latents: Tensor) -> Tensor:
        return self.part(latents).clamp(0, 1)


def paper_parts(model: Paper) -> dict[str, Part]:
    """The paper's parts. `context` takes the latents with two positions more on each side: zeros around a picture, or
    the 5x5 surroundings of one position in the serial decoder."""
    n = model.channels
    return {
        "analysis": Part(model.analysis, picture_input, ("latents",)),
        "hyper_analysis": Part(model.hyper_analysis, lambda s: {"latents": noise(n, 4 * s)}, ("z",)),
        "hyper_synthesis": Part(model.hyper_synthesis, lambda s: {"z": noise(n, s)}, ("hyper",)),
        "context": Part(model.context, lambda s: {"latents": noise(n, 2 * REACH + 4 * s - 3)}, ("context",)),
        "entropy_parameters": Part(
            _Head(model),
            lambda s: {"hyper": noise(2 * n, 4 * s - 3), "context": noise(2 * n, 4 * s - 3)},
            ("weight", "mean", "scale"),
        ),
        "synthesis": Part(_PaperSynthesis(model), lambda s: {"latents": noise(n, 4 * s)}, ("picture",)),
    }


def paper_constants(model: Paper) -> dict[str, np.ndarray]:
    """What codes z, rounded about its `median` [N]: `first` [N], the least value of each channel, and `mass`
    [N, widest], the probabilities from there on, zeros where a channel has fewer."""
    density = model.density
    density.fit()
    low, median, high = density.quantiles.detach().double().unbind(1)
    first = torch.floor(low - median)
    count = int((torch.ceil(high - median) - first).max()) + 1
    values = first[:, None] + torch.arange(count)
    with torch.no_grad():
        mass = density.double().mass(values + median[:, None])
    density.float()
    mass = mass * (values <= torch.ceil(high - median)[:, None])
    return {"median": median.numpy(), "first": first.numpy().astype(np.int32), "mass": mass.numpy()}

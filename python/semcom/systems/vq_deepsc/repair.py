# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiver's prior: what doubtful indices most likely are, given what arrived of them and of all around them.

A small convolutional network over all scales at once. It is fed with beliefs, the probabilities of each code at each
place, and says what they should be from the neighbours' alone; what the channel said is then multiplied in, and the
whole is done three times over. Trained by `fit.py` on indices of photographs with noisy and missing bits; runs as
`repair.onnx`. Only receivers use it, so nothing depends on the last digit of what it computes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .presets import Geometry

WIDTH = 48
ROUNDS = 3


class Neighbours(nn.Module):
    """Beliefs of all scales to what one scale's should be, without a look at its own place."""

    mask: Tensor

    def __init__(self, geometry: Geometry, number: int) -> None:
        super().__init__()
        scales = geometry.scales
        codes, grid = scales[number].codes, scales[number].grid
        self.number = number
        self.own = nn.Conv2d(codes, WIDTH, 5, padding=2)
        self.finer = nn.Conv2d(scales[number - 1].codes, WIDTH, 4, 2, 1) if number else None
        self.coarser = (
            nn.Conv2d(scales[number + 1].codes, 4 * WIDTH, 3, padding=1) if number + 1 < len(scales) else None
        )
        self.place = nn.Parameter(torch.zeros(1, WIDTH, min(grid, 8), min(grid, 8)))
        self.grid = grid
        self.mix = nn.Conv2d(WIDTH, WIDTH, 1)
        self.output = nn.Conv2d(WIDTH, codes, 1)
        self.register_buffer("mask", torch.ones(5, 5))
        self.mask[2, 2] = 0

    def forward(self, beliefs: list[Tensor]) -> Tensor:
        """[B, N, h, w] for each scale, finest first, to logits [B, N, h, w]."""
        x = F.conv2d(beliefs[self.number], self.own.weight * self.mask, self.own.bias, padding=2)
        if self.finer is not None:
            x = x + self.finer(beliefs[self.number - 1])
        if self.coarser is not None:
            x = x + F.pixel_shuffle(self.coarser(beliefs[self.number + 1]), 2)
        x = x + self.place.repeat_interleave(self.grid // self.place.shape[2], 2).repeat_interleave(
            self.grid // self.place.shape[3], 3
        )
        return self.output(F.relu(self.mix(F.relu(x))))


class Repair(nn.Module):
    """Log-likelihoods of the codes, [B, N, h, w] for each scale, finest first, to their probabilities."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.scales = nn.ModuleList(Neighbours(geometry, number) for number in range(len(geometry.scales)))

    def rounds(self, evidence: list[Tensor]) -> list[list[Tensor]]:
        """Logits of the beliefs after each round."""
        logits = list(evidence)
        out = []
        for _ in range(ROUNDS):
            beliefs = [torch.softmax(one, 1) for one in logits]
            logits = [given + scale(beliefs) for given, scale in zip(evidence, self.scales, strict=True)]
            out.append(logits)
        return out

    def forward(self, *evidence: Tensor) -> tuple[Tensor, ...]:
        """Beliefs after the last round."""
        return tuple(torch.softmax(one, 1) for one in self.rounds(list(evidence))[-1])

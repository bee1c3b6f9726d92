# SPDX-License-Identifier: GPL-3.0-or-later
"""Codebooks: nearest vectors, gradients through the choice, codebooks from encoder outputs, dead codes revived.

Sources: van den Oord et al. 2017, "Neural discrete representation learning" (nearest vector, straight-through
gradient, codebook and commitment losses; what the paper uses), and Agustsson et al. 2017, "Soft-to-hard vector
quantization" (gradients through softmax weights; what `small` uses: with 2 to 64 codes all of them can be weighed).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .presets import Geometry

COMMITMENT = 0.25
MEMORY = 0.97  # of the moving average of usage
BALANCE = 0.5  # weight of that term
SHARPNESS = 4.0  # of the softmax: its exponent for the mean distance of all codes over the nearest one's


def floor(codes: int) -> float:
    """Share of the places that each of `codes` codes should have at least: the balance term raises usage below it,
    and codes used less than half of it are put elsewhere."""
    return max(0.014, 0.3 / codes)


def distances(features: Tensor, codes: Tensor) -> Tensor:
    """Squared distances less the vectors' own squares: features [..., K], codes [N, K] to [..., N]; no differences
    [..., N, K] are made."""
    return codes.square().sum(1) - 2 * features @ codes.T


def k_means(points: Tensor, count: int, rounds: int = 12, generator: torch.Generator | None = None) -> Tensor:
    """[count, K] means of points [M, K] (Lloyd), started as k-means++ does."""
    chosen = points[torch.randint(len(points), (1,), generator=generator)]
    for _ in range(count - 1):
        gap = (distances(points, chosen).amin(1) + points.square().sum(1)).clamp_min(1e-12)
        chosen = torch.cat([chosen, points[torch.multinomial(gap, 1, generator=generator)]])
    for _ in range(rounds):
        nearest = F.one_hot(distances(points, chosen).argmin(1), count).to(points.dtype)
        members = nearest.sum(0)[:, None]
        chosen = torch.where(members > 0, nearest.T @ points / members.clamp_min(1), chosen)
    return chosen


class Quantiser(nn.Module):
    """One scale's codebook, `codes` float32 [N, K], with the usage of each code, a moving average [N]."""

    usage: Tensor

    def __init__(self, codes: int, dimension: int, soft: bool) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.randn(codes, dimension))
        self.soft = soft
        self.register_buffer("usage", torch.full((codes,), 1 / codes))

    def indices(self, features: Tensor) -> Tensor:
        """Nearest codes of features [B, K, h, w], int64 [B, h, w]; the lowest index of equals."""
        return distances(features.permute(0, 2, 3, 1), self.codes).argmin(3)

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes of int64 [B, h, w], float32 [B, K, h, w]."""
        return F.embedding(indices, self.codes).permute(0, 3, 1, 2)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Quantised features [B, K, h, w], and the loss: codebook and commitment terms, and balance where `soft`.

        Evaluated (`eval()`): the codes alone, and no loss.
        """
        if not self.training:
            return self.lookup(self.indices(features)), features.new_zeros(())
        rows = _rows(features)
        gaps = distances(rows, self.codes)
        nearest = gaps.argmin(1)
        hard = F.embedding(nearest, self.codes)
        count = len(self.codes)
        with torch.no_grad():
            share = torch.bincount(nearest, minlength=count) / len(nearest)
            self.usage.lerp_(share.to(self.usage.dtype), 1 - MEMORY)
        loss = F.mse_loss(hard, rows.detach()) + COMMITMENT * F.mse_loss(rows, hard.detach())
        if self.soft:
            # the vector that is sent goes on; gradients reach the encoder as if the weighted mean of all codes had
            spread = (gaps.mean(1) - gaps.amin(1)).mean().detach()
            sharpness = SHARPNESS / (spread + 1e-6)
            weights = torch.softmax(-sharpness * distances(rows, self.codes.detach()), 1)
            mean = weights @ self.codes.detach()
            out = hard + mean - mean.detach()
            scarce = (1 - self.usage / floor(count)).clamp_min(0)
            weights = torch.softmax(-sharpness * gaps, 1)  # here the codes move as well
            loss = loss - BALANCE * (weights.mean(0) * scarce).sum()
        else:
            out = rows + (hard - rows).detach()
        return out.view(len(features), *features.shape[2:], -1).permute(0, 3, 1, 2), loss

    @torch.no_grad()
    def start(self, features: Tensor, generator: torch.Generator | None = None) -> None:
        """Codes from encoder outputs [B, K, h, w] by k-means."""
        rows = _rows(features)
        rows = rows[torch.randperm(len(rows), generator=generator)[:20_000].to(rows.device)]
        self.codes.copy_(k_means(rows, len(self.codes), generator=generator))
        self.usage.fill_(1 / len(self.codes))

    @torch.no_grad()
    def revive(self, features: Tensor, generator: torch.Generator | None = None) -> int:
        """Codes that are hardly used move next to much used ones, onto encoder outputs [B, K, h, w] that had chosen
        these: half of what they stood for. Returns how many moved."""
        rows = _rows(features)
        nearest = distances(rows, self.codes).argmin(1)
        dead = (self.usage < floor(len(self.codes)) / 2).nonzero()[:, 0]
        for code in dead:
            most = self.usage.argmax()
            members = rows[nearest == most]
            if len(members):
                self.codes[code] = members[torch.randint(len(members), (1,), generator=generator)[0]]
            self.usage[code] = self.usage[most] = self.usage[most] / 2
        return len(dead)


class Codebooks(nn.ModuleDict):
    """The codebooks of all scales that are sent."""

    def __init__(self, geometry: Geometry, soft: bool) -> None:
        super().__init__({str(s.level): Quantiser(s.codes, s.dimension, soft) for s in geometry.scales})

    def level(self, level: int) -> Quantiser:
        """That of a level, 1 to 4."""
        quantiser = self[str(level)]
        assert isinstance(quantiser, Quantiser)
        return quantiser


def _rows(features: Tensor) -> Tensor:
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])

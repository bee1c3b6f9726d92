# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of preset `small`: 128x128 pictures to vectors of codebooks at several scales, and back.

Scales, places and codes are the paper's (002, section III). The layers are ours, for training on one processor core:
all convolutions work at a quarter of the resolution or less, and the encoder walks down the decoder's own ladder, so
that what a fine scale sends depends on what the coarser ones have already said (as VQ-VAE-2, Razavi et al. 2019).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .presets import Geometry
from .quantiser import Codebooks

PATCH = 4  # pixels a side that one place of the finest grid stands for
WIDTHS = {1: 96, 2: 96, 3: 64, 4: 64}
ENCODER_BLOCKS = {1: 1, 2: 1, 3: 1, 4: 1}
DECODER_BLOCKS = {1: 3, 2: 2, 3: 1, 4: 1}
SLOPE = 0.1


def conv(inputs: int, outputs: int, side: int = 3) -> nn.Conv2d:
    """A convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, side, padding=side // 2)


class Residual(nn.Module):
    """x + two 3x3 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = conv(width, width), conv(width, width)
        with torch.no_grad():
            self.second.weight.mul_(0.2)

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of x."""
        return x + self.second(F.leaky_relu(self.first(F.leaky_relu(x, SLOPE)), SLOPE))


def residuals(width: int, count: int) -> nn.Sequential:
    """That many blocks."""
    return nn.Sequential(*(Residual(width) for _ in range(count)))


class Analysis(nn.Module):
    """Picture to hidden features of each level, finest first."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3 * PATCH * PATCH, WIDTHS[1])
        self.down = nn.ModuleDict({str(k): nn.Conv2d(WIDTHS[k - 1], WIDTHS[k], 2, 2) for k in (2, 3, 4)})
        self.blocks = nn.ModuleDict({str(k): residuals(WIDTHS[k], ENCODER_BLOCKS[k]) for k in WIDTHS})

    def forward(self, picture: Tensor) -> dict[int, Tensor]:
        """RGB in [0, 1], [B, 3, H, W], to [B, width, H / 2^(k+1), W / 2^(k+1)] for k = 1 to 4."""
        x = self.stem(F.pixel_unshuffle(picture - 0.5, PATCH))
        hidden = {}
        for level in WIDTHS:
            if level > 1:
                x = self.down[str(level)](x)
            hidden[level] = x = self.blocks[str(level)](x)
        return hidden


class Posterior(nn.Module):
    """Hidden features of a level, and the decoder's state so far, to the vectors to quantise."""

    def __init__(self, level: int, dimension: int) -> None:
        super().__init__()
        width = WIDTHS[level]
        self.context = conv(width, width, 1) if level < 4 else None
        self.block = Residual(width)
        self.head = conv(width, dimension, 1)

    def forward(self, hidden: Tensor, state: Tensor | None) -> Tensor:
        """[B, K, h, w]."""
        if self.context is not None:
            hidden = hidden + self.context(state)
        return self.head(F.leaky_relu(self.block(hidden), SLOPE))


class Synthesis(nn.Module):
    """The decoder: a ladder from the coarsest level up; each adds its vectors to the state."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.enter = nn.ModuleDict({str(s.level): conv(s.dimension, WIDTHS[s.level], 1) for s in geometry.scales})
        self.up = nn.ModuleDict({str(k): conv(WIDTHS[k + 1], 4 * WIDTHS[k], 1) for k in (1, 2, 3)})
        self.blocks = nn.ModuleDict({str(k): residuals(WIDTHS[k], DECODER_BLOCKS[k]) for k in WIDTHS})
        self.head = conv(WIDTHS[1], 3 * PATCH * PATCH)

    def rise(self, level: int, state: Tensor) -> Tensor:
        """State of `level` + 1 to that of `level` before its vectors: twice the size."""
        return F.pixel_shuffle(self.up[str(level)](F.leaky_relu(state, SLOPE)), 2)

    def add(self, level: int, state: Tensor | None, vectors: Tensor | None) -> Tensor:
        """State of a level with its vectors."""
        if vectors is not None:
            entered = self.enter[str(level)](vectors)
            state = entered if state is None else state + entered
        return self.blocks[str(level)](state)

    def finish(self, state: Tensor) -> Tensor:
        """State of level 1 to RGB, not clipped."""
        return F.pixel_shuffle(self.head(F.leaky_relu(state, SLOPE)), PATCH) + 0.5

    def forward(self, vectors: dict[int, Tensor]) -> Tensor:
        """Vectors of each sent level, [B, K, h, w], to RGB [B, 3, H, W], not clipped."""
        state = None
        for level in (4, 3, 2, 1):
            if state is not None:
                state = self.rise(level, state)
            state = self.add(level, state, vectors.get(level))
        assert state is not None
        return self.finish(state)


class Small(nn.Module):
    """Encoder, codebooks and decoder. Without `quantised` it is the twin that sends its vectors as they are."""

    def __init__(self, geometry: Geometry, soft: bool = True, quantised: bool = True) -> None:
        super().__init__()
        self.geometry = geometry
        self.quantised = quantised
        self.analysis = Analysis()
        self.posteriors = nn.ModuleDict({str(s.level): Posterior(s.level, s.dimension) for s in geometry.scales})
        self.quantisers = Codebooks(geometry, soft)
        self.synthesis = Synthesis(geometry)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, dict[int, Tensor]]:
        """Picture [B, 3, 128, 128] in [0, 1] to the received one (not clipped), the codebooks' loss, and the vectors
        before quantising by level."""
        features, loss, state = self._walk(picture, (4, 3, 2, 1))
        assert state is not None
        return self.synthesis.finish(state).float(), loss, features

    def encode(self, picture: Tensor) -> dict[int, Tensor]:
        """Vectors before quantising, [B, K, h, w] by level: the walk of `forward` as far as it sends."""
        finest = self.geometry.scales[0].level
        return self._walk(picture, tuple(range(4, finest - 1, -1)), finest)[0]

    def _walk(
        self, picture: Tensor, levels: tuple[int, ...], last: int | None = None
    ) -> tuple[dict[int, Tensor], Tensor, Tensor | None]:
        """Down the levels, each quantised in the light of the coarser ones; at `last` only the vectors are made."""
        hidden = self.analysis(picture)
        features: dict[int, Tensor] = {}
        loss = torch.zeros((), device=picture.device)
        state: Tensor | None = None
        for level in levels:
            if state is not None:
                state = self.synthesis.rise(level, state)
            vectors = None
            if str(level) in self.posteriors:
                features[level] = vectors = self.posteriors[str(level)](hidden[level], state).float()
                if level == last:
                    break
                if self.quantised:
                    with torch.autocast(picture.device.type, enabled=False):
                        vectors, term = self.quantisers.level(level)(vectors)
                    loss = loss + term
            state = self.synthesis.add(level, state, vectors)
        return features, loss, state

# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's own network (002, section III), in our reading: docs/vq_deepsc.md says where the text leaves a choice.

Encoder: 50,156,045 parameters; decoder: 60,916,236 with four scales, 59,957,260 with three.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .presets import PAPER_DIMENSIONS, Geometry
from .quantiser import Codebooks

STEM = 64


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """3x3 with bias."""
    return nn.Conv2d(inputs, outputs, 3, stride, 1)


class Residual(nn.Module):
    """x + Conv(PReLU(BN(Conv(x))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, width), nn.BatchNorm2d(width), nn.PReLU(), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of x."""
        return x + self.body(x)


def down(inputs: int, outputs: int) -> nn.Sequential:
    """Half the size."""
    norm = nn.BatchNorm2d(outputs)
    return nn.Sequential(
        Residual(inputs), conv(inputs, outputs, 2), Residual(outputs), norm, nn.PReLU(), conv(outputs, outputs)
    )


def up(inputs: int, outputs: int) -> nn.Sequential:
    """Twice the size."""
    nearest = nn.Upsample(scale_factor=2, mode="nearest")
    return nn.Sequential(Residual(inputs), nearest, conv(inputs, outputs), nn.BatchNorm2d(outputs), nn.PReLU())


class Encoder(nn.Module):
    """Picture [B, 3, 128, 128] to features of levels 1 to 4."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, STEM, 2), nn.PReLU())
        widths = [STEM, *PAPER_DIMENSIONS.values()]
        self.down = nn.ModuleList(down(i, o) for i, o in zip(widths[:-1], widths[1:], strict=True))

    def forward(self, picture: Tensor) -> dict[int, Tensor]:
        """RGB in [0, 1] to [B, K, 32, 32] and so on."""
        x = self.stem(2 * picture - 1)
        features = {}
        for level, block in enumerate(self.down, 1):
            features[level] = x = block(x)
        return features


class Decoder(nn.Module):
    """Vectors of the sent levels to a picture; with three scales level 1 is left out."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        k = PAPER_DIMENSIONS
        finest = k[1] * (2 if geometry.scales[0].level == 1 else 1)
        self.enter = nn.Sequential(conv(k[4], k[4]), nn.PReLU())
        self.up = nn.ModuleList([up(k[4], k[3]), up(2 * k[3], k[2]), up(2 * k[2], k[1]), up(finest, STEM)])
        self.head = nn.ConvTranspose2d(STEM, 3, 3, 2, 1, 1)

    def forward(self, vectors: dict[int, Tensor]) -> Tensor:
        """RGB, not clipped, [B, 3, 128, 128]."""
        x = self.enter(vectors[4])
        for level, block in zip((3, 2, 1, 0), self.up, strict=True):
            x = block(x)
            if level in vectors:
                x = torch.cat([x, vectors[level]], 1)
        return (self.head(x) + 1) / 2


class Paper(nn.Module):
    """Encoder, codebooks and decoder. Without `quantised` it is the paper's upper bound."""

    def __init__(self, geometry: Geometry, soft: bool = False, quantised: bool = True) -> None:
        super().__init__()
        self.geometry = geometry
        self.quantised = quantised
        self.encoder, self.decoder = Encoder(), Decoder(geometry)
        self.quantisers = Codebooks(geometry, soft)

    def encode(self, picture: Tensor) -> dict[int, Tensor]:
        """Vectors before quantising, [B, K, h, w] by level that is sent."""
        return {level: f.float() for level, f in self.encoder(picture).items() if str(level) in self.quantisers}

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, dict[int, Tensor]]:
        """As `Small`: the received picture, the codebooks' loss, and the vectors before quantising by level."""
        features = self.encode(picture)
        vectors, loss = dict(features), torch.zeros((), device=picture.device)
        if self.quantised:
            with torch.autocast(picture.device.type, enabled=False):
                for level, f in features.items():
                    vectors[level], term = self.quantisers.level(level)(f)
                    loss = loss + term
        return self.decoder(vectors).float(), loss, features

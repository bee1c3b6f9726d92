# SPDX-License-Identifier: GPL-3.0-or-later
"""The DeepJSCC network: pictures straight to channel symbols and back, told the channel's Es/N0.

Sources: Bourtsoulatze, Kurka, Gunduz, "Deep joint source-channel coding for wireless image transmission", IEEE TCCN
2019 (the autoencoder with the channel inside), and Xu et al., "Wireless image transmission using deep source channel
coding with attention modules", IEEE TCSVT 2022 (ADJSCC: attention modules that see pooled features and the SNR).
Ours differs in size and in three additions, reasoned in docs/deepjscc.md: a linear block transform beside the
convolutions, a pilot that tells the receiver the gain, and one network for two bandwidth ratios.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .geometry import PLANES, STRIDE

BLOCK = 3 * STRIDE * STRIDE
STEM, WIDTH = 48, 64  # features at 1/4 and at 1/8 of the resolution
PILOT = 0.15  # first value of the pilot, where planes have unit variance
PILOT_PLANES = 3  # planes of brightness and colour carry no pilot at first: their means belong to the picture
GAIN_PRIOR = 64.0  # values whose weight equals the prior that the gain is 1; matters below 32x32 pixels


def snr_feature(esn0_db: Tensor) -> Tensor:
    """Es/N0 in dB to about -1..1 over the trained range of -5 to 20 dB; bounded outside."""
    return ((esn0_db - 7.5) / 12.5).clamp(-1.5, 1.5)


def sent(quality: Tensor) -> Tensor:
    """Planes that are sent, float32 [B, 64, 1, 1] of 0 and 1, for quality float32 [B] of 0 and 1."""
    upper = torch.ones(PLANES[1], device=quality.device)
    upper[: PLANES[0]] = 0
    return (1 - upper * (1 - quality[:, None]))[:, :, None, None]


def silent(layer: nn.Module) -> nn.Module:
    """The layer with weights of 0: what it adds comes with training."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class Attention(nn.Module):
    """Scales each feature by 0 to 2, from the features' means and the condition (ADJSCC's AF module)."""

    def __init__(self, channels: int, conditions: int) -> None:
        super().__init__()
        self.first = nn.Linear(channels + conditions, channels // 4)
        self.second = silent(nn.Linear(channels // 4, channels))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Of the shape of x, [B, C, h, w]; condition is [B, conditions]."""
        seen = torch.cat([x.mean((2, 3)), condition.to(x.dtype)], 1)
        scale = 2 * torch.sigmoid(self.second(F.relu(self.first(seen))))
        return x * scale[:, :, None, None]


class Residual(nn.Module):
    """x + two 3x3 convolutions, scaled by attention."""

    def __init__(self, channels: int, conditions: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.attention = Attention(channels, conditions)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Of the shape of x, [B, C, h, w]."""
        return x + self.attention(self.second(F.leaky_relu(self.first(x), 0.1)), condition)


class Gains(nn.Sequential):
    """A positive gain for each plane from the condition; 1 before training."""

    def __init__(self, conditions: int) -> None:
        super().__init__(nn.Linear(conditions, 24), nn.ReLU(), silent(nn.Linear(24, PLANES[1])))

    def forward(self, condition: Tensor) -> Tensor:
        """[B, conditions] to [B, 64, 1, 1]."""
        return torch.exp(super().forward(condition).float().clamp(-4, 4))[:, :, None, None]


class Encoder(nn.Module):
    """A picture to planes of unit mean square."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Conv2d(BLOCK, PLANES[1], 1, bias=False)  # the head has one
        self.stem = nn.Conv2d(48, STEM, 3, padding=1)
        self.down = nn.Conv2d(STEM, WIDTH, 3, 2, 1)
        self.attention = Attention(WIDTH, 2)
        self.body = nn.ModuleList(Residual(WIDTH, 2) for _ in range(2))
        self.head = silent(nn.Conv2d(WIDTH, PLANES[1], 3, padding=1))
        self.gains = Gains(2)
        self.pilot = nn.Parameter(torch.full((1, PLANES[1], 1, 1), PILOT))
        with torch.no_grad():
            self.pilot[:, :PILOT_PLANES] = 0

    def forward(self, picture: Tensor, esn0_db: Tensor, quality: Tensor) -> Tensor:
        """Planes [B, 64, H/8, W/8], mean square 1 over those sent and 0 in the others.

        picture is RGB in [0, 1], [B, 3, H, W] with H, W multiples of 8; esn0_db is what the transmitter assumes, [B];
        quality is 0 (32 planes, ratio 1/12) or 1 (64 planes, ratio 1/6), float32 [B].
        """
        x = picture - 0.5
        condition = torch.stack([snr_feature(esn0_db), quality], 1)
        y = F.leaky_relu(self.stem(F.pixel_unshuffle(x, 4)), 0.1)
        y = self.attention(F.leaky_relu(self.down(y), 0.1), condition)
        for block in self.body:
            y = block(y, condition)
        planes = self.linear(F.pixel_unshuffle(x, STRIDE)).float() + self.head(y).float()
        mask = sent(quality)
        planes = (planes * self.gains(condition) + self.pilot) * mask
        power = planes.square().mean((1, 2, 3), keepdim=True) / mask.mean((1, 2, 3), keepdim=True)
        return planes * torch.rsqrt(power + 1e-9)


class Decoder(nn.Module):
    """Received planes to a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.pilot = nn.Parameter(torch.zeros(len(PLANES), PLANES[1]))
        with torch.no_grad():
            for row, planes in zip(self.pilot, PLANES, strict=True):
                row[PILOT_PLANES:planes] = 1 / (PILOT * (planes - PILOT_PLANES))
        self.gains = Gains(3)
        self.linear = nn.Conv2d(PLANES[1], BLOCK, 1)
        self.stem = nn.Conv2d(PLANES[1] + 1, WIDTH, 3, padding=1)
        self.body = nn.ModuleList(Residual(WIDTH, 3) for _ in range(2))
        self.up = nn.Conv2d(WIDTH, 4 * STEM, 1)
        self.fine = Residual(STEM, 3)
        self.head = silent(nn.Conv2d(STEM, 48, 3, padding=1))

    def forward(self, planes: Tensor, trust: Tensor, quality: Tensor) -> Tensor:
        """RGB, not clipped, [B, 3, 8h, 8w].

        planes are as sent plus noise, [B, 64, h, w]; trust is 1 / (1 + noise variance) of each value and 0 in planes
        that were not sent; quality is 0 or 1, [B].
        """
        present = sent(quality).mean((1, 2, 3))
        share = (trust.mean((1, 2, 3)) / present).clamp(1e-3, 1 - 1e-4)
        esn0_db = 10 / math.log(10) * torch.log(share / (1 - share))
        weak = planes * trust  # the best linear estimate of values of unit variance
        means = weak.mean((2, 3)) / (trust.mean((2, 3)) + 1e-6)
        weights = self.pilot[0] + (self.pilot[1] - self.pilot[0]) * quality[:, None]
        count = trust.sum((1, 2, 3))
        gain = (count * (means * weights).sum(1) + GAIN_PRIOR) / (count + GAIN_PRIOR)
        gain = gain.clamp(0.1, 10)
        condition = torch.stack([snr_feature(esn0_db), quality, torch.log(gain)], 1)
        x = weak / gain[:, None, None, None] * self.gains(condition)
        local = trust.mean(1, keepdim=True) / present[:, None, None, None]
        y = F.leaky_relu(self.stem(torch.cat([x, local], 1)), 0.1)
        for block in self.body:
            y = block(y, condition)
        y = F.leaky_relu(F.pixel_shuffle(self.up(y), 2), 0.1)
        y = F.pixel_shuffle(self.head(self.fine(y, condition)), 4).float()
        return y + F.pixel_shuffle(self.linear(x), STRIDE).float() + 0.5


class DeepJscc(nn.Module):
    """Both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()

    def start_linear(self, pictures: list[np.ndarray], seed: int = 0) -> None:
        """Begin with the principal components of 8x8 blocks, uint8 pictures [H, W, 3]: already a fair analog codec.

        Gains are the inverse fourth root of the variances: the least squared error for a given power (Lee and
        Petersen, "Optimal linear coding for vector channels", 1976), at high Es/N0.
        """
        random = np.random.default_rng(seed)
        blocks = np.empty((20_000, BLOCK))
        for row in blocks:
            picture = pictures[random.integers(len(pictures))]
            top, left = (random.integers(side - STRIDE + 1) for side in picture.shape[:2])
            block = picture[top : top + STRIDE, left : left + STRIDE]
            row[:] = block.transpose(2, 0, 1).ravel() / 255 - 0.5  # the order of pixel_unshuffle
        variances, vectors = np.linalg.eigh(blocks.T @ blocks / len(blocks))
        basis = vectors[:, ::-1][:, : PLANES[1]].T
        fourth = np.maximum(variances[::-1][: PLANES[1]], 1e-9) ** 0.25
        scale = math.sqrt(np.mean(fourth[: PLANES[0]] ** 2))
        forward = torch.from_numpy(basis / fourth[:, None] / scale).float()
        backward = torch.linalg.pinv(forward)[:, :, None, None]
        self.encoder.linear.load_state_dict({"weight": forward[:, :, None, None]})
        self.decoder.linear.load_state_dict({"weight": backward, "bias": torch.zeros(BLOCK)})

    def forward(self, picture: Tensor, esn0_db: Tensor, quality: Tensor, noise_var: Tensor, noise: Tensor) -> Tensor:
        """Picture to received picture: noise_var [B, 32, h, w] of each symbol, noise of unit variance [B, 64, h, w].

        A symbol is two neighbouring planes over the square root of 2, so a plane's value, of unit variance, meets
        noise of the whole complex variance.
        """
        planes = self.encoder(picture, esn0_db, quality)
        variance = noise_var.repeat_interleave(2, 1)
        trust = sent(quality) / (1 + variance)
        return self.decoder(planes + variance.sqrt() * noise, trust, quality)


def parameter_count() -> int:
    """Number of trainable parameters of both ends."""
    return sum(p.numel() for p in DeepJscc().parameters())

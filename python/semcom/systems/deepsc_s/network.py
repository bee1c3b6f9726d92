# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of the DeepSC-S baseline: log-mel frames straight to channel symbols and back, told the Es/N0.

Source of the idea: Weng and Qin, "Semantic communication systems for speech transmission", IEEE JSAC 2021 (one network
for speech, the channel inside, attention over features). Ours works on mel frames because HASCom's vocoder speaks them,
sees the SNR (attention modules of ADJSCC, Xu et al. 2022), begins at the best linear code, and has three rates.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...speech.deepsc_s import GROUP, PLANES, REFERENCE, SCALE_SPREAD
from ...speech.mel import BANDS

WIDTHS = (96, 128, 192)  # features at 1/2, 1/4 and 1/8 of the frame rate
CONDITIONS = 3  # Es/N0 and two flags of the quality
MEAN, SPREAD = -5.5, 2.3  # of log-mel values, before the bands' own are known


def condition(esn0_db: Tensor, quality: Tensor) -> Tensor:
    """[B, 3]: Es/N0 in dB to about -1..1 over -6 to 20 dB, bounded outside, and quality 0, 1, 2 as two flags."""
    level = ((esn0_db - 7) / 13).clamp(-1.5, 1.5)
    return torch.stack([level, quality.clamp(0, 1), (quality - 1).clamp(0, 1)], 1)


def sent(quality: Tensor) -> Tensor:
    """Planes that are sent, [B, 256, 1] of 0 and 1, for quality float32 [B] of 0, 1, 2."""
    low, middle = torch.zeros(2, PLANES[2], device=quality.device)
    low[: PLANES[0]] = 1
    middle[: PLANES[1]] = 1
    second, third = quality.clamp(0, 1)[:, None], (quality - 1).clamp(0, 1)[:, None]
    return (low + (middle - low) * second + (1 - middle) * third)[:, :, None]


def silent(layer: nn.Module) -> nn.Module:
    """The layer with weights of 0: what it adds comes with training."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class Attention(nn.Module):
    """Scales each feature by 0 to 2, from the features' means and the condition."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Linear(channels + CONDITIONS, channels // 4)
        self.second = silent(nn.Linear(channels // 4, channels))

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Of the shape of x, [B, C, T]; told is [B, 3]."""
        seen = torch.cat([x.mean(2), told.to(x.dtype)], 1)
        return x * (2 * torch.sigmoid(self.second(F.relu(self.first(seen)))))[:, :, None]


class Residual(nn.Module):
    """x + two convolutions over 3 steps, scaled by attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(channels, channels, 3, padding=1)
        self.second = nn.Conv1d(channels, channels, 3, padding=1)
        self.attention = Attention(channels)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Of the shape of x, [B, C, T]."""
        return x + self.attention(self.second(F.leaky_relu(self.first(x), 0.1)), told)


class Gains(nn.Sequential):
    """A positive gain for each plane from the condition; 1 before training."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(CONDITIONS, 24), nn.ReLU(), silent(nn.Linear(24, PLANES[2])))

    def forward(self, told: Tensor) -> Tensor:
        """[B, 3] to [B, 256, 1]."""
        return torch.exp(super().forward(told).float().clamp(-3, 3))[:, :, None]


class Encoder(nn.Module):
    """Log-mel frames to planes of about unit mean square."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.full((1, BANDS, 1), MEAN), requires_grad=False)
        self.spread = nn.Parameter(torch.full((1, BANDS, 1), SPREAD), requires_grad=False)
        self.linear = nn.Conv1d(BANDS, PLANES[2], GROUP, GROUP, bias=False)
        self.stem = nn.Conv1d(BANDS, WIDTHS[0], 5, 2, 2)
        self.fine = Residual(WIDTHS[0])
        self.down = nn.Conv1d(WIDTHS[0], WIDTHS[1], 3, 2, 1)
        self.middle = Residual(WIDTHS[1])
        self.again = nn.Conv1d(WIDTHS[1], WIDTHS[2], 3, 2, 1)
        self.body = nn.ModuleList(Residual(WIDTHS[2]) for _ in range(2))
        self.head = silent(nn.Conv1d(WIDTHS[2], PLANES[2], 1))
        self.gains = Gains()

    def forward(self, frames: Tensor, esn0_db: Tensor, quality: Tensor) -> Tensor:
        """Planes [B, 256, T / 8], 0 in those not sent, of log-mel [B, 80, T], T a multiple of 8; esn0_db [B] is what
        the transmitter assumes, quality [B] is 0, 1 or 2."""
        x = (frames - self.mean) / self.spread
        told = condition(esn0_db, quality)
        y = self.fine(F.leaky_relu(self.stem(x), 0.1), told)
        y = self.middle(F.leaky_relu(self.down(y), 0.1), told)
        y = F.leaky_relu(self.again(y), 0.1)
        for block in self.body:
            y = block(y, told)
        return (self.linear(x).float() + self.head(y).float()) * self.gains(told) * sent(quality)


class Decoder(nn.Module):
    """Received planes to log-mel frames."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.full((1, BANDS, 1), MEAN), requires_grad=False)
        self.spread = nn.Parameter(torch.full((1, BANDS, 1), SPREAD), requires_grad=False)
        self.gains = Gains()
        self.linear = nn.ConvTranspose1d(PLANES[2], BANDS, GROUP, GROUP)
        self.stem = nn.Conv1d(PLANES[2] + 1, WIDTHS[2], 3, padding=1)
        self.body = nn.ModuleList(Residual(WIDTHS[2]) for _ in range(2))
        self.up = nn.ConvTranspose1d(WIDTHS[2], WIDTHS[1], 2, 2)
        self.middle = Residual(WIDTHS[1])
        self.again = nn.ConvTranspose1d(WIDTHS[1], WIDTHS[0], 2, 2)
        self.fine = Residual(WIDTHS[0])
        self.last = nn.ConvTranspose1d(WIDTHS[0], BANDS, 2, 2)
        self.head = silent(nn.Conv1d(BANDS, BANDS, 3, padding=1, bias=False))  # the linear path has one

    def forward(self, planes: Tensor, trust: Tensor, quality: Tensor) -> Tensor:
        """Log-mel [B, 80, 8 g] of planes [B, 256, g] at the transmitter's scale with noise; trust [B, 256, g] is
        1 / (1 + noise variance), 0 in planes not sent; quality [B]."""
        present = sent(quality).mean((1, 2))
        share = (trust.mean((1, 2)) / present).clamp(1e-3, 1 - 1e-4)
        told = condition(10 / math.log(10) * torch.log(share / (1 - share)), quality)
        x = planes * trust * self.gains(told)  # the best linear estimate of values of unit variance
        local = trust.mean(1, keepdim=True) / present[:, None, None]
        y = F.leaky_relu(self.stem(torch.cat([x, local], 1)), 0.1)
        for block in self.body:
            y = block(y, told)
        y = self.middle(F.leaky_relu(self.up(y), 0.1), told)
        y = self.fine(F.leaky_relu(self.again(y), 0.1), told)
        y = self.head(F.leaky_relu(self.last(y), 0.1)).float() + self.linear(x).float()
        return y * self.spread + self.mean


class DeepScS(nn.Module):
    """Both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()

    def start_linear(self, blocks: np.ndarray) -> None:
        """Begin with the principal components of log-mel blocks, float32 [N, 80, 8]: already a fair analog code.

        Gains are the inverse fourth roots of the variances: the least squared error for a given power (Lee and
        Petersen, "Optimal linear coding for vector channels", 1976), at high Es/N0. Also sets the bands' means and
        spreads.
        """
        mean = blocks.mean((0, 2), keepdims=True, dtype=np.float64)
        spread = np.sqrt(np.square(blocks - mean).mean((0, 2), keepdims=True))
        flat = ((blocks - mean) / spread).reshape(len(blocks), -1)
        variances, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
        basis = vectors[:, ::-1][:, : PLANES[2]].T
        fourth = np.maximum(variances[::-1][: PLANES[2]], 1e-6) ** 0.25
        forward = basis / fourth[:, None] / math.sqrt(np.mean(fourth[: PLANES[1]] ** 2))
        backward = np.linalg.pinv(forward).T
        shape = (PLANES[2], BANDS, GROUP)
        with torch.no_grad():
            for part in (self.encoder, self.decoder):
                part.mean.copy_(torch.from_numpy(mean[0]))
                part.spread.copy_(torch.from_numpy(spread[0]))
            self.encoder.linear.weight.copy_(torch.from_numpy(forward.reshape(shape)))
            self.decoder.linear.weight.copy_(torch.from_numpy(backward.reshape(shape)))
            torch.nn.init.zeros_(self.decoder.linear.get_parameter("bias"))

    def forward(self, frames: Tensor, assumed: Tensor, quality: Tensor, noise_var: Tensor, noise: Tensor) -> Tensor:
        """Log-mel to received log-mel over a channel: noise_var [B, 128, g] of each symbol, standard normal noise
        [B, 256, g]. The scale of a message is found by the receiver as `speech/deepsc_s.py` does it."""
        planes = self.encoder(frames, assumed, quality)
        mask = sent(quality)
        count = mask.sum((1, 2)) * planes.shape[2] / 2
        energy = (planes.square().sum((1, 2)) / 2 + REFERENCE) / (count + REFERENCE)
        scale = torch.rsqrt(energy + 1e-9)[:, None, None]
        mean_var = noise_var.mean((1, 2))[:, None, None]
        precision = 2 * REFERENCE / mean_var
        guess = precision * (scale + noise[:, :1, :1] * precision.rsqrt()) + SCALE_SPREAD**-2
        guess = (guess / (precision + SCALE_SPREAD**-2)).clamp(0.2, 5)
        variance = noise_var.repeat_interleave(2, 1)
        received = (planes * scale + variance.sqrt() * noise) / guess
        return self.decoder(received * mask, mask / (1 + variance / guess.square()), quality)


def parameter_count() -> int:
    """Number of trained values of both ends, the bands' means and spreads included."""
    return sum(p.numel() for p in DeepScS().parameters())

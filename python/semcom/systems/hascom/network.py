# SPDX-License-Identifier: GPL-3.0-or-later
"""The small networks of HASCom: prior, denoiser and the JSCC of style. The paper's sizes are in paper.py."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...speech.mel import BANDS
from ...speech.phonemes import SYMBOLS
from ...speech.style import WIDTH as STYLE

WIDTH = 128
STYLE_WIDTH = 64
ENCODER_LAYERS, DECODER_LAYERS = 4, 4
DENOISER_WIDTH, DENOISER_LAYERS = 128, 8
DILATIONS = (1, 2, 4, 8)
DROPOUT, DURATION_DROPOUT = 0.15, 0.4  # an hour of speech is soon known by heart
CENTRE, SPREAD = -6.0, 2.0  # of log-mel values, as networks read them


def mask(lengths: Tensor, longest: int | None = None) -> Tensor:
    """1 where something is, float [B, 1, longest]."""
    places = torch.arange(int(lengths.max()) if longest is None else longest, device=lengths.device)
    return (places[None] < lengths[:, None]).float()[:, None]


class Norm(nn.Module):
    """Layer norm over the channels of [B, C, T]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.layer_norm(x.transpose(1, 2), (self.channels,), self.weight, self.bias).transpose(1, 2)


class ConvBlock(nn.Module):
    """A depthwise convolution and two pointwise ones around a residual path, scaled and shifted by the style."""

    def __init__(self, width: int, kernel: int, condition: int, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.dropout = dropout
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = Norm(width)
        self.film = nn.Linear(condition, 2 * width)
        self.up, self.down = nn.Conv1d(width, 3 * width, 1), nn.Conv1d(3 * width, width, 1)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)
        nn.init.normal_(self.down.weight, std=0.01)

    def forward(self, x: Tensor, where: Tensor, condition: Tensor) -> Tensor:
        """`x` [B, C, T], `where` [B, 1, T], `condition` [B, D]."""
        scale, shift = self.film(condition)[..., None].chunk(2, 1)
        hidden = self.norm(self.depthwise(x * where)) * (1 + scale) + shift
        return x + self.down(F.dropout(F.gelu(self.up(hidden)), self.dropout, self.training))


class Prior(nn.Module):
    """Phonemes and style to hidden values and log durations, and these, spread over frames, to the prior mel `mu`."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(SYMBOLS), WIDTH)
        self.style = nn.Sequential(nn.Linear(STYLE, STYLE_WIDTH), nn.GELU(), nn.Linear(STYLE_WIDTH, STYLE_WIDTH))
        self.encoder = nn.ModuleList(ConvBlock(WIDTH, 5, STYLE_WIDTH) for _ in range(ENCODER_LAYERS))
        self.coarse = nn.Conv1d(WIDTH, BANDS, 1)
        self.durations = nn.ModuleList(ConvBlock(WIDTH, 3, STYLE_WIDTH, DURATION_DROPOUT) for _ in range(2))
        self.log_frames = nn.Conv1d(WIDTH, 1, 1)
        self.place = nn.Conv1d(3, WIDTH, 1)
        self.decoder = nn.ModuleList(ConvBlock(WIDTH, 7, STYLE_WIDTH) for _ in range(DECODER_LAYERS))
        self.out_norm = Norm(WIDTH)
        self.out = nn.Conv1d(WIDTH, BANDS, 1)

    def encode(self, phonemes: Tensor, where: Tensor, style: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of phonemes int64 [B, N], `where` [B, 1, N], style [B, 512]: hidden [B, C, N], mu~ [B, 80, N] and log frames
        [B, N]. Durations do not teach the encoder."""
        condition = self.style(style)
        hidden = F.dropout1d(self.embedding(phonemes), DROPOUT / 3, self.training).transpose(1, 2)
        for block in self.encoder:
            hidden = block(hidden, where, condition)
        timed = F.dropout(hidden.detach(), DURATION_DROPOUT, self.training)
        for block in self.durations:
            timed = block(timed, where, condition.detach())
        return hidden, self.coarse(hidden) * SPREAD + CENTRE, self.log_frames(timed)[:, 0]

    def decode(self, hidden: Tensor, places: Tensor, where: Tensor, style: Tensor) -> Tensor:
        """mu [B, 80, T] of hidden values spread over frames [B, C, T], `places` [B, 3, T] (see `spread`)."""
        condition = self.style(style)
        x = hidden + self.place(places)
        for block in self.decoder:
            x = block(x, where, condition)
        return self.out(self.out_norm(x)) * SPREAD + CENTRE


class Denoiser(nn.Module):
    """What noise is in X_t [B, 80, T], told mu, the time and the style: gated dilated convolutions (WaveNet's).

    Gives v = rho noise - delta (X_0 - mu), from which both can be had at any time (Salimans and Ho, ICLR 2022).
    """

    def __init__(self) -> None:
        super().__init__()
        width = DENOISER_WIDTH
        self.time = nn.Sequential(nn.Linear(64, width), nn.GELU(), nn.Linear(width, width))
        self.style = nn.Linear(STYLE, width)
        self.enter = nn.Conv1d(2 * BANDS, width, 1)
        self.condition = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(DENOISER_LAYERS))
        self.gates = nn.ModuleList(
            nn.Conv1d(width, 2 * width, 3, padding=far, dilation=far)
            for far in DILATIONS * (DENOISER_LAYERS // len(DILATIONS))
        )
        self.outs = nn.ModuleList(nn.Conv1d(width, 2 * width, 1) for _ in range(DENOISER_LAYERS))
        self.last = nn.Conv1d(width, width, 1)
        self.leave = nn.Conv1d(width, BANDS, 1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, noisy: Tensor, mu: Tensor, t: Tensor, style: Tensor, where: Tensor) -> Tensor:
        """`noisy`, `mu` [B, 80, T]; `t` [B]; `style` [B, 512]; `where` [B, 1, T]."""
        frequencies = torch.exp(torch.arange(32, device=t.device) * (-math.log(10_000) / 31))
        angles = 1000 * t[:, None] * frequencies[None]
        condition = F.gelu(self.time(torch.cat([angles.sin(), angles.cos()], 1)) + self.style(style))
        x = self.enter(torch.cat([noisy - mu, (mu - CENTRE) / SPREAD], 1))
        skips = torch.zeros_like(x)
        for gate, told, out in zip(self.gates, self.condition, self.outs, strict=True):
            hidden = F.dropout(x, DROPOUT / 3, self.training) * where
            left, right = (gate(hidden) + told(condition)[..., None]).chunk(2, 1)
            left, right = out(torch.tanh(left) * torch.sigmoid(right)).chunk(2, 1)
            x = (x + left) * math.sqrt(0.5)
            skips = skips + right
        return self.leave(F.gelu(self.last(skips * math.sqrt(1 / DENOISER_LAYERS))))


class Hascom(nn.Module):
    """Prior and denoiser."""

    def __init__(self) -> None:
        super().__init__()
        self.prior = Prior()
        self.denoiser = Denoiser()


def spread(frames: Tensor, total: int) -> tuple[Tensor, Tensor]:
    """For each frame which phoneme it says, int64 [B, total], and where in it, float [B, 3, total]: from 0 to 1 through
    it, half the log of its frames, 1. `frames` is int64 [B, N]; what is beyond the last frame has the last phoneme."""
    ends = frames.cumsum(1)
    at = torch.arange(total, device=frames.device)
    owner = (at[None, :, None] >= ends[:, None, :]).sum(2).clamp(max=frames.shape[1] - 1)
    length = frames.gather(1, owner).clamp(min=1).float()
    begun = (ends - frames).gather(1, owner)
    through = ((at[None] - begun).float() + 0.5) / length
    return owner, torch.stack([through.clamp(0, 1), 0.5 * length.log(), torch.ones_like(length)], 1)


def parameter_count(module: nn.Module) -> int:
    """Parameters of a network."""
    return sum(parameter.numel() for parameter in module.parameters())

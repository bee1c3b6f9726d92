# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of DeepSC for text: transformer, channel encoder, channel, channel decoder, transformer.

Source: Xie, Qin, Li, Juang, "Deep Learning Enabled Semantic Communication Systems", IEEE TSP 2021. Here tokens are
characters, so that no word is unknown, and the receiver decides all of them at once instead of one after the other:
the number of symbols tells how many there are.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...text.alphabet import ALPHABET
from ...text.deepsc import PIECE, REALS, SYMBOLS

WIDTH, HEADS, ENCODER_LAYERS, DECODER_LAYERS, INNER = 128, 8, 2, 3, 256
LETTERS = len(ALPHABET)


class Attention(nn.Module):
    """Self-attention of several heads, written out so that it exports for any length."""

    def __init__(self) -> None:
        super().__init__()
        self.mixed, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """[B, L, 128] to the same shape."""
        batch, length, _ = x.shape
        q, k, v = self.mixed(x).reshape(batch, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS), -1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, length, WIDTH))


class Layer(nn.Module):
    """Attention and two dense layers, each after its normalisation and beside a direct path; and a look at the four
    neighbours, which spares a small network the learning of what positions mean."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))
        self.attention = Attention()
        self.neighbours = nn.Conv1d(WIDTH, WIDTH, 5, padding=2, groups=WIDTH)
        self.dense = nn.Sequential(nn.Linear(WIDTH, INNER), nn.ReLU(), nn.Linear(INNER, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """[B, L, 128] to the same shape."""
        x = x + self.attention(self.norms[0](x))
        x = x + self.neighbours(self.norms[1](x).transpose(1, 2)).transpose(1, 2)
        return x + self.dense(self.norms[2](x))


class Encoder(nn.Module):
    """Characters to 16 real values each."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(LETTERS, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(ENCODER_LAYERS))
        self.channel = nn.Sequential(nn.Linear(WIDTH, INNER), nn.ReLU(), nn.Linear(INNER, REALS))

    def forward(self, tokens: Tensor) -> Tensor:
        """int64 [B, L] to [B, L, 16] with a mean energy of 1 a complex symbol over each row."""
        x = self.embedding(tokens) * math.sqrt(WIDTH) + positions(tokens.shape[1], tokens.device)
        for layer in self.layers:
            x = layer(x)
        values = self.channel(x)
        return values * torch.rsqrt(2 * values.square().mean((1, 2), keepdim=True) + 1e-9)


class Decoder(nn.Module):
    """Noisy values and how far to trust them to letters."""

    def __init__(self) -> None:
        super().__init__()
        self.channel = nn.Sequential(nn.Linear(REALS + SYMBOLS, INNER), nn.ReLU(), nn.Linear(INNER, WIDTH))
        self.layers = nn.ModuleList(Layer() for _ in range(DECODER_LAYERS))
        self.norm, self.letters = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, LETTERS)

    def forward(self, values: Tensor) -> Tensor:
        """[B, L, 24] to logits [B, L, 28]."""
        x = self.channel(values) + positions(values.shape[1], values.device)
        for layer in self.layers:
            x = layer(x)
        return self.letters(self.norm(x))


class DeepScText(nn.Module):
    """Both ends with a channel between."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()

    def forward(self, tokens: Tensor, noise_var: Tensor, noise: Tensor) -> Tensor:
        """Logits [B, L, 28] of tokens, int64 [B, L], over a channel with a noise variance for each equalised symbol,
        [B, L, 8], and standard normal noise [B, L, 16]."""
        trust = 1 / (1 + noise_var)
        received = self.encoder(tokens) + noise * (noise_var / 2).sqrt().repeat_interleave(2, 2)
        return self.decoder(torch.cat([received * trust.repeat_interleave(2, 2), trust], 2))

    def loss(self, tokens: Tensor, noise_var: Tensor, noise: Tensor) -> Tensor:
        """Mean cross-entropy of a character."""
        return F.cross_entropy(self(tokens, noise_var, noise).flatten(0, 1), tokens.flatten())


def positions(length: int, device: torch.device | None = None) -> Tensor:
    """Sines and cosines of the place [1, length, 128] (Vaswani et al. 2017)."""
    return _table(device)[:, :length]


def _table(device: torch.device | None) -> Tensor:
    place = torch.arange(PIECE, device=device, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, WIDTH, 2, device=device) * (-math.log(10_000) / WIDTH))
    return torch.stack([torch.sin(place * rate), torch.cos(place * rate)], 2).reshape(1, PIECE, WIDTH)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of preset `paper`. The paper gives no size, so these are of the Grad-TTS family (Popov et al., ICML 2021).

Parameters: phoneme encoder 7,200,145, of these the duration predictor 345,857; U-Net 8,685,959, of these 82,432 for the
time and 197,120 for the style. The JSCC of styles is that of `style_network.py`, 426,880 and 427,264; HiFi-GAN,
13,926,017, that of `speech/vocoder/hifi_gan.py`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...speech.mel import BANDS
from ...speech.style import WIDTH as STYLE
from .network import Norm

SYMBOLS = 149  # of the embedding: more than phonemes.py has, so that other alphabets fit
WIDTH, HEADS, LAYERS, REACH, INNER = 192, 2, 6, 4, 768
DROPOUT = 0.1
CONDITION = 256
WIDTHS = (64, 128, 256)
ATTENTION_HEADS, HEAD_WIDTH = 4, 32


class Prenet(nn.Module):
    """Three convolutions with layer norm and ReLU, and a projection that begins at zero, around a residual path."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 5, padding=2) for _ in range(3))
        self.norms = nn.ModuleList(Norm(WIDTH) for _ in range(3))
        self.projection = nn.Conv1d(WIDTH, WIDTH, 1)
        nn.init.zeros_(self.projection.weight)
        self.projection.bias.data.zero_()  # type: ignore[union-attr]

    def forward(self, x: Tensor, where: Tensor) -> Tensor:
        """[B, 192, N]."""
        hidden = x
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            hidden = F.dropout(F.relu(norm(convolution(hidden * where))), DROPOUT, self.training)
        return (x + self.projection(hidden)) * where


class RelativeAttention(nn.Module):
    """Two heads with learnt keys and values for the nine nearest distances (Shaw et al., NAACL 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Conv1d(WIDTH, WIDTH, 1) for _ in range(4))
        deviation = (WIDTH // HEADS) ** -0.5
        self.near_keys = nn.Parameter(torch.randn(2 * REACH + 1, WIDTH // HEADS) * deviation)
        self.near_values = nn.Parameter(torch.randn(2 * REACH + 1, WIDTH // HEADS) * deviation)

    def forward(self, x: Tensor, where: Tensor) -> Tensor:
        """[B, 192, N]."""
        rows, _, count = x.shape
        query, key, value = (
            layer(x).reshape(rows, HEADS, WIDTH // HEADS, count).transpose(2, 3)
            for layer in (self.query, self.key, self.value)
        )
        places = torch.arange(count, device=x.device)
        distance = places[None] - places[:, None]
        near = (distance.abs() <= REACH).to(x.dtype)
        index = distance.clamp(-REACH, REACH) + REACH
        scale = (WIDTH // HEADS) ** -0.5
        relative = (query @ self.near_keys.T).gather(3, index.expand(rows, HEADS, count, count)) * near
        scores = (query @ key.transpose(2, 3) + relative) * scale
        scores = scores.masked_fill(where[:, None] == 0, -1e4)
        weights = F.dropout(scores.softmax(-1), DROPOUT, self.training)
        around = (weights * near)[..., None] * F.one_hot(index, 2 * REACH + 1).to(x.dtype)
        values = weights @ value + around.sum(3) @ self.near_values
        return self.out(values.transpose(2, 3).reshape(rows, WIDTH, count))


class Feed(nn.Module):
    """Two convolutions over three phonemes."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Conv1d(WIDTH, INNER, 3, padding=1), nn.Conv1d(INNER, WIDTH, 3, padding=1)

    def forward(self, x: Tensor, where: Tensor) -> Tensor:
        """[B, 192, N]."""
        hidden = F.dropout(F.relu(self.up(x * where)), DROPOUT, self.training)
        return self.down(hidden * where) * where


class Durations(nn.Module):
    """The log of each phoneme's frames."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(WIDTH, 256, 3, padding=1), nn.Conv1d(256, 256, 3, padding=1)
        self.first_norm, self.second_norm = Norm(256), Norm(256)
        self.out = nn.Conv1d(256, 1, 1)

    def forward(self, x: Tensor, where: Tensor) -> Tensor:
        """[B, 192, N] to [B, N]."""
        hidden = F.dropout(self.first_norm(F.relu(self.first(x * where))), DROPOUT, self.training)
        hidden = F.dropout(self.second_norm(F.relu(self.second(hidden * where))), DROPOUT, self.training)
        return self.out(hidden * where)[:, 0]


class PhonemeEncoder(nn.Module):
    """Phonemes to the prior mel of each, mu~ [B, 80, N], and log frames [B, N]."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS, WIDTH)
        nn.init.normal_(self.embedding.weight, std=WIDTH**-0.5)
        self.prenet = Prenet()
        self.attentions = nn.ModuleList(RelativeAttention() for _ in range(LAYERS))
        self.feeds = nn.ModuleList(Feed() for _ in range(LAYERS))
        self.norms = nn.ModuleList(Norm(WIDTH) for _ in range(2 * LAYERS))
        self.mean = nn.Conv1d(WIDTH, BANDS, 1)
        self.durations = Durations()

    def forward(self, phonemes: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
        """`phonemes` int64 [B, N], `where` [B, 1, N]. Durations do not teach the encoder."""
        x = self.prenet(self.embedding(phonemes).transpose(1, 2) * math.sqrt(WIDTH) * where, where)
        for number, (attention, feed) in enumerate(zip(self.attentions, self.feeds, strict=True)):
            x = self.norms[2 * number](x + F.dropout(attention(x * where, where), DROPOUT, self.training))
            x = self.norms[2 * number + 1](x + F.dropout(feed(x, where), DROPOUT, self.training))
        x = x * where
        return self.mean(x) * where, self.durations(x.detach(), where)


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(8, outputs)

    def forward(self, x: Tensor, where: Tensor) -> Tensor:
        return F.mish(self.norm(self.convolution(x * where))) * where


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.film = nn.Linear(CONDITION, 2 * outputs)
        self.first, self.second = _Block(inputs, outputs), _Block(outputs, outputs)
        self.past: nn.Module = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, where: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.film(F.mish(condition))[..., None, None].chunk(2, 1)
        hidden = self.first(x, where) * (1 + scale) + shift
        return self.second(hidden, where) + self.past(x * where)


class _Attention(nn.Module):
    """Linear attention over time and bands (Katharopoulos et al., ICML 2020), faded in from zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = ATTENTION_HEADS * HEAD_WIDTH
        self.into = nn.Conv2d(width, 3 * inner, 1, bias=False)
        self.out = nn.Conv2d(inner, width, 1)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        rows, _, height, width = x.shape
        query, key, value = self.into(x).reshape(rows, 3, ATTENTION_HEADS, HEAD_WIDTH, height * width).unbind(1)
        context = key.softmax(-1) @ value.transpose(2, 3)
        found = (context.transpose(2, 3) @ query).reshape(rows, ATTENTION_HEADS * HEAD_WIDTH, height, width)
        return x + self.gain * self.out(found)


class _Level(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = _Residual(inputs, outputs), _Residual(outputs, outputs)
        self.attention = _Attention(outputs)

    def forward(self, x: Tensor, where: Tensor, condition: Tensor) -> Tensor:
        return self.attention(self.second(self.first(x, where, condition), where, condition))


class UNet(nn.Module):
    """The noise in X_t [B, 80, T], told mu, the time and the style. T is a multiple of 4."""

    def __init__(self) -> None:
        super().__init__()
        low, mid, high = WIDTHS
        self.time = nn.Sequential(nn.Linear(64, CONDITION), nn.Mish(), nn.Linear(CONDITION, CONDITION))
        self.style = nn.Sequential(nn.Linear(STYLE, CONDITION), nn.Mish(), nn.Linear(CONDITION, CONDITION))
        self.down = nn.ModuleList([_Level(2, low), _Level(low, mid), _Level(mid, high)])
        self.halve = nn.ModuleList(nn.Conv2d(width, width, 3, 2, 1) for width in (low, mid))
        self.before, self.attention, self.after = _Residual(high, high), _Attention(high), _Residual(high, high)
        self.up = nn.ModuleList([_Level(2 * high, mid), _Level(2 * mid, low)])
        self.doubled = nn.ModuleList(nn.ConvTranspose2d(width, width, 4, 2, 1) for width in (mid, low))
        self.last, self.out = _Block(low, low), nn.Conv2d(low, 1, 1)

    def forward(self, noisy: Tensor, mu: Tensor, t: Tensor, style: Tensor, where: Tensor) -> Tensor:
        """`noisy`, `mu` [B, 80, T]; `t` [B]; `style` [B, 512]; `where` [B, 1, T]."""
        frequencies = torch.exp(torch.arange(32, device=t.device) * (-math.log(10_000) / 31))
        angles = 1000 * t[:, None] * frequencies[None]
        condition = self.time(torch.cat([angles.sin(), angles.cos()], 1)) + self.style(style)
        masks = [where[:, None]]
        x = torch.stack([mu, noisy], 1)
        kept = []
        for number, level in enumerate(self.down):
            x = level(x, masks[-1], condition)
            kept.append(x)
            if number < len(self.halve):
                x = self.halve[number](x * masks[-1])
                masks.append(masks[-1][..., ::2])
        x = self.after(self.attention(self.before(x, masks[-1], condition)), masks[-1], condition)
        for level, doubled in zip(self.up, self.doubled, strict=True):
            here = masks.pop()
            x = doubled(level(torch.cat([x, kept.pop()], 1), here, condition) * here)
        return self.out(self.last(x, masks[-1]) * masks[-1])[:, 0] * where


class PaperHascom(nn.Module):
    """Phoneme encoder and U-Net."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.unet = PhonemeEncoder(), UNet()

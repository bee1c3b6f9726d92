# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of DeepSC-ST: Deep Speech 2, and the channel encoder and decoder of 20 complex symbols a frame.

Sources: Weng, Qin, Tao, Pan, Liu, Li, "Deep Learning Enabled Semantic Communications with Speech Recognition and
Synthesis", IEEE TWC 2023; Amodei et al., "Deep Speech 2", ICML 2016. Preset `paper` has their layers and its
85,796,042 parameters; preset `small` differs in size, in mel bands, and in channel layers that see their
neighbourhood and the noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...speech.ctc import TOKENS
from ...speech.features import BINS
from ...speech.recurrent import BidirectionalGru, valid

REALS = 40  # real values a frame: 20 complex symbols


@dataclass(frozen=True)
class Size:
    """Sizes of a network. Convolutions are (channels, kernel, stride) with (time, frequency)."""

    bands: int
    convolutions: tuple[tuple[int, tuple[int, int], tuple[int, int]], ...]
    hidden: int
    layers: int
    adaptive: bool


SIZES = {
    "paper": Size(BINS, ((32, (41, 11), (2, 2)), (32, (21, 11), (2, 1))), 800, 7, False),
    "small": Size(40, ((32, (11, 5), (2, 2)), (32, (7, 5), (2, 2))), 256, 3, True),
}


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of [B, C, ...] whose statistics leave padded frames out."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, momentum=0.003)  # the paper's 0.997 of the past

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Of the shape of x; mask is 1 where values count and 0 elsewhere, of a shape that x can be multiplied by.

        x must be 0 where mask is.
        """
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        others = [axis for axis in range(x.ndim) if axis != 1]
        count = x.numel() / x.shape[1]
        if mask is not None:
            count = float(mask.sum()) * count / (mask.numel() / mask.shape[1])
        mean = x.sum(others, dtype=torch.float32) / count
        variance = x.square().sum(others, dtype=torch.float32) / count - mean.square()
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1
            share = max(0.003, 1 / float(self.num_batches_tracked))  # an average at first
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance, share)
        scale = torch.rsqrt(variance.clamp_min(0) + self.eps) * self.weight
        shape = [1, -1] + [1] * (x.ndim - 2)
        return torch.addcmul((self.bias - mean * scale).view(shape), x, scale.view(shape))


class Recogniser(nn.Module):
    """Deep Speech 2: frames of log power to token logits, a quarter as many."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        convolutions, norms = [], []
        channels, bands = 1, size.bands
        for count, kernel, stride in size.convolutions:
            padding = (kernel[0] // 2, kernel[1] // 2)
            convolutions.append(nn.Conv2d(channels, count, kernel, stride, padding, bias=False))
            norms.append(MaskedBatchNorm(count))
            channels, bands = count, (bands - 1) // stride[1] + 1
        self.convolutions, self.convolution_norms = nn.ModuleList(convolutions), nn.ModuleList(norms)
        width = 2 * size.hidden
        inputs = [channels * bands] + [width] * (size.layers - 1)
        self.recurrent = nn.ModuleList(BidirectionalGru(n, size.hidden) for n in inputs)
        self.norms = nn.ModuleList(MaskedBatchNorm(width) for _ in range(size.layers))
        self.dense = nn.Linear(width, TOKENS)
        self.dropout = 0.0

    def hidden(self, frames: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The last hidden layer [B, L, 2 hidden] and the lengths [B] in frames of 40 ms, of frames [B, T, bands]."""
        x = frames[:, None]
        mask = None
        for convolution, norm in zip(self.convolutions, self.convolution_norms, strict=True):
            x = F.relu6(convolution(x))
            if lengths is None:
                x = norm(x)
                continue
            lengths = torch.div(lengths - 1, 2, rounding_mode="floor") + 1
            mask = valid(lengths, x.shape[2])[:, None]
            column = mask[..., None]
            x = norm(x * column, column) * column  # the zeros that padding of the next convolution has
        x = x.permute(0, 2, 1, 3).flatten(2)
        for number, layer in enumerate(self.recurrent):
            if number:
                x = self.norms[number - 1](x.transpose(1, 2), mask).transpose(1, 2)
            x = layer(F.dropout(x, self.dropout, self.training), lengths)
        return self.norms[-1](x.transpose(1, 2), mask).transpose(1, 2), lengths

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Logits [B, L, 29] and lengths [B]; `lengths` counts the valid frames of each row, None: all."""
        x, lengths = self.hidden(frames, lengths)
        return self.dense(F.dropout(x, self.dropout, self.training)), lengths


def pair_energy(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Values [B, L, 40] scaled so that the complex symbols of each row have mean energy 1; mask [B, L] as `valid`."""
    energy = values.square().sum(-1)
    if mask is None:
        mean = energy.mean(1)
    else:
        mean = (energy * mask).sum(1) / mask.sum(1)
    return values * torch.rsqrt(mean / (REALS // 2) + 1e-9)[:, None, None]


class PaperEncoder(nn.Module):
    """Token probabilities to values, frame by frame."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(TOKENS, REALS), nn.Linear(REALS, REALS)

    def forward(self, probabilities: Tensor, esn0_db: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, L, 29] to [B, L, 40], pairs of mean energy 1. The paper's encoder is not told the channel."""
        return pair_energy(self.second(F.relu(self.first(probabilities))), mask)


class PaperDecoder(nn.Module):
    """Received values to token logits, frame by frame."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(REALS, REALS), nn.Linear(REALS, REALS)
        self.third = nn.Linear(REALS, TOKENS)

    def forward(self, values: Tensor, noise_var: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[B, L, 40] to [B, L, 29]. The paper's decoder is not told the noise."""
        return self.third(F.relu(self.second(F.relu(self.first(values)))))


class Neighbours(nn.Module):
    """A convolution over frames, [B, L, inputs] to [B, L, outputs]."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(inputs, outputs, width, padding=width // 2)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Padded frames count as zeros."""
        if mask is not None:
            x = x * mask[..., None]
        return self.convolution(x.transpose(1, 2)).transpose(1, 2)


def snr_feature(esn0_db: Tensor) -> Tensor:
    """Es/N0 in dB to about -1..1 over -12 to 20 dB; bounded outside."""
    return ((esn0_db - 4) / 16).clamp(-1.2, 1.2)


class SmallEncoder(nn.Module):
    """Probabilities to values, seeing five frames and the Es/N0: frames that say little get little energy."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.first, self.second = Neighbours(TOKENS + 1, width, 5), Neighbours(width, REALS, 3)
        self.direct = nn.Linear(TOKENS, REALS)

    def forward(self, probabilities: Tensor, esn0_db: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, L, 29] and the Es/N0 that the transmitter assumes, [B], to [B, L, 40], pairs of mean energy 1."""
        told = snr_feature(esn0_db)[:, None, None].expand(-1, probabilities.shape[1], 1)
        hidden = F.relu(self.first(torch.cat([probabilities, told], -1), mask))
        return pair_energy((self.second(hidden, mask) + self.direct(probabilities)).float(), mask)


class SmallDecoder(nn.Module):
    """Values and the noise of each symbol to logits, by a convolution and a recurrent layer."""

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.first = Neighbours(REALS + REALS // 2, width, 5)
        self.recurrent = BidirectionalGru(width, width)
        self.dense = nn.Linear(2 * width, TOKENS)
        self.direct = nn.Linear(width, TOKENS)

    def forward(self, values: Tensor, noise_var: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[B, L, 40] and the variance of each symbol's noise, [B, L, 20], to [B, L, 29]."""
        mask = None if lengths is None else valid(lengths, values.shape[1])
        trust = 1 / (1 + noise_var)  # of the best linear estimate of values of unit energy
        x = torch.cat([values * trust.repeat_interleave(2, -1), trust], -1)
        hidden = F.relu(self.first(x, mask))
        return self.dense(self.recurrent(hidden, lengths)) + self.direct(hidden)


class DeepScSt(nn.Module):
    """Recogniser, channel encoder and channel decoder."""

    def __init__(self, preset: str = "small") -> None:
        super().__init__()
        size = SIZES[preset]
        self.recogniser = Recogniser(size)
        self.encoder: nn.Module = SmallEncoder() if size.adaptive else PaperEncoder()
        self.decoder: nn.Module = SmallDecoder() if size.adaptive else PaperDecoder()

    def over_channel(
        self, probabilities: Tensor, lengths: Tensor, esn0_db: Tensor, noise_var: Tensor, noise: Tensor
    ) -> Tensor:
        """Logits after the channel: noise_var [B, L, 20] of each symbol, noise of unit variance [B, L, 40]."""
        values = self.encoder(probabilities, esn0_db, valid(lengths, probabilities.shape[1]))
        deviation = (noise_var / 2).sqrt().repeat_interleave(2, -1)
        return self.decoder(values + deviation * noise, noise_var, lengths)


def parameter_count(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in module.parameters())

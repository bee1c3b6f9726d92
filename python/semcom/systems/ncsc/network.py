# SPDX-License-Identifier: GPL-3.0-or-later
"""The `small` NCSC network: a variable-rate image autoencoder with an exactly reproducible entropy model.

Source: the flow of the paper (analysis, synthesis, hyperprior, context model; Cheng et al. 2020) with
transforms that two cores can train and run. Differences and their reasons are in docs/ncsc.md.

Every network that chooses a coding table works on *dyadic rationals*: weights are multiples of a power
of two, activations are clipped multiples of 1/16, and `ExactConv.unit` is chosen so that no sum needs more
than 24 bits. Float32 addition of such numbers is exact in any order, so any runtime, processor and thread count
yields the same table index. See `ExactConv`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LATENTS = 128  # channels of y, at 1/16 of the picture's resolution
HYPER = 32  # channels of z, at 1/64
FEATURES = 128  # channels of what the hyperprior says about y
QUALITIES = 8  # nodes of the rate control, interpolated in between
SCALES = 64  # coding tables: Gaussians of growing standard deviation
SCALE_MIN, SCALE_MAX = 0.11, 64.0
STEP = 1 / 16  # grid of activations and of predicted means
CLIP = 255 * STEP  # largest activation inside the exact networks


def scale_of_index(index: Tensor) -> Tensor:
    """Standard deviation of a table index; log-spaced, differentiable for real-valued indices."""
    return SCALE_MIN * torch.exp(index * (math.log(SCALE_MAX / SCALE_MIN) / (SCALES - 1)))


def round_through(x: Tensor, step: float = 1.0) -> Tensor:
    """Round to a grid, half away upwards as ONNX `Floor(x + 0.5)`; the gradient passes unchanged."""
    return x + (torch.floor(x / step + 0.5) * step - x).detach()


class ResidualBlock(nn.Module):
    """x + two 3x3 convolutions, as RB of the paper."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of x, [B, C, h, w]."""
        y = F.leaky_relu(self.first(x), 0.01)
        return x + F.leaky_relu(self.second(y), 0.01)


class Analysis(nn.Sequential):
    """RGB in [0, 1], [B, 3, H, W] with H, W multiples of 16, to latents [B, 128, H/16, W/16]."""

    def __init__(self) -> None:
        super().__init__(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, 64, 3, padding=1),
            ResidualBlock(64),
            nn.Conv2d(64, 128, 3, 2, 1),
            *[ResidualBlock(128) for _ in range(3)],
            nn.Conv2d(128, 160, 3, 2, 1),
            ResidualBlock(160),
            nn.Conv2d(160, LATENTS, 3, padding=1),
        )


class Synthesis(nn.Sequential):
    """Latents [B, 128, h, w] to RGB (not clipped), [B, 3, 16h, 16w]."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(LATENTS, 160, 3, padding=1),
            ResidualBlock(160),
            nn.Conv2d(160, 4 * 128, 3, padding=1),
            nn.PixelShuffle(2),
            *[ResidualBlock(128) for _ in range(3)],
            nn.Conv2d(128, 4 * 64, 3, padding=1),
            nn.PixelShuffle(2),
            *[ResidualBlock(64) for _ in range(2)],
            nn.Conv2d(64, 48, 3, padding=1),
            nn.PixelShuffle(4),
        )


class HyperAnalysis(nn.Sequential):
    """Scaled latents to z, [B, 32, h/4, w/4]; runs at the encoder only, so it need not be exact."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(LATENTS, 96, 3, padding=1),
            nn.LeakyReLU(0.01),
            nn.Conv2d(96, 96, 3, 2, 1),
            nn.LeakyReLU(0.01),
            nn.Conv2d(96, HYPER, 3, 2, 1),
        )


class ExactConv(nn.Conv2d):
    """A convolution whose float32 result does not depend on the order of summation.

    With `exact` set, weights are rounded to multiples of `unit`, the bias to multiples of unit / 16; inputs
    must be multiples of 1/16 bounded by `bound`.
    """

    bias: nn.Parameter

    def __init__(self, inputs: int, outputs: int, size: int, bound: float) -> None:
        super().__init__(inputs, outputs, size, padding=size // 2)
        self.bound = bound
        self.exact = False

    def unit(self) -> Tensor:
        """Grid of a channel's weights, a power of two: the finest that keeps sums below 2**24 and weights
        below 2**11 units (so that float16 stores them exactly), [outputs]."""
        with torch.no_grad():
            weight = self.weight.abs()
            total = weight.sum((1, 2, 3)) * (self.bound / STEP) + self.bias.abs() / STEP
            # rounding adds at most half a unit to each weight; a whole bit is left for it
            by_sum = torch.log2((2.0**23) / total.clamp_min(1e-6))
            by_size = torch.log2(2047 / weight.amax((1, 2, 3)).clamp_min(1e-6))
            return torch.exp2(-torch.floor(torch.minimum(by_sum, by_size)).clamp(0, 14))

    def rounded(self) -> tuple[Tensor, Tensor]:
        """Weights and bias on their grids; the gradient passes unchanged."""
        unit = self.unit()
        column = unit[:, None, None, None]
        return round_through(self.weight / column) * column, round_through(self.bias / (unit * STEP)) * (unit * STEP)

    def freeze(self) -> None:
        """Put the rounded weights in place of the trained ones, for export."""
        with torch.no_grad():
            weight, bias = self.rounded()
            self.weight.copy_(weight)
            self.bias.copy_(bias)
        self.exact = False

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] to [B, outputs, h, w]."""
        if not self.exact:
            return super().forward(x)
        return F.conv2d(x, *self.rounded(), padding=self.padding)


class ExactRelu(nn.Module):
    """Clip to [0, CLIP]; rounds to 1/16 when `exact`."""

    def __init__(self) -> None:
        super().__init__()
        self.exact = False

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of x."""
        x = x.clamp(0, CLIP)
        return round_through(x, STEP) if self.exact else x


class HyperSynthesis(nn.Sequential):
    """Integer z [B, 32, h/4, w/4] to features of y [B, 128, h, w], multiples of 1/16 in [0, CLIP]."""

    def __init__(self) -> None:
        super().__init__(
            ExactConv(HYPER, 4 * 96, 3, 31.0),
            nn.PixelShuffle(2),
            ExactRelu(),
            ExactConv(96, 4 * 96, 3, CLIP),
            nn.PixelShuffle(2),
            ExactRelu(),
            ExactConv(96, FEATURES, 3, CLIP),
            ExactRelu(),
        )


class Parameters(nn.Sequential):
    """Features to mean and table index of each latent: [B, C, h, w] to [B, 2 * 128, h, w]."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__(
            ExactConv(inputs, FEATURES, size, CLIP),
            ExactRelu(),
            ExactConv(FEATURES, 2 * LATENTS, 1, CLIP),
        )


class Context(nn.Sequential):
    """Latents of the first pass (the others zero), clipped to +-CLIP, to features [B, 128, h, w]."""

    def __init__(self) -> None:
        super().__init__(ExactConv(LATENTS, FEATURES, 3, CLIP), ExactRelu())


def first_pass_mask(height: int, width: int) -> Tensor:
    """1 where a latent belongs to the first pass: a checkerboard, inverted for the upper half of channels."""
    board = (torch.arange(height)[:, None] + torch.arange(width)[None, :]) % 2
    half = LATENTS // 2
    return torch.cat([board.expand(half, -1, -1), 1 - board.expand(half, -1, -1)]).float()[None]


class Small(nn.Module):
    """The whole network; `forward` is the training pass, the codec runs the parts."""

    def __init__(self) -> None:
        super().__init__()
        self.analysis = Analysis()
        self.synthesis = Synthesis()
        self.hyper_analysis = HyperAnalysis()
        self.hyper_synthesis = HyperSynthesis()
        self.first = Parameters(FEATURES, 1)
        self.context = Context()
        self.second = Parameters(2 * FEATURES, 3)
        # the gain of node q grows as the square root of its lambda: the high-rate optimum
        steps = torch.linspace(-0.75, 0.75, QUALITIES)[:, None]
        self.log_gain = nn.Parameter(steps.repeat(1, LATENTS) + 1.0)
        self.log_inverse_gain = nn.Parameter(-steps.repeat(1, LATENTS) - 1.0)
        self.hyper_index = nn.Parameter(torch.full((QUALITIES, HYPER), 24.0))

    def set_exact(self, exact: bool) -> None:
        """Switch the entropy networks between plain float and exact arithmetic."""
        for module in self.modules():
            if isinstance(module, (ExactConv, ExactRelu)):
                module.exact = exact
        self.exact = exact

    exact = False

    def at_quality(self, nodes: Tensor, quality: Tensor) -> Tensor:
        """Row of `nodes` [Q, C] at real-valued `quality` [B] in [0, Q-1], linear in between: [B, C, 1, 1]."""
        low = quality.floor().clamp(0, QUALITIES - 2)
        share = (quality - low)[:, None]
        index = low.long()
        return ((1 - share) * nodes[index] + share * nodes[index + 1])[:, :, None, None]

    def split(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Mean, on the grid when exact, and table index, an integer when exact."""
        mean, index = parameters.chunk(2, 1)
        if self.exact:
            return round_through(mean.clamp(-CLIP, CLIP), STEP), round_through(index.clamp(0, SCALES - 1))
        return mean.clamp(-CLIP, CLIP), index.clamp(0, SCALES - 1)

    def forward(self, picture: Tensor, quality: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction [B, 3, H, W], bits of y and of z, each [B]. H, W are multiples of 64."""
        mixed = torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda")
        y = self.analysis(picture - 0.5)
        y = y.float() * torch.exp(self.at_quality(self.log_gain, quality))
        z = self.hyper_analysis(y).float().clamp(-31, 31)
        with torch.autocast(y.device.type, enabled=mixed and not self.exact):
            hyper = self.hyper_synthesis(round_through(z))
            mask = first_pass_mask(y.shape[2], y.shape[3]).to(y)
            mean, index = (t.float() for t in self.split(self.first(hyper)))
            known = (round_through(y - mean) + mean) * mask
            context = self.context(round_through(known, STEP).clamp(-CLIP, CLIP))
            mean2, index2 = (t.float() for t in self.split(self.second(torch.cat([hyper, context], 1))))
        mean = mask * mean + (1 - mask) * mean2
        index = mask * index + (1 - mask) * index2
        decoded = round_through(y - mean) + mean
        if self.training:  # rate by additive noise, distortion by rounding
            residual = y - mean + torch.rand_like(y) - 0.5
            z_noisy = z + torch.rand_like(z) - 0.5
        else:
            residual, z_noisy = torch.floor(y - mean + 0.5), torch.floor(z + 0.5)
        bits_y = gaussian_bits(residual, scale_of_index(index)).sum((1, 2, 3))
        hyper_index = self.at_quality(self.hyper_index, quality).clamp(0, SCALES - 1)
        bits_z = gaussian_bits(z_noisy, scale_of_index(hyper_index)).sum((1, 2, 3))
        back = decoded * torch.exp(self.at_quality(self.log_inverse_gain, quality))
        return self.synthesis(back).float() + 0.5, bits_y, bits_z


def gaussian_bits(x: Tensor, scale: Tensor) -> Tensor:
    """-log2 of the probability of the unit interval around x under N(0, scale^2), in the accurate tail."""
    x = x.abs()
    upper = torch.special.ndtr((0.5 - x) / scale)
    lower = torch.special.ndtr((-0.5 - x) / scale)
    return -torch.log2((upper - lower).clamp_min(2.0**-16))


def parameter_count() -> int:
    """Number of trainable parameters of the `small` preset."""
    return sum(p.numel() for p in Small().parameters())

# SPDX-License-Identifier: GPL-3.0-or-later
"""The `paper` NCSC network at the paper's widths: 12,858,444 parameters for 128 channels, 28,903,020 for 192.

Source: the paper's description, which is Cheng et al. 2020 ("Learned image compression with discretized Gaussian
mixture likelihoods and attention modules") without attention: residual transforms with divisive normalisation, a
hyperprior, a masked 5x5 context model that works one position after another, and mixtures of three Gaussians. The
widths of the head that chooses the mixtures are not in the paper; 5N is our reading. The factorised density of z is
that of Balle et al. 2018 (appendix 6.1).

It is here to be trained, measured and exported in parts. The codec does not run it: its serial context model needs a
network call for each of the 1,536 positions of a Kodak picture, and its float probabilities are not the same on
two machines. docs/ncsc.md says what the codec runs instead.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .network import round_through

MIXTURE = 3  # Gaussians a latent
SCALE_LEAST = 0.11
MASS_LEAST = 1e-9  # of the likelihood; below it the gradient says nothing
SLOPE = 0.01
TAIL = 1e-9  # mass outside the quantiles of z
REACH = 2  # of the context model: 5x5


class _LowerBound(torch.autograd.Function):
    """max(x, bound), whose gradient still passes where it would raise x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp_min(bound)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradient * ((x >= ctx.bound) | (gradient < 0)), None


def lower_bound(x: Tensor, bound: float) -> Tensor:
    """max(x, bound), trainable from below the bound; a plain maximum where no gradient is asked for."""
    return _LowerBound.apply(x, bound) if torch.is_grad_enabled() and x.requires_grad else x.clamp_min(bound)


class DivisiveNorm(nn.Module):
    """x / sqrt(beta + gamma x^2) over channels, or times the root where `inverse` (Balle et al. 2016).

    beta and gamma are squares of the trained parameters, so that they stay positive.
    """

    PEDESTAL = 2.0**-36  # keeps the gradient of a square alive at 0

    def __init__(self, channels: int, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta = nn.Parameter(torch.ones(channels).add(self.PEDESTAL).sqrt())
        self.gamma = nn.Parameter(torch.eye(channels).mul(0.1).add(self.PEDESTAL).sqrt())

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of x, [B, C, h, w]."""
        beta = lower_bound(self.beta, (1e-6 + self.PEDESTAL) ** 0.5) ** 2 - self.PEDESTAL
        gamma = lower_bound(self.gamma, self.PEDESTAL**0.5) ** 2 - self.PEDESTAL
        norm = torch.sqrt(F.conv2d(x * x, gamma[:, :, None, None], beta))
        return x * norm if self.inverse else x / norm


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps height and width, but for the stride."""
    return nn.Conv2d(inputs, outputs, size, stride, size // 2)


def up(inputs: int, outputs: int) -> nn.Sequential:
    """Sub-pixel convolution: twice the height and width."""
    return nn.Sequential(conv(inputs, 4 * outputs), nn.PixelShuffle(2))


class Residual(nn.Module):
    """x + two 3x3 convolutions (RB)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(channels, channels), nn.LeakyReLU(SLOPE), conv(channels, channels), nn.LeakyReLU(SLOPE)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of x."""
        return x + self.body(x)


class ResidualDown(nn.Module):
    """Half the height and width, divisive normalisation, strided 1x1 skip (RBs)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(inputs, outputs, 3, 2), nn.LeakyReLU(SLOPE), conv(outputs, outputs), DivisiveNorm(outputs)
        )
        self.skip = conv(inputs, outputs, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] to [B, outputs, h/2, w/2]."""
        return self.skip(x) + self.body(x)


class ResidualUp(nn.Module):
    """Twice the height and width, inverse divisive normalisation, sub-pixel skip (RBu)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            up(channels, channels), nn.LeakyReLU(SLOPE), conv(channels, channels), DivisiveNorm(channels, inverse=True)
        )
        self.skip = up(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, h, w] to [B, channels, 2h, 2w]."""
        return self.skip(x) + self.body(x)


class MaskedConv(nn.Conv2d):
    """5x5 over the positions before the one it speaks of, in reading order (mask "A", 12 taps).

    There is no padding: the caller gives `REACH` positions more on each side, so that the same layer runs over a whole
    picture, zeros around it, and over the 5x5 surroundings of one position.
    """

    mask: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        side = 2 * REACH + 1
        super().__init__(inputs, outputs, side)
        known = torch.arange(side * side).view(side, side) < side * side // 2
        self.register_buffer("mask", known.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h + 4, w + 4] to [B, outputs, h, w]."""
        return F.conv2d(x, self.weight * self.mask, self.bias)


class Density(nn.Module):
    """The factorised density of z: for each channel a monotone network of widths 1, 3, 3, 3, 3, 1 gives the logit of
    the distribution function; with it the three quantiles that bound a coder's table and place its rounding, which
    follow from it and are solved for, not trained."""

    WIDTHS = (1, 3, 3, 3, 3, 1)
    QUANTILES = (TAIL / 2, 0.5, 1 - TAIL / 2)

    def __init__(self, channels: int, spread: float = 10.0) -> None:
        super().__init__()
        layers = len(self.WIDTHS) - 1
        scale = spread ** (1 / layers)
        self.matrices, self.biases, self.factors = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        for k, (inputs, outputs) in enumerate(zip(self.WIDTHS, self.WIDTHS[1:], strict=False)):
            start = math.log(math.expm1(1 / scale / outputs))
            self.matrices.append(nn.Parameter(torch.full((channels, outputs, inputs), start)))
            self.biases.append(nn.Parameter(torch.rand(channels, outputs, 1) - 0.5))
            if k < layers - 1:
                self.factors.append(nn.Parameter(torch.zeros(channels, outputs, 1)))
        self.quantiles = nn.Parameter(torch.zeros(channels, len(self.QUANTILES)), requires_grad=False)
        self.fit()

    def logits(self, z: Tensor) -> Tensor:
        """Logits of the distribution function at z [C, n], of that shape."""
        x = z[:, None]
        for k, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            x = F.softplus(matrix) @ x + bias
            if k < len(self.factors):
                x = x + torch.tanh(self.factors[k]) * torch.tanh(x)
        return x[:, 0]

    @torch.no_grad()
    def fit(self) -> None:
        """Put the quantiles where the density has them now: bisection of a rising function, within +-2^14."""
        goal = torch.tensor([math.log(p) - math.log1p(-p) for p in self.QUANTILES]).to(self.quantiles)
        high = torch.full_like(self.quantiles, 2.0**14)
        low = -high
        for _ in range(40):
            middle = (low + high) / 2
            above = self.logits(middle) > goal
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        self.quantiles.copy_((low + high) / 2)

    def mass(self, z: Tensor) -> Tensor:
        """Probability of the unit interval around z [C, n]; differences are taken in the accurate tail."""
        low, high = self.logits(z - 0.5), self.logits(z + 0.5)
        sign = -torch.sign(low + high).detach()
        return (torch.sigmoid(sign * high) - torch.sigmoid(sign * low)).abs()

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Rounded z with the gradient passed through, of its shape [B, C, h, w], and its bits [B]."""
        median = self.quantiles[:, 1, None, None]
        rounded = round_through(z - median) + median
        coded = z + torch.rand_like(z) - 0.5 if self.training else rounded
        mass = self.mass(coded.transpose(0, 1).flatten(1)).view(z.shape[1], len(z), -1)
        return rounded, -torch.log2(lower_bound(mass, MASS_LEAST)).sum((0, 2))


class Head(nn.Sequential):
    """What hyperprior and context say of each latent, each [B, 2N, h, w], to its mixture."""

    def __init__(self, channels: int) -> None:
        n = channels
        act = nn.LeakyReLU(SLOPE)
        super().__init__(conv(4 * n, 5 * n, 1), act, conv(5 * n, 5 * n, 1), act, conv(5 * n, 3 * MIXTURE * n, 1))

    def mixture(self, hyper: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights that sum to 1, means, scales of at least 0.11; each [B, 3, N, h, w]."""
        weight, mean, scale = self(torch.cat([hyper, context], 1)).chunk(3, 1)
        weight, mean, scale = (t.unflatten(1, (MIXTURE, -1)) for t in (weight, mean, scale))
        return weight.softmax(1), mean, lower_bound(scale, SCALE_LEAST)


class Paper(nn.Module):
    """The whole network; `forward` is the training pass."""

    def __init__(self, channels: int = 128) -> None:
        super().__init__()
        if channels < 2 or channels % 2:
            raise ValueError(f"channels must be even and at least 2, not {channels}")
        n = self.channels = channels
        act = nn.LeakyReLU(SLOPE)
        self.analysis = nn.Sequential(
            ResidualDown(3, n), Residual(n), ResidualDown(n, n), Residual(n), ResidualDown(n, n), Residual(n),
            conv(n, n, 3, 2),
        )  # fmt: skip
        self.synthesis = nn.Sequential(
            Residual(n), ResidualUp(n), Residual(n), ResidualUp(n), Residual(n), ResidualUp(n), Residual(n), up(n, 3)
        )
        self.hyper_analysis = nn.Sequential(
            conv(n, n), act, conv(n, n), act, conv(n, n, 3, 2), act, conv(n, n), act, conv(n, n, 3, 2)
        )
        self.hyper_synthesis = nn.Sequential(
            conv(n, n), act, up(n, n), act, conv(n, 3 * n // 2), act, up(3 * n // 2, 3 * n // 2), act,
            conv(3 * n // 2, 2 * n),
        )  # fmt: skip
        self.context = MaskedConv(n, 2 * n)
        self.head = Head(n)
        self.density = Density(n)

    def forward(self, picture: Tensor, quality: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction [B, 3, H, W], bits of y and of z, each [B], for a picture in [0, 1] whose sides are multiples
        of 64. `quality` is there for `Small`'s sake: this network has one rate.

        Rates come from additive noise in training, from rounding otherwise; what follows sees rounded latents.
        """
        y = self.analysis(picture)
        z, bits_z = self.density(self.hyper_analysis(y))
        decoded = round_through(y)
        context = self.context(F.pad(decoded, (REACH,) * 4))
        mixture = self.head.mixture(self.hyper_synthesis(z), context)
        coded = y + torch.rand_like(y) - 0.5 if self.training else decoded
        bits_y = mixture_bits(coded, *mixture).sum((1, 2, 3))
        return self.synthesis(decoded), bits_y, bits_z


def mixture_bits(x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """-log2 of the probability of the unit interval around x [B, N, h, w] under the mixture [B, 3, N, h, w]; the
    normal distribution is taken in its accurate tail."""
    distance = (x[:, None] - mean).abs()
    mass = torch.special.ndtr((0.5 - distance) / scale) - torch.special.ndtr((-0.5 - distance) / scale)
    return -torch.log2(lower_bound((weight * mass).sum(1), MASS_LEAST))


def parameter_count(channels: int = 128) -> int:
    """Number of parameters: those a masked tap holds and the quantiles included, as in public counts."""
    return sum(p.numel() for p in Paper(channels).parameters())

# SPDX-License-Identifier: GPL-3.0-or-later
"""The six graphs of a trained HASCom, as modules that the exporter takes. Noise and loops stay outside."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...speech.mel import BANDS
from ...speech.phonemes import SYMBOLS
from ...speech.style import WIDTH as STYLE
from ..exporting import Axes, Part
from .forward import B0, B1
from .network import WIDTH, Denoiser, Hascom, Prior
from .style_network import SYMBOLS as CHANNEL
from .style_network import StyleJscc, StyleNetwork


class Encoder(nn.Module):
    """Phonemes [1, N] and style [1, 512] to hidden values [1, 128, N] and log frames [1, N]."""

    def __init__(self, prior: Prior) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, phonemes: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        where = torch.ones_like(phonemes)[:, None].float()
        hidden, _, log_frames = self.prior.encode(phonemes, where, style)
        return hidden, log_frames


class Decoder(nn.Module):
    """Hidden values over frames [1, 128, T], places [1, 3, T] and style to mu [1, 80, T]."""

    def __init__(self, prior: Prior) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, hidden: Tensor, places: Tensor, style: Tensor) -> Tensor:
        """See the class."""
        return self.prior.decode(hidden, places, torch.ones_like(hidden[:, :1]), style)


class Noise(nn.Module):
    """The noise in X_t [1, 80, T]: delta (X_t - mu) + rho v."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, noisy: Tensor, mu: Tensor, t: Tensor, style: Tensor) -> Tensor:
        """`t` [1]; see the class."""
        rho = torch.exp(-(B0 * t + (B1 - B0) * t * t / 2) / 2)[:, None, None]
        delta = torch.sqrt(1 - rho * rho)
        v = self.denoiser(noisy, mu, t, style, torch.ones_like(noisy[:, :1]))
        return delta * (noisy - mu) + rho * v


class JsccEncoder(nn.Module):
    """Styles [1, 512] to reals [1, 128] of mean square 1/2."""

    def __init__(self, jscc: StyleJscc) -> None:
        super().__init__()
        self.jscc = jscc

    def forward(self, style: Tensor) -> Tensor:
        """See the class."""
        return self.jscc.encode(style)


FREE = {"frames": 1, "phonemes": 1, "hidden": 2, "log_frames": 1, "places": 2, "mu": 2, "noisy": 2, "noise": 2}
AXES: Axes = {name: {axis: "length"} for name, axis in FREE.items()}


def _log_mel(count: int, least: int = 1) -> Tensor:
    return torch.randn(1, BANDS, max(count, least)) * 2 - 6


def parts(model: Hascom, style: StyleNetwork, jscc: StyleJscc) -> dict[str, Part]:
    """The graphs by file name."""
    return {
        "style": Part(
            style, lambda n: {"frames": _log_mel(n, 32).transpose(1, 2)}, ("style",)
        ),
        "jscc_encoder": Part(JsccEncoder(jscc), lambda n: {"style": torch.randn(1, STYLE)}, ("values",)),
        "jscc_decoder": Part(jscc.decoder, lambda n: {"values": torch.randn(1, 2 * CHANNEL)}, ("style",)),
        "encoder": Part(
            Encoder(model.prior),
            lambda n: {"phonemes": torch.randint(0, len(SYMBOLS), (1, n)), "style": torch.randn(1, STYLE)},
            ("hidden", "log_frames"),
        ),
        "decoder": Part(
            Decoder(model.prior),
            lambda n: {
                "hidden": torch.randn(1, WIDTH, n), "places": torch.rand(1, 3, n), "style": torch.randn(1, STYLE)
            },
            ("mu",),
        ),
        "denoiser": Part(
            Noise(model.denoiser),
            lambda n: {
                "noisy": _log_mel(n), "mu": _log_mel(n), "t": torch.tensor([0.4]), "style": torch.randn(1, STYLE)
            },
            ("noise",),
        ),
    }  # fmt: skip

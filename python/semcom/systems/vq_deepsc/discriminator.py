# SPDX-License-Identifier: GPL-3.0-or-later
"""The PatchGAN discriminator of the paper (Isola et al. 2017): 128x128 pictures to 14x14 logits, one a patch."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PatchGan(nn.Sequential):
    """2,765,633 parameters. Logits: the loss takes care of the sigmoid."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
        for inputs, outputs, stride in ((64, 128, 2), (128, 256, 2), (256, 512, 1)):
            layers += [nn.Conv2d(inputs, outputs, 4, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(512, 1, 4, 1, 1))


def discriminator_loss(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """-log D(real) - log(1 - D(fake)), mean over patches."""
    soft = nn.functional.binary_cross_entropy_with_logits
    return soft(logits_real, torch.ones_like(logits_real)) + soft(logits_fake, torch.zeros_like(logits_fake))


def generator_loss(logits_fake: Tensor) -> Tensor:
    """-log D(fake), the form that does not saturate (Goodfellow et al. 2014)."""
    return nn.functional.binary_cross_entropy_with_logits(logits_fake, torch.ones_like(logits_fake))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Muon for convolutions: momentum whose matrix is made orthogonal before the step.

Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks" (the quintic Newton-Schulz
iteration and its coefficients). Each weight [out, in, k, k] is seen as a matrix [out, in * k * k].
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonal(matrix: Tensor, rounds: int = 5) -> Tensor:
    """A matrix with the singular vectors of [m, n] and singular values between about 0.7 and 1.2."""
    a, b, c = COEFFICIENTS
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = (x / (x.norm() + 1e-7)).bfloat16()  # the iteration corrects itself
    for _ in range(rounds):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    x = x.to(matrix.dtype)
    return x.T if matrix.shape[0] > matrix.shape[1] else x


class Muon(torch.optim.Optimizer):
    """Steps of root mean square about 0.2 * lr in each weight, as Adam's are: the same rates fit both."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["velocity"] = torch.zeros_like(weight)
                velocity = state["velocity"].lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(velocity, group["momentum"])  # Nesterov's
                matrix = ahead.reshape(len(ahead), -1)
                scale = 0.2 * max(matrix.shape) ** 0.5
                weight.sub_(orthogonal(matrix).reshape(weight.shape), alpha=group["lr"] * scale)


def split_parameters(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Weights of convolutions, for Muon, and all others, for Adam."""
    matrices = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d)]
    known = {id(p) for p in matrices}
    return matrices, [p for p in model.parameters() if id(p) not in known]

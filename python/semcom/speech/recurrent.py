# SPDX-License-Identifier: GPL-3.0-or-later
"""Bidirectional recurrent layers to which padding does nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def valid(lengths: Tensor, steps: int) -> Tensor:
    """float32 [B, steps]: 1 in the first `lengths` frames of each row, 0 after."""
    return (torch.arange(steps, device=lengths.device)[None] < lengths[:, None]).float()


def both_ways(
    layer: nn.RNNBase, one_way: Callable[[Tensor, Tensor, list[Tensor]], Tensor], x: Tensor, lengths: Tensor
) -> Tensor:
    """States [B, T, 2 size] of x [B, T, inputs]: padded frames change nothing and come out as 0.

    Each row is mirrored within its own length for the backward direction, so that padding follows the speech in both:
    the same numbers as packed sequences, and half their time to train on a processor. `one_way` makes states from x,
    the first state and the weights of a direction.
    """

    def direction(x: Tensor, suffix: str) -> Tensor:
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weights = [getattr(layer, name + suffix) for name in names]
        return one_way(x, x.new_zeros(1, x.shape[0], layer.hidden_size), weights)

    batch, steps, _ = x.shape
    index = torch.arange(steps, device=x.device)[None]
    mirror = torch.where(index < lengths[:, None], lengths[:, None] - 1 - index, index)
    row = torch.arange(batch, device=x.device)[:, None]
    ahead = direction(x, "")
    back = direction(x[row, mirror], "_reverse")[row, mirror]
    return torch.cat([ahead, back], -1) * valid(lengths, steps)[..., None]


class BidirectionalGru(nn.GRU):
    """[B, T, inputs] to [B, T, 2 size]; where `lengths` are given, padding does nothing, see `both_ways`."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__(inputs, size, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Both directions' states, the forward one first."""
        return super().forward(x)[0] if lengths is None else both_ways(self, self._one_way, x, lengths)

    def _one_way(self, x: Tensor, state: Tensor, weights: list[Tensor]) -> Tensor:
        return torch.gru(x, state, weights, True, 1, 0.0, self.training, False, True)[0]


class BidirectionalLstm(nn.LSTM):
    """[B, T, inputs] to [B, T, 2 size]; where `lengths` are given, padding does nothing, see `both_ways`."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__(inputs, size, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Both directions' states, the forward one first."""
        return super().forward(x)[0] if lengths is None else both_ways(self, self._one_way, x, lengths)

    def _one_way(self, x: Tensor, state: Tensor, weights: list[Tensor]) -> Tensor:
        return torch.lstm(x, (state, state), weights, True, 1, 0.0, self.training, False, True)[0]

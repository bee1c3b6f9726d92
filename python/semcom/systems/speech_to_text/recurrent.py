# SPDX-License-Identifier: GPL-3.0-or-later
"""A bidirectional LSTM layer to which padding does nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def valid(lengths: Tensor, steps: int) -> Tensor:
    """float32 [B, steps]: 1 in the first `lengths` frames of each row, 0 after."""
    return (torch.arange(steps, device=lengths.device)[None] < lengths[:, None]).float()


class BidirectionalLstm(nn.LSTM):
    """[B, T, inputs] to [B, T, 2 size]; where `lengths` are given, padded frames change nothing and come out as 0.

    Then each row is mirrored within its own length for the backward direction: padding follows the speech in both.
    """

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__(inputs, size, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Both directions' states, the forward one first."""
        if lengths is None:
            return super().forward(x)[0]
        batch, steps, _ = x.shape
        index = torch.arange(steps, device=x.device)[None]
        mirror = torch.where(index < lengths[:, None], lengths[:, None] - 1 - index, index)
        row = torch.arange(batch, device=x.device)[:, None]
        ahead = self._direction(x, "")
        back = self._direction(x[row, mirror], "_reverse")[row, mirror]
        return torch.cat([ahead, back], -1) * valid(lengths, steps)[..., None]

    def _direction(self, x: Tensor, suffix: str) -> Tensor:
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weights = [getattr(self, name + suffix) for name in names]
        state = x.new_zeros(1, x.shape[0], self.hidden_size)
        return torch.lstm(x, (state, state), weights, True, 1, 0.0, self.training, False, True)[0]

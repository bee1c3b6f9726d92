# SPDX-License-Identifier: GPL-3.0-or-later
"""What every vocoder is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..mel import BANDS, HOP


class Vocoder(ABC):
    """Log-mel frames to samples. The same frames always give the same samples."""

    name: ClassVar[str]
    provider: str | None = None  # the runtime provider, where there is a network

    def speak(self, log_mel: NDArray[np.floating]) -> NDArray[np.float32]:
        """256 samples of 16 kHz in [-1, 1] for each frame of `log_mel` [T, 80]; frame k is centred at sample 256 k.

        ValueError for an array of another shape.
        """
        if log_mel.ndim != 2 or log_mel.shape[1] != BANDS:
            raise ValueError(f"a vocoder needs log-mel frames [T, {BANDS}], not an array of shape {log_mel.shape}")
        if len(log_mel) == 0:
            return np.zeros(0, np.float32)
        finite = np.clip(np.nan_to_num(np.asarray(log_mel, np.float32), nan=-12.0), -12.0, 6.0)
        return np.clip(self.spoken(finite)[: HOP * len(finite)], -1, 1).astype(np.float32, copy=False)

    @abstractmethod
    def spoken(self, log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
        """The samples of at least one frame."""

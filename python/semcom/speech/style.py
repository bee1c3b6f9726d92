# SPDX-License-Identifier: GPL-3.0-or-later
"""How something is said, as a vector of 512: emotion and speaker, 256 each. No torch here.

Both halves are of length 1 and lie in 24 dimensions each, so that few analog symbols carry them well. The network is
trained by `semcom train hascom`: emotions of acted speech, and who speaks.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..zoo import Model, load
from .mel import BANDS, SILENCE

EMOTION, SPEAKER = 256, 256
WIDTH = EMOTION + SPEAKER
RANK = 24  # of each half
LEAST_FRAMES = 32  # shorter speech is repeated

Style = NDArray[np.float32]


class StyleEncoder:
    """The style encoder of an installed model."""

    def __init__(self, system: str = "hascom", variant: str = "small", device: str = "auto") -> None:
        self.model: Model = load(system, variant, device)
        about = self.model.arrays("style.npz")
        self.mean: Style = about["mean"]  # over the training speech: cosines are taken after subtracting it
        self.neutral: Style = about["neutral"]  # the style of what nothing is known of

    def embed(self, log_mel: NDArray[np.floating]) -> Style:
        """float32 [512] of log-mel frames [T, 80] of speech at any level; the neutral style of none."""
        if len(log_mel) == 0 or not np.isfinite(log_mel).all() or float(np.max(log_mel)) < SILENCE + 2:
            return self.neutral.copy()
        return np.asarray(self.model.run("style", prepared(log_mel)[None])[0][0], np.float32)

    def cosine(self, left: Style, right: Style) -> float:
        """Cosine of two styles after subtracting the mean of the training speech: 0 for a constant."""
        return cosine(left - self.mean, right - self.mean)


def prepared(log_mel: NDArray[np.floating]) -> NDArray[np.float32]:
    """What the network reads of [T, 80]: at least 32 frames, the loud parts brought to one level."""
    frames = np.asarray(log_mel, np.float32).reshape(-1, BANDS)
    frames = np.tile(frames, (-(-LEAST_FRAMES // len(frames)), 1))
    energy = frames.max(1)
    return np.maximum(frames - np.quantile(energy, 0.9), -12).astype(np.float32)


def cosine(left: Style, right: Style) -> float:
    """Cosine of the angle; 0 where one of them is 0."""
    scale = float(np.linalg.norm(left) * np.linalg.norm(right))
    return float(left @ right) / scale if scale > 1e-9 else 0.0


@lru_cache(maxsize=2)
def style_encoder(variant: str = "small", device: str = "auto") -> StyleEncoder:
    """The encoder of a HASCom model, made once a process."""
    return StyleEncoder("hascom", variant, device)

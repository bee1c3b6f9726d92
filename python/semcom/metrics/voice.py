# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a voice came through: comparisons of style vectors, phonemes and emotions, and the speed of a receiver.

Pure functions of numbers; which network made the vectors is the caller's business. An embedding has a large part that
all voices share, which makes any two of them alike: every cosine here is taken after subtracting the mean over a
training set, so that a constant scores 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .text import edit_distance


def feature_mse(sent: ArrayLike, received: ArrayLike) -> float:
    """Mean squared difference of two arrays of the same shape; ValueError where shapes differ or nothing is there."""
    first, second = _pair(sent, received)
    return float(np.mean(np.square(first - second)))


def centred_cosine(sent: ArrayLike, received: ArrayLike, mean: ArrayLike = 0.0) -> float:
    """Cosine of two vectors [n], -1 to 1, after subtracting `mean` [n] or a number from both; 0 where one vanishes."""
    first, second = _pair(sent, received)
    middle = np.asarray(mean, np.float64)
    if middle.shape not in ((), first.shape):
        raise ValueError(f"mean must have the shape of the vectors, {list(first.shape)}, not {list(middle.shape)}")
    first, second = first - middle, second - middle
    length = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.clip(np.vdot(first, second) / length, -1, 1)) if length > 1e-12 else 0.0


def style_cosine(sent: ArrayLike, received: ArrayLike, mean: ArrayLike) -> float:
    """Cosine of a style vector that was sent and what arrived of it, the training mean removed."""
    return centred_cosine(sent, received, mean)


def speaker_cosine(sent: ArrayLike, received: ArrayLike, mean: ArrayLike) -> float:
    """Cosine of the speaker embeddings of sent and received speech, the training mean removed."""
    return centred_cosine(sent, received, mean)


def emotion_cosine(sent: ArrayLike, received: ArrayLike, mean: ArrayLike) -> float:
    """Cosine of the emotion embeddings of sent and received speech, the training mean removed."""
    return centred_cosine(sent, received, mean)


def emotion_accuracy(named: Sequence[str | None], heard: Sequence[str]) -> float | None:
    """Share of utterances in which a probe hears the emotion that was named; those without a name (None) do not count.

    None where no emotion was named; ValueError for two lists of different lengths.
    """
    if len(named) != len(heard):
        raise ValueError(f"as many emotions must be heard as named, not {len(heard)} and {len(named)}")
    right = [label == found for label, found in zip(named, heard, strict=True) if label is not None]
    return sum(right) / len(right) if right else None


def phoneme_error_rate(sent: Sequence[Hashable], received: Sequence[Hashable]) -> float | None:
    """Edit distance of received from *sent* phonemes over their number; above 1 with many insertions, None for none.

    Of phonemes that were sent, not of those that were said: it measures the link, not the recogniser.
    """
    return edit_distance(sent, received) / len(sent) if len(sent) else None


def rtf(processing_s: float, speech_s: float) -> float | None:
    """Real-time factor: processing time over the length of the speech; below 1 keeps up. None without speech."""
    if processing_s < 0 or speech_s < 0:
        raise ValueError(f"times must be at least 0 s, not {processing_s} and {speech_s}")
    return processing_s / speech_s if speech_s else None


def _pair(sent: ArrayLike, received: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(sent, np.float64), np.asarray(received, np.float64)
    if first.shape != second.shape or not first.size:
        shapes = f"{list(first.shape)} and {list(second.shape)}"
        raise ValueError(f"two arrays of one shape with at least one number are needed, not {shapes}")
    return first, second

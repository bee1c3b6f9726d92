# SPDX-License-Identifier: GPL-3.0-or-later
"""One level for all speech, sent or learnt from: loudness is no part of the style."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...media.utterances import levels_db

LEVEL = 0.06  # root mean square of what is said


def levelled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Speech whose loud parts, within 30 dB of the loudest 10 ms, have a root mean square of 0.06; silence stays."""
    levels = levels_db(samples) if samples.size else np.full(1, -100.0)
    if levels.max() < -70:
        return samples
    level = float(np.sqrt(np.mean(10 ** (levels[levels > levels.max() - 30] / 10))))
    return (samples * min(LEVEL / level, 0.98 / (float(np.abs(samples).max()) + 1e-9))).astype(np.float32)

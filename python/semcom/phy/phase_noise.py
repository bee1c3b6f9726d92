# SPDX-License-Identifier: GPL-3.0-or-later
"""What a free-running oscillator's phase does from one OFDM symbol to the next, from each symbol's own pilots.

The phase is a Wiener process (A. Demir, A. Mehrotra, J. Roychowdhury, "Phase noise in oscillators", IEEE Trans.
Circuits and Systems I 47(5), 2000). The variance q of its steps is what the differences of neighbouring symbols have
beyond noise; with q known, the best linear estimate of all phases of a frame is Wiener's. Where q is less than half the
variance of a measurement, smoothing over a frame is better than that estimate would be, and it stays off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FORGET = 0.9


class PhaseNoise:
    """Learns q over the frames of a burst."""

    def __init__(self) -> None:
        self._step = 0.0

    def turns(
        self, pilots: NDArray[np.complex64], h: NDArray[np.complex64], noise: float
    ) -> NDArray[np.complex64] | None:
        """What undoes each symbol's phase, complex64 [symbols]; None where there is nothing to gain.

        pilots, h: complex64 [symbols, pilots], the frame's mean phase undone before.
        """
        if len(pilots) < 2:
            return None
        power = np.maximum(np.sum(np.abs(h) ** 2, axis=1, dtype=np.float64), 1e-30)
        phases = np.angle(np.sum(pilots * h.conj(), axis=1))
        spread = noise / 2.0 / power
        steps = np.mean(np.diff(phases) ** 2) - 2.0 * float(spread.mean())
        self._step = _FORGET * self._step + (1.0 - _FORGET) * float(steps)
        if self._step < 0.5 * float(spread.mean()):
            return None
        places = np.arange(len(pilots))
        # generalised covariance of a Wiener process whose level is free
        prior = self._step * (len(pilots) / 2.0 - np.abs(places[:, None] - places) / 2.0)
        best = prior @ np.linalg.solve(prior + np.diag(spread), phases)
        return np.exp(-1j * best).astype(np.complex64)

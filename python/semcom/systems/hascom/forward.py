# SPDX-License-Identifier: GPL-3.0-or-later
"""Forward and reverse diffusion around the prior: equations 17 to 24 of the paper, with signs and scales put right.

beta_t = b0 + (b1 - b0) t with b0 = 0.05, b1 = 20, t from 0 to 1. The forward process has the closed form
X_t = rho_t X_0 + (1 - rho_t) mu + delta_t xi. The paper's reverse equation is right where eps is the score; its loss
teaches the noise. Both agree as dX/dt = beta_t / 2 ((mu - X) + noise / delta_t), integrated from 1 down to 0.
Works on numpy arrays and on torch tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

B0, B1 = 0.05, 20.0
LARGEST_STEPS = 1000
Floats = NDArray[np.floating]


def beta(t: float) -> float:
    """The noise schedule."""
    return B0 + (B1 - B0) * t


def integral(t: Any) -> Any:
    """The integral of beta from 0 to t: 10.025 at 1."""
    return B0 * t + (B1 - B0) * t * t / 2


def rho(t: float) -> float:
    """What is left of X_0 - mu at time t."""
    return math.exp(-integral(t) / 2)


def delta(t: float) -> float:
    """Standard deviation of the noise at time t."""
    return math.sqrt(-math.expm1(-integral(t)))


def noised(clean: Any, mu: Any, noise: Any, t: float) -> Any:
    """X_t of X_0 = `clean`, all of one shape."""
    return rho(t) * clean + (1 - rho(t)) * mu + delta(t) * noise


def euler(
    start: Floats, mu: Floats, noise_of: Callable[[Floats, float], Floats], steps: int
) -> Floats:
    """X_0 from X_1 = `start` by the paper's Algorithm with midpoint times: `noise_of` (X_t, t) is the network.

    ValueError unless `steps` is from 1 to 1000.
    """
    check_steps(steps)
    value, width = start, 1 / steps
    for number in range(steps):
        t = 1 - (number + 0.5) * width
        value = value - width * 0.5 * beta(t) * ((mu - value) + noise_of(value, t) / delta(t))
    return value


def multistep(
    start: Floats, mu: Floats, noise_of: Callable[[Floats, float], Floats], steps: int
) -> Floats:
    """The same equation in few steps: its linear part solved exactly, the rest by a line through the last two estimates
    of X_0 over half the log signal-to-noise ratio (DPM-Solver++ 2M, Lu et al., 2022).

    The first step, from where nothing of X_0 is left, and the last, to where all is, take the last estimate alone.
    """
    check_steps(steps)
    times = solver_times(steps)
    value = start - mu
    before: Floats | None = None
    last_width = 0.0
    for number, (t, s) in enumerate(zip(times[:-1], times[1:], strict=True)):
        estimate = (value - delta(t) * noise_of(value + mu, t)) / rho(t)
        if number == steps - 1:
            return mu + estimate
        width = _half_log_snr(s) - _half_log_snr(t)
        aimed = estimate
        if before is not None:
            ratio = width / last_width
            aimed = (1 + ratio / 2) * estimate - ratio / 2 * before
        value = delta(s) / delta(t) * value - rho(s) * math.expm1(-width) * aimed
        before, last_width = estimate, width
    return mu + value


def solver_times(steps: int) -> list[float]:
    """Times from 1 down, the last of them 0, evenly spaced but for the end: signal returns mostly below 0.5."""
    inner = [1 - number / steps for number in range(steps)]
    return [*inner, 0.0]


def check_steps(steps: int) -> None:
    """ValueError unless from 1 to 1000."""
    if not 1 <= steps <= LARGEST_STEPS:
        raise ValueError(f"steps must be from 1 to {LARGEST_STEPS}, not {steps}")


def _half_log_snr(t: float) -> float:
    return math.log(rho(t) / delta(t))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Peak power of a burst, and how to lower it: clipping and filtering, a few rounds.

A sum of many carriers is a complex Gaussian process whatever the carriers carry: its power exceeds 8.39 dB (ln 1000)
over the mean a thousandth of the time. Clipping the oversampled symbol and keeping only its own carriers puts all of
the error on those carriers and none beside the band (J. Armstrong, "Peak-to-average power reduction for OFDM by
repeated clipping and frequency domain filtering", Electronics Letters 38(5), 2002). What it costs is in docs/burst.md.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .fourier import fft, ifft
from .ofdm import FFT, carriers

SHARE = 0.999
OVERSAMPLING = 4
MIN_PEAK_DB = 4.0
MAX_PEAK_DB = 20.0
_ROUNDS = 6
_MARGIN_DB = 0.5  # the clip lies lower than what is asked for: peaks grow again between and behind the filter
_CHUNK = 1024


def peak_to_average_db(samples: ArrayLike, share: float = SHARE, oversampling: int = OVERSAMPLING) -> float:
    """Power that `share` of the time is not exceeded, over the mean power, in dB; between the samples too.

    samples: complex [n], n at least 1, taken as one period of a band-limited signal. ValueError for an empty or
    silent one, or a share outside (0, 1].
    """
    x = np.asarray(samples, np.complex64).ravel()
    if not x.size or not x.any():
        raise ValueError("samples must not be empty or silent")
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, not {share!r}")
    half = x.size // 2
    spectrum = fft(x)
    padded = np.zeros(x.size * oversampling, np.complex64)
    padded[: x.size - half], padded[padded.size - half :] = spectrum[: x.size - half], spectrum[x.size - half :]
    power = np.abs(ifft(padded)).astype(np.float64) ** 2
    return 10.0 * math.log10(float(np.quantile(power, share)) / float(power.mean()))


def check_peak(peak_db: float) -> float:
    """ValueError unless from 4 to 20 dB."""
    if not MIN_PEAK_DB <= peak_db <= MAX_PEAK_DB:
        raise ValueError(f"peak_db must be from {MIN_PEAK_DB:g} to {MAX_PEAK_DB:g} dB, not {peak_db!r}")
    return float(peak_db)


def limit_peaks(rows: NDArray[np.complex64], peak_db: float) -> NDArray[np.complex64]:
    """Carriers of OFDM symbols [symbols, CARRIERS] whose samples keep below `peak_db` over the mean 99.9 % of the time.

    The mean is that of carriers with energy 1; the symbols' gain stays what it was.
    """
    size = FFT * OVERSAMPLING
    level = 10.0 ** ((check_peak(peak_db) - _MARGIN_DB) / 20.0) * math.sqrt(len(carriers()) / size)
    out = np.asarray(rows, np.complex64).copy()
    for begin in range(0, len(out), _CHUNK):
        wanted = out[begin : begin + _CHUNK].copy()
        now = wanted
        for _ in range(_ROUNDS):
            spectrum = np.zeros((len(now), size), np.complex64)
            spectrum[:, carriers()] = now
            time = ifft(spectrum, norm="ortho")
            envelope = np.abs(time)
            time *= np.minimum(np.float32(1), np.float32(level) / np.maximum(envelope, np.float32(1e-20)))
            now = fft(time, norm="ortho")[:, carriers()]
        gain = np.vdot(wanted, now).real / max(float(np.vdot(wanted, wanted).real), 1e-30)
        out[begin : begin + _CHUNK] = now / np.float32(gain)
    return out

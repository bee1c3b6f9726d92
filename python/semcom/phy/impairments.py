# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real radio does to a baseband signal, each as a pure function on one packet, complex64 in and out.

Frequencies are in cycles a sample (hertz over the sample rate). A function whose parameter says "off" returns the
samples unchanged.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .doppler import phasor
from .fractional import sample_at

MAX_CARRIER_OFFSET = 0.5  # cycles a sample
MAX_PPM = 1000.0
MAX_LINEWIDTH = 0.1  # cycles a sample
CLIP_OFF_DB = 60.0  # no packet of up to a million samples has a peak that far above its rms
MIN_CLIP_DB = -20.0
MAX_IQ_GAIN_DB = 6.0
MAX_IQ_PHASE_DEG = 45.0


def _check(name: str, value: float, low: float, high: float, unit: str) -> float:
    """ValueError, with the legal range, unless `value` is a number in it."""
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low:g} to {high:g} {unit}, not {value!r}")
    return float(value)


def check_carrier_offset(carrier_offset: float) -> float:
    """ValueError unless from -0.5 to 0.5 cycles a sample."""
    return _check("carrier_offset", carrier_offset, -MAX_CARRIER_OFFSET, MAX_CARRIER_OFFSET, "cycles a sample")


def check_sampling_offset(sampling_offset_ppm: float) -> float:
    """ValueError unless from -1000 to 1000 ppm."""
    return _check("sampling_offset_ppm", sampling_offset_ppm, -MAX_PPM, MAX_PPM, "ppm")


def check_linewidth(linewidth: float) -> float:
    """ValueError unless from 0 to 0.1 cycles a sample."""
    return _check("linewidth", linewidth, 0.0, MAX_LINEWIDTH, "cycles a sample")


def check_clip(clip_db: float) -> float:
    """ValueError unless from -20 dB to 60 dB (off) above the rms."""
    return _check("clip_db", clip_db, MIN_CLIP_DB, CLIP_OFF_DB, "dB above the rms")


def check_iq(iq_gain_db: float, iq_phase_deg: float) -> None:
    """ValueError unless from -6 to 6 dB and from -45 to 45 degrees."""
    _check("iq_gain_db", iq_gain_db, -MAX_IQ_GAIN_DB, MAX_IQ_GAIN_DB, "dB")
    _check("iq_phase_deg", iq_phase_deg, -MAX_IQ_PHASE_DEG, MAX_IQ_PHASE_DEG, "degrees")


def clip(samples: NDArray[np.complex64], clip_db: float = CLIP_OFF_DB) -> NDArray[np.complex64]:
    """Soft limiter, as of an amplifier: the envelope stops at `clip_db` above the packet's rms, the phase is kept.

    The mean energy falls with what is cut. 60 dB is off.
    """
    check_clip(clip_db)
    x = np.asarray(samples, np.complex64)
    if clip_db >= CLIP_OFF_DB or not x.size:
        return x
    envelope = np.abs(x)
    limit = math.sqrt(float(np.mean(np.square(envelope, dtype=np.float64)))) * 10.0 ** (clip_db / 20.0)
    return x * (np.float32(limit) / np.maximum(envelope, np.float32(max(limit, 1e-30))))


def sampling_offset(samples: NDArray[np.complex64], ppm: float = 0.0) -> NDArray[np.complex64]:
    """What a receiver gets whose clock runs faster by `ppm` parts in a million: sample m at instant m / (1 + ppm 1e-6).

    As many samples as there are such instants from the first sample to the last: n of them become
    floor((n - 1) (1 + ppm 1e-6)) + 1. Exact to -60 dB for signals below 0.82 of the Nyquist frequency, but for the 16
    samples at either end, whose neighbours outside the packet count as zero. 0 is off.
    """
    check_sampling_offset(ppm)
    x = np.asarray(samples, np.complex64)
    if ppm == 0.0 or not x.size:
        return x
    rate = 1.0 + ppm * 1e-6
    instants = np.arange(math.floor((x.size - 1) * rate) + 1) / rate
    return sample_at(x, np.minimum(instants, x.size - 1.0))


def phase_trajectory(
    count: int, rng: np.random.Generator, carrier_offset: float = 0.0, linewidth: float = 0.0
) -> NDArray[np.complex64]:
    """What a mixer multiplies `count` samples with, complex64 of amplitude 1, from phase 0 on.

    `carrier_offset` in cycles a sample turns steadily. `linewidth` makes a Wiener process of a free-running
    oscillator, whose line is a Lorentzian of this full width at half maximum in cycles a sample: the phase moves by
    independent Gaussian steps of variance 2 pi linewidth (A. Demir, A. Mehrotra, J. Roychowdhury, "Phase noise in
    oscillators", IEEE Trans. Circuits and Systems I 47(5), 2000). At the offset f, far outside the line, that is
    10 log10(linewidth_hz / (2 pi f^2)) dBc/Hz.
    """
    check_carrier_offset(carrier_offset)
    check_linewidth(linewidth)
    cycles = carrier_offset * np.arange(count)
    if linewidth > 0.0 and count > 1:
        cycles[1:] += np.cumsum(rng.standard_normal(count - 1)) * math.sqrt(linewidth / (2.0 * math.pi))
    return phasor(cycles)


def iq_imbalance(
    samples: NDArray[np.complex64], gain_db: float = 0.0, phase_deg: float = 0.0
) -> NDArray[np.complex64]:
    """A direct-conversion receiver whose Q branch has `gain_db` more gain and lags by `phase_deg`.

    y = (a x + b x*) / c with a = (1 + g e^(-j phi)) / 2 and b = (1 - g e^(j phi)) / 2; c keeps the mean energy of a
    circular signal. The image is rejected by |a|^2 / |b|^2 = (1 + 2 g cos phi + g^2) / (1 - 2 g cos phi + g^2)
    (M. Valkama, M. Renfors, V. Koivunen, "Advanced methods for I/Q imbalance compensation in communication
    receivers", IEEE Trans. Signal Processing 49(10), 2001). 0 and 0 is off.
    """
    check_iq(gain_db, phase_deg)
    x = np.asarray(samples, np.complex64)
    if gain_db == 0.0 and phase_deg == 0.0:
        return x
    gain, turn = 10.0 ** (gain_db / 20.0), np.exp(1j * math.radians(phase_deg))
    energy = math.sqrt((1.0 + gain**2) / 2.0)
    return x * np.complex64((1.0 + gain / turn) / 2.0 / energy) + np.conj(x) * np.complex64(
        (1.0 - gain * turn) / 2.0 / energy
    )

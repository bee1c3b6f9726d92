# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that converts signal-to-noise ratios.

SNR is Es/N0 in dB for each complex symbol, mean symbol energy 1 at the channel input; noise_var = N0 is the total
complex noise variance (half of it in each real dimension).
"""

from __future__ import annotations

import math

MOST_DB = 300


def _finite(name: str, value: float) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number, not {value!r}")
    return number


def _bits(bits_per_symbol: float, code_rate: float, pilot_share: float) -> float:
    """Information bits for each symbol sent."""
    if not bits_per_symbol > 0:
        raise ValueError(f"bits_per_symbol must be above 0, not {bits_per_symbol!r}")
    if not 0 < code_rate <= 1:
        raise ValueError(f"code_rate must be above 0 and at most 1, not {code_rate!r}")
    if not 0 <= pilot_share < 1:
        raise ValueError(f"pilot_share must be at least 0 and below 1, not {pilot_share!r}")
    return bits_per_symbol * float(code_rate) * (1.0 - pilot_share)


def noise_var(esn0_db: float) -> float:
    """N0 for Es = 1. ValueError unless Es/N0 is from -300 to 300 dB: beyond, float32 knows no such noise."""
    if not abs(_finite("esn0_db", esn0_db)) <= MOST_DB:
        raise ValueError(f"esn0_db must be from -{MOST_DB} to {MOST_DB} dB, not {esn0_db!r}")
    return 10.0 ** (-float(esn0_db) / 10.0)


def esn0_db_from_noise_var(variance: float) -> float:
    """Es/N0 in dB for Es = 1; `variance` above 0."""
    if not (variance > 0 and math.isfinite(variance)):
        raise ValueError(f"variance must be above 0 and finite, not {variance!r}")
    return -10.0 * math.log10(variance)


def ebn0_db(esn0_db: float, bits_per_symbol: float, code_rate: float = 1.0, pilot_share: float = 0.0) -> float:
    """Eb/N0 in dB; pilot_share is the part of the symbols that carries no data and yet costs energy."""
    return _finite("esn0_db", esn0_db) - 10.0 * math.log10(_bits(bits_per_symbol, code_rate, pilot_share))


def esn0_db(ebn0_db: float, bits_per_symbol: float, code_rate: float = 1.0, pilot_share: float = 0.0) -> float:
    """Es/N0 in dB: the inverse of `ebn0_db`."""
    return _finite("ebn0_db", ebn0_db) + 10.0 * math.log10(_bits(bits_per_symbol, code_rate, pilot_share))

# SPDX-License-Identifier: GPL-3.0-or-later
"""A few octets beside a payload: what its decoder must know and no header has room for (the shape of a picture, say).

They go first in the payload, as one LDPC block with CRC-24B (TS 38.212) in QPSK: at a code rate of 1/24 where the
header is "robust", 1/6 where it is "short", so that they arrive wherever the header does. Bits are scrambled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import crc as crcs
from .checks import integer
from .ldpc import LDPC5G, ldpc_code
from .modulation import Modulation
from .preamble import check_strength
from .scrambler import descramble_llr, scramble

MOST = 255  # octets
_REPEATED = {"robust": 24, "short": 6}  # coded bits for each bit
_CRC = "crc24b"


def _code(octets: int, strength: str) -> LDPC5G:
    check_strength(strength)
    k = 8 * integer("octets", octets, 1, MOST) + crcs.crc_length(_CRC)
    return ldpc_code(k, k * _REPEATED[strength])


def description_symbols(octets: int, strength: str) -> int:
    """Symbols of so many octets; none are none."""
    return _code(octets, strength).n // 2 if octets else 0


def encode(text: bytes, strength: str) -> NDArray[np.complex64]:
    """At most 255 octets to QPSK symbols, complex64."""
    if not text:
        return np.zeros(0, np.complex64)
    bits = crcs.attach(np.unpackbits(np.frombuffer(text, np.uint8)), _CRC)
    return Modulation("qpsk").map(scramble(_code(len(text), strength).encode(bits)))


def decode(
    symbols: NDArray[np.complex64], noise_var: NDArray[np.float32], octets: int, strength: str
) -> bytes | None:
    """Equalised symbols and their noise variances to the octets; None where the CRC fails."""
    if not octets:
        return b""
    llr = descramble_llr(Modulation("qpsk").llr(symbols, noise_var))
    bits, ok, _ = _code(octets, strength).decode(llr)
    if not (ok and crcs.check(bits, _CRC)):
        return None
    return np.packbits(bits[: 8 * octets]).tobytes()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of a burst: what the receiver must know before it can read the payload, in 104 bits and a CRC.

| bits | field |
|---|---|
| 2 | version, 1 |
| 12 | system, 12 | the first 12 bits of CRC-24A of the name's UTF-8 bytes, most significant first |
| 16 | sequence number of the message |
| 24 | payload bits before coding |
| 21 | analog symbols |
| 8 | octets of description (`description.py`) |
| 5 | MCS: place in the table of `mcs.py` |
| 3 | channel code: place in ldpc, polar-128, polar-256, polar-512, polar-1024 |
| 1 | code blocks in turns (`interleave`) |
| 24 | CRC-24B |

The 128 bits are a polar code word (TS 38.212) with a list of 8: of 1024 bits where the header is "robust", of 512 where
it is "short"; its bits leave in the order of `polar_interleaver.py`, again and again from the start until the header's
OFDM symbols are full (12 robust, 2 short), scrambled, as QPSK.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from . import crc as crcs
from . import mcs as mcs_table
from .checks import integer
from .modulation import Modulation
from .ofdm import DATA
from .polar import Polar, polar_code
from .polar_interleaver import polar_interleaver
from .preamble import check_strength
from .scrambler import gold_sequence
from .segmentation import CODES, check_code, layout

VERSION = 1
MAX_SYMBOLS = 1 << 20  # of a payload, digital and analog together
OFDM_SYMBOLS = {"robust": 12, "short": 2}
_WORD = {"robust": 1024, "short": 512}
_FIELDS = {
    "version": 2, "system": 12, "model": 12, "sequence": 16, "bits": 24, "symbols": 21, "description": 8, "mcs": 5,
    "code": 3, "interleave": 1,
}  # fmt: skip
_BITS = sum(_FIELDS.values())
_CRC = "crc24b"
_LIST = 8
_SCRAMBLING = 0x2C9A7


def name_id(name: str) -> int:
    """The 12 bits that stand for the name of a system or a model."""
    octets = np.frombuffer(name.encode(), np.uint8)
    check = crcs.crc(np.unpackbits(octets), "crc24a")
    return int(check[:12] @ (1 << np.arange(11, -1, -1)))


@dataclass(frozen=True)
class Header:
    """What a burst carries. `bits` and `symbols` are the lengths of the two payload parts, before coding,
    `description` the number of octets beside them.

    `system` and `model` are the ids of `name_id`. ValueError for what does not fit its field, for an MCS or code
    that is unknown, and for a payload of more than 2^20 symbols.
    """

    system: int = 0
    model: int = 0
    sequence: int = 0
    bits: int = 0
    symbols: int = 0
    mcs: str = "qpsk-1/3"
    code: str = "ldpc"
    interleave: bool = False
    description: int = 0

    def __post_init__(self) -> None:
        for name in ("system", "model", "sequence", "bits", "symbols", "description"):
            integer(name, getattr(self, name), 0, (1 << _FIELDS[name]) - 1)
        check_code(self.code)
        if self.payload_symbols > MAX_SYMBOLS:
            raise ValueError(f"a payload must have at most {MAX_SYMBOLS} symbols, not {self.payload_symbols}")

    @property
    def digital_symbols(self) -> int:
        """Symbols of the coded bits."""
        return layout(self.bits, self.mcs, code=self.code).symbols

    @property
    def payload_symbols(self) -> int:
        """Symbols of both parts."""
        return self.digital_symbols + self.symbols


def pack(header: Header) -> NDArray[np.uint8]:
    """A header's bits without CRC, uint8 [104]."""
    values = {
        "version": VERSION, "system": header.system, "model": header.model, "sequence": header.sequence,
        "bits": header.bits, "symbols": header.symbols, "description": header.description,
        "mcs": mcs_table.names().index(header.mcs),
        "code": CODES.index(header.code), "interleave": int(header.interleave),
    }  # fmt: skip
    parts = [(values[name] >> np.arange(width - 1, -1, -1)) & 1 for name, width in _FIELDS.items()]
    return np.concatenate(parts).astype(np.uint8)


def unpack(bits: NDArray[np.uint8]) -> Header:
    """The header of 104 bits; ValueError for one that lies: another version, an unknown MCS, a payload too long."""
    values, at = {}, 0
    for name, width in _FIELDS.items():
        values[name] = int(bits[at : at + width].astype(np.int64) @ (1 << np.arange(width - 1, -1, -1)))
        at += width
    if values.pop("version") != VERSION:
        raise ValueError("the header is of another version")
    names = mcs_table.names()
    if values["mcs"] >= len(names):
        raise ValueError(f"the header names MCS {values['mcs']}, and there are {len(names)}")
    if values["code"] >= len(CODES):
        raise ValueError(f"the header names channel code {values['code']}, and there are {len(CODES)}")
    return Header(**values | {
        "mcs": names[values["mcs"]], "code": CODES[values["code"]], "interleave": bool(values["interleave"]),
    })  # type: ignore[arg-type]  # fmt: skip


def _code(strength: str) -> Polar:
    return polar_code(_BITS, _WORD[strength], _LIST, _CRC)


@lru_cache(maxsize=2)
def _order(strength: str) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """For each bit on air its place in the code word, and its scrambling bit."""
    check_strength(strength)
    count = 2 * DATA * OFDM_SYMBOLS[strength]
    return np.resize(polar_interleaver(_WORD[strength]), count), gold_sequence(_SCRAMBLING, count)


def encode(bits: NDArray[np.uint8], strength: str) -> NDArray[np.complex64]:
    """Header bits, uint8 [104], to QPSK symbols, complex64 [DATA * OFDM_SYMBOLS[strength]]."""
    order, scrambling = _order(strength)
    return Modulation("qpsk").map(_code(strength).encode(bits)[order] ^ scrambling)


def decode(
    symbols: NDArray[np.complex64], noise_var: NDArray[np.float32], strength: str
) -> NDArray[np.uint8] | None:
    """Equalised QPSK symbols and their noise variances to header bits, uint8 [104]; None where the CRC fails."""
    order, scrambling = _order(strength)
    llr = Modulation("qpsk").llr(symbols, noise_var) * (np.float32(1) - 2 * scrambling.astype(np.float32))
    word = np.bincount(order, weights=np.nan_to_num(llr), minlength=_WORD[strength]).astype(np.float32)
    bits, ok = _code(strength).decode(word)
    return bits if ok and bits.any() else None

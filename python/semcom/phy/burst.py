# SPDX-License-Identifier: GPL-3.0-or-later
"""A burst: preamble, header, payload. What two radios exchange in profile `burst`; the format is in docs/burst.md.

    samples = transmit(Header(bits=..., symbols=..., mcs=...), payload, "robust")
    for burst in receive(samples): burst.header, burst.symbols, burst.noise_var      (of burst_receiver.py)

The payload is any complex values of mean energy 1, up to 2^20 of them, the digital symbols first; a few octets of
description may go before it. Samples have mean
energy 1, 256 / 208 of them for each symbol of the band: `symbols_total` counts a burst's time in those symbols,
prefixes, pilots, preamble and header included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import description as descriptions
from . import header as headers
from .acquisition import Acquired, acquire
from .checks import integer
from .detection import Detection
from .header import MAX_SYMBOLS, Header
from .ofdm import DATA, SAMPLES_PER_SYMBOL, SYMBOL, grid, modulate, symbols_for
from .peak_power import limit_peaks
from .preamble import LENGTH, check_strength, preamble
from .tracking import follow

ROBUST_BELOW_DB = 2.0  # Es/N0 under which a header should be robust


@dataclass(frozen=True)
class Burst:
    """A burst that was received.

    `symbols`, complex64 [n], are the payload's, equalised, `noise_var`, float32 [n], the noise variance of each (1e6
    where nothing arrived); `description` its octets, None where their CRC failed. `start` is its first sample (with
    fraction), `end` the first behind it. `carrier_offset` in cycles a sample and `sampling_offset_ppm` are the
    receiver's against the transmitter's; `esn0_db` is that of the carriers in the mean; `score` the preamble's (see
    `detection.py`).
    """

    header: Header
    symbols: NDArray[np.complex64]
    noise_var: NDArray[np.float32]
    strength: str
    start: float
    end: int
    carrier_offset: float
    sampling_offset_ppm: float
    esn0_db: float
    score: float
    description: bytes | None = b""


@dataclass(frozen=True)
class Refused:
    """A header that passed its CRC and cannot be true, and why."""

    start: float
    reason: str


def head_samples(strength: str) -> int:
    """Samples of preamble and header."""
    check_strength(strength)
    return LENGTH + SYMBOL * headers.OFDM_SYMBOLS[strength]


def burst_samples(payload_symbols: int, strength: str = "robust", octets: int = 0) -> int:
    """Samples of a burst with so many payload symbols and octets of description."""
    integer("payload_symbols", payload_symbols, 0, MAX_SYMBOLS)
    described = descriptions.description_symbols(octets, strength)
    return head_samples(strength) + SYMBOL * symbols_for(described + payload_symbols)


def symbols_total(payload_symbols: int, strength: str = "robust", octets: int = 0) -> int:
    """A burst's time in symbols of its band, samples x 208 / 256: preamble, header, prefixes, pilots included."""
    return math.ceil(burst_samples(payload_symbols, strength, octets) / SAMPLES_PER_SYMBOL)


def largest_payload(airtime: int, strength: str = "robust") -> int:
    """The most payload symbols whose `symbols_total` is at most `airtime`; 0 if there is no room for any."""
    samples = math.floor(integer("airtime", airtime, 0) * SAMPLES_PER_SYMBOL) - head_samples(strength)
    return min(max(samples // SYMBOL, 0) * DATA, MAX_SYMBOLS)


def transmit(
    header: Header,
    payload: ArrayLike,
    strength: str = "robust",
    peak_db: float | None = None,
    description: bytes = b"",
) -> NDArray[np.complex64]:
    """A burst's samples, complex64, mean energy 1; `payload` complex [header.payload_symbols], mean energy 1.

    `peak_db` holds 99.9 % of the samples below that many dB over the mean power (see `peak_power.py`).
    ValueError for another length and for values that are not finite.
    """
    check_strength(strength)
    values = np.asarray(payload, np.complex64).ravel()
    if values.size != header.payload_symbols:
        raise ValueError(f"the payload must have the {header.payload_symbols} symbols of its header, not {values.size}")
    if len(description) != header.description:
        raise ValueError(f"description must have the {header.description} octets of its header, not {len(description)}")
    if not np.isfinite(values).all():
        raise ValueError("payload symbols must be finite")
    head = grid(headers.encode(headers.pack(header), strength))
    body = grid(np.concatenate((descriptions.encode(description, strength), values)))
    if peak_db is not None:
        head, body = limit_peaks(head, peak_db), limit_peaks(body, peak_db)
    return np.concatenate((preamble(strength), modulate(head), modulate(body)))


@dataclass(frozen=True)
class Opened:
    """A burst whose header is read: where its payload lies in the samples that it was read from."""

    header: Header
    found: Detection
    known: Acquired

    @property
    def begin(self) -> int:
        """Samples of preamble and header."""
        return head_samples(self.found.strength)

    @property
    def end(self) -> int:
        """The first sample behind the burst."""
        header = self.header
        return self.known.origin + burst_samples(header.payload_symbols, self.found.strength, header.description)


def open_burst(samples: NDArray[np.complex64], found: Detection) -> Opened | Refused | None:
    """Reads the header of a burst whose preamble was found; None where its CRC fails, `Refused` where it lies.

    `samples` as of `sane`, `found.start` counted in them. Nothing is reserved yet for the lengths in the header.
    """
    known = acquire(samples, found)
    if known is None:
        return None
    try:
        return Opened(headers.unpack(known.bits), found, known)
    except ValueError as error:
        return Refused(found.start, str(error))


def read_payload(samples: NDArray[np.complex64], opened: Opened) -> Burst:
    """The whole burst; symbols behind the end of `samples` are erased."""
    header, found = opened.header, opened.found
    described = descriptions.description_symbols(header.description, found.strength)
    size = described + header.payload_symbols
    tracked = follow(samples, opened.known, opened.begin, symbols_for(size))
    symbols, noise_var = tracked.symbols[:size], tracked.noise_var[:size]
    text = descriptions.decode(symbols[:described], noise_var[:described], header.description, found.strength)
    return Burst(
        header, symbols[described:], noise_var[described:], found.strength, found.start, opened.end,
        tracked.carrier_offset, tracked.sampling_offset_ppm, tracked.esn0_db, found.score, text,
    )  # fmt: skip

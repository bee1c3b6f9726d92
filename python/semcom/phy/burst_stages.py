# SPDX-License-Identifier: GPL-3.0-or-later
"""Profile `burst` as stages of a link: burst transmitter, air, burst receiver, in the place of framer to deframer.

One message is one burst. What never arrived comes out all the same: symbols of 0 with a noise variance of 1e6 and
`reason` "lost" in the meta.

Between two programs, where no meta travels beside the samples, a burst also carries a description: what the packet's
meta has that no header field says, as JSON.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..message import Meta
from ..stage import Arrays, Port, Stage
from . import channel as channels
from . import impairments
from .burst import Burst, symbols_total, transmit
from .burst_receiver import receive
from .checks import integer
from .description import MOST
from .header import Header, name_id
from .ofdm import SAMPLES_PER_SYMBOL
from .peak_power import check_peak
from .preamble import MAX_OFFSET, check_strength
from .segmentation import layout
from .sequence import NUMBERS
from .snr import noise_var
from .stages import Deframer, Framer
from .tracking import ERASED

_SAMPLES = Port("samples", np.complex64)
_QUIET = 600  # samples around a burst, at least
FADINGS = ("packet", "doppler")


_TOLD = frozenset(  # by the header, or by nobody because it is the transmitter's own affair
    "id name system model mcs code bits blocks block_bits block_coded interleave digital analog symbols_total header "
    "octets reason soft channel esn0_db transmission".split()
)


def description_of(meta: Meta) -> bytes:
    """What a receiver must know beside the header, at most 255 octets of JSON; ValueError where that is too little."""
    rest = {key: value for key, value in meta.items() if key not in _TOLD}
    text = json.dumps(rest, separators=(",", ":"), allow_nan=False).encode() if rest else b""
    if len(text) > MOST:
        raise ValueError(f"a burst describes its payload in at most {MOST} octets, and {len(text)} are needed: {rest}")
    return text


def received_meta(burst: Burst) -> Meta:
    """The meta of a packet that arrived without one: from header and description."""
    header = burst.header
    plan = layout(header.bits, header.mcs, code=header.code)
    try:
        described = json.loads(burst.description or b"{}")
    except ValueError:
        described = {}
    told = {
        "id": header.sequence, "mcs": header.mcs, "code": header.code, "bits": header.bits, "blocks": plan.blocks,
        "block_bits": plan.k, "block_coded": plan.n, "interleave": header.interleave, "digital": plan.symbols,
        "analog": header.symbols, "system_id": header.system, "model_id": header.model,
        "symbols_total": symbols_total(header.payload_symbols, burst.strength, header.description),
        "described": burst.description is not None, "radio": estimates(burst),
    }  # fmt: skip
    return (described if isinstance(described, dict) else {}) | told


def estimates(burst: Burst) -> Meta:
    """What the receiver found out about the radio."""
    return {
        "esn0_db": round(burst.esn0_db, 3), "carrier_offset": burst.carrier_offset,
        "sampling_offset_ppm": round(burst.sampling_offset_ppm, 3), "start": round(burst.start, 3),
        "score": round(burst.score, 4), "header": burst.strength,
    }  # fmt: skip


def header_of(meta: Meta, symbols: int, octets: int = 0) -> Header:
    """The header of a packet, from what its meta says."""
    return Header(
        name_id(str(meta.get("system", ""))), name_id(str(meta.get("model", ""))), int(meta.get("id", 0)) % NUMBERS,
        int(meta.get("bits", 0)) if meta.get("blocks", 0) else 0, symbols, str(meta.get("mcs", "qpsk-1/3")),
        str(meta.get("code", "ldpc")), bool(meta.get("interleave", False)), octets,
    )  # fmt: skip


@dataclass(frozen=True)
class BurstTransmitter(Framer):
    """Digital and analog symbols to the samples of a burst; `symbols_total` counts all of it (see `burst.py`).

    `strength` of the header is "robust" or "short". `peak_db` above 0 limits the peaks. With `describe` the burst
    says itself what else its meta has. A message that does not fit its budget sends nothing.
    """

    strength: str = "robust"
    peak_db: float = 0.0
    describe: bool = False

    outputs = (_SAMPLES,)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strength(self.strength)
        if self.peak_db:
            check_peak(self.peak_db)

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """complex64 [d] and or [a] to samples, complex64 [n]."""
        (values,), meta = super().run(arrays, meta)
        if meta.get("reason") is not None:
            return (np.zeros(0, np.complex64),), meta
        text = description_of(meta) if self.describe else b""
        header = header_of(meta, meta["analog"], len(text))
        total = symbols_total(values.size, self.strength, len(text))
        samples = transmit(header, values, self.strength, self.peak_db or None, text)
        return (samples,), {**meta, "symbols_total": total, "header": self.strength, "octets": len(text)}


@dataclass(frozen=True)
class Air(Stage):
    """What lies between two radios: pauses around the burst, any delay, fading, offsets of both clocks, noise.

    The carrier offset is drawn for each burst from -`carrier_offset` to `carrier_offset` cycles a sample, the sampling
    offset from -`sampling_offset_ppm` to `sampling_offset_ppm`. `fading` is "packet" or "doppler" (`doppler` cycles a
    symbol at most) where the channel is not AWGN. Es/N0 is that of a symbol of the band; noise falls on samples.
    """

    model: str = "awgn"
    esn0_db: float = 6.0
    fading: str = "packet"
    rician_k: float = 1.0
    seed: int = 0
    doppler: float = 1e-5
    carrier_offset: float = 1e-3
    sampling_offset_ppm: float = 20.0
    linewidth: float = 0.0

    inputs = (_SAMPLES,)
    outputs = (_SAMPLES,)

    def __post_init__(self) -> None:
        channels.check_model(self.model)
        check_fading(self.fading)
        channels.check_doppler(self.doppler)
        channels.check_rician_k(self.rician_k)
        noise_var(self.esn0_db)
        integer("seed", self.seed, 0)
        if not 0 <= self.carrier_offset <= MAX_OFFSET:
            found = f"not {self.carrier_offset!r}"
            raise ValueError(f"carrier_offset must be from 0 to {MAX_OFFSET} cycles a sample, {found}")
        impairments.check_sampling_offset(self.sampling_offset_ppm)
        impairments.check_linewidth(self.linewidth)

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """complex64 [n] to what the receiver's radio gives, complex64 [m], m larger than n; nothing stays nothing."""
        rng = self.random(self.seed, meta)
        meta = {**meta, "channel": self.model, "esn0_db": float(self.esn0_db)}
        if not arrays[0].size:
            return (arrays[0],), meta
        x = _between_pauses(arrays[0], rng)
        rate = 1.0 / SAMPLES_PER_SYMBOL
        h = channels.coefficients(self.model, x.size, rng, self.fading, self.rician_k, self.doppler * rate)
        x = impairments.sampling_offset(x * h, self.sampling_offset_ppm * rng.uniform(-1.0, 1.0))
        turn = impairments.phase_trajectory(x.size, rng, self.carrier_offset * rng.uniform(-1.0, 1.0), self.linewidth)
        turn *= np.complex64(np.exp(2j * math.pi * rng.uniform()))
        return (x * turn + channels.noise(x.size, SAMPLES_PER_SYMBOL * noise_var(self.esn0_db), rng),), meta


def check_fading(fading: str | int) -> None:
    """ValueError for fading that jumps: no receiver can follow what changes from one symbol to the next."""
    if fading not in FADINGS:
        raise ValueError(f"fading must be {' or '.join(FADINGS)} in profile burst, not {fading!r}")


def _between_pauses(samples: NDArray[np.complex64], rng: np.random.Generator) -> NDArray[np.complex64]:
    """The burst with silence around it, moved by a part of a sample."""
    before = _QUIET + int(rng.integers(0, _QUIET))
    x = np.concatenate((np.zeros(before, np.complex64), samples, np.zeros(_QUIET, np.complex64)))
    length = 1 << (int(x.size) - 1).bit_length()  # the transform takes lengths of any kind badly
    frequency = (np.arange(length) + length // 2) % length / length - 0.5
    spectrum = np.fft.fft(x, length) * np.exp(-2j * np.pi * frequency * rng.uniform())
    return np.fft.ifft(spectrum)[: x.size].astype(np.complex64)


@dataclass(frozen=True)
class BurstDeframer(Deframer):
    """The samples of one message to its digital and analog symbols with noise variances, whatever arrived.

    The burst is the one with the message's own header. The meta gets `radio`, what the receiver estimated: null where
    nothing was found.
    """

    inputs = (_SAMPLES,)  # type: ignore[assignment]

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """complex64 [m] to complex64 and float32 for each part."""
        size = int(meta["digital"]) + int(meta["analog"])
        symbols, variances = np.zeros(size, np.complex64), np.full(size, np.float32(ERASED))
        meta = {**meta, "radio": None}
        wanted = header_of(meta, int(meta["analog"]), int(meta.get("octets", 0)))
        found = next((b for b in receive(arrays[0]) if isinstance(b, Burst) and b.header == wanted), None)
        if found is not None:
            symbols, variances = found.symbols, found.noise_var
            meta["radio"] = estimates(found)
        elif meta.get("reason") is None:
            meta["reason"] = "lost"
        return super().run((symbols, variances), meta)

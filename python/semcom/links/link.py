# SPDX-License-Identifier: GPL-3.0-or-later
"""A link: the stages from message to message, and the record of what each message cost and became."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..media.bits import random_bits
from ..message import SAMPLE_RATE, Message, Meta
from ..metrics import image_metrics
from ..phy import bounds, coding, segmentation, snr
from ..phy import mcs as mcs_table
from ..phy.burst import ROBUST_BELOW_DB, largest_payload
from ..phy.burst_stages import Air, BurstDeframer, BurstTransmitter, check_fading
from ..phy.channel import fades
from ..phy.estimation import estimate_noise_var
from ..phy.harq import MOST_TRANSMISSIONS, HarqDecoder, HarqEncoder
from ..phy.modulation import Modulation
from ..phy.stages import (
    Channel,
    ChannelDecoder,
    ChannelEncoder,
    Deframer,
    Equaliser,
    Framer,
    Mapper,
    SoftDemapper,
)
from ..speech.measure import rates_beside, speech_metrics, speech_texts
from ..speech.synthesis import Synthesiser
from ..stage import Beside, Stage
from ..systems import registry
from ..systems.stages import Decoder, Encoder
from .chain import run_chain

CHANNELS = ("awgn", "rayleigh", "rician")
PROFILES = ("ideal", "burst")
PHY = {"mcs": "16qam-1/3", "code": "ldpc", "list_size": coding.LIST_SIZE}
TARGET_OUTAGE = 0.1
ESTIMATED = "estimated"
SOUNDING_SYMBOLS = 4096
SOUNDING_ID = 1 << 31  # no message has this number: the sounding burst meets its own noise


def phy_defaults(system: str) -> dict[str, Any]:
    """`mcs`, `code` and `list_size` of a link of that system that does not say otherwise."""
    return PHY | registry.get(system).phy


@dataclass(frozen=True)
class Link:
    """Everything that decides the result of a run, besides the messages.

    `mcs` "auto" takes the fastest MCS whose messages fail with a probability of at most `outage` at `esn0_db`, or at
    `assumed_esn0_db` where that is given; "estimated" measures it first with a burst of random QPSK symbols.
    `fading` is "symbol", "packet", a block length in symbols or "doppler" (cycles a symbol at most: `doppler`).
    `interleave` sends the code blocks of a message in turns, so that each meets every fade. `code` is "ldpc" or
    "polar-N". `harq` above 1 sends what failed again, with other redundancy, up to that many transmissions in all;
    `airtime` then limits the first one. `list_size` is the polar decoder's. An empty `mcs` or `code` and a `list_size`
    of 0 are what the system says, or else 16qam-1/3, LDPC, 8.

    `user` has the text that arrives spoken by the voice of that user (`speech/synthesis`). `judges` off leaves out the
    measures of speech that take long: predicted MOS, STOI and what the recogniser says without a channel.

    `profile` "ideal" has perfect timing and channel knowledge; "burst" sends samples between two radios, with preamble,
    header and pilots, and a receiver that knows nothing else (docs/burst.md).
    """

    system: str = "ncsc"
    model: str = ""
    channel: str = "awgn"
    esn0_db: float = 6.0
    mcs: str = ""
    fading: str = "128"
    rician_k: float = 1.0
    doppler: float = 0.01
    seed: int = 0
    quality: int = -1
    max_bpp: float = 0.0
    airtime: int = 0
    over_budget: str = "refuse"
    interleave: bool = False
    code: str = ""
    list_size: int = 0
    harq: int = 1
    outage: float = TARGET_OUTAGE
    assumed_esn0_db: float | str | None = None
    max_iterations: int = 50
    demapper: str = "exact"
    device: str = "auto"
    user: str = ""
    judges: bool = True
    profile: str = "ideal"

    def __post_init__(self) -> None:
        for name, value in phy_defaults(self.system).items():
            object.__setattr__(self, name, getattr(self, name) or value)
        if self.channel not in CHANNELS:
            raise ValueError(f"unknown channel {self.channel!r}: expected one of {', '.join(CHANNELS)}")
        if not math.isfinite(self.esn0_db) or abs(self.esn0_db) > 100:
            raise ValueError(f"esn0_db must be a number from -100 to 100 dB, not {self.esn0_db}")
        if self.assumed_esn0_db not in (None, ESTIMATED):
            assumed = self.assumed_esn0_db
            if isinstance(assumed, str) or not -100 <= assumed <= 100:
                raise ValueError(f"assumed_esn0_db must be from -100 to 100 dB or {ESTIMATED}, not {assumed!r}")
        if not 0 < self.outage < 1:
            raise ValueError(f"outage must be between 0 and 1, not {self.outage}")
        if not math.isfinite(self.max_bpp) or self.max_bpp < 0:
            raise ValueError(f"max_bpp must be a number above 0 bit/pixel, not {self.max_bpp}")
        if self.airtime < 0:
            raise ValueError(f"airtime must be a number of symbols above 0, not {self.airtime}")
        if not math.isfinite(self.rician_k) or self.rician_k < 0:
            raise ValueError(f"rician_k must be a number of at least 0, not {self.rician_k}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, not {self.seed}")
        if not 1 <= self.harq <= MOST_TRANSMISSIONS:
            raise ValueError(f"harq must be from 1 to {MOST_TRANSMISSIONS} transmissions, not {self.harq}")
        if self.mcs != "auto":
            segmentation.layout(1, self.mcs, code=self.code)
            if self.harq > 1:
                HarqEncoder(self.mcs, code=self.code)
        if self.quality >= 0 or self.model:
            registry.get(self.system).check(Encoder(self.system, self.model, quality=self.quality).request(0))
        system = registry.get(self.system)
        if self.harq > 1 and system.payload != "bits":
            raise ValueError(f"harq needs a system whose payload is bits only, not {self.system}")
        if self.max_bpp and system.kind != "image":
            raise ValueError(f"max_bpp is for pictures: {self.system} takes {system.kind}, limit it by airtime")
        if self.profile not in PROFILES:
            raise ValueError(f"profile must be one of {', '.join(PROFILES)}, not {self.profile!r}")
        if self.profile == "burst":
            if self.channel != "awgn":
                check_fading(self.fading)
            if self.harq > 1:
                raise ValueError("harq must be 1 in profile burst")
        if self.user:
            if system.delivered_kind != "text":
                raise ValueError(f"user needs a system that delivers text, and {self.system} delivers {self.delivers}")
            Synthesiser(self.user)

    @property
    def chosen_mcs(self) -> str:
        """The MCS in use: `mcs`, or what "auto" comes to here."""
        return self.mode[0]

    @property
    def mode(self) -> tuple[str, str]:
        """MCS and model in use: as given, or as the system chooses them where `mcs` is "auto"."""
        if self.mcs != "auto":
            return self.mcs, self.model
        return registry.get(self.system).adapt(
            self.model,
            self.airtime,
            esn0_db=self.known_esn0_db,
            channel=self.channel,
            fading=self.fading,
            rician_k=self.rician_k,
            doppler=self.doppler,
            outage=self.outage,
            interleave=self.interleave,
        )

    @property
    def delivers(self) -> str:
        """The kind of the messages that come out."""
        return "speech" if self.user else registry.get(self.system).delivered_kind

    @property
    def coded(self) -> bool:
        """Whether any part of a message goes through the channel code."""
        return registry.get(self.system).payload != "symbols"

    @property
    def known_esn0_db(self) -> float:
        """What the transmitter takes Es/N0 to be."""
        if self.assumed_esn0_db is None:
            return self.esn0_db
        if self.assumed_esn0_db != ESTIMATED:
            return float(self.assumed_esn0_db)
        channel = Channel(self.channel, self.esn0_db, "symbol", self.rician_k, self.seed)
        sent = Modulation("qpsk").map(random_bits(2 * SOUNDING_SYMBOLS, self.seed, 0))
        (received, h), _ = channel.run((sent,), {"id": SOUNDING_ID})
        return round(snr.esn0_db_from_noise_var(estimate_noise_var(received, h, "qpsk")), 2)

    def stages(self) -> list[Stage]:
        """The stages in order; all outputs of one are all inputs of the next."""
        mcs, model = self.mode
        coder: ChannelEncoder = ChannelEncoder(mcs, interleave=self.interleave, code=self.code)
        decoder: ChannelDecoder = ChannelDecoder(self.max_iterations, self.list_size)
        if self.harq > 1:
            coder = HarqEncoder(mcs, interleave=self.interleave, code=self.code, max_transmissions=self.harq)
            decoder = HarqDecoder(self.max_iterations)
        payload = registry.get(self.system).payload
        encoder = Encoder(
            self.system,
            model,
            quality=self.quality,
            max_bpp=self.max_bpp,
            airtime=self.payload_airtime,
            mcs=mcs,
            code=self.code,
            over_budget=self.over_budget,
            device=self.device,
            esn0_db=self.known_esn0_db,
        )
        stages: list[Stage] = [encoder]
        if payload != "symbols":
            analog = encoder.outputs[1:]
            stages += [Beside(stage, analog) if analog else stage for stage in (coder, Mapper())]
        stages += self.on_air(payload)
        if payload != "symbols":
            analog = stages[-1].outputs[2:]
            pair = (SoftDemapper(self.demapper), decoder)
            stages += [Beside(stage, analog) if analog else stage for stage in pair]
        stages += [Decoder(self.system, model, self.device)]
        return [*stages, Synthesiser(self.user)] if self.user else stages

    def on_air(self, payload: str) -> list[Stage]:
        """The stages from symbols to symbols of that kind of payload."""
        if self.profile == "burst":
            fading = str(self.fading) if self.channel != "awgn" else "packet"
            air = Air(self.channel, self.esn0_db, fading, self.rician_k, self.seed, self.doppler)
            return [BurstTransmitter(payload, self.header_strength), air, BurstDeframer(payload)]
        channel = Channel(self.channel, self.esn0_db, self.fading, self.rician_k, self.seed, self.doppler)
        return [Framer(payload), channel, Equaliser(), Deframer(payload)]

    @property
    def header_strength(self) -> str:
        """Which header a burst has: by what the transmitter takes Es/N0 to be, robust wherever it may fade."""
        return "robust" if self.channel != "awgn" or self.known_esn0_db < ROBUST_BELOW_DB else "short"

    @property
    def payload_airtime(self) -> int:
        """Symbols that `airtime` leaves for the payload; 0 for no limit."""
        if not self.airtime or self.profile != "burst":
            return self.airtime
        return max(largest_payload(self.airtime, self.header_strength), 1)  # nothing fits into one symbol

    def limits(self) -> dict[str, float | None]:
        """The yardstick: where this MCS stops working whoever decodes it, in dB Es/N0.

        `capacity_esn0_db` is where the constellation's bit-interleaved capacity equals the rate,
        `normal_approximation_esn0_db` adds what blocks of 1536 bits cost at a block error rate of 1e-3.
        """
        mcs = mcs_table.get(self.chosen_mcs)
        if not mcs.coded or not self.coded:
            return {"capacity_esn0_db": None, "normal_approximation_esn0_db": None}
        rate = mcs.efficiency
        symbols = round(1536 / rate)
        return {
            "capacity_esn0_db": round(bounds.required_esn0_db(rate, mcs.modulation), 2),
            "normal_approximation_esn0_db": round(
                bounds.normal_approximation_esn0_db(rate, symbols, 1e-3, mcs.modulation), 2
            ),
        }

    def run(self, messages: Iterable[Message]) -> Iterator[tuple[Message, dict[str, Any]]]:
        """Run the stages one after another in this thread; a received message and its record each."""
        stages = self.stages()
        for stage in stages:
            stage.prepare()
        for number, message in enumerate(messages):
            begun = time.perf_counter()
            arrays: tuple[NDArray[Any], ...] = (np.ascontiguousarray(message.data).ravel(),)
            meta = source_meta(number, message)
            arrays, meta = run_chain(stages, arrays, meta)
            received = received_message(message, arrays[0], meta)
            yield received, self.record(message, received, meta, time.perf_counter() - begun)

    def run_flowgraph(
        self, messages: Iterable[Message], buffer_items: int = 0, timeout_s: float | None = None
    ) -> Iterator[tuple[Message, dict[str, Any]]]:
        """The same as a GNU Radio flowgraph, one block a stage; every message comes out, in order.

        `buffer_items` changes the size of all stream buffers, which must not change any result.
        """
        from .flowgraph import stream

        sent: dict[int, Message] = {}

        def numbered() -> Iterator[tuple[NDArray[Any], Meta]]:
            for number, message in enumerate(messages):
                sent[number] = message
                yield np.ascontiguousarray(message.data).ravel(), source_meta(number, message)

        for array, meta, elapsed_s in stream(numbered(), self.stages(), buffer_items, timeout_s):
            message = sent.pop(meta["id"])
            received = received_message(message, array, meta)
            yield received, self.record(message, received, meta, elapsed_s)

    def measure(self, sent: Message, received: Message) -> dict[str, float | None]:
        """How good a received message is."""
        if sent.kind == "image":
            return image_metrics(sent.data, received.data)
        return speech_metrics(sent, received, self.judges)

    def record(self, sent: Message, received: Message, meta: Meta, elapsed_s: float) -> dict[str, Any]:
        """One entry of `messages` as `semcom run --json` prints it."""
        mcs = mcs_table.get(meta.get("mcs", self.chosen_mcs))
        metrics = self.measure(sent, received)
        system = registry.get(self.system)
        about: dict[str, Any] = {}
        if sent.kind == "image":
            pixels = sent.data.shape[0] * sent.data.shape[1]
            digital = system.payload == "bits"
            metrics["bits_per_pixel"] = meta["bits"] / pixels if digital else None
            metrics["bandwidth_compression_ratio"] = (
                meta["bits"] / float(mcs.code_rate) / (24 * pixels) if digital else None
            )
            metrics["bandwidth_ratio"] = meta["symbols_total"] / (3 * pixels)
        else:
            recogniser = system.recogniser(self.model) if self.judges else ""
            about = speech_texts(sent, received, recogniser, self.judges)
            removal = system.removal(sent, self.model) if sent.kind == "speech" else None
            about |= {"removal": removal} if removal is not None else {}
            metrics |= rates_beside(about, meta["symbols_total"])
            metrics |= system.compare(sent, meta.get("arrived", {}), self.model, self.device)
        analog = meta.get("analog", 0)
        return {
            "input": sent.meta.get("name", ""),
            "model": meta["model"] or self.model or next(iter(system.models()), None),
            "delivered": bool(meta["delivered"]),
            "reason": meta["reason"],
            "bits": meta["bits"],
            "symbols_payload": segmentation.symbols_payload(meta["bits"], mcs) + analog,
            "symbols_total": meta["symbols_total"],
            "transmissions": meta.get("transmissions", 1),
            "symbols_capacity": self.capacity_symbols(meta["bits"]) + analog,
            "blocks": meta.get("blocks", 0),
            "blocks_failed": meta.get("blocks_failed", 0),
            "concealed": meta["concealed"],
            **about,
            **({"radio": meta.get("radio")} if self.profile == "burst" else {}),
            "metrics": metrics,
            "elapsed_s": round(elapsed_s, 4),
        }

    def capacity_symbols(self, bits: int) -> int:
        """Symbols a capacity-achieving code with Gaussian symbols would need for so many bits at this Es/N0.

        Fading channels are counted at their ergodic capacity with coefficients known to the receiver.
        """
        return math.ceil(bits / ergodic_capacity(self.esn0_db, self.channel, self.rician_k))


@lru_cache(maxsize=64)
def ergodic_capacity(esn0_db: float, channel: str, rician_k: float) -> float:
    """Mean of log2(1 + |h|^2 Es/N0), bits a symbol, over 100,000 seeded fades."""
    gain = np.abs(fades(channel, 1 if channel == "awgn" else 100_000, np.random.default_rng(0), rician_k)) ** 2
    return float(np.mean(bounds.gaussian_capacity(esn0_db + 10 * np.log10(np.maximum(gain, 1e-12)))))


def source_meta(number: int, message: Message) -> Meta:
    """What a source says of a message."""
    meta = {
        "id": number,
        "name": message.meta.get("name", ""),
        "kind": message.kind,
        "shape": list(message.data.shape),
    }
    return meta | {"sample_rate": SAMPLE_RATE} if message.kind == "speech" else meta


def received_message(sent: Message, array: NDArray[Any], meta: Meta) -> Message:
    """What came out of the last stage as a message: its meta has the recognised `text` of speech."""
    if sent.kind == "image":
        return Message(sent.kind, array.reshape(sent.data.shape))
    return Message(meta["kind"], array, {key: meta[key] for key in ("text", "sample_rate", "user") if key in meta})


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over messages under the metrics' names; corpus counts beside them."""
    out: dict[str, Any] = {
        "messages": len(records),
        "delivered": sum(r["delivered"] for r in records),
        "does_not_fit": sum(r["reason"] == "does_not_fit" for r in records),
        "blocks": sum(r["blocks"] for r in records),
        "blocks_failed": sum(r["blocks_failed"] for r in records),
    }
    for key in ("bits", "symbols_payload", "symbols_total", "symbols_capacity", "transmissions"):
        out[key] = mean([r[key] for r in records])
    names = dict.fromkeys(name for r in records for name in r["metrics"])
    for name in names:
        out[name] = mean([r["metrics"].get(name) for r in records])
    return out


def mean(values: list[float | None]) -> float | None:
    """Mean of what is there; None where nothing is."""
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None

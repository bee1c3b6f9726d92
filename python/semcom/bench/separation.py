# SPDX-License-Identifier: GPL-3.0-or-later
"""The separation bound: how good a codec's messages could be if the channel code were ideal.

Shannon's separation theorem: no more than symbols x capacity bits of a message can arrive, so a codec with a measured
rate-distortion ladder (its file at each quality setting: so many bits, so good) reaches at best the quality of the rung
that this many bits pay for. Between two rungs quality is interpolated over the logarithm of the bits, as in
Bjontegaard's comparison of codecs (ITU-T VCEG-M33, 2001). Another codec may do better: it bounds the channel code.
Over fading the capacity is the ergodic one: codewords that meet all fades.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..message import Message, Received
from ..phy import bounds
from .curves import Point, Results

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ladder:
    """Rungs of one codec, of each message: bits (rising) and the best quality for at most so many bits."""

    messages: tuple[tuple[Floats, Floats], ...]

    @classmethod
    def of(cls, rungs: Mapping[str, Iterable[tuple[float, float]]], better: int = 1) -> Ladder:
        """From pairs (bits, quality) by message; `better` is 1 where higher quality is better, -1 where lower is.

        ValueError where there is no message, a message has no rung, or a number cannot be.
        """
        messages = []
        for name, pairs in rungs.items():
            values = sorted((float(bits), float(quality)) for bits, quality in pairs)
            if not values or not all(b > 0 and math.isfinite(b) and math.isfinite(q) for b, q in values):
                raise ValueError(f"ladder of {name!r} must have at least one rung, bits above 0 and finite quality")
            bits = np.array([b for b, _ in values])
            quality = np.array([q for _, q in values])
            best = better * np.maximum.accumulate(better * quality)
            last = np.append(np.diff(bits) > 0, True)  # of several files of one size the best
            messages.append((bits[last], best[last]))
        if not messages:
            raise ValueError("a ladder needs at least one message")
        return cls(tuple(messages))

    def quality(self, bits: ArrayLike) -> Floats:
        """Mean quality over the messages with so many bits for each, of the shape of `bits`.

        NaN where the smallest file of any message does not fit; the last rung's where more bits buy nothing.
        """
        budget = np.asarray(bits, np.float64)
        with np.errstate(divide="ignore"):
            log_budget = np.log(np.maximum(budget, 0.0))
        each = [np.interp(log_budget, np.log(rungs), quality, left=np.nan) for rungs, quality in self.messages]
        return np.asarray(np.mean(each, axis=0))


def separation_bound(
    ladder: Ladder,
    esn0_db: ArrayLike,
    symbols: ArrayLike,
    model: str = "awgn",
    rician_k: float = 1.0,
    modulation: str | None = None,
) -> Floats:
    """Quality that messages of `symbols` symbols each can have at Es/N0 in dB; shapes are broadcast.

    `modulation` None is Shannon's capacity with Gaussian symbols, else the bit-interleaved one of that constellation.
    NaN where not every message fits. ValueError for an unknown channel or modulation.
    """
    if model == "awgn":
        rate = bounds.gaussian_capacity(esn0_db) if modulation is None else bounds.capacity(modulation, esn0_db)
    else:
        kind = "gaussian" if modulation is None else "bicm"
        rate = bounds.ergodic_capacity(modulation or "qpsk", esn0_db, model, rician_k, kind)
    return ladder.quality(np.asarray(symbols, np.float64) * rate)


def measure_ladder(
    system: str, messages: Sequence[Message], qualities: Iterable[int], metric: str = "psnr_db", model: str = ""
) -> Ladder:
    """The ladder of a picture system, measured: each picture encoded and decoded at each quality, no channel.

    ValueError for an unknown system, model, quality or metric.
    """
    from ..metrics import image_metrics
    from ..systems import registry
    from ..systems.base import Request
    from .quantities import quantity

    codec = registry.get(system)
    rungs: dict[str, list[tuple[float, float]]] = {}
    for quality in qualities:
        request = Request(model=model, quality=quality)
        codec.check(request)
        for number, message in enumerate(messages):
            payload = codec.encode(message, request)
            if payload is None:
                continue
            meta = {"kind": message.kind, "shape": list(message.data.shape)}
            received = Received(payload.bits, np.ones(payload.bits.size, bool))
            decoded, _ = codec.decode(received, meta, model)
            found = image_metrics(message.data, decoded.data)
            value = found.get(metric)
            if value is None:
                raise ValueError(f"metric must be one of {', '.join(found)}, not {metric!r}")
            rungs.setdefault(f"{number}", []).append((float(payload.bits.size), float(value)))
    return Ladder.of(rungs, quantity(metric).better or 1)


def ladders(results: Results, metric: str) -> dict[tuple[str, str], Ladder]:
    """The ladders that results hold, by `system_of`: the points that sweep `quality`, at an Es/N0 where all arrives.

    With records each message has its own rungs; without, the means of a point are one rung.
    """
    from .quantities import quantity

    rungs: dict[tuple[str, str], dict[str, list[tuple[float, float]]]] = {}
    for point in results.points:
        if not is_rung(point, results):
            continue
        of_system = rungs.setdefault(system_of(point), {})
        if point.records:
            for record in point.records:
                found = record.get("metrics")
                pair = _rung(record.get("bits"), found.get(metric) if isinstance(found, dict) else None)
                if record.get("delivered") is True and pair:
                    of_system.setdefault(str(record.get("input")), []).append(pair)
        elif "bits" in point.metrics and metric in point.metrics:
            pair = _rung(point.metrics["bits"].value, point.metrics[metric].value)
            if pair:
                of_system.setdefault("", []).append(pair)
    better = quantity(metric).better or 1
    return {key: Ladder.of(messages, better) for key, messages in rungs.items() if messages}


def is_rung(point: Point, results: Results) -> bool:
    """Whether a point is there for the separation bound alone: the results ask for it, the point sweeps `quality`."""
    return "separation" in results.bounds and point.kind == "system" and "quality" in point.axis


def system_of(point: Point) -> tuple[str, str]:
    """What ties a curve to its ladder: system and model."""
    return str(point.settings.get("system", "")), str(point.settings.get("model") or "")


def _rung(bits: Any, quality: Any) -> tuple[float, float] | None:
    good = all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in (bits, quality))
    return (float(bits), float(quality)) if good and bits > 0 else None

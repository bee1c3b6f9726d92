# SPDX-License-Identifier: GPL-3.0-or-later
"""The bounds that belong to a measured curve: which limit holds is read from the settings of its points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..phy import bounds
from ..phy import mcs as mcs_table
from ..phy.channel import check_model, check_rician_k, coherence
from ..phy.modulation import BITS_PER_SYMBOL
from ..phy.segmentation import DEFAULT_BLOCK_BITS, check_block_bits, layout, polar_length
from . import separation
from .curves import Metric, Point, Results
from .quantities import quantity

AXES = ("esn0_db", "ebn0_db")  # on which limits can be drawn
THROUGHPUT = "throughput_bit_symbol"  # itself a rate: capacity is a curve beside it
ERGODIC_NOTE = ", ergodic"
CAPACITIES = ("capacity", "bicm_capacity", "ergodic_capacity")
TARGET_BLER = 1e-3  # where the normal approximation is one line
LABELS = {
    "capacity": "capacity, Gaussian symbols",
    "bicm_capacity": "capacity, bit-interleaved",
    "ergodic_capacity": "capacity, bit-interleaved",
    "normal_approximation": "normal approximation",
    "outage": "outage",
    "uncoded_theory": "theory without a code",
    "separation": "the codec with an ideal code",
}
_SAMPLES = 321


@dataclass(frozen=True)
class Scheme:
    """What decides a limit: `rate` information bits a symbol in code blocks of `symbols` symbols (0: unknown).

    `once`: nothing is sent again, so that the rate is that of all symbols.
    """

    modulation: str
    rate: float
    symbols: int
    coded: bool
    model: str
    coherence: int
    rician_k: float
    once: bool = True

    @property
    def diversity(self) -> int:
        """Independent fades that one code block meets."""
        return max(1, math.ceil(self.symbols / self.coherence)) if self.coherence and self.symbols else 1


@dataclass(frozen=True)
class Limit:
    """One bound in the figure: vertical at `at`, or `y` over `x`. `curve` None: it belongs to several curves."""

    name: str
    curve: str | None
    at: float | None = None
    x: NDArray[np.float64] | None = None
    y: NDArray[np.float64] | None = None
    note: str = ""

    @property
    def label(self) -> str:
        """For the legend."""
        return LABELS[self.name] + self.note

    def same(self, other: Limit) -> bool:
        """Whether both would be drawn on the same place."""
        if self.label != other.label or (self.at is None) != (other.at is None):
            return False
        if self.at is not None and other.at is not None:
            return abs(self.at - other.at) < 5e-3
        assert self.y is not None and other.y is not None
        return np.allclose(self.y, other.y, rtol=1e-6, equal_nan=True)


def scheme_of(settings: Mapping[str, Any]) -> Scheme | None:
    """The scheme of a point's settings; None where they do not name one (mcs "auto", a flowgraph, foreign files)."""
    try:
        model = check_model(str(settings.get("channel", "awgn")))
        length = coherence(settings.get("fading", "128"))
        factor = check_rician_k(float(settings.get("rician_k", 1.0)))
        if factor > 1e4:
            return None  # nothing but a direct path, and slow to compute
        if "k" in settings and "n" in settings:
            bits = BITS_PER_SYMBOL[settings["modulation"]]
            k, n = int(settings["k"]), int(settings["n"])
            if not 0 < k <= n:
                return None
            return Scheme(settings["modulation"], k * bits / n, n // bits, k < n, model, length, factor)
        if "mcs" in settings:
            scheme = mcs_table.get(settings.get("chosen_mcs") or settings["mcs"])
            return Scheme(
                scheme.modulation, scheme.efficiency, _block_symbols(scheme, settings), scheme.coded,
                model, length, factor, settings.get("harq", 1) == 1,
            )  # fmt: skip
        bits = BITS_PER_SYMBOL[settings["modulation"]]
        return Scheme(settings["modulation"], float(bits), 0, False, model, length, factor)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _block_symbols(scheme: mcs_table.MCS, settings: Mapping[str, Any]) -> int:
    """Symbols of a full code block; 0 without a code, where a message is one block of any length."""
    if not scheme.coded:
        return 0
    code = str(settings.get("code", "ldpc"))
    if code.startswith("polar-"):
        return -(-polar_length(code) // scheme.bits_per_symbol)
    block_bits = check_block_bits(int(settings.get("block_bits", DEFAULT_BLOCK_BITS)))
    return layout(block_bits - 24, scheme, block_bits).symbols


def limits(results: Results, axis: str, metric: str, low: float, high: float) -> list[Limit]:
    """The bounds that the results ask for over an axis from `low` to `high`, at most one of each a curve.

    A bound that makes no sense here is left out: no scheme known, another axis, a speed.
    """
    if axis not in AXES or quantity(metric).machine:
        return []
    x = np.linspace(low, high, _SAMPLES)
    ladders = separation.ladders(results, metric)
    found: list[Limit] = []
    for curve, points in results.curves().items():
        drawn = [point for point in points if axis in point.axis and not separation.is_rung(point, results)]
        if not drawn:
            continue
        schemes = {scheme_of(point.settings) for point in drawn}
        scheme = schemes.pop() if len(schemes) == 1 else None
        for name in results.bounds:
            if name == "separation":
                limit = _separation(curve, drawn, ladders, axis, x)
            else:
                limit = _limit(name, curve, scheme, metric, axis, x) if scheme else None
            if limit is not None:
                found.append(limit)
    return _joined(found)


def _joined(found: Sequence[Limit]) -> list[Limit]:
    """Each place once: a bound of several curves belongs to none of them."""
    kept: list[Limit] = []
    for limit in found:
        twin = next((k for k, other in enumerate(kept) if limit.same(other)), None)
        if twin is None:
            kept.append(limit)
        elif kept[twin].curve != limit.curve:
            kept[twin] = replace(kept[twin], curve=None)
    return kept


def _limit(
    name: str, curve: str, scheme: Scheme, metric: str, axis: str, x: NDArray[np.float64]
) -> Limit | None:
    shift = 10.0 * math.log10(scheme.rate) if axis == "ebn0_db" else 0.0  # Es/N0 is Eb/N0 plus this
    esn0_db = x + shift

    def curve_of(y: NDArray[np.float64]) -> Limit:
        return Limit(name, curve, x=x, y=y)

    def vertical(at: float, note: str) -> Limit | None:
        return Limit(name, curve, at=at - shift, note=note) if math.isfinite(at) else None

    if name in CAPACITIES:
        kind = "gaussian" if name == "capacity" else "bicm"
        ergodic = "" if scheme.model == "awgn" else ERGODIC_NOTE
        if metric == THROUGHPUT and not shift:
            y = bounds.ergodic_capacity(scheme.modulation, esn0_db, scheme.model, scheme.rician_k, kind)
            return Limit(name, curve, x=x, y=y, note=ergodic)
        if not scheme.coded or not scheme.once:
            return None
        at = bounds.required_esn0_db(scheme.rate, scheme.modulation, kind, scheme.model, scheme.rician_k)
        return vertical(at, ergodic)
    blocks = scheme.coded and scheme.once
    if name == "normal_approximation" and blocks and scheme.symbols and scheme.model == "awgn":
        if metric == "bler":
            return curve_of(bounds.normal_approximation_bler(scheme.rate, scheme.symbols, esn0_db, scheme.modulation))
        at = bounds.normal_approximation_esn0_db(scheme.rate, scheme.symbols, TARGET_BLER, scheme.modulation)
        return vertical(at, f", block error rate {TARGET_BLER:g}")
    if name == "outage" and blocks and scheme.model != "awgn" and metric == "bler":
        return curve_of(
            bounds.outage_bler(
                scheme.rate, esn0_db, scheme.modulation, scheme.model, scheme.diversity, scheme.rician_k
            )
        )
    if name == "uncoded_theory":
        arguments = (esn0_db, scheme.model, scheme.rician_k)
        if metric == "ber":
            return curve_of(bounds.uncoded_ber(scheme.modulation, *arguments))
        if metric == "ser":
            return curve_of(bounds.uncoded_ser(scheme.modulation, *arguments))
        independent = scheme.model == "awgn" or scheme.coherence == 1
        if metric == "bler" and not scheme.coded and scheme.symbols and independent:
            return curve_of(bounds.uncoded_bler(scheme.modulation, scheme.symbols, *arguments))
    return None


def _separation(
    curve: str,
    points: Sequence[Point],
    ladders: Mapping[tuple[str, str], separation.Ladder],
    axis: str,
    x: NDArray[np.float64],
) -> Limit | None:
    first = points[0]
    ladder = ladders.get(separation.system_of(first))
    spent = [point.metrics.get("symbols_total", Metric(None)).value for point in points]
    known = [value for value in spent if value is not None]
    airtime = first.settings.get("airtime")
    symbols = float(airtime) if isinstance(airtime, (int, float)) and airtime > 0 else max(known, default=0.0)
    if ladder is None or symbols <= 0 or axis != "esn0_db":
        return None
    try:
        model = check_model(str(first.settings.get("channel", "awgn")))
        factor = check_rician_k(float(first.settings.get("rician_k", 1.0)))
    except (TypeError, ValueError):
        return None
    y = separation.separation_bound(ladder, x, symbols, model, factor)
    return Limit("separation", curve, x=x, y=y) if np.isfinite(y).any() else None

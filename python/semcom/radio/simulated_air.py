# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated air for a stream of samples: what `--impair FILE.yml` and `--esn0-db` put between two ends.

    clip_db: 6                      # transmitter's amplifier, dB over the mean power of a burst
    multipath: {profile: TDL-A, delay_spread: 1.5, doppler: 1e-6}      # samples; cycles a sample
    fading: {model: rayleigh, doppler: 1e-6, rician_k: 1}              # of all paths alike
    sampling_offset_ppm: 40
    carrier_offset: 5e-3            # cycles a sample
    linewidth: 1e-6                 # phase noise, cycles a sample
    iq_gain_db: 0.5
    iq_phase_deg: 2
    interferer: {frequency: 0.1, power_db: -10}      # a tone, dB over the mean power of a burst
    dropped: {every: 1000000, count: 100}            # samples lost, on average so far apart
    esn0_db: 10                     # noise; the command's --esn0-db wins
    seed: 1

All are optional, in this order on the way from one end to the other. Unlike the stages of `phy`, which treat packets,
this is one channel that goes on: phases, clocks and fading continue from burst to burst. The stream is treated in
blocks at fixed places, each with random numbers of its own, so what comes out does not depend on the pieces it comes
in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..phy import channel as channels
from ..phy import impairments, tdl
from ..phy.checks import integer
from ..phy.doppler import SINUSOIDS, check_doppler, phasor, product
from ..phy.fractional import HALF_WIDTH, sample_at, windowed_sinc
from ..phy.ofdm import SAMPLES_PER_SYMBOL
from ..phy.snr import noise_var

BLOCK = 8192  # samples
_HOLD = 64  # samples that coefficients with Doppler stay the same
_OSCILLATORS, _NOISE, _DROPS = range(3)  # streams of random numbers
MOST_DELAY = 64.0  # samples of delay spread


def _numbers(name: str, given: Mapping[str, Any], limits: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """The numbers of one entry, checked against their limits."""
    for key in given:
        if key not in limits:
            raise ValueError(f"{name} has no {key!r}: expected {', '.join(limits)}")
    out = {}
    for key, (low, high) in limits.items():
        value = _number(f"{name}.{key}", given.get(key, 0.0))
        if not low <= value <= high:
            raise ValueError(f"{name}.{key} must be from {low:g} to {high:g}, not {value!r}")
        out[key] = value
    return out


def _number(name: str, value: Any) -> float:
    try:  # YAML reads 5e-3 as text
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, not {value!r}") from None


@dataclass(frozen=True)
class Impairments:
    """What lies between two ends; see the module. ValueError, with the legal range, for what cannot be."""

    clip_db: float = impairments.CLIP_OFF_DB
    multipath: Mapping[str, Any] = field(default_factory=dict)
    fading: Mapping[str, Any] = field(default_factory=dict)
    sampling_offset_ppm: float = 0.0
    carrier_offset: float = 0.0
    linewidth: float = 0.0
    iq_gain_db: float = 0.0
    iq_phase_deg: float = 0.0
    interferer: Mapping[str, Any] = field(default_factory=dict)
    dropped: Mapping[str, Any] = field(default_factory=dict)
    esn0_db: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name in ("multipath", "fading", "interferer", "dropped"):
                if not isinstance(value, Mapping):
                    raise ValueError(f"{one.name} must have names and values, not {value!r}")
            elif one.name == "seed":
                integer("seed", value, 0)
            elif value is not None:
                object.__setattr__(self, one.name, _number(one.name, value))
        impairments.check_clip(self.clip_db)
        impairments.check_sampling_offset(self.sampling_offset_ppm)
        impairments.check_carrier_offset(self.carrier_offset)
        impairments.check_linewidth(self.linewidth)
        impairments.check_iq(self.iq_gain_db, self.iq_phase_deg)
        if self.esn0_db is not None:
            noise_var(self.esn0_db)
        if self.multipath:
            tdl.check_profile(str(self.multipath.get("profile", "TDL-A")))
            self.of_multipath()
        if self.fading:
            channels.check_model(str(self.fading.get("model", "rayleigh")))
            self.of_fading()
        if self.interferer:
            self.of_interferer()
        if self.dropped and self.of_dropped()["count"] >= self.of_dropped()["every"]:
            raise ValueError("dropped.count must be below dropped.every")

    def of_multipath(self) -> dict[str, float]:
        """Delay spread and Doppler of `multipath`."""
        given = {key: value for key, value in self.multipath.items() if key != "profile"}
        return _numbers("multipath", given, {"delay_spread": (0.0, MOST_DELAY), "doppler": (0.0, 1e-3)})

    def of_fading(self) -> dict[str, float]:
        """Doppler and K of `fading`."""
        given = {"rician_k": 1.0} | {key: value for key, value in self.fading.items() if key != "model"}
        return _numbers("fading", given, {"doppler": (0.0, 1e-3), "rician_k": (0.0, 1e6)})

    def of_interferer(self) -> dict[str, float]:
        """Frequency and power of `interferer`."""
        return _numbers("interferer", self.interferer, {"frequency": (-0.5, 0.5), "power_db": (-100.0, 60.0)})

    def of_dropped(self) -> dict[str, float]:
        """Distance and number of `dropped`."""
        given = {"every": 1e6, "count": 1} | dict(self.dropped)
        return _numbers("dropped", given, {"every": (2.0, 1e12), "count": (0.0, 1e6)})


def load(path: Path | None, esn0_db: float | None = None, seed: int | None = None) -> Impairments | None:
    """The impairments of a file, with `esn0_db` and `seed` over it; None where nothing is asked for.

    ValueError, with the file's name, where it is wrong.
    """
    if path is None and esn0_db is None:
        return None
    content: Any = {}
    if path is not None:
        import yaml

        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: {getattr(error, 'strerror', None) or 'not text'}") from error
        except yaml.YAMLError as error:
            raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    where = f"{path}: " if path is not None else ""
    known = [one.name for one in fields(Impairments)]
    if not isinstance(content, dict) or set(content) - set(known):
        raise ValueError(f"{where}expected {', '.join(known)}, not {content!r:.200}")
    try:
        over = {name: value for name, value in (("esn0_db", esn0_db), ("seed", seed)) if value is not None}
        return Impairments(**content | over)
    except ValueError as error:
        raise ValueError(f"{where}{error}") from None


class _Scattered:
    """A Rayleigh coefficient that goes on for ever: the sum of sinusoids of `phy/doppler.py` at any time."""

    def __init__(self, doppler: float, rng: np.random.Generator) -> None:
        theta = rng.uniform(-0.5, 0.5, SINUSOIDS)
        self.phase = rng.uniform(-0.5, 0.5, SINUSOIDS)
        self.shifts = check_doppler(doppler) * np.cos(2.0 * np.pi * (np.arange(SINUSOIDS) + theta) / SINUSOIDS)

    def at(self, instants: NDArray[np.float64]) -> NDArray[np.complex64]:
        """Coefficients at so many samples from the start, complex64 [n]."""
        turns = phasor(instants[:, None] * self.shifts + self.phase)
        return turns.sum(axis=1) * np.float32(1.0 / math.sqrt(SINUSOIDS))


class _Multipath:
    """A tapped delay line of TR 38.901; what comes out is late by `HALF_WIDTH` samples."""

    def __init__(self, profile: str, delay_spread: float, doppler: float, rng: np.random.Generator) -> None:
        delays, powers = tdl.power_delay_profile(profile)
        delays = delays * delay_spread
        last = math.ceil(delays.max()) + HALF_WIDTH
        spread = windowed_sinc(np.arange(-HALF_WIDTH, last + 1) - delays[:, None])
        self.spread = (np.sqrt(powers)[:, None] * spread).astype(np.complex64)
        self.paths = [_Scattered(doppler, rng) for _ in delays]
        self.direct = rng.uniform(-0.5, 0.5) if profile in ("TDL-D", "TDL-E") else None
        self.doppler = doppler
        self.past = np.zeros(self.spread.shape[1] - 1, np.complex64)

    def run(self, x: NDArray[np.complex64], begin: int) -> NDArray[np.complex64]:
        """A block, complex64 [BLOCK], that begins at sample `begin`."""
        hold = _HOLD if self.doppler else x.size
        instants = begin + np.arange(0, x.size, hold, dtype=np.float64)
        gains = np.stack([path.at(instants) for path in self.paths])
        if self.direct is not None:
            gains[0] = phasor(0.7 * self.doppler * instants + self.direct)
        taps = product(np.ascontiguousarray(gains.T), self.spread)  # [snapshots, taps]
        padded = np.concatenate((self.past, x))
        self.past = padded[x.size :]
        count = taps.shape[1]
        out = np.zeros((instants.size, hold), np.complex64)
        for k in range(count):
            at = count - 1 - k
            out += padded[at : at + x.size].reshape(out.shape) * taps[:, k : k + 1]
        return out.reshape(-1)


class SimulatedAir:
    """The channel of `Impairments` for one stream: `push` takes samples of bursts whose mean energy is 1 and gives what
    arrives. What does not fill a block of 8192 waits for more."""

    def __init__(self, settings: Impairments) -> None:
        self.settings = settings
        self._waiting = np.zeros(0, np.complex64)
        self._blocks = 0
        drawn = np.random.default_rng([settings.seed, _OSCILLATORS])
        self._phase = float(drawn.uniform())  # turns
        self._multipath = None
        if settings.multipath:
            profile = str(settings.multipath.get("profile", "TDL-A"))
            self._multipath = _Multipath(profile, **settings.of_multipath(), rng=drawn)
        self._fading = _Scattered(settings.of_fading()["doppler"], drawn) if settings.fading else None
        self._clock = np.zeros(2 * HALF_WIDTH, np.complex64)  # the samples before the next block
        self._given = 0  # samples of the receiver's clock
        self._next_drop = self._drop_distance() if settings.dropped else math.inf
        self._drop_left = 0
        self._drops = 0

    def push(self, samples: ArrayLike) -> NDArray[np.complex64]:
        """Samples, complex [n], to what arrives, complex64 [m]."""
        waiting = np.concatenate((self._waiting, np.asarray(samples, np.complex64)))
        whole = waiting.size // BLOCK * BLOCK
        self._waiting = waiting[whole:].copy()
        out = [self._block(waiting[begin : begin + BLOCK]) for begin in range(0, whole, BLOCK)]
        return np.concatenate(out) if out else np.zeros(0, np.complex64)

    def _block(self, x: NDArray[np.complex64]) -> NDArray[np.complex64]:
        air, begin = self.settings, self._blocks * BLOCK
        rng = np.random.default_rng([air.seed, _NOISE, self._blocks])
        self._blocks += 1
        if air.clip_db < impairments.CLIP_OFF_DB:
            limit = np.float32(10.0 ** (air.clip_db / 20.0))
            x = x * (limit / np.maximum(np.abs(x), limit))
        if self._multipath is not None:
            x = self._multipath.run(x, begin)
        if self._fading is not None:
            x = x * self._coefficients(begin)
        if air.sampling_offset_ppm:
            x = self._resampled(x, begin)
        else:
            self._given += x.size
        x = x * self._turn(x.size, rng)
        x = impairments.iq_imbalance(x, air.iq_gain_db, air.iq_phase_deg)
        if air.interferer:
            tone = air.of_interferer()
            place = np.arange(self._given - x.size, self._given, dtype=np.float64)
            x = x + np.float32(10.0 ** (tone["power_db"] / 20.0)) * phasor(tone["frequency"] * place)
        if air.esn0_db is not None:
            x = x + channels.noise(x.size, SAMPLES_PER_SYMBOL * noise_var(air.esn0_db), rng)
        return self._with_drops(x) if air.dropped else x

    def _coefficients(self, begin: int) -> NDArray[np.complex64]:
        assert self._fading is not None
        model, k = str(self.settings.fading.get("model", "rayleigh")), self.settings.of_fading()["rician_k"]
        h = np.repeat(self._fading.at(begin + np.arange(0, BLOCK, _HOLD, dtype=np.float64)), _HOLD)
        if model == "awgn":
            return np.ones_like(h)
        if model == "rician":
            return h * np.float32(math.sqrt(1 / (k + 1))) + np.float32(math.sqrt(k / (k + 1)))
        return h

    def _resampled(self, x: NDArray[np.complex64], begin: int) -> NDArray[np.complex64]:
        """What a clock that runs faster by so many ppm gives of the block; late by HALF_WIDTH samples."""
        rate = 1.0 + self.settings.sampling_offset_ppm * 1e-6
        buffer = np.concatenate((self._clock, x))
        self._clock = buffer[-2 * HALF_WIDTH :]
        # buffer[i] is sample begin - 2 HALF_WIDTH + i; instants of this block lie below begin + BLOCK - HALF_WIDTH
        until = math.ceil((begin + x.size - HALF_WIDTH) * rate)
        instants = np.arange(self._given, max(until, self._given)) / rate
        self._given += instants.size
        return sample_at(buffer, np.maximum(instants - begin + 2 * HALF_WIDTH, 0.0))

    def _turn(self, count: int, rng: np.random.Generator) -> NDArray[np.complex64]:
        cycles = self._phase + self.settings.carrier_offset * np.arange(1, count + 1)
        if self.settings.linewidth:
            steps = rng.standard_normal(count) * math.sqrt(self.settings.linewidth / (2.0 * math.pi))
            cycles += np.cumsum(steps)
        if count:
            self._phase = float(cycles[-1] % 1.0)
        return phasor(cycles)

    def _drop_distance(self) -> float:
        drawn = np.random.default_rng([self.settings.seed, _DROPS, getattr(self, "_drops", 0)])
        return float(round(self.settings.of_dropped()["every"] * drawn.uniform(0.5, 1.5)))

    def _with_drops(self, x: NDArray[np.complex64]) -> NDArray[np.complex64]:
        kept: list[NDArray[np.complex64]] = []
        while x.size:
            if self._drop_left:
                lost = min(self._drop_left, x.size)
                x, self._drop_left = x[lost:], self._drop_left - lost
                continue
            whole = int(min(self._next_drop, x.size))
            kept.append(x[:whole])
            x, self._next_drop = x[whole:], self._next_drop - whole
            if self._next_drop <= 0:
                self._drops += 1
                self._drop_left = int(self.settings.of_dropped()["count"])
                self._next_drop = self._drop_distance()
        return np.concatenate(kept) if kept else np.zeros(0, np.complex64)

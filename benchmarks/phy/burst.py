# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures bursts: detection, headers, loss against profile `ideal`, peak power, speed; OFDM beside single carrier.

Single carrier with frequency-domain equalising is the same burst with a DFT over each OFDM symbol's data (as in LTE's
uplink), equalised by minimum mean square error: preamble, header, pilots, tracking are the same, so what differs is the
waveform. `ideal` is the same payload on the same carriers of the same channel draws, with perfect coefficients.

Channel of the losses: paths at 0, 3 and 7 samples of 0, -3 and -6 dB with random phases (mean power 1 a burst), carrier
offset 1e-3 cycles a sample, 20 ppm, any delay. Writes `burst.json` beside this file, part by part.
Run: python benchmarks/phy/burst.py [PART ...] [--bursts N]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gnuradio.semcom.bench.intervals import mean, share
from gnuradio.semcom.output import processor
from gnuradio.semcom.phy import coding, detection, header, impairments, ofdm, peak_power, preamble
from gnuradio.semcom.phy.burst import burst_samples, symbols_total, transmit
from gnuradio.semcom.phy.burst_receiver import BurstReceiver, receive
from gnuradio.semcom.phy.channel import noise
from gnuradio.semcom.phy.equaliser import equalise
from gnuradio.semcom.phy.interleaver import from_air, to_air
from gnuradio.semcom.phy.mcs import get
from gnuradio.semcom.phy.modulation import Modulation
from gnuradio.semcom.phy.segmentation import layout
from gnuradio.semcom.phy.snr import noise_var

S = ofdm.SAMPLES_PER_SYMBOL
OUT = Path(__file__).with_name("burst.json")
BITS = 4 * 1512  # four code blocks
POINTS = {  # Es/N0 of both profiles
    "qpsk-1/3": {"ofdm": (-0.6, -0.3, 0.0, 0.3, 0.6), "single_carrier": (0.0, 0.3, 0.6, 0.9)},
    "16qam-1/3": {"ofdm": (4.2, 4.5, 4.8, 5.1), "single_carrier": (5.8, 6.2, 6.6, 7.0)},
}


def impaired(
    samples: Any, esn0_db: float, rng: Any, offset: float = 0.0, ppm: float = 0.0, taps: Any = None, quiet: int = 600
) -> Any:
    """A burst on air between two pauses, at a delay between two samples."""
    silence = np.zeros(quiet, np.complex64)
    x = np.concatenate((silence, samples, silence))
    if taps is not None:
        x = np.convolve(x, taps).astype(np.complex64)
    spectrum = np.fft.fft(x) * np.exp(-2j * np.pi * np.fft.fftfreq(x.size) * rng.uniform())
    x = impairments.sampling_offset(np.fft.ifft(spectrum).astype(np.complex64), ppm)
    x = x * impairments.phase_trajectory(x.size, rng, offset) * np.complex64(np.exp(2j * np.pi * rng.uniform()))
    return x + noise(x.size, S * noise_var(esn0_db), rng)


def three_taps(rng: Any) -> Any:
    taps = np.zeros(8, complex)
    taps[[0, 3, 7]] = 10.0 ** (np.array([0.0, -3.0, -6.0]) / 20.0) * np.exp(2j * np.pi * rng.uniform(size=3))
    return taps / np.linalg.norm(taps)


def analog(kind: str, count: int, rng: Any) -> Any:
    """Symbols as a network may send them, mean energy 1."""
    if kind == "qpsk":
        return Modulation("qpsk").map(rng.integers(0, 2, 2 * count, dtype=np.uint8))
    parts = rng.standard_normal((count, 2)) if kind == "gaussian" else rng.laplace(size=(count, 2)) / math.sqrt(2)
    return (parts @ [1, 1j] * math.sqrt(0.5)).astype(np.complex64)


# --- the two waveforms -----------------------------------------------------------------------------------------
def rows(values: Any) -> Any:
    return np.pad(values, (0, -values.size % ofdm.DATA)).reshape(-1, ofdm.DATA)


def spread(values: Any) -> Any:
    """A single carrier's values to what the carriers carry."""
    return np.fft.fft(rows(values), axis=1, norm="ortho").astype(np.complex64).ravel()


def gathered(values: Any, variances: Any) -> tuple[Any, Any]:
    """Equalised carriers to a single carrier's values: MMSE weights, without their bias."""
    weight = 1.0 / (1.0 + rows(variances))
    level = weight.mean(axis=1, keepdims=True)
    out = np.fft.ifft(rows(values) * weight, axis=1, norm="ortho") / level
    return out.astype(np.complex64).ravel(), np.repeat((1 - level) / level, ofdm.DATA).astype(np.float32)


def padded_to_rows(values: Any) -> Any:
    return np.resize(values, -(-values.size // ofdm.DATA) * ofdm.DATA)


def over_ideal(sent: Any, taps: Any, esn0_db: float, rng: Any) -> tuple[Any, Any]:
    """The payload's carriers with perfect coefficients."""
    response = np.exp(-2j * np.pi * np.outer(ofdm.carriers(), np.arange(taps.size)) / ofdm.FFT) @ taps
    place = np.arange(sent.size // ofdm.DATA) % ofdm.FRAME
    h = response[ofdm.data_carriers()[place]].ravel().astype(np.complex64)
    variance = noise_var(esn0_db)
    return equalise(sent * h + noise(sent.size, variance, rng), h, variance)


def over_burst(sent: Any, taps: Any, esn0_db: float, rng: Any, peak_db: float | None = None) -> tuple[Any, Any] | None:
    """The payload as a burst; None where it was not found."""
    head = header.Header(symbols=sent.size)
    samples = transmit(head, sent, "robust", peak_db)
    for burst in receive(impaired(samples, esn0_db, rng, 1e-3, 20.0, taps)):
        if getattr(burst, "header", None) == head:
            return burst.symbols, burst.noise_var
    return None


def sent_and_received(
    values: Any, waveform: str, profile: str, esn0_db: float, seed: list[int], peak_db: float | None = None
) -> tuple[Any, Any] | None:
    """Values through one draw of the channel, the same for each waveform and profile."""
    taps = three_taps(np.random.default_rng([*seed, 1]))
    rng = np.random.default_rng([*seed, 2])
    whole = padded_to_rows(values)
    on_air = spread(whole) if waveform == "single_carrier" else whole
    got: tuple[Any, Any] | None = over_ideal(on_air, taps, esn0_db, rng) if profile == "ideal" else None
    if profile == "burst":
        got = over_burst(on_air, taps, esn0_db, rng, peak_db)
    if got is None:
        return None
    symbols, variances = gathered(*got) if waveform == "single_carrier" else got
    return symbols[: values.size], variances[: values.size]


# --- the parts -------------------------------------------------------------------------------------------------
def detection_part(bursts: int) -> dict[str, Any]:
    """Misses in a flat channel with any delay and offset within the limits; false alarms in noise."""
    found = []
    for esn0_db in (-10.0, -9.0, -8.0, -7.0):
        missed = 0
        for number in range(bursts):
            rng = np.random.default_rng([1, number, round(10 * esn0_db) + 1000])
            sequence = preamble.STRENGTHS[number % 2]
            tail = analog("gaussian", 2 * ofdm.DATA, rng)
            samples = np.concatenate((preamble.preamble(sequence), ofdm.modulate(ofdm.grid(tail))))
            got = detection.detect(impaired(samples, esn0_db, rng, rng.uniform(-5e-3, 5e-3), quiet=1000))
            missed += not any(abs(one.start - 1000.5) < 4 and one.strength == sequence for one in got)
        found.append({"esn0_db": esn0_db, "missed": share(missed, bursts)})
    alarms = {}
    for kind in ("white", "in_band"):
        count, samples = 0, 0
        for number in range(25):
            rng = np.random.default_rng([2, number])
            x = noise(2_000_000, 1.0, rng)
            if kind == "in_band":
                spectrum = np.fft.fft(x)
                spectrum[np.abs(np.fft.fftfreq(x.size)) > ofdm.CARRIERS / 2 / ofdm.FFT] = 0
                x = np.fft.ifft(spectrum).astype(np.complex64)
            count += len(detection.detect(x))
            samples += x.size
        # a count of rare events: Garwood's exact interval is that of a probability that is tiny
        msymbols = samples / S / 1e6
        rate = share(count, samples)
        alarms[kind] = {"million_symbols": msymbols, "alarms": count, "a_million_symbols": {
            key: rate[key] * 1e6 * S for key in ("value", "low", "high")}}  # fmt: skip
    return {"preamble_symbols": preamble.LENGTH / S, "misses": found, "false_alarms": alarms}


def header_part(bursts: int) -> list[dict[str, Any]]:
    """Bursts whose header was not read, detection included."""
    out = []
    for strength, points in (("robust", (-9.0, -8.0, -7.0)), ("short", (-1.0, 0.0, 1.0))):
        for esn0_db in points:
            for name in ("flat", "three_taps"):
                lost = 0
                for number in range(bursts):
                    rng = np.random.default_rng([3, number])
                    head = header.Header(system=7, model=9, sequence=number, bits=0, symbols=ofdm.DATA)
                    samples = transmit(head, analog("gaussian", ofdm.DATA, rng), strength)
                    taps = None if name == "flat" else three_taps(rng)
                    offset = rng.uniform(-5e-3, 5e-3)
                    got = receive(impaired(samples, esn0_db, rng, offset, rng.uniform(-40, 40), taps))
                    lost += not any(getattr(one, "header", None) == head for one in got)
                out.append({"strength": strength, "channel": name, "esn0_db": esn0_db, "lost": share(lost, bursts)})
    return out


def crossing(points: list[dict[str, Any]], level: float = 1e-2) -> float | None:
    """Es/N0 at which the block error rate, a straight line in its logarithm between two points, is at the level."""
    for left, right in zip(points, points[1:], strict=False):
        a, b = (max(p["bler"]["value"], 1e-5) for p in (left, right))
        if a >= level > b:
            part = (math.log(a) - math.log(level)) / (math.log(a) - math.log(b))
            return round(left["esn0_db"] + part * (right["esn0_db"] - left["esn0_db"]), 3)
    return None


def bler_part(bursts: int, peak_db: float | None = None, waveforms: Any = ("ofdm", "single_carrier")) -> dict[str, Any]:
    """Block error rates, four blocks a burst, both waveforms, against ideal."""
    out: dict[str, Any] = {}
    for mcs, ranges in POINTS.items():
        scheme, plan = get(mcs), layout(BITS, mcs)
        modulation = Modulation(scheme.modulation)
        for waveform in waveforms:
            for profile in ("ideal", "burst"):
                points = []
                for esn0_db in ranges[waveform]:
                    failed = 0
                    for number in range(bursts):
                        bits = np.random.default_rng([4, number]).integers(0, 2, BITS, dtype=np.uint8)
                        coded = to_air(coding.encode(bits, plan), scheme.bits_per_symbol, scheme.interleaved, False)
                        got = sent_and_received(modulation.map(coded), waveform, profile, esn0_db, [4, number], peak_db)
                        if got is None:
                            failed += plan.blocks
                            continue
                        order = (plan.blocks, scheme.bits_per_symbol, scheme.interleaved, False)
                        failed += int(np.sum(~coding.decode(from_air(modulation.llr(*got), *order), plan)[1]))
                    points.append({"esn0_db": round(esn0_db, 2), "bler": share(failed, bursts * plan.blocks)})
                out.setdefault(mcs, {}).setdefault(waveform, {})[profile] = {
                    "points": points, "esn0_db_at_1e-2": crossing(points)}  # fmt: skip
    for curves in out.values():
        for waveform in waveforms:
            ends = [curves[waveform][p]["esn0_db_at_1e-2"] for p in ("ideal", "burst")]
            curves[waveform]["loss_db"] = None if None in ends else round(ends[1] - ends[0], 3)
    return out


def snr_db(values: Any, got: tuple[Any, Any]) -> float:
    """Of symbols that a decoder shrinks by what it knows of their noise (the same for ideal)."""
    symbols, variances = got
    error = np.mean(np.abs(symbols / (1 + variances) - values) ** 2)
    return float(10 * np.log10(1 / error))


def analog_part(bursts: int) -> dict[str, Any]:
    """SNR of analog symbols, whole bursts paired with ideal; with the peak limiter too."""
    out: dict[str, Any] = {}
    for esn0_db in (0.0, 10.0, 20.0):
        for waveform in ("ofdm", "single_carrier"):
            loss: dict[str, list[float]] = {"burst": [], "burst_peak_6_db": []}
            levels = []
            for number in range(bursts):
                values = analog("gaussian", 4 * 8 * ofdm.DATA, np.random.default_rng([5, number]))
                ideal = sent_and_received(values, waveform, "ideal", esn0_db, [5, number])
                assert ideal is not None
                levels.append(snr_db(values, ideal))
                for name, peak in (("burst", None), ("burst_peak_6_db", 6.0)):
                    got = sent_and_received(values, waveform, "burst", esn0_db, [5, number], peak)
                    loss[name].append(levels[-1] - (snr_db(values, got) if got is not None else 0.0))
            out[f"{waveform}_{esn0_db:g}_db"] = {
                "ideal_snr_db": mean(levels), **{f"loss_db_{name}": mean(values) for name, values in loss.items()}
            }
    return out


def peaks_part() -> dict[str, Any]:
    """Power that 99.9 % of the time is not exceeded, and the highest peak of 250 OFDM symbols, over the mean."""
    out: dict[str, Any] = {}
    for kind in ("gaussian", "laplace", "qpsk"):
        values = analog(kind, 250 * ofdm.DATA, np.random.default_rng(6))
        for waveform in ("ofdm", "single_carrier"):
            for peak in (None, 6.0):
                carriers = ofdm.grid(spread(values) if waveform == "single_carrier" else values)
                samples = ofdm.modulate(carriers if peak is None else peak_power.limit_peaks(carriers, peak))
                out[f"{kind}_{waveform}" + ("" if peak is None else "_limited_to_6_db")] = {
                    "db_at_99.9": round(peak_power.peak_to_average_db(samples), 2),
                    "db_highest": round(peak_power.peak_to_average_db(samples, 1.0), 2),
                }
    return out


def best(call: Callable[[], Any], runs: int = 5) -> float:
    times = []
    for _ in range(runs):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def speed_part() -> dict[str, Any]:
    """Samples a second of CPU time of one core, best of five; QPSK 1/3, payloads of 30,000 bits, LDPC included."""
    rng = np.random.default_rng(7)
    plan, modulation = layout(30_000, "qpsk-1/3"), Modulation("qpsk")
    bits = rng.integers(0, 2, 30_000, dtype=np.uint8)
    head = header.Header(bits=30_000, mcs="qpsk-1/3")

    def send() -> Any:
        return transmit(head, modulation.map(to_air(coding.encode(bits, plan), 2, False, False)), "short")

    samples = np.concatenate([impaired(send(), 3.0, rng, 1e-3, 20.0, three_taps(rng)) for _ in range(4)])

    def listen() -> int:
        good = 0
        for burst in receive(samples):
            llr = modulation.llr(burst.symbols, burst.noise_var)  # type: ignore[union-attr]
            good += int(coding.decode(from_air(llr, plan.blocks, 2, False, False), plan)[1].all())
        return good

    assert listen() == 4
    x, length = noise(1_000_000, 1.0, rng), burst_samples(head.payload_symbols, "short")
    stream = BurstReceiver()
    return {
        "transmit_msample_s": round(length / 1e6 / best(send), 2),
        "receive_msample_s": round(samples.size / 1e6 / best(listen), 2),
        "detect_msample_s": round(x.size / 1e6 / best(lambda: detection.detect(x)), 2),
        "detect_stream_of_noise_msample_s": round(x.size / 1e6 / best(lambda: stream.push(x)), 2),
        "burst": {"samples": length, "symbols_total": symbols_total(head.payload_symbols, "short"),
                  "symbols_payload": head.payload_symbols},
    }  # fmt: skip


def main() -> None:
    parts: dict[str, Callable[[int], Any]] = {
        "detection": detection_part, "header": header_part, "bler": bler_part, "analog": analog_part,
        "peaks": lambda _: peaks_part(), "speed": lambda _: speed_part(),
        "bler_peak_6_db": lambda n: bler_part(n, 6.0, ("ofdm",)),
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="all where none is named")
    parser.add_argument("--bursts", type=int, default=0, help="of each point; default 1000 (detection), 300 (others)")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    result = json.loads(OUT.read_text()) if OUT.exists() else {}
    for name in arguments.parts or parts:
        count = arguments.bursts or {"detection": 1000, "analog": 100}.get(name, 300)
        result[name] = parts[name](count)
        result["processor"] = processor()
        OUT.write_text(json.dumps(result, indent=1) + "\n")
        print(name, json.dumps(result[name]), flush=True)


if __name__ == "__main__":
    main()

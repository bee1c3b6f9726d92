# SPDX-License-Identifier: GPL-3.0-or-later
"""Bursts: what is sent comes out, equalised and with the right noise variances, through what two radios do to it."""

import math

import numpy as np
import pytest

from gnuradio.semcom.phy import burst, header, impairments, ofdm, preamble, tdl
from gnuradio.semcom.phy.burst_receiver import BurstReceiver, receive
from gnuradio.semcom.phy.channel import noise
from gnuradio.semcom.phy.modulation import Modulation
from gnuradio.semcom.phy.peak_power import peak_to_average_db
from gnuradio.semcom.phy.snr import noise_var

TAPS = np.array([1, 0, 0, 0.7j, 0, 0, 0, -0.5]) / math.sqrt(1.74)


def qpsk(count, seed=0):
    return Modulation("qpsk").map(np.random.default_rng(seed).integers(0, 2, 2 * count, dtype=np.uint8))


def on_air(samples, esn0_db, seed=0, offset=1e-3, ppm=20.0, taps=None, quiet=500, linewidth=0.0):
    """Through a channel: 500 samples of noise, the burst at half a sample, noise."""
    rng = np.random.default_rng(seed)
    x = np.concatenate((np.zeros(quiet), samples, np.zeros(quiet))).astype(np.complex64)
    if taps is not None:
        x = np.convolve(x, taps).astype(np.complex64)
    x = np.fft.ifft(np.fft.fft(x) * np.exp(-1j * np.pi * np.fft.fftfreq(x.size))).astype(np.complex64)
    x = impairments.sampling_offset(x, ppm)
    x *= impairments.phase_trajectory(x.size, rng, offset, linewidth)
    return x + noise(x.size, ofdm.SAMPLES_PER_SYMBOL * noise_var(esn0_db), rng)


def one(samples, **settings):
    bursts = list(receive(on_air(samples, **settings)))
    assert len(bursts) == 1 and isinstance(bursts[0], burst.Burst)
    return bursts[0]


def error(got, sent):
    """Mean square error over the noise variance that the receiver states."""
    return float(np.mean(np.abs(got.symbols - sent) ** 2 / got.noise_var))


@pytest.mark.parametrize("strength", preamble.STRENGTHS)
@pytest.mark.parametrize("esn0_db", [3.0, 15.0, 25.0])
def test_a_burst_comes_out_as_it_went_in(strength, esn0_db):
    sent, head = qpsk(4000), header.Header(123, 45, 678, 0, 4000)
    got = one(burst.transmit(head, sent, strength), esn0_db=esn0_db)
    assert got.header == head and got.strength == strength
    assert error(got, sent) == pytest.approx(1.0, abs=0.25)
    assert got.esn0_db == pytest.approx(esn0_db, abs=0.8)
    assert got.start == pytest.approx(500.5, abs=0.2)
    assert got.carrier_offset == pytest.approx(1e-3, abs=5e-6)
    assert got.sampling_offset_ppm == pytest.approx(20.0, abs=15.0)


@pytest.mark.parametrize("offset", [-5e-3, 5e-3])
@pytest.mark.parametrize("ppm", [-40.0, 40.0])
def test_offsets_at_the_limits_and_multipath_cost_little(offset, ppm):
    sent, head = qpsk(20_000), header.Header(symbols=20_000)
    got = one(burst.transmit(head, sent), esn0_db=10.0, offset=offset, ppm=ppm, taps=TAPS)
    assert error(got, sent) == pytest.approx(1.0, abs=0.05)
    response = np.exp(-2j * np.pi * np.outer(ofdm.carriers(), np.arange(8)) / 256) @ TAPS
    ideal = float(np.mean(1 / (1 + 10 * np.abs(response) ** 2)))  # of symbols shrunk by their known noise
    shrunk = np.mean(np.abs(got.symbols / (1 + got.noise_var) - sent) ** 2)
    assert 10 * math.log10(shrunk / ideal) < 0.3
    assert got.sampling_offset_ppm == pytest.approx(ppm, abs=2.0)


def test_8_db_below_the_noise_a_payload_still_comes_out():
    sent, head = qpsk(10_000), header.Header(1, 2, 3, 0, 10_000)
    got = one(burst.transmit(head, sent), esn0_db=-8.0, offset=-4e-3, ppm=-35.0)
    assert got.header == head
    assert error(got, sent) == pytest.approx(1.0, abs=0.06)
    assert got.esn0_db == pytest.approx(-8.0, abs=1.0)


@pytest.mark.parametrize("count", [0, 1, 181, 182, 183, 1457])
def test_a_payload_may_have_any_length(count):
    sent = qpsk(count)
    got = one(burst.transmit(header.Header(symbols=count), sent, "short"), esn0_db=20.0)
    assert got.symbols.shape == got.noise_var.shape == (count,)
    assert got.symbols.dtype == np.complex64 and got.noise_var.dtype == np.float32
    if count:
        assert np.max(np.abs(got.symbols - sent)) < 0.6


@pytest.mark.parametrize("count", [200_000, pytest.param(1 << 20, marks=pytest.mark.slow)])
def test_a_long_payload_drifts_by_many_samples_and_comes_out(count):
    sent = qpsk(count)
    got = one(burst.transmit(header.Header(symbols=count), sent, "short"), esn0_db=12.0, ppm=40.0, offset=3e-3)
    tail = np.mean(np.abs(got.symbols[-10_000:] - sent[-10_000:]) ** 2)
    assert 10 * math.log10(1 / tail) == pytest.approx(12.0, abs=0.4)
    assert got.sampling_offset_ppm == pytest.approx(40.0, abs=0.5)


def test_payloads_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="1048576 symbols"):
        header.Header(symbols=(1 << 20) + 1)
    with pytest.raises(ValueError, match="the 10 symbols of its header"):
        burst.transmit(header.Header(symbols=10), qpsk(11))
    with pytest.raises(ValueError, match="finite"):
        burst.transmit(header.Header(symbols=2), [1.0, math.nan])
    with pytest.raises(ValueError, match="robust, short"):
        burst.transmit(header.Header(), [], "strong")
    with pytest.raises(ValueError, match="from 4 to 20 dB"):
        burst.transmit(header.Header(), [], peak_db=1.0)


def test_everything_that_is_on_air_is_counted():
    for count in (0, 1, 5000):
        for strength in preamble.STRENGTHS:
            samples = burst.transmit(header.Header(symbols=count), qpsk(count), strength)
            assert samples.size == burst.burst_samples(count, strength)
            assert burst.symbols_total(count, strength) == math.ceil(samples.size * 208 / 256)
            assert np.mean(np.abs(samples) ** 2) == pytest.approx(1.0, rel=0.02)
    for airtime in (0, 900, 2000, 54_321):
        most = burst.largest_payload(airtime, "short")
        assert most == 0 or burst.symbols_total(most, "short") <= airtime < burst.symbols_total(most + 1, "short")


@pytest.mark.parametrize(("strength", "esn0_db"), [("robust", -8.0), ("short", 0.0)])
def test_a_description_arrives_wherever_the_header_does(strength, esn0_db):
    text, sent = bytes(range(40)), qpsk(500)
    head = header.Header(symbols=500, description=len(text))
    samples = burst.transmit(head, sent, strength, description=text)
    assert samples.size == burst.burst_samples(500, strength, len(text)) > burst.burst_samples(500, strength)
    got = [found for seed in range(5) for found in receive(on_air(samples, esn0_db, seed))]
    assert [one.description for one in got] == [text] * 5
    assert error(got[0], sent) == pytest.approx(1.0, abs=0.2)
    (cut,) = receive(on_air(samples, 20.0)[: burst.head_samples(strength) + 520])
    assert cut.description is None and np.all(cut.noise_var == 1e6)
    with pytest.raises(ValueError, match="the 40 octets of its header"):
        burst.transmit(head, sent)


def test_nothing_is_sent_beside_the_band():
    samples = burst.transmit(header.Header(symbols=20_000), qpsk(20_000))
    pieces = samples[: samples.size // 4096 * 4096].reshape(-1, 4096) * np.hanning(4096)
    power = np.mean(np.abs(np.fft.fft(pieces)) ** 2, axis=0)
    outside = np.abs(np.fft.fftfreq(4096)) > 0.45
    assert 10 * math.log10(power[outside].mean() / power[~outside].mean()) < -20


def test_heavy_tailed_analog_symbols_keep_to_the_peak_limits():
    rng = np.random.default_rng(0)
    values = (rng.laplace(size=(40_000, 2)) @ [0.5, 0.5j]).astype(np.complex64)
    head = header.Header(symbols=values.size)
    free, limited = burst.transmit(head, values), burst.transmit(head, values, peak_db=6.0)
    assert peak_to_average_db(free) <= 8.5
    assert peak_to_average_db(limited) <= 6.1
    got = one(limited, esn0_db=10.0)
    assert error(got, values) == pytest.approx(1.0, abs=0.05)


def test_a_tone_has_no_peaks_and_two_tones_have_three_decibels():
    time = np.arange(1024)
    tone = np.exp(2j * np.pi * 37 * time / 1024)
    assert peak_to_average_db(tone) == pytest.approx(0.0, abs=1e-3)
    assert peak_to_average_db(tone + np.exp(2j * np.pi * 41 * time / 1024), 1.0) == pytest.approx(3.01, abs=0.02)


def test_the_stream_may_come_in_any_pieces():
    rng = np.random.default_rng(5)
    parts = []
    for number, strength in enumerate(("robust", "short", "short", "robust")):
        count = int(rng.integers(0, 6000))
        samples = burst.transmit(header.Header(1, 2, number, 0, count), qpsk(count, number), strength)
        parts.append(on_air(samples, 6.0, number, quiet=int(rng.integers(0, 3000))))
    stream = np.concatenate(parts)
    whole = list(receive(stream))
    assert [one.header.sequence for one in whole] == [0, 1, 2, 3]
    for sizes in ((1, 700), (5000, 5001), (30_000, 60_000)):
        receiver, got, at = BurstReceiver(), [], 0
        while at < stream.size:
            step = int(rng.integers(*sizes))
            got += receiver.push(stream[at : at + step])
            at += step
        got += receiver.flush()
        assert receiver.counts["bursts"] == 4 and receiver.counts["samples"] == stream.size
        for left, right in zip(got, whole, strict=True):
            assert left.header == right.header and left.start == right.start
            assert np.array_equal(left.symbols, right.symbols) and np.array_equal(left.noise_var, right.noise_var)


def test_memory_stays_small_however_long_the_stream():
    receiver = BurstReceiver()
    rng = np.random.default_rng(6)
    for _ in range(30):
        receiver.push(noise(50_000, 1.0, rng))
        assert receiver._buffer.size + sum(piece.size for piece in receiver._pieces) < 130_000


def test_a_burst_that_is_cut_off_comes_out_with_erasures():
    sent = qpsk(8000)
    samples = on_air(burst.transmit(header.Header(symbols=8000), sent, "short"), 15.0)[:8000]
    got = next(receive(samples))
    assert got.symbols.shape == (8000,) and np.isfinite(got.symbols).all()
    assert np.all(got.noise_var[-2000:] == 1e6) and np.all(got.symbols[-2000:] == 0)
    assert np.mean(np.abs(got.symbols[:3000] - sent[:3000]) ** 2) < 0.1


def test_dropped_samples_cost_what_is_near_them():
    sent = qpsk(40_000)
    samples = on_air(burst.transmit(header.Header(symbols=40_000), sent, "short"), 15.0)
    got = next(receive(np.delete(samples, slice(30_000, 30_025))))
    wrong = np.abs(got.symbols - sent) ** 2 > 0.5
    assert wrong.mean() < 0.12 and not wrong[:17_000].any() and wrong[-10_000:].mean() < 1e-3


def test_an_interferer_costs_its_own_carriers():
    sent = qpsk(20_000)
    samples = on_air(burst.transmit(header.Header(symbols=20_000), sent), 15.0)
    tone = 0.5 * np.exp(2j * np.pi * 0.123 * np.arange(samples.size))
    (got,) = receive(samples + tone.astype(np.complex64))
    shrunk = np.mean(np.abs(got.symbols / (1 + got.noise_var) - sent) ** 2)
    assert 10 * math.log10(1 / shrunk) > 11.5  # 3 % of the carriers lost are 15.2 dB; without their own noise: 6 dB


def test_phase_noise_of_a_common_oscillator_is_followed():
    sent = qpsk(20_000)
    got = one(burst.transmit(header.Header(symbols=20_000), sent, "short"), esn0_db=20.0, linewidth=1e-6)
    shrunk = np.mean(np.abs(got.symbols - sent) ** 2)
    assert 10 * math.log10(1 / shrunk) > 18.5


def test_a_moving_receiver_is_followed():
    sent = qpsk(20_000)
    samples = burst.transmit(header.Header(symbols=20_000), sent, "short")
    response = tdl.impulse_response("TDL-D", samples.size, np.random.default_rng(3), 1e-6, 1e6, 20.0)
    got = one(response.apply(samples, samples.size), esn0_db=15.0)
    assert error(got, sent) < 1.4


def test_two_bursts_at_once_both_come_out_where_one_is_stronger():
    first = burst.transmit(header.Header(1, 1, 1, 0, 4000), qpsk(4000, 1), "robust")
    second = burst.transmit(header.Header(2, 2, 2, 0, 400), qpsk(400, 2), "short") * np.float32(4.0)
    samples = on_air(first, 10.0)
    samples[4500 : 4500 + second.size] += second
    found = {got.header.sequence for got in receive(samples)}
    assert found == {1, 2}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated air of a stream: against the packet-wise impairments of the PHY, and the same whatever the pieces."""

from pathlib import Path

import numpy as np
import pytest

from gnuradio.semcom.phy import impairments, tdl
from gnuradio.semcom.phy.fractional import HALF_WIDTH
from gnuradio.semcom.phy.ofdm import SAMPLES_PER_SYMBOL
from gnuradio.semcom.radio.simulated_air import BLOCK, Impairments, SimulatedAir, load

ALL = {
    "clip_db": 5, "multipath": {"profile": "TDL-D", "delay_spread": 1.5, "doppler": 1e-6},
    "fading": {"model": "rician", "doppler": 1e-6, "rician_k": 4}, "sampling_offset_ppm": 40, "carrier_offset": "1e-3",
    "linewidth": 1e-6, "iq_gain_db": 0.5, "iq_phase_deg": 2, "interferer": {"frequency": 0.1, "power_db": -20},
    "dropped": {"every": 30_000, "count": 50}, "esn0_db": 12, "seed": 3,
}  # fmt: skip


def band_limited(count, seed=0):
    """Samples of mean energy 1 within the band of bursts."""
    rng = np.random.default_rng(seed)
    spectrum = rng.standard_normal(count) + 1j * rng.standard_normal(count)
    spectrum[np.abs(np.fft.fftfreq(count)) > 0.4] = 0
    x = np.fft.ifft(spectrum)
    return (x / np.sqrt(np.mean(np.abs(x) ** 2))).astype(np.complex64)


def through(x, **settings):
    return SimulatedAir(Impairments(**settings)).push(x)


def test_pieces_do_not_matter():
    x = band_limited(10 * BLOCK)
    whole = through(x, **ALL)
    air, rng, at, pieces = SimulatedAir(Impairments(**ALL)), np.random.default_rng(1), 0, []
    while at < x.size:
        size = int(rng.integers(1, 20_000))
        pieces.append(air.push(x[at : at + size]))
        at += size
    assert np.array_equal(np.concatenate(pieces), whole)
    assert not np.array_equal(through(x, **ALL | {"seed": 4}), whole)


def test_nothing_set_changes_nothing_but_the_phase():
    x = band_limited(2 * BLOCK)
    y = through(x)
    turn = np.vdot(x, y) / np.vdot(x, x)
    assert abs(turn) == pytest.approx(1, abs=1e-5) and np.max(np.abs(y - turn * x)) < 1e-5


def test_noise_has_the_energy_that_es_n0_says():
    y = through(np.zeros(20 * BLOCK, np.complex64), esn0_db=-3.0)
    assert np.mean(np.abs(y) ** 2) == pytest.approx(SAMPLES_PER_SYMBOL * 10**0.3, rel=0.02)


def test_a_fast_clock_gives_what_the_packet_wise_function_gives():
    x = band_limited(4 * BLOCK)
    y = through(x, sampling_offset_ppm=300.0)
    wanted = impairments.sampling_offset(x, 300.0)
    turn = np.vdot(wanted[100:20_000], y[100:20_000])
    assert np.max(np.abs(y[100:20_000] * np.conj(turn / abs(turn)) - wanted[100:20_000])) < 2e-3
    assert y.size == pytest.approx((4 * BLOCK - HALF_WIDTH) * (1 + 300e-6), abs=2)


def test_the_carrier_turns_on_from_block_to_block():
    y = through(np.ones(3 * BLOCK, np.complex64), carrier_offset=3e-3)
    steps = np.angle(y[1:] * np.conj(y[:-1])) / (2 * np.pi)
    assert np.max(np.abs(steps - 3e-3)) < 1e-5


def test_phase_noise_has_the_linewidth():
    y = through(np.ones(40 * BLOCK, np.complex64), linewidth=1e-4)
    steps = np.angle(y[1:] * np.conj(y[:-1]))
    assert np.var(steps) == pytest.approx(2 * np.pi * 1e-4, rel=0.02)


def test_paths_lie_where_the_table_has_them():
    x = np.zeros(2 * BLOCK, np.complex64)
    x[1000] = 1
    power = np.mean(
        [np.abs(through(x, multipath={"profile": "TDL-A", "delay_spread": 4.0}, seed=s)) ** 2 for s in range(200)], 0
    )
    delays, powers = tdl.power_delay_profile("TDL-A")
    response = power[1000 + HALF_WIDTH - 8 : 1000 + HALF_WIDTH + 60]
    places = np.arange(response.size) - 8
    assert response.sum() == pytest.approx(1, abs=0.12)
    assert response @ places / response.sum() == pytest.approx(4.0 * powers @ delays, abs=0.4)


def test_fading_moves_with_its_doppler():
    h = through(np.ones(200 * BLOCK, np.complex64), fading={"doppler": 1e-5})
    assert np.mean(np.abs(h) ** 2) == pytest.approx(1, abs=0.35)
    lag = 19_000  # J0(2 pi 0.19) = 0.674
    found = np.real(np.mean(h[lag:] * np.conj(h[:-lag]))) / np.mean(np.abs(h) ** 2)
    assert found == pytest.approx(0.674, abs=0.15)


def test_peaks_are_cut_and_the_image_appears():
    x = band_limited(2 * BLOCK)
    assert np.max(np.abs(through(x, clip_db=3))) <= 10 ** (3 / 20) * 1.0001
    tone = np.exp(2j * np.pi * 0.1 * np.arange(2 * BLOCK)).astype(np.complex64)
    spectrum = np.abs(np.fft.fft(through(tone, iq_gain_db=1.0) * np.hanning(2 * BLOCK))) ** 2
    at = round(0.1 * 2 * BLOCK)
    image = spectrum[-at - 3 : -at + 4].sum() / spectrum[at - 3 : at + 4].sum()
    g = 10 ** (1 / 20)
    assert image == pytest.approx((1 - g) ** 2 / (1 + g) ** 2, rel=0.05)


def test_an_interferer_has_its_power_and_frequency():
    y = through(np.zeros(2 * BLOCK, np.complex64), interferer={"frequency": 0.25, "power_db": -6})
    assert np.mean(np.abs(y) ** 2) == pytest.approx(10**-0.6, rel=1e-3)
    assert np.max(np.abs(y[1:] * np.conj(y[:-1]) / np.abs(y[1:]) ** 2 - 1j)) < 1e-2


def test_dropped_samples_are_gone_and_no_others():
    x = np.arange(50 * BLOCK).astype(np.complex64)
    y = through(x, dropped={"every": 20_000, "count": 100})
    turn = y[1] / x[1]
    kept = np.rint((y / turn).real).astype(int)
    steps = np.diff(kept)
    assert set(steps) == {1, 101} and 12 <= np.sum(steps == 101) <= 40


def test_a_file_and_the_options_over_it(tmp_path):
    assert load(None) is None
    assert load(None, 5.0) == Impairments(esn0_db=5.0)
    path = tmp_path / "air.yml"
    path.write_text("carrier_offset: 5e-3\nesn0_db: 3\nfading: {model: rayleigh}\n")
    found = load(path, 7.0, 2)
    assert (found.carrier_offset, found.esn0_db, found.seed) == (5e-3, 7.0, 2)
    path.write_text("")
    assert load(path) == Impairments()


def test_the_example_is_legal():
    path = Path(__file__).parents[2] / "examples" / "radio" / "air.yml"
    assert load(path, 10.0).carrier_offset == 1e-3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("carrier: 1", "expected clip_db"), ("[1]", "expected clip_db"), ("a: [", "not YAML"),
        ("carrier_offset: fast", "must be a number"), ("carrier_offset: 1", "from -0.5 to 0.5"),
        ("multipath: {profile: TDL-Z}", "TDL-A"), ("multipath: 3", "names and values"),
        ("multipath: {delay_spread: 1000}", "from 0 to 64"), ("fading: {model: awful}", "rayleigh"),
        ("fading: {speed: 1}", "expected doppler"), ("interferer: {power_db: 90}", "from -100 to 60"),
        ("dropped: {every: 10, count: 10}", "below dropped.every"), ("seed: -1", "seed"), ("linewidth: true", "number"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_by_its_name(tmp_path, text, says):
    path = tmp_path / "air.yml"
    path.write_text(text)
    with pytest.raises(ValueError, match=says) as found:
        load(path)
    assert "air.yml" in str(found.value)
    with pytest.raises(ValueError, match="No such file"):
        load(tmp_path / "none.yml")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The gain assistant against a receiver whose converter is computed: 8 or 12 bits, noise, bursts, DC offset."""

import numpy as np
import pytest

from gnuradio.semcom.radio.gain import FLOOR_DBFS, Levels, advice, choose, levels, next_gain


def received(gain_db, antenna_dbfs=-90.0, burst_dbfs=None, bits=12, dc=0.0, count=60_000, seed=0):
    """Noise of the antenna and bursts that fill a tenth of the time, amplified and digitised."""
    rng = np.random.default_rng(seed)
    gain = 10 ** (gain_db / 20)

    def gaussian(power_dbfs, number):
        size = 10 ** (power_dbfs / 20) / np.sqrt(2)
        return size * (rng.standard_normal(number) + 1j * rng.standard_normal(number))

    x = gaussian(antenna_dbfs, count)
    if burst_dbfs is not None:
        x[count // 2 : count // 2 + count // 10] += gaussian(burst_dbfs, count // 10)
    x = gain * x + dc
    steps = 2 ** (bits - 1)
    rounded = [np.clip(np.round(part * steps), -steps, steps - 1) / steps for part in (x.real, x.imag)]
    return (rounded[0] + 1j * rounded[1]).astype(np.complex64)


def chosen(lowest=0.0, highest=70.0, start=None, **about):
    tried = choose(lambda gain: levels(received(gain, **about)), lowest, highest, start)
    return tried[-1][0], tried[-1][1], tried


def test_levels_of_noise():
    found = levels(received(50, count=500_000))
    assert found.mean_dbfs == pytest.approx(-40, abs=0.1) and found.floor_dbfs == pytest.approx(-40, abs=0.1)
    assert found.clipped == 0 and found.dc_dbfs < -80
    # the largest of a million Gaussian numbers lies about 4.9 standard deviations out: 13.8 dB, less 3 for one part
    assert found.peak_dbfs == pytest.approx(-40 + 13.8 - 3, abs=0.8)


def test_the_noise_is_that_between_bursts():
    found = levels(received(50, burst_dbfs=-65))
    assert found.floor_dbfs == pytest.approx(-40, abs=0.3)
    assert found.mean_dbfs == pytest.approx(10 * np.log10(1e-4 + 0.1 * 10**-1.5), abs=0.3)


def test_dc_is_no_noise():
    found = levels(received(50, dc=0.1 + 0.1j))
    assert found.dc_dbfs == pytest.approx(10 * np.log10(0.02), abs=0.05)
    assert found.floor_dbfs == pytest.approx(-40, abs=0.3)


def test_clipping_is_seen():
    assert levels(received(70, burst_dbfs=-60)).clipped > 0.01
    assert levels(np.full(10_000, 1 + 0j, np.complex64)).clipped == 1


def test_silence_and_bad_samples():
    found = levels(np.zeros(5000, np.complex64))
    assert found == Levels(-400.0, -200.0, -200.0, -200.0, 0.0)
    with pytest.raises(ValueError, match="at least 2560"):
        levels(np.zeros(2559, np.complex64))
    with pytest.raises(ValueError, match="finite"):
        levels(np.full(5000, np.nan, np.complex64))


@pytest.mark.parametrize("start", [None, 0.0, 70.0])
def test_noise_alone_is_brought_above_that_of_the_converter(start):
    gain, found, tried = chosen(start=start, bits=8)
    assert abs(found.floor_dbfs - FLOOR_DBFS) < 5 and found.clipped == 0
    assert abs(gain - 55) < 5 and len(tried) <= 8


@pytest.mark.parametrize("start", [0.0, 35.0, 70.0])
@pytest.mark.parametrize("burst_dbfs", [-60.0, -40.0, -25.0])
def test_bursts_fit_the_scale(start, burst_dbfs):
    gain, found, tried = chosen(start=start, burst_dbfs=burst_dbfs)
    assert found.clipped == 0 and -20 < found.peak_dbfs < -2
    assert len(tried) <= 10


def test_too_much_at_the_lowest_gain_is_told():
    gain, found, tried = chosen(lowest=0.0, burst_dbfs=5.0)
    assert gain == 0 and "attenuation" in tried[-1][2].reason
    assert any("attenuation" in line for line in advice(found))


def test_nothing_heard_is_told():
    gain, found, tried = chosen(antenna_dbfs=-160.0)
    assert gain == 70 and "as much gain as there is" in tried[-1][2].reason
    assert any("antenna" in line for line in advice(found))


def test_dc_is_told_only_where_it_matters():
    assert any("room" in line for line in advice(levels(received(50, dc=0.3))))
    assert any("no harm" in line for line in advice(levels(received(50, dc=0.05))))
    assert advice(levels(received(55))) == []


def test_levels_that_jump_do_not_go_on_for_ever():
    rng = np.random.default_rng(3)
    tried = choose(lambda gain: levels(received(rng.uniform(0, 70), burst_dbfs=-50)), 0.0, 70.0)
    assert len(tried) <= 12 and tried[-1][2].done


def test_a_gain_that_clipped_is_not_tried_again():
    found = Levels(-30.0, -40.0, -60.0, -90.0, 0.0)
    assert next_gain(found, 20.0, 20.0, 20.0).done
    assert next_gain(found, 20.0, 0.0, 24.0).gain_db == 24.0

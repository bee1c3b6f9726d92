# SPDX-License-Identifier: GPL-3.0-or-later
"""The noise variance is found without pilots, at every SNR, for every constellation."""

import numpy as np
import pytest

from gnuradio.semcom.phy.channel import transmit
from gnuradio.semcom.phy.estimation import estimate_noise_var
from gnuradio.semcom.phy.modulation import BITS_PER_SYMBOL, Modulation


@pytest.mark.parametrize("model", ["awgn", "rayleigh"])
@pytest.mark.parametrize("esn0_db", [-8.0, 0.0, 8.0, 20.0, 35.0])
@pytest.mark.parametrize("modulation", BITS_PER_SYMBOL)
def test_the_estimate_is_within_half_a_decibel(modulation, esn0_db, model):
    rng = np.random.default_rng(2)
    symbols = Modulation(modulation).map(rng.integers(0, 2, 8000 * BITS_PER_SYMBOL[modulation]))
    received, h = transmit(symbols, model, esn0_db, rng, "symbol")
    found = -10 * np.log10(estimate_noise_var(received, h, modulation))
    assert found == pytest.approx(esn0_db, abs=0.5)


@pytest.mark.parametrize("modulation", ["bpsk", "16qam"])
def test_silence_and_noiseless_bursts_give_finite_numbers(modulation):
    symbols = Modulation(modulation).map(np.zeros(80, np.uint8))
    ones = np.ones(symbols.size, np.complex64)
    assert 0 < estimate_noise_var(symbols, ones, modulation) <= 1e-5
    assert 0 < estimate_noise_var(0 * symbols, ones, modulation) < np.inf


@pytest.mark.parametrize("shapes", [((4,), (5,)), ((0,), (0,)), ((2, 2), (2, 2))])
def test_wrong_shapes_are_refused(shapes):
    with pytest.raises(ValueError, match="shape"):
        estimate_noise_var(np.ones(shapes[0], np.complex64), np.ones(shapes[1], np.complex64), "qpsk")

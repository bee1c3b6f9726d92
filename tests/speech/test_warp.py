# SPDX-License-Identifier: GPL-3.0-or-later
"""Bands stretched along frequency."""

import numpy as np

from gnuradio.semcom.speech.warp import WARP, between, warp_bands


def test_between_interpolates_and_clips_along_either_axis():
    values = np.array([[0, 1, 4], [10, 11, 14]], np.float32)
    found = between(values, np.array([-3, 0.5, 1.5, 9]), 1)
    np.testing.assert_allclose(found, [[0, 0.5, 2.5, 4], [10, 10.5, 12.5, 14]])
    np.testing.assert_allclose(between(values, np.array([0.25]), 0), [[2.5, 3.5, 6.5]])
    np.testing.assert_array_equal(between(values[:1], np.array([0.0, 7.0]), 0), values[[0, 0]])


def test_a_peak_moves_with_the_vocal_tract():
    frames = np.zeros((5, 40), np.float32)
    frames[:, 20] = 1
    random = np.random.default_rng(1)
    found = {int(warp_bands(frames, random)[0].argmax()) for _ in range(100)}
    lowest, highest = 19 / WARP[1], 21 / WARP[0]
    assert min(found) >= lowest - 1 and max(found) <= highest + 1 and len(found) > 4

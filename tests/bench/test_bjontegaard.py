# SPDX-License-Identifier: GPL-3.0-or-later
"""Mean differences of rate, against the public package `bjontegaard` and by hand."""

import numpy as np
import pytest

from gnuradio.semcom.bench.bjontegaard import bd_rate, similarity_db

HEVC = [0.0572, 0.0931, 0.1541, 0.2434, 0.3779, 0.5593], [25.1, 26.7, 28.3, 30.1, 32.0, 34.2]
WEBP = [0.116, 0.197, 0.243, 0.305, 0.418, 0.529], [25.9, 28.1, 29.0, 30.0, 31.5, 32.8]


def test_the_figures_of_an_independent_package_are_met():
    """`bjontegaard` 1.3.0, bd_rate(..., method="pchip", require_matching_points=False, min_overlap=0)."""
    assert bd_rate(*HEVC, *WEBP) == pytest.approx(32.93406333170257, abs=1e-9)
    assert bd_rate(*WEBP, *HEVC) == pytest.approx(-24.77473606559678, abs=1e-9)


def test_a_codec_that_needs_a_quarter_more_everywhere_needs_25_percent_more():
    rate, quality = HEVC
    assert bd_rate(rate, quality, 1.25 * np.array(rate), quality) == pytest.approx(25)
    order = [3, 0, 5, 1, 4, 2]
    assert bd_rate(rate, quality, 1.25 * np.array(rate)[order], np.array(quality)[order]) == pytest.approx(25)


def test_a_rung_that_another_beats_counts_nothing():
    rate, quality = HEVC
    worse = [*rate, 0.3], [*quality, 29.0]
    twin = [*rate, rate[2]], [*quality, quality[2] - 1]
    assert bd_rate(*worse, *WEBP) == bd_rate(*twin, *WEBP) == bd_rate(*HEVC, *WEBP)


def test_curves_that_share_too_little_are_not_compared():
    rate, quality = HEVC
    assert bd_rate(rate, quality, rate, np.array(quality) + 9) is None
    assert bd_rate(rate, quality, rate, np.array(quality) + 6) is None
    assert bd_rate(rate, quality, rate, np.array(quality) + 4) is not None
    assert bd_rate(rate, quality, rate[:1], quality[:1]) is None
    assert bd_rate(rate, quality, [], []) is None


def test_impossible_curves_are_refused():
    rate, quality = HEVC
    for other in (([0.0, 1.0], [20, 30]), ([1.0, np.nan], [20, 30]), ([1.0, 2.0], [20, np.inf])):
        with pytest.raises(ValueError, match="finite"):
            bd_rate(rate, quality, *other)
    with pytest.raises(ValueError, match="as many"):
        bd_rate(rate, quality, [1.0, 2.0], [20, 30, 40])


def test_similarity_in_db():
    np.testing.assert_allclose(similarity_db([0.9, 0.99, 0.95]), [10, 20, 13.0103], atol=1e-4)

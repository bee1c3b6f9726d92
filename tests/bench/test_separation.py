# SPDX-License-Identifier: GPL-3.0-or-later
"""The separation bound: by hand, against a real codec, and never below what a real link reaches."""

import math

import numpy as np
import pytest

from gnuradio.semcom.bench import curves, separation
from gnuradio.semcom.bench.intervals import mean, metric
from gnuradio.semcom.bench.separation import Ladder, separation_bound
from gnuradio.semcom.links import Link
from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.message import Message
from gnuradio.semcom.phy import bounds


def test_a_ladder_by_hand():
    ladder = Ladder.of({"a": [(4000, 30.0), (1000, 20.0), (2000, 26.0)], "b": [(1000, 40.0)]})
    found = ladder.quality([999, 1000, 1000 * math.sqrt(2), 2000, 8000])
    assert math.isnan(found[0])  # the smallest file does not fit
    np.testing.assert_allclose(found[1:], [30.0, (23 + 40) / 2, 33.0, 35.0])


def test_a_rung_that_is_worse_than_a_smaller_one_is_not_used():
    ladder = Ladder.of({"a": [(100, 20.0), (200, 19.0), (400, 24.0), (400, 23.0)]})
    np.testing.assert_allclose(ladder.quality([100, 200, 400]), [20.0, 20.0, 24.0])
    falling = Ladder.of({"a": [(100, 0.5), (200, 0.6), (400, 0.1)]}, better=-1)
    np.testing.assert_allclose(falling.quality([100, 200, 400]), [0.5, 0.5, 0.1])


@pytest.mark.parametrize("rungs", [{}, {"a": []}, {"a": [(0, 1.0)]}, {"a": [(10, math.nan)]}])
def test_a_ladder_that_cannot_be_is_refused(rungs):
    with pytest.raises(ValueError, match="ladder"):
        Ladder.of(rungs)


def test_the_bound_takes_the_bits_that_capacity_allows():
    ladder = Ladder.of({"a": [(2.0**k, float(k)) for k in range(1, 21)]})  # quality is the logarithm of the bits
    assert separation_bound(ladder, 0.0, 1024) == pytest.approx(10.0)  # one bit a symbol
    assert separation_bound(ladder, 10 * math.log10(15), 1024) == pytest.approx(12.0)  # four
    constellation = float(bounds.capacity("16qam", 6.0))
    assert separation_bound(ladder, 6.0, 1024, modulation="16qam") == pytest.approx(10 + math.log2(constellation))
    ergodic = float(bounds.ergodic_capacity("qpsk", 6.0, "rayleigh", kind="gaussian"))
    assert separation_bound(ladder, 6.0, 1024, "rayleigh") == pytest.approx(10 + math.log2(ergodic))
    assert separation_bound(ladder, [0.0, 3.0], [1024.0, 2048.0]).shape == (2,)
    with pytest.raises(ValueError, match="channel must be one of"):
        separation_bound(ladder, 0.0, 1024, "cable")


def test_the_published_rates_of_the_kodak_table():
    # 768 x 512 pixels at a bandwidth ratio of 1/48 and 1/16 (symbols / 3HW), Gaussian capacity: 0.073 bit/pixel at
    # 1 dB and 1/48, 0.649 at 10 dB and 1/16
    pixels = 768 * 512
    ladder = Ladder.of({"a": [(k * pixels / 1000, k / 1000) for k in range(1, 2000)]})  # quality is bit/pixel
    assert separation_bound(ladder, 1.0, 3 * pixels / 48) == pytest.approx(0.073, abs=5e-4)
    assert separation_bound(ladder, 10.0, 3 * pixels / 16) == pytest.approx(0.649, abs=5e-4)


@pytest.fixture(scope="module")
def picture():
    data = read_image(packaged_photograph("coffee")).data[:192, :256]
    return Message("image", np.ascontiguousarray(data), {"name": "coffee"})


@pytest.fixture(scope="module")
def jpeg(picture):
    return separation.measure_ladder("jpeg", [picture], (1, 3, 10, 30, 60, 90))


def test_a_real_codecs_ladder_is_what_the_codec_does(jpeg, picture):
    from gnuradio.semcom.codecs import get_codec
    from gnuradio.semcom.metrics import image_metrics

    codec = get_codec("jpeg")
    data = codec.encode(picture.data, quality=30, model="optimized")
    expected = image_metrics(picture.data, codec.decode(data, picture.data.shape))["psnr_db"]
    assert jpeg.quality(8 * len(data)) == pytest.approx(expected, abs=1e-9)
    assert np.all(np.diff(jpeg.quality(np.geomspace(8 * len(data), 64 * len(data), 9))) >= 0)


@pytest.mark.parametrize("esn0_db", [4.5, 6.0, 12.0])
def test_no_real_link_beats_its_bound(jpeg, picture, esn0_db):
    airtime = 12_000
    link = Link("jpeg", esn0_db=esn0_db, mcs="auto", airtime=airtime, seed=3)
    received, record = next(iter(link.run([picture])))
    assert record["delivered"] and record["symbols_total"] <= airtime
    bound = float(separation_bound(jpeg, esn0_db, airtime))
    assert record["metrics"]["psnr_db"] < bound < record["metrics"]["psnr_db"] + 6


def test_a_ladder_needs_what_it_asks_for(picture):
    with pytest.raises(ValueError, match="metric must be one of"):
        separation.measure_ladder("jpeg", [picture], [10], metric="beauty")
    with pytest.raises(ValueError, match="quality of jpeg must be"):
        separation.measure_ladder("jpeg", [picture], [1000])


def parsed(collection, points, **more):
    return curves.parse(collection(points, **({"bounds": ["separation"]} | more)), "test")


def test_ladders_come_from_records_else_from_means(collection, point):
    def rung(system, quality, **more):
        metrics = {"psnr_db": mean([20.0 + quality, 30.0 + quality]), "bits": metric(1000.0 * quality)}
        settings = {"system": system, "model": ""}
        axis = {"esn0_db": 40.0, "quality": quality}
        return point(axis=axis, kind="system", settings=settings, metrics=metrics, **more)

    records = [
        {"input": name, "delivered": delivered, "bits": bits, "metrics": {"psnr_db": (bits or 0) / 100}}
        for name, delivered, bits in (("a", True, 2000), ("b", True, 4000), ("c", False, 100), ("d", True, None))
    ]
    points = [rung("jpeg", 1.0, records=records), rung("webp", 1.0), rung("webp", 2.0)]
    points += [point(), point(kind="system", settings={"system": "avif"})]  # neither is a rung
    found = separation.ladders(parsed(collection, points), "psnr_db")
    assert set(found) == {("jpeg", ""), ("webp", "")}
    assert found["jpeg", ""].quality(4000) == pytest.approx((20 + 40) / 2)
    np.testing.assert_allclose(found["webp", ""].quality([1000, 2000]), [26.0, 27.0])
    assert separation.ladders(parsed(collection, points, bounds=["capacity"]), "psnr_db") == {}


def test_foreign_records_are_left_out(collection, point):
    odd = [{"bits": True}, {"delivered": True, "bits": "9", "metrics": []}, {"delivered": 1, "metrics": {"psnr_db": 1}}]
    points = [point(axis={"quality": 1.0}, kind="system", settings={"system": [1]}, metrics={}, records=odd)]
    assert separation.ladders(parsed(collection, points), "psnr_db") == {}

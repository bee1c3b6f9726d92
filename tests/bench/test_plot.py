# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures: what is drawn where, with which bounds; and that nothing in a file can break or enter a figure."""

import argparse
import io
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gnuradio.semcom.bench import curves, limits, plot, separation
from gnuradio.semcom.bench.intervals import mean, metric, share
from gnuradio.semcom.phy import bounds

ROOT = Path(__file__).resolve().parents[2]


def parsed(collection, points, **more):
    return curves.parse(collection(points, **more), "test")


@pytest.fixture
def captured(monkeypatch):
    """The matplotlib figure of the last drawing."""
    kept = []
    monkeypatch.setattr(plot, "_rendered", lambda figure, form: kept.append(figure) or b"")
    return kept


def run(*results, output, **more):
    return plot.plot_command(argparse.Namespace(results=list(results), output=output, **more))


def lines_of(axes):
    return [line for line in axes.get_lines() if len(line.get_xdata()) > 1]


def texts(figure):
    return [text.get_text().replace("\n", " ") for text in figure.legends[0].get_texts()]


def test_the_command_writes_a_png_of_1000_pixels_and_an_svg(saved, tmp_path, collection, waterfall):
    path = saved(collection(waterfall))
    assert run(path, output=tmp_path / "new" / "figure.png") == 0
    with Image.open(tmp_path / "new" / "figure.png") as picture:
        assert picture.size == (1000, 620)
    assert run(path, output=tmp_path / "figure.svg") == 0
    assert ET.parse(tmp_path / "figure.svg").getroot().tag.endswith("svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["codes.json", "figure.svg", "new"]


def test_the_same_results_give_the_same_bytes(collection, waterfall):
    results = parsed(collection, waterfall)
    for form in ("png", "svg"):
        assert plot.draw(results, form) == plot.draw(results, form)


def test_a_users_own_matplotlib_settings_change_nothing(collection, waterfall):
    import matplotlib

    results = parsed(collection, waterfall)
    expected = plot.draw(results)
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30}):
        assert plot.draw(results) == expected


def test_error_rates_are_drawn_on_a_log_axis_with_an_arrow_for_no_error(collection, waterfall, captured):
    results = parsed(collection, waterfall)
    plot.draw(results)
    axes = captured[0].axes[0]
    assert axes.get_yscale() == "log" and axes.get_xlabel() == "Es/N0 (dB)" and axes.get_ylabel() == "block error rate"
    first, second = (line for line in lines_of(axes) if line.get_linestyle() == "-" and line.get_marker() == "o")
    assert len(first.get_xdata()) == 4 and len(second.get_xdata()) == 3  # the point without an error is no zero
    limit = results.points[-1].metrics["bler"].high
    arrows = [line for line in axes.get_lines() if line.get_marker() == "_" and line.get_markersize() == 8]
    assert [float(a.get_ydata()[0]) for a in arrows] == [pytest.approx(limit)]
    assert axes.get_ylim()[0] < limit < 1 < axes.get_ylim()[1]
    footnote = captured[0].get_supxlabel()
    assert "95 % intervals" in footnote and "arrows: no error seen" in footnote


def test_intervals_are_bars_or_where_there_are_many_points_a_band(collection, point, captured):
    few = [point(x=float(k)) for k in range(5)]
    many = [point(x=float(k)) for k in range(plot.MOST_BARS + 1)]
    for points, bars, bands in ((few, 1, 0), (many, 0, 1)):
        plot.draw(parsed(collection, points, bounds=[]))
        axes = captured[-1].axes[0]
        kinds = [type(artist).__name__ for artist in axes.collections]
        assert (kinds.count("LineCollection"), kinds.count("FillBetweenPolyCollection")) == (bars, bands)


def test_bounds_of_one_scheme_are_grey_and_drawn_once_others_have_their_curves_colour(collection, waterfall, captured):
    qpsk = {"curve": "QPSK", "settings": {"mcs": "qpsk-1/2"}}
    other = [p | qpsk | {"axis": {"esn0_db": p["axis"]["esn0_db"] - 2}} for p in waterfall[:4]]
    plot.draw(parsed(collection, [*waterfall, *other]))
    axes = captured[0].axes[0]
    curved = [line for line in lines_of(axes) if line.get_linestyle() == "--" and len(line.get_xdata()) > 9]
    dashed = {line.get_color(): line for line in curved}
    assert set(dashed) == {plot.GREY, plot.COLOURS[2]}
    x, y = dashed[plot.GREY].get_data()
    np.testing.assert_allclose(y, bounds.normal_approximation_bler(4 / 3, 1152, x, "16qam"))
    vertical = sorted(line.get_xdata()[0] for line in axes.get_lines() if list(line.get_ydata()) == [0, 1])
    assert vertical == [
        pytest.approx(bounds.required_esn0_db(1.0, "qpsk"), abs=1e-3),
        pytest.approx(bounds.required_esn0_db(4 / 3, "16qam"), abs=1e-3),
    ]
    assert axes.get_xlim()[0] < vertical[0]  # the axis was widened for a bound beside the points
    assert texts(captured[0]) == ["first", "second", "QPSK", "capacity, bit-interleaved", "normal approximation"]


def test_a_bound_far_from_the_points_is_told_not_drawn(collection, point, captured):
    points = [point(x=20.0 + k) for k in range(3)]
    plot.draw(parsed(collection, points, bounds=["bicm_capacity"]))
    assert texts(captured[0])[-1] == "capacity, bit-interleaved of LDPC: 2.36 dB, outside"
    assert captured[0].axes[0].get_xlim()[0] > 19


def test_limits_on_an_ebn0_axis_are_shifted_by_the_rate(collection, point):
    points = [point(axis={"ebn0_db": x}) for x in (1.0, 2.0)]
    results = parsed(collection, points, axis="ebn0_db")
    vertical, curve = limits.limits(results, "ebn0_db", "bler", 0.0, 4.0)
    shift = 10 * np.log10(4 / 3)
    assert vertical.at == pytest.approx(bounds.required_esn0_db(4 / 3, "16qam") - shift, abs=1e-6)
    np.testing.assert_allclose(curve.y, bounds.normal_approximation_bler(4 / 3, 1152, curve.x + shift))


def test_each_kind_of_result_gets_the_limits_that_hold_for_it(collection, point):
    def found(metric_name, settings, **more):
        kind = {"kind": "system"} if "mcs" in settings else {}
        one = point(metrics={metric_name: share(1, 10)}, settings=settings, **kind)
        results = parsed(collection, [one], metric=metric_name, bounds=list(curves.BOUNDS))
        return {limit.name: limit for limit in limits.limits(results, "esn0_db", metric_name, 0.0, 20.0)}

    code = {"k": 1536, "n": 4608, "modulation": "16qam"}
    fading = code | {"channel": "rayleigh", "fading": "144"}
    assert set(found("bler", code)) == {"capacity", "bicm_capacity", "normal_approximation"}
    drawn = found("bler", fading)
    assert set(drawn) == {"capacity", "bicm_capacity", "outage"}
    expected = bounds.outage_bler(4 / 3, drawn["outage"].x, "16qam", "rayleigh", 8)
    np.testing.assert_allclose(drawn["outage"].y, expected)
    assert drawn["bicm_capacity"].label == "capacity, bit-interleaved, ergodic"
    ergodic = bounds.required_esn0_db(4 / 3, "16qam", "bicm", "rayleigh")
    assert drawn["bicm_capacity"].at == pytest.approx(ergodic)
    ber = found("ber", {"mcs": "uncoded-16qam", "channel": "rician", "rician_k": 3.0})
    assert set(ber) == {"uncoded_theory"}
    theory = ber["uncoded_theory"]
    np.testing.assert_allclose(theory.y, bounds.uncoded_ber("16qam", theory.x, "rician", 3.0))
    picture = found("psnr_db", {"mcs": "16qam-1/3"})
    assert picture["normal_approximation"].at == pytest.approx(
        bounds.normal_approximation_esn0_db(4 / 3, 1152, 1e-3, "16qam"), abs=1e-3
    )
    assert found("msymbol_s", code) == {}
    chosen = found("bler", {"mcs": "auto", "chosen_mcs": "16qam-1/3"})
    assert set(chosen) == {"capacity", "bicm_capacity", "normal_approximation"}
    assert found("bler", {"mcs": "16qam-1/3", "harq": 4}) == {}


def test_beside_a_throughput_capacity_is_a_curve(collection, point, captured):
    points = [
        point(model, x, {"throughput_bit_symbol": metric(x / 10)}, settings={"mcs": "16qam-2/3", "channel": model})
        for model in ("awgn", "rayleigh") for x in (0.0, 10.0)
    ]  # fmt: skip
    plot.draw(parsed(collection, points, metric="throughput_bit_symbol", bounds=["ergodic_capacity"]))
    curved = [line for line in lines_of(captured[0].axes[0]) if len(line.get_xdata()) > 9]
    for line, model in zip(curved, ("awgn", "rayleigh"), strict=True):
        np.testing.assert_allclose(line.get_ydata(), bounds.ergodic_capacity("16qam", line.get_xdata(), model))
    assert texts(captured[0])[2:] == ["capacity, bit-interleaved", "capacity, bit-interleaved, ergodic"]


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"mcs": "auto"}, {"mcs": 3}, {"k": "many", "n": 2, "modulation": "qpsk"},
        {"k": 5, "n": 4, "modulation": "qpsk"},
        {"k": 1, "n": 10**400, "modulation": []}, {"mcs": "qpsk-1/2", "channel": "cable"}, {"modulation": "8psk"},
        {"mcs": "qpsk-1/2", "fading": {}}, {"mcs": "qpsk-1/2", "rician_k": 1e9}, {"mcs": "qpsk-1/2", "block_bits": 3},
        {"mcs": "qpsk-1/2", "code": "polar-x"},
    ],
)  # fmt: skip
def test_settings_that_name_no_scheme_have_no_limits(settings, collection, point):
    assert limits.scheme_of(settings) is None
    plot.draw(parsed(collection, [point(settings=settings), point(x=4.0, settings=settings)]))


def test_the_separation_bound_is_drawn_from_the_ladder_of_the_same_system(collection, point, captured):
    def record(k, quality):
        bits, psnr_db = 1000 * quality * (k + 1), 20.0 + quality
        return {"input": f"{k}.png", "delivered": True, "bits": bits, "metrics": {"psnr_db": psnr_db}}

    def system(curve, axis, value, **more):
        settings = {"system": "jpeg", "model": "", "mcs": "16qam-1/3", "airtime": 4000}
        return point(curve, metrics={"psnr_db": metric(value)}, axis=axis, kind="system", settings=settings, **more)

    rungs = [
        system("rungs", {"esn0_db": 40.0, "quality": q}, 0.0, records=[record(k, q) for k in (0, 1)])
        for q in (1, 2, 4, 8)
    ]
    points = [system("JPEG", {"esn0_db": x}, 23.0) for x in (0.0, 5.0, 10.0)]
    results = parsed(collection, [*rungs, *points], metric="psnr_db", bounds=["separation"])
    plot.draw(results)
    x, y = next(line.get_data() for line in lines_of(captured[0].axes[0]) if len(line.get_xdata()) > 9)
    ladder = separation.Ladder.of({str(k): [(1000 * q * (k + 1), 20 + q) for q in (1, 2, 4, 8)] for k in (0, 1)})
    np.testing.assert_allclose(y, ladder.quality(4000 * np.log2(1 + 10 ** (x / 10))))
    assert np.isnan(y[0]) or x[0] > -2
    assert texts(captured[0]) == ["JPEG", "the codec with an ideal code"]  # the rungs themselves are no curve here
    plot.draw(results, metric="psnr_db", axis="quality")
    assert texts(captured[1]) == ["rungs"]


def test_an_axis_may_be_a_measured_airtime_or_a_name(collection, point, captured):
    points = [
        point(c, metrics={"psnr_db": mean([20.0 + k, 22.0 + k]), "symbols_total": metric(1000.0 * k)}, axis={"mcs": m})
        for c in ("a", "b") for k, m in enumerate(("qpsk-1/2", "16qam-1/3"), 1)
    ]  # fmt: skip
    results = parsed(collection, points, metric="psnr_db", axis="mcs", bounds=["capacity"])
    plot.draw(results)
    assert [t.get_text() for t in captured[0].axes[0].get_xticklabels()] == ["qpsk-1/2", "16qam-1/3"]
    plot.draw(results, axis="symbols_total")
    assert captured[1].axes[0].get_xlabel() == "airtime (symbols a message)"
    assert list(lines_of(captured[1].axes[0])[0].get_xdata()) == [1000.0, 2000.0]


def test_speeds_begin_at_zero(collection, point, captured):
    plot.draw(parsed(collection, [point(), point(x=4.0)]), metric="msymbol_s")
    assert captured[0].axes[0].get_ylim()[0] == 0.0
    assert captured[0].axes[0].get_ylabel() == "speed (Msymbol/s)"


def test_repetitions_stay_on_one_curve_through_their_mean_other_axes_part_it(collection, point, captured):
    points = [point(axis={"esn0_db": 3.0, "seed": s}, metrics={"bler": share(100 * s, 1000)}) for s in (1.0, 3.0)]
    points += [point("QPSK", axis={"esn0_db": x, "k": k}) for x in (3.0, 4.0) for k in (100.0, 200.0)]
    plot.draw(parsed(collection, points, bounds=[]))
    assert texts(captured[0]) == ["LDPC", "QPSK, k 100", "QPSK, k 200"]
    line = next(line for line in captured[0].axes[0].get_lines() if line.get_linestyle() == "-")
    assert list(line.get_ydata()) == [pytest.approx(0.2)]


def test_texts_from_files_stay_texts(collection, point, tmp_path):
    names = ["$\\frac{1}{0", "_hidden", "<script>alert(1)</script>", "x" * 300, "&amp; é 漢", "$$"]
    points = [point(name, x) for name in names for x in (3.0, 4.0)]
    content = plot.draw(parsed(collection, points, title="$\\bad{"), "svg")
    root = ET.parse(io.BytesIO(content)).getroot()
    assert not [node for node in root.iter() if node.tag.endswith(("script", "foreignObject"))]
    assert b"http" not in content.replace(b"http://www.w3.org", b"").replace(b"http://purl.org", b"").replace(
        b"http://creativecommons.org", b""
    )


def test_results_of_two_folders_share_a_figure(saved, tmp_path, collection, point, captured):
    a = saved(collection([point(), point(x=4.0)]), "a.json")
    b = saved(collection([point(), point("polar")]), "b.json")
    run(a, b, output=tmp_path / "x.png")
    assert texts(captured[0])[:3] == ["LDPC (a)", "LDPC (b)", "polar"]


def test_unfinished_sweeps_say_so(saved, tmp_path, collection, point, captured):
    failed = point(x=9.0, metrics={}, error={"summary": "x", "last_lines": []})
    run(saved(collection([point(), failed])), output=tmp_path / "x.png")
    assert "1 of 2 points failed" in captured[0].get_supxlabel()


def test_the_schemes_file_becomes_a_figure_of_gaps(tmp_path, captured):
    assert run(ROOT / "benchmarks/phy/mcs.json", output=tmp_path / "gap.svg") == 0
    labels = [t.get_text() for t in captured[0].axes[0].get_yticklabels()]
    assert "16qam-1/3" in labels and len(labels) >= 17


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("figure.pdf", {}, r"must end in \.png or \.svg, not in '\.pdf'"), ("figure", {}, "not in 'nothing'"),
        ("f.png", {"metric": "psnr_db"}, "no point has both 'psnr_db' and 'esn0_db': metrics are bler, msymbol_s"),
        ("f.png", {"axis": "airtime"}, "no point has both"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(saved, tmp_path, collection, point, name, more, message):
    with pytest.raises(ValueError, match=message):
        run(saved(collection([point()])), output=tmp_path / name, **more)
    assert not list(tmp_path.glob("f*.p*"))


def test_other_files_are_refused(saved, tmp_path, collection, point):
    with pytest.raises(ValueError, match="expected results of `semcom bench`"):
        run(ROOT / "benchmarks/phy/ldpc_speed.json", output=tmp_path / "f.png")
    other = collection([point(metrics={"psnr_db": metric(3.0)}, timings={})])
    with pytest.raises(ValueError, match=r"two\.json: has no bler"):
        run(saved(collection([point()]), "one.json"), saved(other, "two.json"), output=tmp_path / "f.png")
    crowd = collection([point(f"c{k}") for k in range(plot.MOST_CURVES + 1)], bounds=[])
    with pytest.raises(ValueError, match="41 curves in one figure"):
        run(saved(crowd), output=tmp_path / "f.png")

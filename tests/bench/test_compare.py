# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparison and check: a regression is told and ends with status 1, noise is not; what is missing is told."""

import argparse
import math
from pathlib import Path

import numpy as np
import pytest

from gnuradio.semcom.bench import code, compare, curves
from gnuradio.semcom.bench.curves import Metric
from gnuradio.semcom.bench.intervals import mean, metric, share
from gnuradio.semcom.bench.stopping import Stop
from gnuradio.semcom.bench.worker import remeasure


def parsed(collection, points, **more):
    return curves.parse(collection(points, **more), "test")


def as_metric(content):
    return Metric(**content)


@pytest.mark.parametrize(
    ("name", "new", "old", "verdict"),
    [
        ("bler", share(300, 1000), share(100, 1000), "worse"), ("bler", share(100, 1000), share(300, 1000), "better"),
        ("bler", share(110, 1000), share(100, 1000), ""), ("psnr_db", mean([20, 21, 22]), mean([30, 31, 32]), "worse"),
        ("psnr_db", mean([30, 31, 32]), mean([20, 21, 22]), "better"), ("psnr_db", mean([20, 30]), mean([21, 32]), ""),
        ("symbols_total", metric(100), metric(200), "changed"), ("mystery", metric(100), metric(200), "changed"),
        ("psnr_db", metric(27.00), metric(27.01), ""), ("psnr_db", metric(26.9), metric(27.01), "worse"),
        ("msymbol_s", metric(9.0), metric(10.0), ""), ("msymbol_s", metric(7.0), metric(10.0), "worse"),
        ("latency_p99_s", metric(0.7), metric(0.5), "worse"), ("psnr_db", metric(None), metric(30), "worse"),
        ("psnr_db", metric(30), metric(None), ""), ("bits", metric(None), metric(30), "changed"),
        ("bler", share(0, 1000), share(0, 10), ""),
    ],
)  # fmt: skip
def test_the_bad_direction_depends_on_the_metric(name, new, old, verdict):
    assert compare.judge(name, as_metric(new), as_metric(old)) == verdict


def test_noise_is_no_regression():
    rng = np.random.default_rng(5)
    worse = sum(
        compare.judge("bler", *(as_metric(share(int(e), 2000)) for e in rng.binomial(2000, 0.05, 2))) == "worse"
        for _ in range(1000)
    )
    assert worse < 10  # non-overlapping 95 % intervals on one side: about 3 of 1000


def run(saved, new, old):
    paths = [saved(new, "new.json"), saved(old, "old.json")]
    return compare.compare_command(argparse.Namespace(target=[paths[0]], compare=paths[1]))


def test_a_regression_ends_with_status_1_and_is_shown(saved, collection, point, capsys):
    old = collection([point(), point(x=4.0, metrics={"bler": share(1, 1000)})])
    new = collection([point(), point(x=4.0, metrics={"bler": share(50, 1000)})])
    assert run(saved, new, old) == 1
    out = capsys.readouterr().out
    assert "WORSE" in out and "esn0_db 4" in out and "0.05 (" in out and "1 worse, 0 better, 0 changed" in out
    assert run(saved, old, new) == 0
    assert "BETTER" in capsys.readouterr().out
    assert run(saved, old, old) == 0
    assert "4 numbers at 2 points: 0 worse" in capsys.readouterr().out


def test_missing_and_added_points_are_told(saved, collection, point, capsys):
    old = collection([point(), point(x=4.0), point("polar")])
    new = collection([point(), point(x=5.0), point("polar", kind="flowgraph")])
    assert run(saved, new, old) == 0
    out = capsys.readouterr().out
    assert "missing: LDPC, esn0_db 4" in out and "missing: polar, esn0_db 3" in out and "new: LDPC, esn0_db 5" in out
    assert "2 missing" in out
    with pytest.raises(ValueError, match="no point in common"):
        run(saved, collection([point("other")]), old)


def test_a_point_that_fails_now_is_a_regression_one_left_out_as_clean_is_not(saved, collection, point, capsys):
    old = collection([point(), point(x=4.0)])
    failed = point(x=4.0, metrics={}, error={"summary": "killed", "last_lines": []})
    assert run(saved, collection([point(), failed]), old) == 1
    assert "FAILS NOW: LDPC, esn0_db 4" in capsys.readouterr().out
    skipped = point(x=4.0, metrics={}, stopped="clean", messages=0, timings={})
    assert run(saved, collection([point(), skipped]), old) == 0
    assert run(saved, old, collection([point(), failed])) == 0  # it works now


def test_speeds_are_compared_between_equal_processors_only(collection, point):
    slow = point(timings={"msymbol_s": metric(0.5)})
    other = slow | {"processor": "B"}
    nameless = slow | {"processor": ""}
    for new, found in ((slow, ["msymbol_s"]), (other, []), (nameless, [])):
        result = compare.compare(parsed(collection, [new]), parsed(collection, [point()]))
        assert [finding.metric for finding in result.worse] == found
        assert result.speeds_left_out == (not found)


def test_a_long_table_is_cut(collection, point):
    old = parsed(collection, [point(x=float(k)) for k in range(100)])
    new = parsed(collection, [point(x=float(k), metrics={"bler": share(500, 1000)}) for k in range(100)])
    text = compare.comparison_text(compare.compare(new, old))
    assert "... and 60 more" in text and len(text.splitlines()) < 50 and "100 worse" in text


def test_fishers_test_decides_on_counts_with_its_known_values():
    # his tea tasting and his convicted twins, both with p-values in the help page of R's fisher.test
    tea = compare.two_sample(as_metric(share(3, 4)), as_metric(share(1, 4)))
    assert tea == pytest.approx(0.4857142857, rel=1e-9)
    twins = compare.two_sample(as_metric(share(10, 13)), as_metric(share(2, 17)))
    assert twins == pytest.approx(0.0005367241, rel=1e-6)


def test_welchs_test_decides_on_means():
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(2)
    for shift, sizes in ((0.0, (24, 24)), (1.0, (5, 30)), (3.0, (24, 8))):
        a, b = rng.normal(27, 2, sizes[0]), rng.normal(27 + shift, 1, sizes[1])
        expected = ttest_ind(a, b, equal_var=False).pvalue
        found = compare.two_sample(as_metric(mean(list(a))), as_metric(mean(list(b))))
        assert found == pytest.approx(expected, rel=1e-6)


def test_numbers_without_a_spread_must_be_equal():
    assert compare.two_sample(as_metric(metric(27.0)), as_metric(metric(27.0001))) == 1.0
    assert compare.two_sample(as_metric(metric(27.0)), as_metric(metric(28.0))) == 0.0


def test_other_intervals_are_taken_as_normal():
    a = Metric(0.10, 0.10 - 0.0196, 0.10 + 0.0196, 1000, 100, "bootstrap")
    b = Metric(0.10 + 0.01 * math.sqrt(2) * 1.959964, 0.12, 0.16, 1000, 130, "bootstrap")
    b = Metric(b.value, b.value - 0.0196, b.value + 0.0196, 1000, 130, "bootstrap")
    assert compare.standard_error(a) == pytest.approx(0.01, rel=1e-4)
    assert compare.two_sample(a, b) == pytest.approx(0.05, rel=1e-3)


def test_the_cheapest_informative_point_is_chosen(collection, point):
    points = [
        point(x=2.0, metrics={"bler": share(100, 100)}, elapsed_s=0.1),
        point(x=2.5, metrics={"bler": share(90, 100)}, elapsed_s=0.2),
        point(x=3.0, metrics={"bler": share(30, 100)}, elapsed_s=2.0),
        point(x=3.5, metrics={"bler": share(20, 100)}, elapsed_s=1.0),
        point(x=4.0, metrics={"bler": share(3, 1000)}, elapsed_s=0.3),
        point(x=4.5, metrics={"bler": share(0, 1000)}, elapsed_s=0.4),
    ]
    found = parsed(collection, points).points

    def chosen(*numbers):
        return compare.cheapest([found[k] for k in numbers], "bler").axis["esn0_db"]

    assert chosen(*range(6)) == 3.5  # enough errors, at most one half, less time
    assert chosen(0, 1, 4, 5) == 2.5  # failing that, strictly between 0 and 1
    assert chosen(0, 5) == 2.0
    assert compare.cheapest(found, "psnr_db") is None
    pictures = [point(x=x, metrics={"psnr_db": metric(30.0)}, elapsed_s=t) for x, t in ((1.0, 3.0), (2.0, 1.0))]
    assert compare.cheapest(parsed(collection, pictures).points, "psnr_db").axis["esn0_db"] == 2.0


def measured(esn0_db, seed, **settings):
    """A point of the real engine: a short LDPC code."""
    resolved = code.resolve({"k": 128, "n": 256, "modulation": "qpsk", "esn0_db": esn0_db, **settings})
    stop = Stop(errors=40, cap=2000, metric="bler")
    result = code.measure(resolved, seed, stop)
    about = {
        "format": "semcom-point-1", "sweep": "s", "curve": "LDPC (128, 256)", "kind": "code", "seed": seed,
        "axis": {"esn0_db": esn0_db}, "settings": resolved, "elapsed_s": 1.0, "stop": stop.as_dict(), "error": None,
    }  # fmt: skip
    return about | {key: result[key] for key in ("messages", "metrics", "stopped", "timings")}


def test_what_the_engine_measured_holds_when_it_measures_again(saved, collection, capsys):
    path = saved(collection([measured(1.0, 3), measured(2.0, 3)]))
    assert compare.check_command(argparse.Namespace(target=[path])) == 0
    out = capsys.readouterr().out
    assert "holds" in out and "1 of 1 curves hold" in out and "0.01 in all" in out


def test_a_committed_number_that_is_not_true_is_found(saved, collection, capsys):
    false = measured(1.0, 3)
    false["settings"] = false["settings"] | {"max_iterations": 1}  # measured with 50
    assert compare.check_command(argparse.Namespace(target=[saved(collection([false]))])) == 1
    assert "DIFFERS" in capsys.readouterr().out


def test_the_check_measures_with_another_seed_and_one_point_a_curve(collection):
    asked = []

    def spy(point, seed):
        asked.append((point["axis"]["esn0_db"], seed))
        return remeasure(point, seed=seed)

    points = [measured(1.0, 3), measured(2.0, 3)]
    points.append(measured(1.5, 2**31 - 1) | {"curve": "another"})
    checked = compare.check(parsed(collection, points), spy)
    assert [seed for _, seed in asked] == [4, 0] and len(checked) == 2
    assert all(compare.holds(one, compare.LEVEL / 2) for one in checked)
    assert all(one.new != one.old for one in checked)


def test_a_flowgraph_keeps_its_own_seed(collection, point):
    asked = []

    def spy(raw, seed):
        asked.append(seed)
        return raw

    compare.check(parsed(collection, [point(kind="flowgraph", seed=5)]), spy)
    assert asked == [5]


def test_what_cannot_be_measured_here_is_no_pass(saved, collection, point, capsys):
    def missing(point, seed):
        raise ValueError("no such input:\n kodak")

    def failing(raw, seed):
        return raw | {"metrics": {}, "error": {"summary": "killed", "last_lines": []}}

    results = parsed(collection, [point()])
    troubles = ((missing, "no such input: kodak"), (failing, "killed"), (lambda raw, seed: {}, "kind must"))
    for measure, trouble in troubles:
        (checked,) = compare.check(results, measure)
        assert checked.p_value is None and trouble in checked.trouble
        assert not compare.holds(checked, 0.01)
    unknown = point(settings={"k": 3, "n": 2})
    assert compare.check_command(argparse.Namespace(target=[saved(collection([unknown]))])) == 1
    assert "NOT CHECKED" in capsys.readouterr().out


def test_without_a_name_the_committed_collections_are_checked(tmp_path, monkeypatch, saved, collection):
    assert all(curves.load(path).points for path in compare.committed())  # of the source tree, where there are any
    monkeypatch.setattr(compare, "__file__", str(tmp_path / "a/b/c/compare.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no committed collection found"):
        compare.check_command(argparse.Namespace(target=[]))
    path = saved(collection([measured(1.0, 3)]), "benchmarks/phy/codes.json")
    saved("{", "benchmarks/broken.json")
    saved({"rows": []}, "benchmarks/other.json")
    script = saved(collection([measured(1.0, 3)], command="python benchmarks/x.py"), "benchmarks/script.json")
    with pytest.raises(ValueError, match="made by 'python benchmarks/x.py'"):
        compare.check_command(argparse.Namespace(target=[script]))
    assert [Path(p).resolve() for p in compare.committed()] == [path.resolve()]
    assert compare.check_command(argparse.Namespace(target=[])) == 0


def test_a_collection_without_a_measured_point_cannot_be_checked(saved, collection, point):
    failed = point(error={"summary": "x", "last_lines": []})
    with pytest.raises(ValueError, match="no measured point to check"):
        compare.check_command(argparse.Namespace(target=[saved(collection([failed]))]))

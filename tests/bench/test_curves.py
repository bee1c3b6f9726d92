# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading results: what is right comes in whole, what is wrong ends in one line that names file and field."""

import json

import pytest

from gnuradio.semcom.bench import curves
from gnuradio.semcom.bench.intervals import metric, share


def index(points, **more):
    return {
        "format": "semcom-sweep-1", "sweep": "codes", "title": "From the index", "axis": "esn0_db", "metric": "bler",
        "logy": True, "bounds": ["capacity"], "table": None, "curves": ["LDPC"], "points": points, "command": "c",
    } | more  # fmt: skip


def test_a_collection_comes_in_with_its_figure_and_its_table(saved, collection, point):
    table = {"title": "Table I", "columns": ["system", "PSNR dB"], "rows": [["NCSC", 26.1], ["JPEG", None]]}
    found = curves.load(saved(collection([point(), point(x=3.25)], table=table)))
    assert (found.title, found.axis, found.metric) == ("Codes over AWGN", "esn0_db", "bler")
    assert found.bounds == ("bicm_capacity", "normal_approximation") and found.log is None
    assert found.table.rows == (("NCSC", "26.1"), ("JPEG", "-"))
    first = found.points[0]
    assert first.axis == {"esn0_db": 3.0} and first.metrics["bler"].errors == 100
    assert first.metrics["msymbol_s"].value == 2.0  # speeds are metrics like others
    assert "invocation" not in first.metrics


def test_a_folder_comes_in_by_its_index_in_its_order(saved, tmp_path, point):
    saved(point(x=4.0), "b.json")
    saved(point(x=3.0), "a.json")
    saved(point(curve="left over"), "stale.json")
    saved(index(["b", "a", "c"]), "codes.index")
    found = curves.load(tmp_path)
    assert [p.axis["esn0_db"] for p in found.points] == [4.0, 3.0]
    assert (found.title, found.bounds, found.log, found.planned) == ("From the index", ("capacity",), True, 3)
    assert curves.load(tmp_path / "codes.index") == found


def test_a_folder_without_an_index_is_sorted_and_its_figure_inferred(saved, tmp_path, point):
    for k, x in enumerate((5.0, 3.0, 4.0)):
        saved(point(x=x, metrics={"mean_iterations": metric(5.0), "bler": share(1, 10)}), f"p{k}.json")
    found = curves.load(tmp_path)
    assert [p.axis["esn0_db"] for p in found.points] == [3.0, 4.0, 5.0]
    assert (found.axis, found.metric, found.title) == ("esn0_db", "bler", "codes")


def test_two_sweeps_in_a_folder_must_be_told_apart(saved, tmp_path, point):
    saved(point(), "a.json")
    saved(index(["a"]), "one.index")
    saved(index(["a"]), "two.index")
    with pytest.raises(ValueError, match=r"several sweeps: name one of one\.index, two\.index"):
        curves.load(tmp_path)
    assert len(curves.load(tmp_path / "two.index").points) == 1


def test_an_index_cannot_lead_out_of_its_folder(saved, tmp_path, point):
    saved(point(), "secret.json")
    saved(index(["../secret", "/etc/passwd"]), "inner/codes.index")
    assert curves.load(tmp_path / "inner").points == ()


def test_failed_and_skipped_points_have_no_numbers(saved, collection, point):
    failed = point(x=4.0, metrics={}, error={"summary": "killed", "last_lines": ["a"]}, stopped="failed")
    skipped = point(x=5.0, metrics={}, stopped="clean", messages=0)
    found = curves.load(saved(collection([point(), failed, skipped])))
    assert [len(found.points), len(found.measured), len(found.failed)] == [3, 1, 1]
    assert [p.axis["esn0_db"] for p in found.curves()["LDPC"]] == [3.0]


def test_control_characters_never_leave_a_file(saved, collection, point):
    found = curves.load(saved(collection([point(curve="a\u001b[31m\nb\ud800")], title="x\u0007y")))
    assert found.points[0].curve.isprintable() and found.title == "x y"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "semcom-point-2"}, "found format .semcom-point-2."), ({"kind": "radio"}, "kind must be one of"),
        ({"curve": 3}, "curve must be a text"), ({"curve": " "}, "curve must not be empty"),
        ({"axis": {"esn0_db": None}}, "axis 'esn0_db' must be a number or a name"), ({"axis": []}, "axis must be"),
        ({"axis": {"esn0_db": True}}, "must be a number"), ({"axis": {"esn0_db": 10**400}}, "finite"),
        ({"metrics": {"bler": 0.1}}, "metrics 'bler' must be an object"), ({"metrics": [1]}, "metrics must be"),
        ({"metrics": {"bler": {"value": "0.1"}}}, "value must be a number or null"),
        ({"metrics": {"bler": {"value": 0.1, "low": 0.2}}}, "both be numbers or both be null"),
        ({"metrics": {"bler": {"value": 0.1, "low": 0.2, "high": 0.1}}}, "low must be at most high"),
        ({"metrics": {"bler": {"value": 0.1, "interval": "wald"}}}, "interval must be one of"),
        ({"metrics": {"bler": {"value": 0.1, "count": 2, "errors": 3}}}, "errors must be at most count"),
        ({"metrics": {"bler": {"value": 0.1, "count": -1}}}, "count must be a whole number of at least 0"),
        ({"timings": {"msymbol_s": {"value": "fast"}}}, "timings 'msymbol_s': value"),
        ({"seed": 1.5}, "seed must be a whole number"), ({"messages": True}, "messages must be a whole number"),
        ({"error": "boom"}, "error must be an object"), ({"records": {"a": 1}}, "records must be a list of objects"),
        ({"curve": "x" * 5000}, "at most 4096 characters"), ({"elapsed_s": "long"}, "elapsed_s must be a number"),
        ({"settings": {str(k): k for k in range(300)}}, "settings must be an object of at most 256 entries"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(saved, point, change, message):
    path = saved(point(**change))
    with pytest.raises(ValueError, match=message) as caught:
        curves.load(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": {}}, "points must be a list"), ({"points": [3]}, "point 0 must be an object"),
        ({"bounds": ["shannon"]}, "bounds must be out of capacity"), ({"bounds": "capacity"}, "bounds must be a list"),
        ({"logy": "yes"}, "logy must be true or false"), ({"title": 3}, "title must be a text"),
        ({"format": "semcom-curves-9"}, "found format 'semcom-curves-9'"), ({"table": {"rows": []}}, "columns must be"),
        ({"table": {"columns": ["a"], "rows": [[1, 2]]}}, "a list of 1 cells"),
        ({"table": {"columns": ["a"], "rows": [[{}]]}}, "a cell must be a number"), ({"versions": 3}, "versions must"),
    ],
)  # fmt: skip
def test_a_wrong_collection_is_refused(saved, collection, point, change, message):
    with pytest.raises(ValueError, match=message):
        curves.load(saved(collection([point()]) | change))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"), ("[" * 200_000, "no"), ('{"format": NaN}', "NaN is not a JSON number"), ("[1]", "no format"),
        ("\xff\xfe", "no"), ("", "no JSON"), ("9" * 10_000, "no JSON"),
    ],
)  # fmt: skip
def test_what_is_no_result_is_refused(saved, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        curves.load(saved(text))
    assert "\n" not in str(caught.value)


def test_missing_odd_and_large_files_are_refused(tmp_path, monkeypatch, saved, point):
    with pytest.raises(ValueError, match="no such file or folder"):
        curves.load(tmp_path / "nothing")
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        curves.load("/dev/zero")
    with pytest.raises(ValueError, match="no points"):
        curves.load(tmp_path)
    path = saved(point())
    monkeypatch.setattr(curves, "MAX_FILE_BYTES", 100)
    with pytest.raises(ValueError, match="larger than"):
        curves.load(path)


def test_a_foreign_file_among_the_points_is_named(saved, tmp_path, point):
    saved(point(), "a.json")
    saved({"hello": 1}, "b.json")
    with pytest.raises(ValueError, match=r"b\.json: not a point"):
        curves.load(tmp_path)


def test_too_many_points_are_refused(saved, tmp_path, collection, point, monkeypatch):
    monkeypatch.setattr(curves, "MAX_POINTS", 2)
    for k in range(3):
        saved(point(x=float(k)), f"p{k}.json")
    with pytest.raises(ValueError, match="more than 2 points"):
        curves.load(tmp_path)
    with pytest.raises(ValueError, match="at most 2 points"):
        curves.load(saved(collection([point()] * 3), "all.json"))


def test_merged_results_have_all_points_and_bounds(saved, collection, point):
    one = curves.load(saved(collection([point()], bounds=["capacity"]), "one.json"))
    two = curves.load(saved(collection([point(curve="polar")], bounds=["outage", "capacity"]), "two.json"))
    merged = curves.merge([one, two])
    assert list(merged.curves()) == ["LDPC", "polar"] and merged.bounds == ("capacity", "outage")
    with pytest.raises(ValueError, match="no results"):
        curves.merge([])


def test_the_same_point_has_the_same_key_whatever_the_digits(saved, collection, point):
    rough = json.loads(json.dumps(point(x=0.1 + 0.2)))
    found = curves.load(saved(collection([rough, point(x=0.3), point(x=0.31)])))
    assert found.points[0].key == found.points[1].key != found.points[2].key

# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTML report: whole, self-contained, and safe whatever the files say."""

import base64
import csv
import io
import json
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from gnuradio.semcom.bench import curves, report
from gnuradio.semcom.bench.intervals import mean, metric, share

VOID = {"meta", "img", "br"}
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>&{{'


class Page(HTMLParser):
    """Tags with their attributes, the texts of cells and headings, and whether every tag is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def decoded(address):
    head, _, data = address.partition(",")
    assert head.startswith("data:") and head.endswith(";base64")
    return base64.b64decode(data)


@pytest.fixture
def results(collection, waterfall, point):
    error = {"summary": "killed by signal 9", "last_lines": ["one", "\x1b[31mtwo\x1b[0m"]}
    failed = point("first", 9.0, {}, error=error)
    skipped = point("second", 5.0, {}, stopped="clean", messages=0)
    table = {"title": "A paper, Table I", "columns": ["code", "BLER"], "rows": [["theirs", 0.01]]}
    return curves.parse(collection([*waterfall, failed, skipped], table=table), "test")


def test_a_report_has_command_figures_tables_warnings_and_downloads(results, tmp_path):
    report.write_report(results, tmp_path / "new" / "report.html")
    page = Page((tmp_path / "new" / "report.html").read_text())
    everything = " ".join(page.texts)
    for expected in (
        "Codes over AWGN", "semcom bench codes.yml", "8 measured, 1 failed, 1 left out", "numpy 1.24.2",
        "killed by signal 9", "one\ntwo", "A paper, Table I", "theirs", "block error rate", "Es/N0 (dB)",
        "enough errors", "curve is clean",
    ):  # fmt: skip
        assert expected in everything
    assert "0.3" in page.texts and "1,500 of 5,000" in page.texts  # a value with its count
    low, high = (f"{x:.4g}" for x in (results.points[1].metrics["bler"].low, results.points[1].metrics["bler"].high))
    assert f"{low} to {high}" in page.texts
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]


def test_nothing_is_loaded_from_outside_and_nothing_runs(results):
    text = report.page(results)
    page = Page(text)
    assert not page.named("script") and not page.named("link") and not page.named("iframe")
    assert all(image["src"].startswith("data:image/") for image in page.named("img")) and page.named("img")
    assert all(link["href"].startswith("data:") and link["download"] for link in page.named("a"))
    policy = next(tag["content"] for tag in page.named("meta") if tag.get("http-equiv"))
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_the_downloads_hold_the_data(results, tmp_path):
    page = Page(report.page(results))
    files = {link["download"]: decoded(link["href"]) for link in page.named("a")}
    assert set(files) == {f"codes-over-awgn{end}" for end in (".json", ".csv", "-1.svg", "-2.svg")}
    (tmp_path / "again.json").write_bytes(files["codes-over-awgn.json"])
    again = curves.load(tmp_path / "again.json")
    assert again == results
    rows = list(csv.DictReader(io.StringIO(files["codes-over-awgn.csv"].decode())))
    assert [float(row["esn0_db"]) for row in rows] == [p.axis["esn0_db"] for p in results.points]
    assert rows[0]["bler"] == "0.9" and rows[0]["bler_errors"] == "4500" and rows[8]["error"] == "killed by signal 9"
    assert files["codes-over-awgn-1.svg"].startswith(b"<?xml")


def test_every_text_of_a_file_is_escaped(collection, point):
    evil = point(
        EVIL, metrics={"bler": share(1, 10), EVIL: metric(1.0)}, axis={"esn0_db": 3.0, EVIL: EVIL}, stopped=EVIL,
        command=EVIL, processor=EVIL, date=EVIL, versions={EVIL: EVIL}, sweep=EVIL,
        settings={EVIL: EVIL}, timings={"invocation": EVIL},
    )  # fmt: skip
    failed = evil | {"error": {"summary": EVIL, "last_lines": [EVIL, 3, None, {"a": EVIL}]}, "axis": {"esn0_db": 4.0}}
    table = {"title": EVIL, "columns": [EVIL], "rows": [[EVIL]]}
    about = {"title": EVIL, "command": EVIL, "processor": EVIL, "table": table, "versions": {EVIL: EVIL}}
    text = report.page(curves.parse(collection([evil, failed], **about), "test"))
    page = Page(text)
    assert not page.named("script") and len(page.named("img")) == 1
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert text.count("&lt;script&gt;") > 15


def test_no_cell_of_the_csv_is_a_formula(collection, point):
    found = curves.parse(collection([point("=HYPERLINK(1)", axis={"esn0_db": -3.0, "+x": "@y"})]), "test")
    rows = list(csv.reader(io.StringIO(report.table_of(found))))
    assert rows[1][0] == "'=HYPERLINK(1)" and "'+x" in rows[0] and "'@y" in rows[1]
    assert "-3.0" in rows[1]  # numbers stay numbers


def test_lone_surrogates_and_control_characters_do_not_stop_a_report(collection, point, tmp_path):
    odd = point(error={"summary": "\ud800\x00", "last_lines": ["\ud800\x07\x1b[2J"]}, versions={"\ud800": "\x00"})
    report.write_report(curves.parse(collection([point(), odd]), "test"), tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text("utf-8")
    assert not any(c in text for c in "\x00\x07\x1b")


def test_an_unfinished_folder_says_what_is_missing(saved, tmp_path, point):
    index = {
        "format": "semcom-sweep-1", "sweep": "s", "title": "T", "axis": "esn0_db", "metric": "bler", "logy": None,
        "bounds": [], "table": None, "curves": [], "points": ["a", "b", "c"], "command": "x",
    }  # fmt: skip
    saved(point(), "a.json")
    saved(point(x=4.0, processor="another"), "b.json")
    saved(index, "s.index")
    report.write_report(tmp_path, tmp_path / "report.html")
    text = " ".join(Page((tmp_path / "report.html").read_text()).texts)
    assert "1 of 3 points are not measured yet" in text and "speeds do not compare: A, another" in text


def test_a_point_with_nothing_but_what_it_needs_has_its_row(collection, point):
    needed = {"format": "semcom-point-1", "kind": "code", "curve": "bare", "seed": 0, "messages": 0}
    bare = dict.fromkeys(point()) | needed
    page = Page(report.page(curves.parse(collection([point(), bare]), "test")))
    assert "bare" in page.texts


def test_results_without_anything_to_draw_still_have_a_report(collection, point):
    page = Page(report.page(curves.parse(collection([point(metrics={}, error={"summary": "x"}, timings={})]), "test")))
    assert "No figure: no point has both 'bler' and 'esn0_db': metrics are none" in page.texts
    assert not page.named("img")
    assert "none" in Page(report.page(curves.parse(collection([]), "test"))).texts


def test_received_pictures_of_a_folder_come_along(saved, tmp_path, point):
    index = {
        "format": "semcom-sweep-1", "sweep": "s", "title": "T", "axis": "esn0_db", "metric": "psnr_db", "logy": None,
        "bounds": [], "table": None, "curves": [], "points": ["a"], "command": "x",
    }  # fmt: skip
    saved(point(metrics={"psnr_db": mean([20.0, 21.0])}, kind="system", pictures=1), "a.json")
    path = saved(index, "s.index")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "s.png")
    for source in (tmp_path, path):
        report.write_report(source, tmp_path / "report.html")
        images = Page((tmp_path / "report.html").read_text()).named("img")
        assert (tmp_path / "s.png").read_bytes() in [decoded(image["src"]) for image in images]
    (tmp_path / "s.png").write_text("<svg onload=alert(1)>")
    report.write_report(tmp_path, tmp_path / "report.html")
    assert len(Page((tmp_path / "report.html").read_text()).named("img")) == 2


def test_budgets_and_speeds_have_figures_of_their_own(collection, point):
    points = [
        point(axis={"max_bpp": k / 10}, metrics={"psnr_db": mean([20.0 + k, 22]), "symbols_total": metric(100.0 * k)})
        for k in (1, 2, 3)
    ]
    found = curves.parse(collection(points, metric="psnr_db", axis="max_bpp", bounds=[]), "test")
    assert [image["alt"] for image in Page(report.page(found)).named("img")] == [
        "PSNR (dB) over limit (bit/pixel)", "PSNR (dB) over airtime (symbols a message)",
        "speed (Msymbol/s) over limit (bit/pixel)",
    ]  # fmt: skip


def test_only_html_is_written(results, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.html, not in '\.pdf'"):
        report.write_report(results, tmp_path / "report.pdf")


def test_the_same_results_give_the_same_page(results):
    assert report.page(results) == report.page(results)


def test_a_browser_shows_the_report(results, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium: apt-get install --no-install-recommends chromium")
    report.write_report(results, tmp_path / "report.html")
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--window-size=1100,2000", f"--screenshot={tmp_path / 'report.png'}", (tmp_path / "report.html").as_uri()],
        check=True, timeout=120, capture_output=True,
    )  # fmt: skip
    with Image.open(tmp_path / "report.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape == (2000, 1100, 3)
    for colour in ("#0072b2", "#d55e00"):  # both curves are on the page
        wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
        assert np.sum(np.all(pixels == wanted, axis=-1)) > 200
    assert json.loads(decoded(Page((tmp_path / "report.html").read_text()).named("a")[0]["href"]))["title"]

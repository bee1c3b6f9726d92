# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of kind `system`: the plain call chain, with nothing done twice and nothing changed by that."""

import csv
import json

import numpy as np
import pytest
from bench_helpers import points, semcom, sweep_file

from gnuradio.semcom.bench import cache, system
from gnuradio.semcom.bench.stopping import Stop
from gnuradio.semcom.bench.worker import remeasure
from gnuradio.semcom.links import Link
from gnuradio.semcom.media.images import read_image, write_png
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.message import Message
from gnuradio.semcom.phy import segmentation
from gnuradio.semcom.systems import registry

RULE = Stop(metric="message_error_rate")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three small pictures."""
    path = tmp_path_factory.mktemp("pictures")
    whole = read_image(packaged_photograph()).data
    for k in range(3):
        write_png(path / f"crop{k}.png", np.ascontiguousarray(whole[64 * k : 64 * k + 192, :256]))
    return path


def _measure(folder, seed=3, rule=RULE, **given):
    settings = system.resolve({"inputs": str(folder), "records": True, **given})
    return system.measure(settings, seed, rule, **system.extra(settings))


def _messages(folder):
    for path in sorted(folder.glob("*.png")):
        message = read_image(path)
        yield Message(message.kind, message.data, {**message.meta, "name": path.name})


@pytest.mark.parametrize(
    "given",
    [
        {"system": "ncsc", "esn0_db": 3.5},
        {"system": "ncsc", "esn0_db": 8.0, "channel": "rayleigh", "fading": "64"},
        {"system": "webp", "esn0_db": 4.0, "channel": "rician", "mcs": "auto", "airtime": 9000, "interleave": True},
        {"system": "jpeg", "esn0_db": 3.0, "max_bpp": 0.01},
    ],
    ids=lambda given: f"{given['system']} {given['esn0_db']}",
)
def test_a_point_has_the_records_of_the_link(folder, given):
    link = Link(**{"max_bpp": 0.0, **given}, seed=3)
    expected = [record for _, record in link.run(_messages(folder))]
    for record in expected:
        record.pop("elapsed_s")
    for _ in range(2):  # the second time all comes from the cache
        found = _measure(folder, **given)
        assert found["records"] == expected
    mean = np.mean([record["metrics"]["psnr_db"] for record in expected])
    assert found["metrics"]["psnr_db"]["value"] == pytest.approx(mean, abs=1e-12)
    assert found["messages"] == found["metrics"]["delivered"]["count"] == 3


def test_a_picture_is_encoded_once_for_all_channels_and_decoded_once_where_all_arrives(folder, monkeypatch):
    calls = {"encode": 0, "decode": 0}
    ncsc = registry.get("ncsc")
    for name in calls:
        original = getattr(ncsc, name)

        def counted(*args, name=name, original=original, **kwargs):
            calls[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(ncsc, name, counted)
    monkeypatch.setattr(cache, "STORE", cache.Store())
    system.forget_payloads()
    for channel in ("awgn", "rician"):
        for esn0_db in (20.0, 21.0, 22.0):
            found = _measure(folder, system="ncsc", channel=channel, esn0_db=esn0_db)
            assert found["metrics"]["delivered"]["value"] == 1
    assert calls == {"encode": 3, "decode": 3}
    _measure(folder, system="ncsc", esn0_db=20.0, cached=False)
    assert calls == {"encode": 6, "decode": 6}


def test_the_cache_forgets_what_was_not_used_for_longest():
    store = cache.Store(1000)
    for key in (1, 2, 1, 3):
        store.get((key,), lambda: b"", lambda _: 200)
    made = []
    for key in (1, 3, 2):
        store.get((key,), lambda key=key: made.append(key), lambda _: 200)
    assert made == [2]


def test_uncached_points_have_speeds_and_cached_ones_claim_none(folder):
    found = _measure(folder, system="jpeg", esn0_db=10.0, max_bpp=1.0, cached=False)
    assert found["timings"]["latency_p50_s"]["value"] > 0 and found["timings"]["messages_s"]["count"] == 3
    assert _measure(folder, system="jpeg", esn0_db=10.0, max_bpp=1.0)["timings"] == {}


def test_every_symbol_counts_in_both_ratios(folder):
    found = _measure(folder, system="jpeg", esn0_db=10.0, max_bpp=1.0, mcs="16qam-1/3")
    pixels = 192 * 256
    bits = [record["bits"] for record in found["records"]]
    totals = [segmentation.symbols_total(n, "16qam-1/3") for n in bits]
    assert found["metrics"]["compression_ratio"]["value"] == pytest.approx(np.mean(bits) / (24 * pixels))
    assert found["metrics"]["airtime_ratio"]["value"] == pytest.approx(np.mean(totals) / (24 * pixels * 3 / 4))
    assert found["metrics"]["symbols_total"]["value"] == np.mean(totals)


def test_a_mismatch_makes_the_sender_choose_for_the_wrong_channel(folder):
    given = {"system": "jpeg", "mcs": "auto", "airtime": 9000}
    at = {esn0_db: _measure(folder, esn0_db=esn0_db, **given) for esn0_db in (4.0, 10.0)}
    wrong = _measure(folder, esn0_db=4.0, mismatch_db=6.0, **given)
    assert wrong["resolved"]["chosen_mcs"] == at[10.0]["resolved"]["chosen_mcs"] != at[4.0]["resolved"]["chosen_mcs"]
    assert wrong["metrics"]["delivered"]["value"] == 0 and at[4.0]["metrics"]["delivered"]["value"] == 1
    assert all(r["symbols_total"] <= 9000 for r in [*wrong["records"], *at[4.0]["records"]])


def test_messages_beyond_the_inputs_take_them_in_turns_and_meet_new_noise(folder):
    found = _measure(folder, rule=Stop(messages=7, metric="bler"), system="webp", esn0_db=3.5, max_bpp=1.0)
    assert [record["input"] for record in found["records"]] == [f"crop{k % 3}.png" for k in range(7)]
    assert len({record["blocks_failed"] for record in found["records"][::3]}) > 1
    errors = _measure(folder, rule=Stop(errors=5, cap=100, metric="message_error_rate"), system="webp", esn0_db=0.0)
    assert errors["stopped"] == "errors" and errors["messages"] == 5


def test_a_result_can_be_measured_again(folder):
    settings = system.resolve({"system": "webp", "inputs": str(folder), "esn0_db": 3.5, "max_bpp": 1.0})
    point = {"kind": "system", "settings": settings, "seed": 3, "stop": RULE.as_dict(), "curve": "x", "axis": {}}
    again = remeasure(point)
    assert again["error"] is None
    assert again["metrics"] == _measure(folder, system="webp", esn0_db=3.5, max_bpp=1.0)["metrics"]
    assert again["settings"]["chosen_mcs"] == "16qam-1/3" and again["settings"]["inputs_count"] == 3
    with pytest.raises(ValueError, match="their content differs"):
        remeasure({**again, "settings": {**again["settings"], "files": ["crop0.png"]}})


def test_changed_inputs_change_the_identity_and_are_refused_by_workers(folder, tmp_path):
    for path in folder.glob("*.png"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    settings = system.resolve({"system": "jpeg", "inputs": str(tmp_path), "max_bpp": 1.0})
    before = system.identity(settings)
    assert before == system.identity({**settings, "inputs": str(folder)}), "the content counts, not the path"
    expected = system.extra(settings)
    (tmp_path / "crop1.png").write_bytes((folder / "crop0.png").read_bytes())
    assert system.identity(settings) != before
    with pytest.raises(ValueError, match="not what they were"):
        system.measure(settings, 1, RULE, **expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "system is missing"),
        ({"system": "bpg"}, "unknown system 'bpg'"),
        ({"system": "ncsc", "model": "best"}, "unknown model 'best'"),
        ({"system": "ncsc", "quality": 300}, "quality of ncsc must be 0 to 255"),
        ({"system": "jpeg", "mcs": "16qam-9"}, "mcs must be one of"),
        ({"system": "jpeg", "airtime": -1}, "airtime must be"),
        ({"system": "jpeg", "pictures": -1}, "pictures must be at least 0"),
        ({"system": "jpeg", "files": 3}, "files must be a list"),
        ({"system": "jpeg", "mismatch_db": 1, "assumed_esn0_db": 3.0}, "say the same thing"),
    ],
)
def test_settings_that_cannot_be_are_told(given, message):
    with pytest.raises(ValueError, match=message):
        system.resolve(given)


def test_files_of_a_folder_can_be_named(folder):
    assert _measure(folder, system="jpeg", files=["crop2.png"])["records"][0]["input"] == "crop2.png"
    with pytest.raises(ValueError, match="has no 'crop9.png'"):
        _measure(folder, system="jpeg", files=["crop9.png"])


TABLE = """
title: Pictures
figure: {metric: psnr_db, pictures: true}
defaults: {inputs: pictures, esn0_db: [3, 6], max_bpp: 0.9, pictures: 1}
curves: [{system: [jpeg, webp], label: "{system}"}]
table:
  columns: [symbols_total, psnr_db, compression_ratio]
  paper: {title: The paper, columns: ["", PSNR], rows: [[JPEG, 20.1], [Raw, null]]}
  notes: [A note.]
"""


def test_a_sweep_writes_the_table_beside_the_papers_rows_and_the_pictures(folder, tmp_path):
    (tmp_path / "pictures").symlink_to(folder)
    done = semcom("bench", sweep_file(tmp_path, TABLE), "--output", tmp_path / "out", "--workers", 1)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "sweep.md").read_text()
    assert text in done.stdout
    assert "esn0_db 3:" in text and "esn0_db 6:" in text and "| JPEG | 20.1 |" in text and "* A note." in text
    rows = [line for line in text.splitlines() if line.startswith(("| jpeg", "| webp"))]
    assert len(rows) == 4 and "±" in rows[0]
    found = points(tmp_path / "out")
    assert all((tmp_path / "out" / name.replace(".json", ".0.png")).is_file() for name in found)
    figure = read_image(tmp_path / "out" / "sweep.png").data
    assert figure.shape[1] > 400
    clean = read_image(tmp_path / "out" / "sweep__webp__esn0_db=6.0.0.png").data
    (first, *_) = _messages(folder)
    mse = np.mean((clean.astype(float) - first.data) ** 2)
    (point,) = [p for p in found.values() if p["curve"] == "webp" and p["axis"]["esn0_db"] == 6]
    assert clean.shape == first.data.shape and 10 * np.log10(255**2 / mse) > 20
    assert point["metrics"]["delivered"]["value"] == 1 and "records" not in point
    row = next(csv.DictReader((tmp_path / "out" / "sweep.csv").open()))
    assert row["curve"] == "jpeg" and row["psnr_db_count"] == "3"


def test_inputs_that_are_not_there_end_with_status_2_and_leave_nothing(tmp_path):
    done = semcom("bench", sweep_file(tmp_path, TABLE), "--output", tmp_path / "out")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "no such file or folder" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_shipped_sweeps_are_sound(tmp_path, folder, monkeypatch):
    """Every file in examples/sweeps is read whole; the Kodak photographs are stood in for."""
    from bench_helpers import EXAMPLES

    from gnuradio.semcom.bench.sweep import read_sweep

    monkeypatch.setenv("SEMCOM_DATA", str(tmp_path))
    (tmp_path / "kodak").symlink_to(folder)
    names = {}
    for path in sorted((EXAMPLES / "sweeps").glob("*.yml")):
        try:
            names[path.stem] = read_sweep(path)
        except ValueError as error:
            assert "pip install 'gr-semcom[" in str(error), error  # a recogniser that is not installed here
    assert {"ldpc", "polar", "ncsc_table1", "ncsc_figure2", "ncsc_cliff"} <= set(names)
    for sweep in names.values():
        assert sweep.title and sweep.metric and sweep.jobs
        assert json.dumps(sweep.index())
    rows = {job.settings.get("system") for job in names["ncsc_table1"].jobs if job.kind == "system"}
    assert rows == {"raw", "ncsc", "jpeg", "webp", "avif", "hevc"}
    assert {job.axis["esn0_db"] for job in names["ncsc_table1"].jobs if job.kind == "system"} == {3.0, 4.25}

# SPDX-License-Identifier: GPL-3.0-or-later
"""A system in somebody else's package runs without a change to ours, and a broken one does not take ours down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from gnuradio.semcom.links import Link
from gnuradio.semcom.media.images import write_png
from gnuradio.semcom.message import Message
from gnuradio.semcom.systems import registry

PACKAGE = Path(__file__).resolve().parents[1] / "examples" / "other_package"


def distribution(folder, name, points):
    """What an installer leaves of a package: metadata with entry points."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{key} = {value}" for key, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[semcom.systems]", *lines, ""]))


@pytest.fixture
def installed(tmp_path):
    """The example package as if it were installed in a folder of its own."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())
    folder = tmp_path / "site"
    points = project["project"]["entry-points"]["semcom.systems"]
    distribution(folder, "semcom_thumbnail", points)
    for module in project["tool"]["setuptools"]["py-modules"]:
        shutil.copy(PACKAGE / f"{module}.py", folder)
    return folder


@pytest.fixture
def known(installed, monkeypatch):
    monkeypatch.syspath_prepend(str(installed))
    registry.systems.cache_clear()
    yield registry.systems()
    registry.systems.cache_clear()
    sys.modules.pop("semcom_thumbnail", None)


def semcom(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "gnuradio.semcom", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def photograph():
    ramp = np.linspace(0, 255, 96 * 128 * 3).reshape(96, 128, 3)
    return Message("image", ramp.astype(np.uint8), {"name": "ramp"})


def test_it_goes_through_a_link_as_blocks_and_as_plain_calls(known):
    sent = [photograph()] * 2
    for esn0_db, delivered in ((8.0, True), (2.0, False)):
        link = Link("thumbnail", esn0_db=esn0_db, seed=1)
        direct, graph = list(link.run(sent)), list(link.run_flowgraph(sent, timeout_s=60))
        for (left, first), (right, second) in zip(direct, graph, strict=True):
            np.testing.assert_array_equal(left.data, right.data)
            assert {**first, "elapsed_s": 0} == {**second, "elapsed_s": 0}
            assert first["delivered"] is delivered
    ((_, record),) = Link("thumbnail", esn0_db=8.0, airtime=500).run(sent[:1])
    assert record["delivered"] and record["bits"] == 2 + 24 * 3 * 4


def test_the_command_lists_and_runs_it(installed, tmp_path):
    listed = json.loads(semcom(installed, "list", "--json").stdout)["systems"]
    assert listed["thumbnail"] == {
        "title": "mean colours of squares, from another package", "kind": "image", "payload": "bits", "models": []
    }  # fmt: skip
    assert "ncsc" in listed
    write_png(tmp_path / "photo.png", photograph().data)
    done = semcom(installed, "run", "thumbnail", "--input", tmp_path / "photo.png", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["summary"]["delivered"] == 1 and result["summary"]["psnr_db"] > 25
    done = semcom(installed, "run", "thumbnail", "--input", tmp_path / "photo.png", "--quality", "9")
    assert done.returncode == 2 and "quality of thumbnail must be 0 to 3" in done.stderr


def test_the_blocks_take_it(known):
    from gnuradio.semcom.blocks.semantic_encoder import semantic_encoder

    assert semantic_encoder.knows("thumbnail", "", "bits") and not semantic_encoder.knows("thumbnail", "", "symbols")
    assert semantic_encoder("thumbnail").output_count == 1


def test_packages_that_fail_are_a_warning_and_ours_go_on(installed, monkeypatch, caplog):
    (installed / "broken_one.py").write_text("raise ImportError('no such thing')\n")
    (installed / "odd_one.py").write_text(
        "import semcom_thumbnail\n\n\nclass Taken(semcom_thumbnail.Thumbnail):\n    name = 'webp'\n\n\nNOTHING = 7\n"
    )
    points = {"a": "broken_one:System", "b": "odd_one:NOTHING", "c": "odd_one:Taken", "d": "missing_one:System"}
    distribution(installed, "broken", points)
    monkeypatch.syspath_prepend(str(installed))
    registry.systems.cache_clear()
    try:
        found = registry.systems()
        assert {"ncsc", "webp", "thumbnail"} <= set(found) and type(found["webp"]).__name__ == "ClassicSystem"
        for text in ("no such thing", "it is no System", "'webp' is taken", "missing_one"):
            assert sum(text in message for message in caplog.messages) == 1
    finally:
        registry.systems.cache_clear()
        for name in ("semcom_thumbnail", "odd_one"):
            sys.modules.pop(name, None)


@pytest.mark.slow
def test_pip_installs_it(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(PACKAGE, source)
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run([*command, "--target", str(tmp_path / "site"), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "thumbnail" in json.loads(semcom(tmp_path / "site", "list", "--json").stdout)["systems"]

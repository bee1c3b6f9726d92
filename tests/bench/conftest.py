# SPDX-License-Identifier: GPL-3.0-or-later
"""Results to show and compare, made by hand."""

import json

import pytest

from gnuradio.semcom.bench.intervals import metric, share


def make_point(curve="LDPC", x=3.0, metrics=None, **more):
    point = {
        "format": "semcom-point-1", "sweep": "codes", "curve": curve, "kind": "code", "axis": {"esn0_db": x},
        "settings": {"k": 1536, "n": 4608, "modulation": "16qam", "channel": "awgn", "esn0_db": x}, "seed": 7,
        "stopped": "errors", "messages": 1000, "metrics": {"bler": share(100, 1000)} if metrics is None else metrics,
        "elapsed_s": 1.5, "timings": {"msymbol_s": metric(2.0, count=1000), "invocation": "semcom bench codes.yml"},
        "command": "semcom bench codes.yml", "versions": {"numpy": "1.24.2"}, "processor": "A", "date": "2026-11-21",
        "error": None,
    }  # fmt: skip
    return point | more


def make_collection(points, **more):
    return {
        "format": "semcom-curves-1", "title": "Codes over AWGN", "command": "semcom bench codes.yml", "axis": "esn0_db",
        "metric": "bler", "logy": None, "bounds": ["bicm_capacity", "normal_approximation"], "table": None,
        "versions": {"numpy": "1.24.2"}, "processor": "A", "date": "2026-11-21", "points": points,
    } | more  # fmt: skip


@pytest.fixture
def point():
    return make_point


@pytest.fixture
def collection():
    return make_collection


@pytest.fixture
def saved(tmp_path):
    """Writes an object as JSON into the test's folder and gives its path."""

    def save(content, name="codes.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return save


@pytest.fixture
def waterfall():
    """Two curves with intervals, the second without an error at its last point."""
    rates = {"first": (0.9, 0.3, 0.02, 0.001), "second": (0.6, 0.08, 0.004, 0.0)}
    return [
        make_point(curve, 2.75 + 0.25 * k, {"bler": share(round(rate * 5000), 5000)})
        for curve, falling in rates.items() for k, rate in enumerate(falling)
    ]  # fmt: skip

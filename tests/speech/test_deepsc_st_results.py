# SPDX-License-Identifier: GPL-3.0-or-later
"""What the committed results of DeepSC-ST's page must show, and that its figures are drawn from them."""

import importlib.util
from pathlib import Path

import pytest

from gnuradio.semcom.bench.curves import load

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
RESULTS = sorted(BENCHMARKS.glob("deepsc_st_figure5*.json"))
CONVENTIONAL = ("text_transceiver", "speech_transceiver", "feature_transceiver")


def error_rates(results, curve):
    return {p.axis["esn0_db"]: p.metrics["cer"] for p in results.curves()[curve]}


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("channel", ["awgn", "rayleigh", "rician"])
def test_deepsc_st_still_reads_where_the_conventional_systems_fail(path, channel):
    results = load(path)
    assert all(point.messages >= 40 for point in results.points) and not results.failed
    unharmed = error_rates(results, "text_transceiver, awgn")[20].value
    found = error_rates(results, f"deepsc_st, {channel}")
    reads = [esn0_db for esn0_db, cer in found.items() if cer.value < unharmed + 0.15]
    failed = [at for at in reads if all(error_rates(results, f"{s}, {channel}")[at].value > 0.9 for s in CONVENTIONAL)]
    assert failed
    places = sorted(found)
    for worse, better in zip(places, places[1:], strict=False):  # falls with Es/N0 within its intervals
        assert found[better].low <= found[worse].high
    assert found[places[-1]].value < found[places[0]].value


def test_figures_are_drawn_from_what_is_committed(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("deepsc_st_figures", BENCHMARKS / "deepsc_st_figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("sys.argv", ["deepsc_st_figures.py", "--output", str(tmp_path)])
    assert module.main() == 0
    assert {"deepsc_st_figure4.png", "deepsc_st_figure5.png"} <= {path.name for path in tmp_path.iterdir()}

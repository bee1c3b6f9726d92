# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of kind `code` against theory and against the reference that other software gave."""

import numpy as np
import pytest

from gnuradio.semcom.bench import code
from gnuradio.semcom.bench.stopping import Stop, is_clean
from gnuradio.semcom.bench.worker import remeasure
from gnuradio.semcom.phy import bounds

PAPERS = {"k": 1536, "n": 4608, "modulation": "16qam", "max_iterations": 20}


def _measure(settings, seed=1, **stop):
    return code.measure(code.resolve(settings), seed, Stop(**{"metric": "bler", **stop}))


@pytest.mark.parametrize(("esn0_db", "expected"), [(3.25, 0.750), (3.5, 0.367), (3.75, 0.0705)])
def test_the_papers_code_has_the_block_errors_of_an_independent_decoder(esn0_db, expected):
    """The 20-iteration column of the design page; its own estimates are good to about a tenth."""
    found = _measure({**PAPERS, "esn0_db": esn0_db}, messages=1000)["metrics"]["bler"]
    assert found["count"] == 1000
    assert found["low"] - 0.1 * expected <= expected <= found["high"] + 0.1 * expected


def test_no_point_is_better_than_the_normal_approximation_allows():
    rate = 4 / 3
    for esn0_db in (2.6, 2.8, 3.0):
        settings = {"mcs": "16qam-1/3", "esn0_db": esn0_db}
        found = _measure(settings, errors=60, cap=3000)["metrics"]["bler"]
        mean, dispersion = bounds.moments("16qam", esn0_db)
        assert found["high"] >= float(bounds.block_error_rate(rate, 1152, mean, dispersion))


@pytest.mark.parametrize("fading", ["symbol", "16", "packet"])
def test_fading_meets_every_block_anew(fading):
    """Over packet fading a block is lost about when its one coefficient cannot carry it: the outage probability."""
    settings = {"mcs": "qpsk-1/2", "k": 512, "channel": "rayleigh", "fading": fading, "esn0_db": 10}
    found = _measure(settings, messages=2000)["metrics"]["bler"]
    # no code is better than the outage of the mutual information; ours needs 0.7 dB more than that
    least, most = (bounds.outage_probability(1.0, 10 - gap_db, "qpsk") for gap_db in (0, 1.2))
    if fading == "packet":
        assert found["high"] >= least and found["low"] <= most
    else:
        assert found["high"] < least / 2


def test_a_rate_1_polar_code_is_uncoded_qpsk():
    """256 of 256 bits, no CRC: a bit error rate of Q(sqrt(Es/N0))."""
    settings = {"code": "polar", "k": 256, "n": 256, "modulation": "qpsk", "crc": "none", "list_size": 1, "esn0_db": 4}
    found = _measure(settings, messages=640)["metrics"]
    blocks_right = (1 - 0.5 * np.vectorize(__import__("math").erfc)(np.sqrt(10**0.4 / 2))) ** 256
    assert found["bler"]["low"] <= 1 - blocks_right <= found["bler"]["high"]
    assert "undetected" not in found


@pytest.mark.parametrize("kind", ["ldpc", "polar"])
def test_the_number_of_blocks_asked_for_changes_none_of_them(kind):
    settings = {"code": kind, "k": 64, "n": 128, "modulation": "qpsk", "esn0_db": 1, "channel": "rician"}
    counts = (1, 63, 64, 65, 200, 700)
    errors = [_measure(settings, messages=count)["metrics"]["ber"]["errors"] for count in counts]
    assert errors == sorted(errors) and errors[-1] > 0
    chain = code._Chain(code.resolve(settings), 1)
    wrong = np.concatenate([chain.batch(group * 64, group * 64 + 64)[0] for group in range(11)])
    assert errors == [int(wrong[:count].sum()) for count in counts]


def test_rules_stop_where_they_say():
    settings = {"k": 64, "n": 128, "modulation": "qpsk", "esn0_db": 0}
    enough = _measure(settings, errors=30, cap=10_000)
    assert enough["stopped"] == "errors" and 30 <= enough["metrics"]["bler"]["errors"] < 300
    capped = _measure(settings, errors=10_000, cap=500)
    assert capped["stopped"] == "cap" and capped["messages"] == 500
    narrow = _measure(settings, width=0.05, cap=100_000)
    found = narrow["metrics"]["bler"]
    assert narrow["stopped"] == "interval" and found["high"] - found["low"] <= 0.05
    relative = _measure(settings, relative_width=0.2, cap=100_000)
    found = relative["metrics"]["bler"]
    assert relative["stopped"] == "interval" and found["high"] - found["low"] <= 0.2 * found["value"]
    assert _measure(settings, seconds=1e-9, cap=10_000)["stopped"] == "time"
    assert _measure(settings, messages=77)["stopped"] == "messages"


def test_error_rates_of_a_clean_point_have_an_upper_limit():
    found = _measure({"mcs": "qpsk-1/3", "esn0_db": 6}, messages=200)
    bler, ber = found["metrics"]["bler"], found["metrics"]["ber"]
    assert bler["value"] == ber["value"] == 0 and bler["high"] == ber["high"] == pytest.approx(1 - 0.025 ** (1 / 200))
    assert ber["count"] == 200 * 1536 and found["metrics"]["mean_iterations"]["value"] >= 1
    assert is_clean({**found, "error": None, "stop": {"metric": "bler"}})


def test_speeds_are_measured_and_kept_apart_from_results():
    timings = _measure({**PAPERS, "esn0_db": 6}, messages=64)["timings"]
    assert timings["mbit_s"]["value"] > 0 and timings["msymbol_s"]["count"] == 64


def test_a_result_can_be_measured_again_from_its_own_settings():
    settings = code.resolve({"mcs": "16qam-1/3", "esn0_db": 3})
    rule = Stop(messages=128, metric="bler").as_dict()
    point = {"kind": "code", "settings": settings, "seed": 9, "stop": rule, "curve": "x", "axis": {"esn0_db": 3.0}}
    first, again, other = remeasure(point), remeasure(point), remeasure(point, seed=10, stop={"messages": 64})
    assert first["error"] is None and first["metrics"] == again["metrics"] and first["curve"] == "x"
    assert other["messages"] == 64 and other["metrics"]["ber"] != first["metrics"]["ber"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mcs": "16qam-1/3", "n": 100}, "n is decided by mcs"),
        ({"mcs": "uncoded-qpsk"}, "mcs must be a scheme with a channel code"),
        ({"code": "polar", "mcs": "qpsk-1/3"}, "mcs names an LDPC scheme"),
        ({"code": "polar", "k": 10, "n": 100, "modulation": "qpsk"}, "n must be a power of two"),
        ({"code": "turbo"}, "code must be one of ldpc, polar"),
        ({"k": 100, "n": 300}, "modulation is missing"),
        ({**PAPERS, "max_iterations": 0}, "max_iterations must be from 1"),
        ({**PAPERS, "alpha": 3.0}, "alpha must be above 0"),
        ({**PAPERS, "demapper": "best"}, "demapper must be one of"),
        ({**PAPERS, "fading": "often"}, "fading must be"),
    ],
)
def test_settings_that_cannot_be_are_told(given, message):
    with pytest.raises(ValueError, match=message):
        code.resolve(given)


@pytest.mark.slow
def test_a_hundred_thousand_blocks_take_less_than_a_minute():
    import time

    begun = time.process_time()
    found = _measure({**PAPERS, "esn0_db": 3.5}, messages=100_000)
    assert time.process_time() - begun < 60
    assert found["metrics"]["bler"]["value"] == pytest.approx(0.36, abs=0.02)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel blocks give what their stages give, and agree with GNU Radio's own fading model."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from gnuradio import blocks, channels, gr
from scipy import special

from gnuradio.semcom import packets
from gnuradio.semcom.blocks.channel import channel
from gnuradio.semcom.blocks.collect_sink import collect_sink
from gnuradio.semcom.blocks.message_source import message_source
from gnuradio.semcom.blocks.multipath_channel import multipath_channel
from gnuradio.semcom.blocks.radio_impairments import radio_impairments
from gnuradio.semcom.phy.channel import coefficients

LIMIT_S = 60


def bursts(lengths):
    rng = np.random.default_rng(9)
    return [((rng.standard_normal((n, 2)) @ [1, 1j]).astype(np.complex64), {"id": i}) for i, n in enumerate(lengths)]


def through(block, sent):
    """What comes out of both ports of a block in a flowgraph."""
    source, sinks = message_source(sent, np.complex64), [collect_sink(dtype=np.complex64) for _ in range(2)]
    tb = gr.top_block()
    tb.connect(source, block)
    for port, sink in enumerate(sinks):
        tb.connect((block, port), sink)
    packets.run(tb, timeout_s=LIMIT_S)
    return [sink.received for sink in sinks]


@pytest.mark.parametrize(
    "make",
    [
        lambda: channel("rayleigh", 3.0, "doppler", seed=4, doppler=0.003),
        lambda: channel("rician", 3.0, "doppler", 2.0, seed=4, doppler=0.2),
        lambda: multipath_channel("TDL-C", 10.0, 1e-6, 1e6, seed=5),
        lambda: multipath_channel("TDL-D", 10.0, 1e-7, 1e6, 2000.0, tail=True),
        lambda: radio_impairments(0.01, 40.0, 1e-4, 4.0, 0.5, 2.0, seed=6),
        lambda: radio_impairments(),
    ],
)
def test_the_flowgraph_gives_what_the_stage_gives_bit_for_bit(make):
    sent = bursts([1, 0, 1000, 50_000, 3])
    block = make()
    received = through(block, sent)
    assert [len(packets) for packets in received] == [len(sent)] * 2
    for number, (burst, meta) in enumerate(sent):
        expected, after = block.stage.run((burst,), meta)
        for port in range(2):
            array, got = received[port][number]
            assert np.array_equal(array, expected[port])
            assert got == json.loads(json.dumps(after))


@pytest.mark.parametrize(
    ("make", "length"),
    [
        (lambda: channel("rayleigh", 3.0, "doppler"), 1_000_000),
        (lambda: multipath_channel(doppler_hz=2.0), 1_000_000),
        (lambda: radio_impairments(0.1, 40.0, 1e-6, 3.0), 1_000_039),
    ],
)
def test_a_million_samples_pass(make, length):
    ((received, _),), ((known, meta),) = through(make(), bursts([1_000_000]))
    assert received.size == length and np.isfinite(received).all()
    assert known.size == (meta["snapshots"] * meta["taps"] if "taps" in meta else length)


@pytest.mark.parametrize(
    ("block", "changes"),
    [
        (
            channel,
            {"model": "rician", "esn0_db": 1.0, "fading": "doppler", "rician_k": 3.0, "seed": 8, "doppler": 0.25},
        ),
        (
            multipath_channel,
            {
                "profile": "TDL-E", "esn0_db": 1.0, "delay_spread_s": 1e-6, "sample_rate_hz": 2e6, "doppler_hz": 9.0,
                "tail": True, "seed": 8,
            },
        ),
        (
            radio_impairments,
            {
                "carrier_offset": 0.1, "sampling_offset_ppm": -3.0, "linewidth": 1e-5, "clip_db": 2.0,
                "iq_gain_db": 1.0, "iq_phase_deg": 3.0, "seed": 8,
            },
        ),
    ],
)  # fmt: skip
def test_every_parameter_has_a_setter(block, changes):
    made = block()
    for name, value in changes.items():
        getattr(made, f"set_{name}")(value)
    assert made.stage == block(**changes).stage
    assert set(changes) == {field.name for field in dataclasses.fields(made.stage)}


@pytest.mark.parametrize(
    ("make", "name"),
    [(channel, "doppler"), (multipath_channel, "delay_spread_s"), (radio_impairments, "carrier_offset")],
)
def test_a_wrong_value_is_refused_and_leaves_the_old_one(make, name):
    block = make()
    with pytest.raises(ValueError, match=f"^{name} must be from"):
        getattr(block, f"set_{name}")(float("nan"))
    assert block.stage == make().stage
    with pytest.raises(ValueError, match=f"^{name} must be from"):
        make(**{name: -1.0})


def native(count, doppler, line_of_sight, k, seed):
    """Coefficients of GNU Radio's fading model: what it makes of a stream of ones."""
    tb = gr.top_block()
    source, sink = blocks.vector_source_c([1] * count), blocks.vector_sink_c()
    model = channels.fading_model(16, doppler, line_of_sight, k, seed)
    tb.connect(source, model, sink)
    tb.run()
    return np.array(sink.data())


@pytest.mark.parametrize(("model", "k"), [("rayleigh", 0.0), ("rician", 3.0)])
def test_autocorrelation_agrees_with_gnu_radios_fading_model(model, k):
    doppler, count, packets_each = 0.005, 3000, 60
    lags = np.arange(0, 300, 15)

    def autocorrelation(make):
        total = np.zeros(lags.size, complex)
        for seed in range(packets_each):
            h = make(seed)
            total += [np.mean(h[lag:] * h[: h.size - lag].conj()) for lag in lags]
        return total / packets_each

    ours = autocorrelation(
        lambda seed: coefficients(model, count, np.random.default_rng(seed), "doppler", k, doppler)
    )
    theirs = autocorrelation(lambda seed: native(count, doppler, model == "rician", k, seed))
    clarke = special.j0(2 * np.pi * doppler * lags)
    if model == "rayleigh":
        assert np.abs(ours - theirs).max() < 0.12
        assert np.abs(theirs - clarke).max() < 0.08
    else:  # there the direct path turns with a random share of the Doppler shift: only the power compares
        assert abs(ours[0] - theirs[0]) < 0.06
    assert np.abs(ours - (k + clarke) / (k + 1)).max() < 0.08

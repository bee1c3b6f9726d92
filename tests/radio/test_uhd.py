# SPDX-License-Identifier: GPL-3.0-or-later
"""USRPs without a USRP: tags at the borders of bursts, what is counted, and how a missing radio is told."""

import itertools
import time

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr

from gnuradio.semcom import packets
from gnuradio.semcom.blocks.message_source import message_source
from gnuradio.semcom.blocks.timed_bursts import KINDS, timed_bursts
from gnuradio.semcom.radio.settings import RadioError, RadioSettings

uhd = pytest.importorskip("gnuradio.uhd") and pytest.importorskip("gnuradio.semcom.radio.uhd")
NOBODY = "serial=0000000"  # no USRP has it
AIR = RadioSettings(frequency_hz=868e6, transmit=True)


def bursts(*lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [
        ((rng.standard_normal(n) + 1j * rng.standard_normal(n)).astype(np.complex64), {"id": number})
        for number, n in enumerate(lengths)
    ]


def sent(messages, **options):
    """Samples and tags {offset: {key: value}} that a sink would get."""
    graph = gr.top_block()
    graph.source = message_source(messages, np.complex64)
    graph.block = timed_bursts(**options)
    graph.sink = blocks.vector_sink_c()
    graph.connect(graph.source, graph.block, graph.sink)
    packets.run(graph, 30)
    tags = {}
    for tag in graph.sink.tags():
        tags.setdefault(tag.offset, {})[pmt.symbol_to_string(tag.key)] = tag.value
    return np.array(graph.sink.data(), np.complex64), tags, graph.block


def clock(step=0.01):
    ticks = itertools.count()
    return lambda: 5.0 + step * next(ticks)


def test_a_burst_has_its_tags_and_its_peak():
    messages = bursts(1000, 40_000, 1)
    samples, tags, block = sent(messages, rate=1e6, peak=0.5, lead_s=0.1, clock=clock())
    begins, ends = [0, 1000, 41_000], [999, 40_999, 41_000]
    assert sorted(offset for offset, found in tags.items() if "tx_sob" in found) == begins
    assert sorted(offset for offset, found in tags.items() if "tx_eob" in found) == ends
    assert samples.size == 41_001
    free = 0.0
    for begin, end, (array, _) in zip(begins, ends, messages, strict=True):
        piece = samples[begin : end + 1]
        assert 0.49999 < np.abs(piece).max() <= 0.5
        np.testing.assert_allclose(piece / piece[0], array / array[0], rtol=1e-4)
        when = pmt.to_python(tags[begin]["tx_time"])
        seconds = when[0] + when[1]
        assert isinstance(when[0], int) and 0 <= when[1] < 1 and seconds >= max(5.1, free)
        free = seconds + len(array) / 1e6
    assert block.power.bursts == 3 and block.counts == dict.fromkeys(KINDS.values(), 0)


def test_without_a_clock_bursts_have_no_time():
    _, tags, _ = sent(bursts(100), rate=1e6, lead_s=0.0)
    assert "tx_sob" in tags[0] and "tx_time" not in tags[0]


def test_a_message_that_fits_no_budget_sends_nothing():
    messages = bursts(100)
    messages.insert(0, (np.zeros(0, np.complex64), {"id": 9, "reason": "does_not_fit"}))
    samples, _, block = sent(messages, rate=1e6, lead_s=0.0)
    assert samples.size == 100 and block.power.bursts == 1


def test_samples_that_are_not_finite_stop_the_flowgraph():
    with pytest.raises(packets.FlowgraphError, match="finite"):
        sent([(np.full(10, np.nan, np.complex64), {"id": 0})])


def test_it_waits_for_the_radio_but_not_for_ever():
    _, _, block = sent(bursts(1000), rate=1e3, lead_s=0.0, clock=clock(0.2))
    assert block.clock() > block.free  # a clock that runs: until the burst was on air
    begun = time.monotonic()
    sent(bursts(100), rate=1e3, lead_s=0.0, clock=lambda: 7.0)
    assert 0.1 <= time.monotonic() - begun < 10  # one that stands still


def event(*codes):
    """As gr-uhd publishes them: a pair of a symbol and a dictionary with a list of codes."""
    found = pmt.PMT_NIL
    for code in codes:
        found = pmt.list_add(found, pmt.intern(code))
    about = pmt.dict_add(pmt.make_dict(), pmt.intern("event_code"), found)
    about = pmt.dict_add(about, pmt.intern("time_spec"), pmt.cons(pmt.from_long(3), pmt.from_double(0.5)))
    about = pmt.dict_add(about, pmt.intern("channel"), pmt.from_uint64(0))
    return pmt.cons(pmt.intern("uhd_async_msg"), about)


def test_late_packets_and_underruns_are_counted_not_fatal(capsys):
    block = timed_bursts()
    block.note(event("underflow"))
    assert block.counts["underruns"] == 0  # the sink opened its stream, nothing was sent yet
    block.power.bursts = 1
    for message in (event("time_error"), event("underflow", "time_error"), event("underflow_in_packet"),
                    event("seq_error"), event("burst_ack"), event("burst_ack"), event("sunspot"),
                    event(), pmt.PMT_NIL, pmt.intern("x"), pmt.from_long(3),
                    pmt.cons(pmt.PMT_T, pmt.PMT_T)):  # fmt: skip
        block.note(message)
    assert block.counts == {"late": 2, "underruns": 2, "lost_packets": 1, "on_air": 2}
    block.power.mean_dbfs = (-12.0, -12.0)
    block.finish()
    assert "2 late, 2 underruns, 1 lost packets" in capsys.readouterr().err


def test_events_come_through_the_message_port_to_the_end():
    """The last burst is late: that is told when the block has nothing more to do."""

    class Device(gr.basic_block):
        def __init__(self):
            gr.basic_block.__init__(self, "device", [], [])
            self.message_port_register_out(pmt.intern("async_msgs"))

    def clock():  # is asked while the last burst goes out
        if graph.block.power.bursts:
            graph.device.message_port_pub(pmt.intern("async_msgs"), event("time_error"))
        return next(ticks) * 0.02

    ticks = itertools.count()
    graph = gr.top_block()
    graph.source = message_source(bursts(10, 20), np.complex64)
    graph.block, graph.device, graph.sink = timed_bursts(lead_s=0.5, clock=clock), Device(), blocks.null_sink(8)
    graph.connect(graph.source, graph.block, graph.sink)
    graph.msg_connect(graph.device, "async_msgs", graph.block, "events")
    graph.start()
    deadline = time.monotonic() + 20
    while graph.block.counts["late"] < 10 and time.monotonic() < deadline:
        time.sleep(0.01)
    graph.stop()  # the device has no end of its own
    graph.wait()
    assert graph.block.counts["late"] >= 10


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"lead_s": -1}, {"lead_s": 11}, {"peak": 0}, {"peak": 1.1}])
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        timed_bursts(**wrong)


@pytest.mark.parametrize("end", ["sink", "source"])
def test_a_missing_radio_is_named_in_one_line(end):
    with pytest.raises(RadioError, match=f"no radio was found at uhd:{NOBODY}") as caught:
        getattr(uhd, end)(NOBODY, AIR)
    assert "\n" not in str(caught.value)


def test_a_search_ends():
    with pytest.raises(RadioError, match="no answer from uhd:type=b200 within 0.01 s"):
        uhd.find("type=b200", timeout_s=0.01)


def test_nothing_is_sent_without_the_users_word():
    for lacking in (RadioSettings(frequency_hz=868e6), RadioSettings(transmit=True), RadioSettings()):
        with pytest.raises(ValueError, match="nothing is sent"):
            uhd.sink(NOBODY, lacking)
    with pytest.raises(ValueError, match="needs a frequency"):
        uhd.source(NOBODY, RadioSettings())


def test_overflows_are_counted_by_the_tags_that_follow_them():
    tags = []
    for offset in (0, 5000, 70_000):
        tag = gr.tag_t()
        tag.offset, tag.key, tag.value = offset, pmt.intern("rx_time"), pmt.PMT_T
        tags.append(tag)
    graph = gr.top_block()
    graph.source = blocks.vector_source_c([0j] * 100_000, False, 1, tags)
    graph.watch = uhd.overflow_watch()
    graph.connect(graph.source, graph.watch)
    graph.run()
    assert graph.watch.overflows == 2

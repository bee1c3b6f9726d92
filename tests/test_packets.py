# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets of any length through a stream: whole, in order, and loud when they are not."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr

from gnuradio.semcom import packets
from gnuradio.semcom.packets import FlowgraphError, PacketBlock
from gnuradio.semcom.stage import Port

BYTES = Port("bytes", np.uint8)
FLOATS = Port("floats", np.float32)
LIMIT_S = 60


class Source(PacketBlock):
    def __init__(self, messages, dtype=np.uint8):
        super().__init__("test_source", (), (Port("out", dtype),))
        self.messages = messages

    def packets(self):
        yield from self.messages


class Pass(PacketBlock):
    def __init__(self, name="test_pass", work=None, dtype=np.uint8):
        super().__init__(name, (Port("in", dtype),), (Port("out", dtype),))
        self.work = work or (lambda array, meta: (array, meta))

    def process(self, array, meta):
        return self.work(array, meta)


class Split(PacketBlock):
    """One packet to three of unequal lengths."""

    def __init__(self):
        super().__init__("test_split", (BYTES,), (BYTES, FLOATS, BYTES))

    def process(self, array, meta):
        return array[: len(array) // 3], np.repeat(array, 2).astype(np.float32), array[len(array) // 3 :], meta


class Join(PacketBlock):
    """Undoes Split."""

    def __init__(self):
        super().__init__("test_join", (BYTES, FLOATS, BYTES), (BYTES,))

    def process(self, first, doubled, rest, meta):
        joined = np.concatenate([first, rest])
        assert np.array_equal(joined, doubled[::2].astype(np.uint8))
        return joined, meta


class Sink(PacketBlock):
    def __init__(self, inputs=1, delay=0.0, dtype=np.uint8):
        super().__init__("test_sink", [Port(f"in{n}", dtype) for n in range(inputs)], ())
        self.delay, self.received, self.finished = delay, [], 0

    def process(self, *arrays, meta):
        if self.delay:
            threading.Event().wait(self.delay)
        self.received.append((*arrays, meta))

    def finish(self):
        self.finished += 1


def items(count, seed=0):
    return np.random.default_rng([seed, count]).integers(0, 256, count, np.uint8)


def messages(lengths):
    return [(items(length, number), {"id": number}) for number, length in enumerate(lengths)]


def graph(*chain):
    tb = gr.top_block("test")
    tb.kept = chain
    tb.connect(*chain)
    return tb


def through(sent, *middle, buffer_items=0, max_noutput_items=0):
    source, sink = Source(sent), Sink()
    tb = graph(source, *middle, sink)
    for block in (source, *middle):
        if buffer_items:
            block.set_min_output_buffer(buffer_items)
            block.set_max_output_buffer(buffer_items)
        if max_noutput_items:
            block.set_max_noutput_items(max_noutput_items)
    packets.run(tb, timeout_s=LIMIT_S)
    return sink.received


def assert_same(received, sent):
    assert [meta for _, meta in received] == [meta for _, meta in sent]
    for (got, _), (expected, _) in zip(received, sent, strict=True):
        assert got.dtype == expected.dtype and np.array_equal(got, expected)


@pytest.mark.parametrize("length", [0, 1, 2, 8191, 8192, 100_000, 1_000_000])
def test_packets_of_any_length_arrive_whole(length):
    sent = messages([length, 3, length])
    assert_same(through(sent, Pass(), Pass()), sent)


@pytest.mark.parametrize("buffer_items", [0, 8192, 32768])
def test_mixed_lengths_arrive_in_order_whatever_the_buffers(buffer_items):
    lengths = np.random.default_rng(1).choice([0, 1, 2, 100, 4095, 8191, 8192, 20_000, 70_000], 60)
    sent = messages(lengths)
    assert_same(through(sent, Pass(), Pass(), buffer_items=buffer_items), sent)


def test_a_limit_of_7_items_a_call_changes_nothing():
    sent = messages([1, 100, 0, 2000, 1, 1])
    assert_same(through(sent, Pass(), max_noutput_items=7), sent)


def test_thousands_of_small_packets_arrive():
    sent = messages(np.random.default_rng(2).integers(0, 4, 5000))
    assert_same(through(sent, Pass(), Pass()), sent)


def test_an_empty_packet_is_one_item_on_the_stream_and_none_in_process():
    seen = []
    vector = blocks.vector_sink_b()
    source, block = (
        Source(messages([0, 5, 0])),
        Pass(work=lambda array, meta: (seen.append(len(array)), array, meta)[1:]),
    )
    packets.run(graph(source, block, vector), timeout_s=LIMIT_S)
    assert seen == [0, 5, 0]
    assert len(vector.data()) == 7
    metas = [
        json.loads(bytes(pmt.u8vector_elements(tag.value))) for tag in vector.tags() if str(tag.key) == "packet_meta"
    ]
    assert metas == [{"id": 0, "empty": True}, {"id": 1}, {"id": 2, "empty": True}]


def test_tags_survive_native_blocks_that_keep_them():
    sent = messages([5, 0, 30_000, 1])
    assert_same(through(sent, blocks.copy(1), Pass(), blocks.throttle(1, 1e8)), sent)


def test_meta_of_numpy_values_arrives_as_plain_json():
    meta = {"id": 0, "ok": np.array([1, 0]), "x": np.float32(0.5), "name": "Bäume", "nested": {"a": [None, True]}}
    received = through([(items(3), meta)])
    assert received[0][1] == {**meta, "ok": [1, 0], "x": 0.5}


def test_tags_need_no_meta():
    tb = gr.top_block()
    sink = Sink()
    tags = [gr.python_to_tag({"offset": n, "key": pmt.intern("packet_len"), "value": pmt.from_long(2)}) for n in (0, 2)]
    source = blocks.vector_source_b([1, 2, 3, 4], tags=tags)
    tb.connect(source, sink)
    packets.run(tb, timeout_s=LIMIT_S)
    assert [(list(array), meta) for array, meta in sink.received] == [([1, 2], {}), ([3, 4], {})]


def test_a_slow_sink_holds_the_source_back():
    made = []

    def endless():
        for number in range(200):
            made.append(number)
            yield items(10_000, number), {"id": number}

    source, sink = Source(endless()), Sink(delay=0.002)
    ahead = []
    process = sink.process

    def watched(*arrays, meta):
        ahead.append(made[-1] - meta["id"])
        return process(*arrays, meta=meta)

    sink.process = watched
    packets.run(graph(source, Pass(), sink), timeout_s=LIMIT_S)
    assert [meta["id"] for _, meta in sink.received] == list(range(200))
    assert max(ahead) < 20  # two buffers of 32k items, and what the blocks hold


@pytest.mark.parametrize("lengths", [[0, 1, 2, 3], [100_000, 5, 400_000, 0, 8192], [7] * 2000])
def test_splits_and_joins_of_unequal_lengths_neither_lose_nor_deadlock(lengths):
    sent = messages(lengths)
    source, first, second, sink = Source(sent), [Split(), Join()], [Split(), Join()], Sink()
    tb = gr.top_block()
    left, delayed = source, Pass()
    for split, join in (first, second):
        tb.connect(left, split)
        tb.connect((split, 0), (join, 0))
        tb.connect((split, 1), (join, 1))
        if split is second[0]:
            tb.connect((split, 2), delayed, (join, 2))
        else:
            tb.connect((split, 2), (join, 2))
        left = join
    tb.connect(left, sink)
    packets.run(tb, timeout_s=LIMIT_S)
    assert_same(sink.received, sent)


def test_metas_of_several_inputs_are_merged_left_to_right():
    tb = gr.top_block()
    sink = Sink(inputs=2)
    sources = [Source([(items(2), {"a": 1, "b": 1})]), Source([(items(90_000), {"b": 2})])]
    for port, source in enumerate(sources):
        tb.connect(source, (sink, port))
    packets.run(tb, timeout_s=LIMIT_S)
    assert sink.received[0][-1] == {"a": 1, "b": 2}


def test_a_head_block_may_end_the_stream_early():
    source, sink = Source(messages([40_000] * 50)), blocks.null_sink(1)
    packets.run(graph(source, Pass(), blocks.head(1, 100_000), sink), timeout_s=LIMIT_S)


def test_finish_is_called_once():
    sink = Sink()
    packets.run(graph(Source(messages([3])), sink), timeout_s=LIMIT_S)
    assert sink.finished == 1


class Waiting(PacketBlock):
    """Sends what is posted to it, and ends with the message "end"."""

    def __init__(self):
        super().__init__("test_waiting", (), (BYTES,))
        self.queue = []
        self.gateway.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self.take)

    def take(self, message):
        self.queue.append(message)

    def packets(self):
        while True:
            if not self.queue:
                yield None
            elif pmt.is_integer(self.queue[0]):
                number = pmt.to_long(self.queue.pop(0))
                yield items(number), {"id": number}
            else:
                return


def test_a_source_that_yields_none_waits_and_goes_on_when_a_message_arrives():
    source, sink = Waiting(), Sink()

    def then_more(array, meta):
        # The next message is posted when the last one has come through: the source has nothing to do in between.
        number = meta["id"]
        source.gateway.post(pmt.intern("in"), pmt.from_long(number + 1) if number < 40 else pmt.intern("end"))
        return array, meta

    prepare = source.prepare
    source.prepare = lambda: (prepare(), source.gateway.post(pmt.intern("in"), pmt.from_long(0)))
    packets.run(graph(source, Pass(work=then_more), sink), timeout_s=LIMIT_S)
    assert [meta["id"] for _, meta in sink.received] == list(range(41))


def test_a_source_that_waits_for_ever_can_be_stopped():
    with pytest.raises(TimeoutError):
        packets.run(graph(Waiting(), Pass(), Sink()), timeout_s=0.3)
    assert packets._faults.current is None


def test_a_process_that_is_a_generator_sends_any_number_of_packets():
    def copies(array, meta):
        for copy in range(meta["id"] % 4):
            if copy == 1:
                yield None
            yield array, {**meta, "copy": copy}

    sent = messages([5, 0, 100_000, 3, 7, 1, 20_000, 9])
    received = through(sent, Pass(work=copies), Pass())
    expected = [(array, {**meta, "copy": copy}) for array, meta in sent for copy in range(meta["id"] % 4)]
    assert_same(received, expected)


def test_what_a_generator_raises_stops_the_flowgraph():
    def fails(array, meta):
        yield array, meta
        raise ArithmeticError("second packet")

    with pytest.raises(FlowgraphError, match="second packet"):
        packets.run(graph(Source(messages([5] * 3)), Pass(work=fails), Sink()), timeout_s=LIMIT_S)


def fail(array, meta):
    if meta["id"] == 2:
        raise ArithmeticError("two is too many")
    return array, meta


def test_an_exception_in_process_is_raised_by_run_with_its_cause(capfd):
    endless = ((items(50_000, n), {"id": n}) for n in range(10**9))
    with pytest.raises(FlowgraphError, match=r"bad_block\(\d+\) .* after 2 packets: two is too many") as caught:
        packets.run(graph(Source(endless), Pass(), Pass("bad_block", fail), Pass(), Sink()), timeout_s=LIMIT_S)
    assert isinstance(caught.value.__cause__, ArithmeticError)
    assert "ArithmeticError: two is too many" in capfd.readouterr().err
    sent = messages([1, 2])
    assert_same(through(sent, Pass()), sent)  # the next flowgraph is not affected


def test_a_fault_stays_known_however_late_the_other_blocks_start():
    def broken():
        raise ArithmeticError("at once")
        yield

    late = Pass()
    late.prepare = lambda: threading.Event().wait(0.3)
    with pytest.raises(FlowgraphError, match="at once"):
        packets.run(graph(Source(broken()), late, Sink()), timeout_s=LIMIT_S)
    assert packets._faults.current is not None


def test_an_exception_in_a_source_or_at_the_start_is_raised_by_run():
    def broken():
        yield items(3), {"id": 0}
        raise ArithmeticError("source")

    with pytest.raises(FlowgraphError, match=r"test_source.*source"):
        packets.run(graph(Source(broken()), Pass(), Sink()), timeout_s=LIMIT_S)

    def unprepared():
        raise ArithmeticError("no model")

    for place in range(3):
        chain = [Source(messages([5] * 10)), Pass(), Sink()]
        chain[place].prepare = unprepared
        with pytest.raises(FlowgraphError, match="no model"):
            packets.run(graph(*chain), timeout_s=LIMIT_S)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda a, m: a, "expected 1 arrays and the meta"),
        (lambda a, m: (a.astype(float), m), r"must be an array uint8 \[n\], not float64 \[3\]"),
        (lambda a, m: (a[None], m), r"not uint8 \[1, 3\]"),
        (lambda a, m: (list(a), m), "not list"),
        (lambda a, m: (a, {"x": float("nan")}), "JSON"),
    ],
)
def test_a_wrong_result_of_process_names_what_was_expected(result, message):
    with pytest.raises(FlowgraphError, match=message):
        packets.run(graph(Source(messages([3])), Pass(work=result), Sink()), timeout_s=LIMIT_S)


def tagged(data, tags):
    made = [
        gr.python_to_tag({"offset": offset, "key": pmt.intern("packet_len"), "value": pmt.from_long(length)})
        for offset, length in tags
    ]
    return blocks.vector_source_b(data, tags=made)


@pytest.mark.parametrize("middle", [0, 1])
@pytest.mark.parametrize(
    ("count", "tags", "message"),
    [
        (30, [(0, 10), (10, 30)], "ended 20 items into a packet of 30"),
        (1, [(0, 30)], "ended 1 items into a packet of 30"),
        (50_000, [(0, 50_001)], "ended 50000 items into a packet of 50001"),
        (30, [(0, 10), (20, 10)], "no packet_len tag on item 10"),
        (30, [], "no packet_len tag on item 0"),
        (30, [(0, 20), (10, 10)], "a new packet begins at item 10, 0 items into a packet of 20"),
        (30, [(0, 0)], "is 0: at least 1"),
    ],
)
def test_a_stream_that_is_not_whole_packets_is_a_fault(middle, count, tags, message):
    chain = [tagged([0] * count, tags), *(Pass() for _ in range(middle)), Sink()]
    with pytest.raises(FlowgraphError, match=message):
        packets.run(graph(*chain), timeout_s=LIMIT_S)


@pytest.mark.parametrize("counts", [(3, 2), (2, 3)])
def test_inputs_with_unequal_numbers_of_packets_are_a_fault(counts):
    tb = gr.top_block()
    sink = Sink(inputs=2)
    sources = [Source(messages([10] * count)) for count in counts]
    for port, source in enumerate(sources):
        tb.connect(source, (sink, port))
    with pytest.raises(FlowgraphError, match="ended while input"):
        packets.run(tb, timeout_s=LIMIT_S)


def test_native_chains_of_the_same_flowgraph_are_stopped_too():
    tb = graph(Source(messages([3] * 5)), Pass("bad_block", fail), Sink())
    tb.native = (blocks.null_source(1), blocks.throttle(1, 1e6), blocks.null_sink(1))
    tb.connect(*tb.native)
    with pytest.raises(FlowgraphError, match="bad_block"):
        packets.run(tb, timeout_s=LIMIT_S)


def test_run_gives_up_after_its_timeout():
    endless = ((items(100), {"id": n}) for n in range(10**9))
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match="0.3 s"):
        packets.run(graph(Source(endless), Pass(), Sink()), timeout_s=0.3)
    assert time.monotonic() - begun < 10


def test_a_flowgraph_stopped_in_mid_packet_starts_again_from_a_clean_state():
    source, sink = Source([]), Sink()
    tb = graph(source, Pass(), Pass(), sink)
    for _ in range(5):
        begun = threading.Event()

        def endless(begun=begun):
            for number in range(10**9):
                yield items(200_000), {"id": number}
                if number > 1:
                    begun.set()

        source.messages = endless()
        tb.start()
        assert begun.wait(LIMIT_S)
        tb.stop()
        tb.wait()
        assert packets._faults.current is None
    source.messages = sent = messages([100_000, 0, 7])
    sink.received.clear()
    packets.run(tb, timeout_s=LIMIT_S)
    assert_same(sink.received, sent)


def test_blocks_kept_as_attributes_survive_garbage_collection():
    sent = messages([10_000, 5])
    tb = graph(Source(sent), *(Pass() for _ in range(5)), Sink())
    gc.collect()
    packets.run(tb, timeout_s=LIMIT_S)
    gc.collect()
    assert_same(tb.kept[-1].received, sent)


def test_many_flowgraphs_run_one_after_another():
    for number in range(50):
        sent = messages([number, 5000])
        assert_same(through(sent, Pass()), sent)


PROGRAM = """
    import sys
    import numpy as np
    from gnuradio import gr, blocks
    from gnuradio.semcom.packets import PacketBlock
    from gnuradio.semcom.stage import Port
    PORT = Port("bytes", np.uint8)

    class source(PacketBlock):
        def __init__(self):
            super().__init__("plain_source", (), (PORT,))
        def packets(self):
            for number in range(10**9):
                yield np.zeros(1000, np.uint8), {"id": number}

    class faulty(PacketBlock):
        def __init__(self):
            super().__init__("faulty_block", (PORT,), (PORT,))
        def process(self, array, meta):
            if meta["id"] == 5:
                raise ArithmeticError("five is too many")
            return array, meta

    tb = gr.top_block()
    chain = source(), faulty(), blocks.null_sink(1)
    tb.connect(*chain)
    native = blocks.null_source(1), blocks.throttle(1, 1e5), blocks.null_sink(1)
    tb.connect(*native)
    tb.run()
    print("ended")
"""


def test_a_plain_program_whose_block_fails_ends_with_status_1_and_names_the_block():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 1
    assert "faulty_block" in done.stderr and "ArithmeticError: five is too many" in done.stderr
    assert done.stdout == "ended\n"


def test_a_plain_program_that_works_ends_with_status_0_and_prints_nothing():
    program = textwrap.dedent(PROGRAM).replace("== 5", "== -1").replace("10**9", "100")
    program = program.replace("tb.connect(*native)\n", "")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


def test_lock_and_unlock_while_running_are_refused_by_name():
    # Without a wait() in another thread: GNU Radio itself crashes when unlock() replaces the threads waited for.
    program = textwrap.dedent(PROGRAM).replace("== 5", "== -1")
    program = program.replace("tb.connect(*native)\ntb.run()", LOCKED)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout) == (1, "ended\n")
    assert "lock() and unlock() of a running flowgraph" in done.stderr
    assert "plain_source" in done.stderr or "faulty_block" in done.stderr


LOCKED = """
tb.start()
while not chain[0].packet_count > 100:
    pass
tb.lock()
tb.connect(*native)
tb.unlock()
tb.wait()
"""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Several speakers on one channel."""

import numpy as np
import pytest
from gnuradio import gr

from gnuradio.semcom import packets
from gnuradio.semcom.blocks.collect_sink import collect_sink
from gnuradio.semcom.blocks.message_source import message_source
from gnuradio.semcom.blocks.speakers_in_turn import speakers_in_turn


def graph(lengths):
    tb = gr.top_block()
    turns, sink = speakers_in_turn(len(lengths)), collect_sink(dtype=np.float32)
    kept = [turns]  # GNU Radio does not keep blocks of Python alive
    for number, sizes in enumerate(lengths):
        said = [
            (np.full(size, number, np.float32), {"id": place, "source": 1000 + number, "name": f"{number}-{place}"})
            for place, size in enumerate(sizes)
        ]
        kept.append(message_source(said, np.float32))
        tb.connect(kept[-1], (turns, number))
    tb.connect(turns, sink)
    return tb, sink, kept


def test_one_utterance_of_each_and_then_the_next_numbered_through():
    tb, sink, _kept = graph([(5, 100_000), (70_000, 1), (3, 3)])
    packets.run(tb, 30)
    assert [(len(array), int(array[0]), meta["speaker"], meta["id"]) for array, meta in sink.received] == [
        (5, 0, 0, 0), (70_000, 1, 1, 1), (3, 2, 2, 2), (100_000, 0, 0, 3), (1, 1, 1, 4), (3, 2, 2, 5)
    ]  # fmt: skip
    assert [meta["name"] for _, meta in sink.received] == ["0-0", "1-0", "2-0", "0-1", "1-1", "2-1"]
    assert len({meta["source"] for _, meta in sink.received}) == 1


def test_a_speaker_who_stops_earlier_is_a_fault():
    tb, _sink, _kept = graph([(5,), (5, 5)])
    with pytest.raises(packets.FlowgraphError, match="goes on"):
        packets.run(tb, 30)


@pytest.mark.parametrize("speakers", [1, 9])
def test_two_to_eight_speakers(speakers):
    with pytest.raises(ValueError, match="from 2 to 8"):
        speakers_in_turn(speakers)

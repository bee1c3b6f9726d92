# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of stages as a GNU Radio top block: message source, one block a stage, sink."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

from gnuradio import gr
from numpy.typing import NDArray

from .. import packets
from ..blocks.collect_sink import collect_sink
from ..blocks.harq import harq_receiver, harq_transmitter
from ..blocks.message_source import message_source
from ..blocks.stage_block import StageBlock
from ..message import Meta
from ..phy.harq import HarqDecoder, HarqEncoder
from ..stage import Stage


class LinkGraph(gr.top_block):
    """The flowgraph of a link. Blocks stay attributes: GNU Radio does not keep Python blocks alive."""

    def __init__(self, source: Any, stages: list[Stage], deliver: Any, buffer_items: int = 0) -> None:
        gr.top_block.__init__(self, "semcom link")
        self.source = message_source(source, stages[0].inputs[0].dtype)
        self.blocks = [_block(stage) for stage in stages]
        self.sink = collect_sink(deliver, stages[-1].outputs[0].dtype)
        chain = [self.source, *self.blocks, self.sink]
        for left, right in zip(chain, chain[1:], strict=False):
            for port in range(right.input_count):
                self.connect((left, port), (right, port))
        ends = [block for block in self.blocks if isinstance(block, harq_receiver | harq_transmitter)]
        if ends:
            self.msg_connect((ends[1], "feedback"), (ends[0], "feedback"))
        if buffer_items:
            for block in chain[:-1]:
                block.set_min_output_buffer(buffer_items)
                block.set_max_output_buffer(buffer_items)


def _block(stage: Stage) -> packets.PacketBlock:
    if isinstance(stage, HarqEncoder):
        return harq_transmitter(stage.mcs, stage.max_transmissions, stage.block_bits, stage.interleave)
    if isinstance(stage, HarqDecoder):
        return harq_receiver(stage.max_iterations)
    return StageBlock(stage)


def stream(
    source: Iterator[tuple[NDArray[Any], Meta]], stages: list[Stage], buffer_items: int, timeout_s: float | None
) -> Iterator[tuple[NDArray[Any], Meta, float]]:
    """Run the flowgraph in a thread and give its packets as they come, with the time since the one before."""
    arrived: queue.Queue[tuple[NDArray[Any], Meta] | None] = queue.Queue()
    graph = LinkGraph(source, stages, lambda array, meta: arrived.put((array, meta)), buffer_items)
    fault: list[BaseException] = []

    def work() -> None:
        try:
            packets.run(graph, timeout_s=timeout_s)
        except BaseException as error:  # handed to the caller's thread below
            fault.append(error)
        arrived.put(None)

    thread = threading.Thread(target=work, name="semcom link", daemon=True)
    last = time.perf_counter()
    thread.start()
    try:
        while (item := arrived.get()) is not None:
            now = time.perf_counter()
            yield *item, now - last
            last = now
    finally:
        if thread.is_alive():
            graph.stop()
            thread.join(10)
    if fault:
        raise fault[0]

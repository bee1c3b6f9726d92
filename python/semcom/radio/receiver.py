# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiving end: the samples of a radio, a pipe or a recording to messages.

    source -> [recording] -> [simulated air] -> burst receiver -> queue -> decoder of the system that the header names

Samples are taken in the flowgraph's threads, messages decoded in the caller's: a slow network does not make a radio
lose samples as long as the queue has room.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
from gnuradio import blocks, gr
from numpy.typing import NDArray

from .. import packets
from ..blocks.burst_receiver import _ESTIMATES, _SampleReader, burst_receiver
from ..message import Meta
from ..packets import PacketBlock
from ..phy.burst import Burst, burst_samples
from ..phy.detection import THRESHOLD
from ..phy.stages import Deframer
from ..stage import Arrays, Port
from .air_block import air_block
from .opener import checked
from .pipes import Ending
from .simulated_air import Impairments

QUEUE = 256  # messages that may wait for a decoder
MOST_BYTES = 1 << 28  # of them; a single one may be larger
_SAMPLES = Port("samples", np.complex64)
_WAIT_S = 0.05


class message_receiver(burst_receiver):
    """A burst receiver that hands the parts of each message, and its meta, to `deliver` instead of to ports.

    It trusts no description, and says in the meta when a burst was found, `found_at`. GNU Radio keeps the tags of as
    many items as a buffer has: ports with one item a message would keep those of 32,768 messages.
    """

    def __init__(self, deliver: Callable[[Arrays, Meta], object], threshold: float = THRESHOLD) -> None:
        PacketBlock.__init__(self, "message_receiver", (_SAMPLES,), ())
        self.deframer = Deframer("both")
        self._readers = [_SampleReader(self.gateway, 0, _SAMPLES)]
        self.message_port_register_out(_ESTIMATES)
        self.deliver, self.system, self.threshold = deliver, "", threshold
        self.prepare()

    def prepare(self) -> None:
        """Forget what was before."""
        super().prepare()
        self.reasons: list[str] = []

    def process(self, *arrays: NDArray[Any], meta: Meta) -> None:  # type: ignore[override]
        """A piece of the stream."""
        for burst in self.receiver.push(arrays[0]):
            message = self.accept(burst)
            if message is not None:
                self.deliver(message[:-1], message[-1])

    def accept(self, burst: Burst | Any) -> tuple[Any, ...] | None:
        """As a burst receiver."""
        if not isinstance(burst, Burst):
            if len(self.reasons) < 100:
                self.reasons.append(burst.reason)
            return super().accept(burst)
        message = super().accept(checked(burst))
        if message is None:
            return None
        samples = burst_samples(burst.header.payload_symbols, burst.strength, burst.header.description)
        return (*message[:-1], {**message[-1], "found_at": time.time(), "samples": samples})


def octets(arrays: Arrays) -> int:
    """The memory that arrays take."""
    return sum(array.nbytes for array in arrays)


class Receiver(gr.top_block):
    """The flowgraph that receives from `source`, a block of complex64; `record` is a file for its samples."""

    def __init__(
        self,
        source: Any,
        air: Impairments | None = None,
        record: Path | None = None,
        threshold: float = THRESHOLD,
        ending: Ending | None = None,
    ) -> None:
        gr.top_block.__init__(self, "semcom rx")
        self.source, self.ending = source, ending or Ending()
        self.waiting: queue.Queue[tuple[Arrays, Meta] | None] = queue.Queue(maxsize=QUEUE)
        self._put_bytes = self._taken_bytes = 0  # each counted by one thread
        self.receiver = message_receiver(self._put, threshold)
        self.air = air_block(air) if air is not None else None
        self.recorder = blocks.file_sink(np.dtype(np.complex64).itemsize, str(record)) if record else None
        if self.recorder is not None:
            self.connect(source, self.recorder)
        self.connect(*[source, *([self.air] if self.air is not None else []), self.receiver])

    def _put(self, arrays: Arrays, meta: Meta) -> None:
        """Take one message; waits while there is no room."""
        size = octets(arrays)
        while not self.ending.over.is_set():
            held = self._put_bytes - self._taken_bytes
            if held and held + size > MOST_BYTES:
                self.ending.over.wait(_WAIT_S)
                continue
            try:
                self.waiting.put((arrays, meta), timeout=_WAIT_S)
            except queue.Full:
                continue
            self._put_bytes += size
            return

    @property
    def counts(self) -> dict[str, int]:
        """What was seen so far: of samples, preambles and headers, and of messages."""
        return {**self.receiver.receiver.counts, **self.receiver.counts}

    def missing(self) -> list[tuple[int, tuple[int, ...]]]:
        """At the end: the numbers that were still awaited, by system id."""
        return [(system, watch.finish()) for (system, _), watch in self.receiver.watches.items()]

    def messages(self) -> Generator[tuple[Arrays, Meta] | None, None, None]:
        """The parts of each message and its meta as they come; None each time a moment passes without any.

        Ends when the source does. Closing the generator stops the flowgraph. FlowgraphError where a block failed.
        """
        fault: list[BaseException] = []

        def work() -> None:
            try:
                packets.run(self)
            except BaseException as error:  # handed to the caller's thread below
                fault.append(error)

        thread = threading.Thread(target=work, name="semcom rx", daemon=True)
        thread.start()
        try:
            while True:
                alive = thread.is_alive()  # before the queue is asked: what comes before the end is in it
                try:
                    item = self.waiting.get(timeout=_WAIT_S)
                except queue.Empty:
                    if not alive:
                        break
                    yield None
                    continue
                if item is not None:
                    self._taken_bytes += octets(item[0])
                yield item
        finally:
            self.ending.over.set()
            if thread.is_alive():
                self.stop()
                thread.join(10)
        if fault:
            raise fault[0]

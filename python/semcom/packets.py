# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets of any length through a GNU Radio stream: the one base class of all our blocks.

A packet is a run of items whose first one carries two tags: `packet_len`, a PMT long, and `packet_meta`, a PMT
u8vector with the packet's meta as JSON. Packets may be longer than any buffer: pieces stream through. A packet
has at least one item, so an empty array travels as one zero item with `empty` in its meta; subclasses see length 0.

`run` runs a top block to its end and raises what went wrong in it.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from numpy.typing import NDArray

from . import pmt_vectors
from .message import Meta
from .stage import Port

LENGTH_TAG = "packet_len"
META_TAG = "packet_meta"
BUFFER_ITEMS = 32768
STEP_SECONDS = 0.01  # a call ends after this time, so that a slow block does not hold finished packets back
WAIT_SECONDS = 0.0002  # between two questions to a block that waits for a message; they arrive only in between
SCAN_ITEMS = 4096  # how far ahead tags are fetched: each tag once, and never a whole buffer of them in one go
STOP_SECONDS = 10.0

_LENGTH = pmt.intern(LENGTH_TAG)
_META = pmt.intern(META_TAG)
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=lambda value: value.tolist())


class PacketError(ValueError):
    """A stream that does not consist of whole packets."""


class FlowgraphError(RuntimeError):
    """A packet block stopped the flowgraph; the cause is chained."""


def encode_meta(meta: Meta) -> bytes:
    """Meta as it travels: JSON, in which numpy values become numbers and lists; ValueError for NaN and infinities."""
    return _ENCODER.encode(meta).encode()


class _Faults:
    """What went wrong, for the whole process: while `current` is set every packet block returns WORK_DONE."""

    def __init__(self) -> None:
        self.current: FlowgraphError | None = None
        self.unreported = False
        self.runs: list[list[FlowgraphError]] = []
        self.lock = threading.Lock()
        self.stopper = threading.Thread()

    def report(self, block: PacketBlock, error: BaseException) -> None:
        """Print the traceback, raise the flag and stop every top block there is; only the first fault counts."""
        fault = FlowgraphError(f"{block.title} stopped the flowgraph after {block.packet_count} packets: {error}")
        fault.__cause__ = error
        with self.lock:
            if self.current is not None:
                return
            self.current = fault
            self.unreported = self.unreported or not self.runs
            for faults in self.runs:
                faults.append(fault)
        traceback.print_exception(fault)
        # A block does not know its top block, and native chains beside ours would run on for ever. They are looked
        # up now, while this block still runs, so that no later flowgraph is hit; they are stopped in another thread,
        # because stop() takes a lock that unlock() holds while it waits for this one.
        top_blocks = [o for o in gc.get_objects() if issubclass(type(o), gr.top_block) and "_impl" in vars(o)]
        stopper = threading.Thread(target=lambda: [tb.stop() for tb in top_blocks], name="semcom stop", daemon=True)
        stopper.start()
        self.stopper = stopper

    def exit(self) -> None:
        """At exit: a flowgraph that failed under a plain `run()` must not look like a success."""
        if self.unreported:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)


_faults = _Faults()
atexit.register(_faults.exit)
report_fault = _faults.report  # for message handlers, whose exceptions GNU Radio only logs


def run(tb: gr.top_block, timeout_s: float | None = None) -> None:
    """Run a top block until it has finished.

    Raises FlowgraphError, with its cause, if a packet block failed, and TimeoutError after `timeout_s` seconds.
    """
    faults: list[FlowgraphError] = []
    finished = threading.Event()

    def wait() -> None:
        tb.wait()
        finished.set()

    with _faults.lock:
        _faults.runs.append(faults)
    try:
        tb.start()
        threading.Thread(target=wait, name="semcom wait", daemon=True).start()
        begun = time.monotonic()
        # Short waits, because only they let Ctrl-C through.
        while not finished.wait(0.1) and not faults:
            if timeout_s is not None and time.monotonic() - begun > timeout_s:
                raise TimeoutError(f"the flowgraph did not finish within {timeout_s} s")
    finally:
        if not finished.is_set():
            tb.stop()
            finished.wait(STOP_SECONDS)
        if _faults.stopper.is_alive():
            _faults.stopper.join(STOP_SECONDS)
        with _faults.lock:
            # By identity: two runs that saw the same fault have equal lists.
            _faults.runs = [other for other in _faults.runs if other is not faults]
    if faults:
        raise faults[0]


@cache
def home_processor() -> int:
    """The processor that all light blocks of this process share.

    The interpreter lock lets one of them work at a time anyway, and handing it to another processor costs more than a
    packet does: together on one they are twice as fast. Processes spread over the processors they may use.
    """
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[os.getpid() % len(allowed)]


class Reader:
    """One input port: the packet being read, which may come in many pieces.

    The last item read of an unfinished packet stays in the buffer: GNU Radio ends a block whose input has ended,
    and would end it while it still holds output.
    """

    def __init__(self, gateway: Any, number: int, port: Port) -> None:
        self.number, self.port, self.label = number, port, f"input {number} ({port.name})"
        self.tags_in_range = gateway.get_tags_in_range
        self.reset()

    def reset(self) -> None:
        """Back to the beginning of the stream."""
        self.base = self.next = self.scanned = 0  # in items since the start: window, next item, end of known tags
        self.lengths: deque[tuple[int, int]] = deque()
        self.metas: dict[int, bytes] = {}
        self.release()

    def release(self) -> None:
        """The packet is done with: its last item may go."""
        self.packet: NDArray[Any] | None = None
        self.filled = 0
        self.whole = False
        self.meta: Meta = {}

    @property
    def held(self) -> int:
        """Items read that must stay in the buffer."""
        return 1 if self.filled else 0

    def pull(self, window: NDArray[Any]) -> bool:
        """Copy what the window has of the packet; True when the packet is whole."""
        end = self.base + len(window)
        while not self.whole:
            if self.next == end:
                return False
            if self.next == self.scanned:
                self.scan(min(end, self.scanned + SCAN_ITEMS))
            if self.packet is None:
                self.packet = self.begin()
            stop = min(self.scanned, self.next + len(self.packet) - self.filled)
            if self.lengths and self.lengths[0][0] < stop:
                raise PacketError(
                    f"{self.label}: a new packet begins at item {self.lengths[0][0]}, {self.filled} items into "
                    f"a packet of {len(self.packet)}"
                )
            count = stop - self.next
            self.packet[self.filled : self.filled + count] = window[self.next - self.base : stop - self.base]
            self.filled += count
            self.next = stop
            self.whole = self.filled == len(self.packet)
        return True

    def scan(self, end: int) -> None:
        """Fetch the tags up to item `end`."""
        for tag in self.tags_in_range(self.number, self.scanned, end):
            if pmt.eq(tag.key, _LENGTH):
                self.lengths.append((tag.offset, pmt.to_long(tag.value)))
            elif pmt.eq(tag.key, _META):
                self.metas[tag.offset] = pmt_vectors.to_bytes(tag.value)
        self.scanned = end

    def begin(self) -> NDArray[Any]:
        """The array for the packet that begins at the next item; takes its meta."""
        if not self.lengths or self.lengths[0][0] != self.next:
            raise PacketError(f"{self.label}: no {LENGTH_TAG} tag on item {self.next}, where a packet must begin")
        length = self.lengths.popleft()[1]
        if length < 1:
            raise PacketError(f"{self.label}: {LENGTH_TAG} on item {self.next} is {length}: at least 1 was expected")
        self.meta = self.parse(self.metas.pop(self.next, b"{}"), self.next)
        return np.empty(length, self.port.dtype)

    def parse(self, meta: bytes, offset: int) -> Meta:
        """The meta that was found on item `offset`."""
        try:
            return json.loads(meta)
        except ValueError as error:
            raise PacketError(f"{self.label}: {META_TAG} on item {offset} is not JSON: {error}") from error

    def array(self) -> NDArray[Any]:
        """The whole packet."""
        assert self.packet is not None
        return self.packet[:0] if self.meta.pop("empty", False) else self.packet

    def close_window(self) -> int:
        """Number of items to consume."""
        base, self.base = self.base, self.next - self.held
        return self.base - base

    def more(self) -> bool:
        """Whether a packet that has not been begun is waiting."""
        return bool(self.lengths or self.tags_in_range(self.number, self.next, self.next + 1))

    def check_end(self) -> None:
        """PacketError if the stream has ended inside a packet."""
        if self.packet is not None:
            raise PacketError(
                f"{self.label}: the stream ended {self.filled} items into a packet of {len(self.packet)}"
            )


class _Writer:
    """One output port: the packet being written."""

    def __init__(self, gateway: Any, number: int, port: Port) -> None:
        self.number, self.port = number, port
        self.add_tag = gateway.add_item_tag
        self.reset()

    def reset(self) -> None:
        self.base = self.next = 0  # in items since the start
        self.packet: NDArray[Any] = np.zeros(0, self.port.dtype)
        self.position = 0

    def put(self, array: NDArray[Any], meta: Meta) -> None:
        """Take a packet, and put its tags on the item that comes next."""
        if not isinstance(array, np.ndarray) or array.dtype != self.port.dtype or array.ndim != 1:
            found = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
            wanted = f"{np.dtype(self.port.dtype)} [n]"
            raise PacketError(f"output {self.number} ({self.port.name}) must be an array {wanted}, not {found}")
        if not len(array):
            array, meta = np.zeros(1, self.port.dtype), {**meta, "empty": True}
        self.packet, self.position = array, 0
        self.add_tag(self.number, self.next, _LENGTH, pmt.from_long(len(array)))
        self.add_tag(self.number, self.next, _META, pmt_vectors.from_bytes(encode_meta(meta)))

    def push(self, window: NDArray[Any]) -> bool:
        """Copy into the window what fits of the packet; True when the packet is out."""
        begin = self.next - self.base
        piece = self.packet[self.position : self.position + len(window) - begin]
        window[begin : begin + len(piece)] = piece
        self.position += len(piece)
        self.next += len(piece)
        return self.position == len(self.packet)

    def close_window(self) -> int:
        """Number of items produced."""
        base, self.base = self.base, self.next
        return self.next - base


class PacketBlock(gr.basic_block):
    """Base of all blocks: whole packets in, whole packets out, one on each port at a time.

    A subclass defines `process`; one without inputs defines `packets` instead. A `process` that is a generator sends
    any number of packets for one that it was given; while it or `packets` yields None it is asked again and again.
    Inputs are read in port order and outputs written in port order, which keeps splits and joins of such blocks free
    of deadlocks. Only the two packet tags travel. A `heavy` block, one that spends its time outside the interpreter,
    gets any processor; the others share one. Whatever a subclass raises stops the flowgraph and is printed; see `run`.
    """

    def __init__(self, name: str, inputs: Sequence[Port], outputs: Sequence[Port], heavy: bool = False) -> None:
        gr.basic_block.__init__(self, name, [port.dtype for port in inputs], [port.dtype for port in outputs])
        self.input_count, self.output_count = len(inputs), len(outputs)
        self.packet_count = 0
        self._readers = [Reader(self.gateway, number, port) for number, port in enumerate(inputs)]
        self._writers = [_Writer(self.gateway, number, port) for number, port in enumerate(outputs)]
        self._writing = False
        self._starved = False
        self._pending: Iterator[tuple[Any, ...] | None] | None = None  # a `process` with more to send
        self._start_error: Exception | None = None
        self._detail: Any = None
        self._source: Iterator[tuple[Any, ...] | None] | None = None
        self.gateway.set_log_level("warn")  # set_min_output_buffer prints a line on stdout
        self.gateway.set_tag_propagation_policy(gr.TPP_DONT)
        if not heavy:
            self.gateway.set_processor_affinity([home_processor()])
        if outputs:
            self.gateway.set_min_output_buffer(BUFFER_ITEMS)

    @property
    def title(self) -> str:
        """Name and number of this block, for messages."""
        return f"{self.gateway.name()}({self.gateway.unique_id()})"

    # What subclasses define.

    def prepare(self) -> None:
        """Load what is slow; called whenever the flowgraph starts."""

    def process(self, *arrays: NDArray[Any], meta: Meta) -> tuple[Any, ...] | None:
        """One packet: an array [n] for each input and the merged meta, to an array for each output, then the meta.

        A generator yields any number of such results, or None to be asked again `WAIT_SECONDS` later.
        """
        raise TypeError(f"{type(self).__name__} does not define process()")

    def packets(self) -> Iterable[tuple[Any, ...] | None]:
        """What a block without inputs sends: an array for each output, then the meta.

        None means that there is nothing yet: GNU Radio asks again when a message has arrived or a quarter of a second
        has passed.
        """
        raise TypeError(f"{type(self).__name__} does not define packets()")

    def finish(self) -> None:
        """Called in the block's thread when the flowgraph has ended."""

    # What GNU Radio calls. Nothing may leave these: an exception would hang the flowgraph.

    def start(self) -> bool:
        """Reset all state. All blocks start before any works, so an old fault can be cleared here."""
        _faults.current = None
        self._start_error = None
        try:
            detail = self.gateway.detail()
            if detail is self._detail:  # start() gets a new one each time, unlock() keeps it and clears its tags
                raise PacketError("lock() and unlock() of a running flowgraph would cut packets: stop() it first")
            self._detail = detail
            for reader in self._readers:
                reader.reset()
            for writer in self._writers:
                writer.reset()
            self._writing = self._starved = False
            self._pending = None
            self.packet_count = 0
            self.prepare()
            self._source = None if self._readers else iter(self.packets())
        except Exception as error:  # reported by the first call that follows, when all blocks have started
            self._start_error = error
        return True

    def stop(self) -> bool:
        """Look for a packet that never became whole, then `finish`."""
        try:
            self._raise_start_error()
            self._check_end()
            self.finish()
        except Exception as error:
            _faults.report(self, error)
        return True

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        """Items needed: a new one at the port being read; none at later ports, which would deadlock."""
        try:
            self._raise_start_error()
        except Exception as error:
            _faults.report(self, error)
        if _faults.current is not None:
            return [0] * ninputs  # makes sure that general_work is called, and ends
        self._starved = noutput_items <= 1  # GNU Radio halves its request down to 1 before it gives a block up
        needed = [0] * ninputs
        for number, reader in enumerate(self._readers):
            needed[number] = 1 if reader.whole else reader.held + 1
            if not reader.whole:
                break
        return needed

    def general_work(self, input_items: list[NDArray[Any]], output_items: list[NDArray[Any]]) -> int:
        """Move packets until an input or an output is exhausted, or `STEP_SECONDS` have passed."""
        self._starved = False
        try:
            self._raise_start_error()
            if _faults.current is not None:
                return gr.WORK_DONE
            ended = self._move(input_items, output_items)
            for reader in self._readers:
                self.gateway.consume(reader.number, reader.close_window())
            produced = [writer.close_window() for writer in self._writers]
            if ended and not any(produced):
                return gr.WORK_DONE
            for number, count in enumerate(produced):
                self.gateway.produce(number, count)
            return gr.WORK_CALLED_PRODUCE
        except Exception as error:
            _faults.report(self, error)
            return gr.WORK_DONE

    def _move(self, input_items: list[NDArray[Any]], output_items: list[NDArray[Any]]) -> bool:
        """True when a source has nothing more."""
        deadline = time.monotonic() + STEP_SECONDS
        while True:
            if not self._writing:
                if self._pending is None:
                    for reader, window in zip(self._readers, input_items, strict=True):
                        if not reader.pull(window):
                            return False
                made = self._make()
                if made is None:
                    return True
                self._writing = made
                if not made and (self._source is not None or self._pending is not None):
                    return False
            if self._writing:
                for writer, window in zip(self._writers, output_items, strict=True):
                    if not writer.push(window):
                        return False
                self._writing = False
            if self._pending is None:
                self.packet_count += 1
                for reader in self._readers:
                    reader.release()
            if time.monotonic() > deadline:
                return False

    def _make(self) -> bool | None:
        """Whether there is a next packet of every output; None when a source has nothing more."""
        if self._source is not None:
            try:
                result = next(self._source)
            except StopIteration:
                return None
            if result is None:
                return False
        elif self._pending is None:
            arrays = [reader.array() for reader in self._readers]
            meta = self._readers[0].meta
            for reader in self._readers[1:]:
                meta = {**meta, **reader.meta}
            result = self.process(*arrays, meta=meta)
            if isinstance(result, Generator):
                self._pending = result
        if self._pending is not None:
            try:
                result = next(self._pending)
            except StopIteration:
                self._pending = None
                return False
            if result is None:
                time.sleep(WAIT_SECONDS)
                return False
        if self._writers:
            if not isinstance(result, tuple) or len(result) != len(self._writers) + 1:
                raise PacketError(f"expected {len(self._writers)} arrays and the meta of a packet, not {result!r:.80}")
            for writer, array in zip(self._writers, result, strict=False):
                writer.put(array, result[-1])
        return True

    def _check_end(self) -> None:
        """PacketError if an input has ended where others, or the packet itself, go on.

        `done` is not set when the user stops the flowgraph. A block also ends when all readers of its output have,
        but only while that output is full: then `general_work` was the last call, not `forecast`.
        """
        upstream_ended = self.gateway.detail().done() and (self._starved or not self._writers)
        if not upstream_ended or self._writing or _faults.current is not None:
            return
        for reader in self._readers:
            if not reader.whole:
                break
        else:
            return
        reader.check_end()
        for other in self._readers:
            if other.filled or other.more():
                raise PacketError(f"{reader.label}: the stream ended while {other.label} goes on")

    def _raise_start_error(self) -> None:
        if self._start_error is not None:
            error, self._start_error = self._start_error, None
            raise error

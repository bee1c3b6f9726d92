# SPDX-License-Identifier: GPL-3.0-or-later
"""The sending end: messages to bursts to a radio, a pipe or a recording.

Two chains in one flowgraph, with a short queue between them, so that samples never wait for a network:

    messages -> encoder -> channel encoder -> mapper -> burst transmitter -> queue
    queue -> bursts and silence -> [simulated air] -> sink
"""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from gnuradio import gr
from numpy.typing import NDArray

from .. import packets
from ..blocks.collect_sink import collect_sink
from ..blocks.message_source import message_source
from ..blocks.stage_block import StageBlock
from ..links.link import phy_defaults
from ..message import Message, Meta
from ..phy import segmentation
from ..phy.burst import largest_payload
from ..phy.burst_stages import BurstTransmitter
from ..phy.description import description_symbols
from ..phy.header import MAX_SYMBOLS
from ..phy.preamble import check_strength
from ..phy.sequence import NUMBERS
from ..phy.stages import ChannelEncoder, Mapper
from ..stage import Arrays, Beside, Stage
from ..systems import registry
from ..systems.stages import Encoder
from .air_block import air_block
from .pipe_blocks import over
from .pipes import Ending
from .simulated_air import Impairments

TAIL = 40_000  # samples of silence behind which a receiver has everything
LEAD = 1_000  # samples of silence before the first burst
_PIECE = 65_536
_RESERVED = 24  # octets of description that `airtime` leaves room for: the shape of a picture
_WAIT_S = 0.02


@dataclass(frozen=True)
class Fitted(Stage):
    """An encoder without a limit; what does not fit into a burst is encoded again within one."""

    heavy: ClassVar = True

    encoder: Encoder

    @property
    def inputs(self) -> Any:  # type: ignore[override]
        """The message."""
        return self.encoder.inputs

    @property
    def outputs(self) -> Any:  # type: ignore[override]
        """The parts of the payload."""
        return self.encoder.outputs

    def prepare(self) -> None:
        """Load the model."""
        self.encoder.prepare()

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """As the encoder."""
        parts, after = self.encoder.run(arrays, meta)
        analog = sum(part.size for part, port in zip(parts, self.outputs, strict=True) if port.name == "symbols")
        coded = segmentation.layout(after["bits"], self.encoder.mcs, code=self.encoder.code).symbols
        if coded + analog <= MAX_SYMBOLS:
            return parts, after
        return replace(self.encoder, airtime=MAX_SYMBOLS).run(arrays, meta)


@dataclass(frozen=True)
class Terse(Stage):
    """Takes out of the meta what any receiver knows without being told: a burst describes what is left.

    The system says of which kind its messages are; only pictures need a shape. A burst above `airtime` symbols in all
    is not sent; 0 is no limit.
    """

    stage: BurstTransmitter
    airtime: int = 0

    @property
    def inputs(self) -> Any:  # type: ignore[override]
        """Those of the transmitter."""
        return self.stage.inputs

    @property
    def outputs(self) -> Any:  # type: ignore[override]
        """Samples."""
        return self.stage.outputs

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """As the transmitter."""
        known = ("kind", "sample_rate") if meta.get("kind") == "image" else ("kind", "sample_rate", "shape")
        samples, after = self.stage.run(arrays, {key: value for key, value in meta.items() if key not in known})
        if samples[0].size and 0 < self.airtime < after["symbols_total"]:
            return (np.zeros(0, np.complex64),), {**after, "reason": "does_not_fit"}
        return samples, after


@dataclass(frozen=True)
class Transmission:
    """How messages are sent. Empty names and numbers below zero are the system's own.

    `airtime` limits `symbols_total` of a burst, 0 does not; `header` is "robust" (to Es/N0 -8 dB) or "short" (to 0 dB);
    `peak_db` limits the peaks, 0 does not; `esn0_db` is what systems that adapt to the channel take it to be.
    ValueError for what the system does not know.
    """

    system: str
    model: str = ""
    mcs: str = ""
    code: str = ""
    interleave: bool = False
    quality: int = -1
    airtime: int = 0
    header: str = "robust"
    peak_db: float = 0.0
    esn0_db: float | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        system = registry.get(self.system)
        for name, value in phy_defaults(self.system).items():
            if name in ("mcs", "code"):
                object.__setattr__(self, name, getattr(self, name) or value)
        object.__setattr__(self, "model", self.model or next(iter(system.models()), ""))
        check_strength(self.header)
        segmentation.layout(1, self.mcs, code=self.code)
        if self.airtime < 0:
            raise ValueError(f"airtime must be a number of symbols above 0, not {self.airtime}")
        system.check(self.encoder().request(0))

    @property
    def payload_airtime(self) -> int:
        """Symbols that `airtime` leaves for the payload; 0 for no limit."""
        if not self.airtime:
            return 0
        left = largest_payload(self.airtime, self.header) - description_symbols(_RESERVED, self.header)
        return max(left, 1)  # nothing fits into one symbol

    def encoder(self) -> Encoder:
        """The first stage."""
        return Encoder(
            self.system, self.model, quality=self.quality, airtime=self.payload_airtime, mcs=self.mcs, code=self.code,
            device=self.device, esn0_db=self.esn0_db,
        )  # fmt: skip

    def stages(self) -> list[Stage]:
        """From message to the samples of a burst."""
        encoder = self.encoder()
        stages: list[Stage] = [encoder if self.airtime else Fitted(encoder)]
        payload = registry.get(self.system).payload
        if payload != "symbols":
            analog = encoder.outputs[1:]
            coder = ChannelEncoder(self.mcs, interleave=self.interleave, code=self.code)
            stages += [Beside(stage, analog) if analog else stage for stage in (coder, Mapper())]
        return [*stages, Terse(BurstTransmitter(payload, self.header, self.peak_db, True), self.airtime)]


def numbers(first: int, per_round: int) -> Iterator[int]:
    """Sequence numbers from `first` on: number modulo `per_round` is the place of the message in its round.

    A receiver that has the same messages as originals finds the one that was sent by that. Below 2^16 they begin anew
    at a whole number of rounds.
    """
    if not 0 <= first < NUMBERS:
        raise ValueError(f"the first number must be from 0 to {NUMBERS - 1}, not {first}")
    end = NUMBERS // per_round * per_round if per_round <= NUMBERS else NUMBERS
    place = first if first < end else 0
    while True:
        yield place
        place = (place + 1) % end


class _BurstCollector(collect_sink):
    """Hands bursts to `deliver`, and calls `done` when the last one has come."""

    def __init__(self, deliver: Callable[[NDArray[Any], Meta], object], done: Callable[[], object]) -> None:
        super().__init__(deliver, np.complex64)
        self.done = done

    def finish(self) -> None:
        """There are no more."""
        self.done()


class Sender(gr.top_block):
    """The flowgraph that sends `messages`, each with its own of `sequence`, into `sink`, a block for complex64.

    `gap` is the silence behind each burst in samples, a number or a function that gives one. With `bursts_only` the
    sink gets bursts without silence, each a packet, at their time: radios fill in the rest themselves. `report` is
    called with a record for each message, in order. Times are seconds since 1970: `read_at` when the message went in,
    `ready_at` when its burst was made, `sent_at` when its first sample was handed on.
    """

    def __init__(
        self,
        messages: Iterable[Message],
        transmission: Transmission,
        sequence: Iterator[int],
        sink: Any,
        gap: int | Callable[[], int] = TAIL,
        air: Impairments | None = None,
        bursts_only: bool = False,
        report: Callable[[dict[str, Any]], object] = lambda record: None,
        ending: Ending | None = None,
        sample_rate_hz: float = 1e6,
    ) -> None:
        gr.top_block.__init__(self, "semcom tx")
        self.transmission, self.sequence, self.report = transmission, sequence, report
        self.gap = gap if callable(gap) else lambda: gap
        self.bursts_only, self.rate = bursts_only, sample_rate_hz
        self.ending = ending or Ending()
        self._queue: queue.Queue[tuple[NDArray[Any], Meta] | None] = queue.Queue(maxsize=4)
        self._known: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._sent = 0  # samples, silence included
        stages = transmission.stages()
        self.source = message_source(self._messages(messages), stages[0].inputs[0].dtype)  # type: ignore[arg-type]
        self.stages = [StageBlock(stage) for stage in stages]
        self.collector = _BurstCollector(self._collect, lambda: self._put(None))
        chain = [self.source, *self.stages, self.collector]
        for left, right in zip(chain, chain[1:], strict=False):
            for port in range(right.input_count):
                self.connect((left, port), (right, port))
        self.schedule = message_source(self._samples(), np.complex64)  # type: ignore[arg-type]
        self.air = air_block(air) if air is not None else None
        self.sink = sink
        self.connect(*[self.schedule, *([self.air] if self.air is not None else []), sink])

    def execute(self, timeout_s: float | None = None) -> None:
        """Run until all is sent. Raises FlowgraphError where a block failed; Ctrl-C ends it in order."""
        try:
            _run(self, timeout_s)
        finally:
            self.ending.over.set()

    def _messages(self, messages: Iterable[Message]) -> Iterator[tuple[NDArray[Any], Meta] | None]:
        for message, number in zip(messages, self.sequence, strict=False):
            name = str(message.meta.get("name", ""))
            meta: Meta = {"id": number, "name": name, "kind": message.kind, "shape": list(message.data.shape)}
            self._known[number] = {"id": number, "input": name, "kind": message.kind, "read_at": time.time()}
            yield np.ascontiguousarray(message.data).ravel(), meta
            yield None  # the message goes on its way, however long the next one takes

    def _put(self, item: tuple[NDArray[Any], Meta] | None) -> None:
        while not self.ending.over.is_set():
            try:
                return self._queue.put(item, timeout=_WAIT_S)
            except queue.Full:
                continue

    def _collect(self, samples: NDArray[Any], meta: Meta) -> None:
        self._known[meta["id"]]["ready_at"] = time.time()
        self._put((samples, meta))

    def _samples(self) -> Iterator[tuple[NDArray[np.complex64], Meta] | None]:
        """Everything that is sent, as packets."""
        due = 0.0
        if not self.bursts_only:
            yield from self._silence(LEAD)
        while not self.ending.over.is_set():
            if self._queue.empty():
                yield None  # what was made goes on its way before this waits
            item = self._next()
            if item is None:
                break
            samples, meta = item
            gap = int(self.gap())
            if self.bursts_only:
                while time.monotonic() < due and not self.ending.over.wait(_WAIT_S):
                    pass
                due = max(due, time.monotonic()) + (samples.size + gap) / self.rate if samples.size else due
            record = self._record(samples, meta)
            if samples.size:
                self._sent += samples.size
                yield samples, {"id": meta["id"]}
                if not self.bursts_only:
                    yield from self._silence(gap)
            self.report(record)
        self.ending.idle.set()
        if not self.bursts_only:
            yield from self._silence(TAIL)

    def _next(self) -> tuple[NDArray[Any], Meta] | None:
        """The next burst; None behind the last one, or when it is over. A source that gave up would be asked again only
        a quarter of a second later."""
        while not over(self.ending):
            try:
                return self._queue.get(timeout=_WAIT_S)
            except queue.Empty:
                continue
        return None

    def _silence(self, count: int) -> Iterator[tuple[NDArray[np.complex64], Meta]]:
        while count:
            piece = min(count, _PIECE)
            self._sent += piece
            count -= piece
            yield np.zeros(piece, np.complex64), {}

    def _record(self, samples: NDArray[Any], meta: Meta) -> dict[str, Any]:
        record = self._known.pop(meta["id"]) | {"sent_at": time.time()}
        power = np.square(np.abs(samples), dtype=np.float64) if samples.size else np.ones(1)
        coded = self.transmission if meta.get("blocks") else None
        return record | {
            "system": self.transmission.system, "model": meta.get("model", ""),
            "mcs": coded.mcs if coded else None, "code": coded.code if coded else None,
            "header": self.transmission.header, "reason": meta.get("reason"), "bits": meta.get("bits", 0),
            "symbols_payload": meta.get("digital", 0) + meta.get("analog", 0),
            "symbols_total": meta.get("symbols_total", 0) if samples.size else 0,
            "sample_start": self._sent, "sample_count": int(samples.size),
            "peak_db": round(float(10 * np.log10(power.max() / power.mean())), 2),
        }  # fmt: skip


def _run(tb: Sender | gr.top_block, timeout_s: float | None) -> None:
    """`packets.run` in a thread of its own, so that Ctrl-C reaches the waiting blocks before the flowgraph stops."""
    fault: list[BaseException] = []

    def work() -> None:
        try:
            packets.run(tb, timeout_s)
        except BaseException as error:  # handed to the caller's thread below
            fault.append(error)

    thread = threading.Thread(target=work, name="semcom tx", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.1)
    except BaseException:
        tb.ending.over.set()
        tb.stop()
        thread.join(10)
        raise
    if fault:
        raise fault[0]

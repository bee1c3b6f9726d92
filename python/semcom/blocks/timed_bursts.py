# SPDX-License-Identifier: GPL-3.0-or-later
"""Bursts for a radio that sends bursts: gr-uhd's tags at their borders, and nothing between them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pmt
from numpy.typing import NDArray

from ..message import Meta
from ..packets import PacketBlock, _Writer
from ..radio.amplitude import PowerReport, check_peak, scaled
from ..stage import Port

_SOB, _EOB, _TIME = pmt.intern("tx_sob"), pmt.intern("tx_eob"), pmt.intern("tx_time")
_EVENTS, _CODE = pmt.intern("events"), pmt.intern("event_code")
_SAMPLES = Port("samples", np.complex64)
_GUARD_S = 1e-4  # between two bursts
_NEWS_S = 0.05  # that what went wrong with a burst takes to be told
_PATIENCE_S = 1.0  # with a clock that stands still
KINDS = {  # of gr-uhd's asynchronous messages, and what we call them
    "time_error": "late",
    "underflow": "underruns", "underflow_in_packet": "underruns",
    "seq_error": "lost_packets", "seq_error_in_burst": "lost_packets",
    "burst_ack": "on_air",
}  # fmt: skip


class _BurstWriter(_Writer):
    """Puts a radio's tags on each packet."""

    def put(self, array: NDArray[Any], meta: Meta) -> None:
        begin = meta.pop("tx_time")
        super().put(array, meta)
        self.add_tag(self.number, self.next, _SOB, pmt.PMT_T)
        if begin is not None:
            whole = int(begin)
            when = pmt.make_tuple(pmt.from_uint64(whole), pmt.from_double(begin - whole))
            self.add_tag(self.number, self.next, _TIME, when)
        self.add_tag(self.number, self.next + len(array) - 1, _EOB, pmt.PMT_T)


class timed_bursts(PacketBlock):
    """Packets of samples, complex64, to bursts with the tags `tx_sob`, `tx_time` and `tx_eob` of gr-uhd.

    A burst begins `lead_s` from now by `clock`, which gives the radio's time in seconds, or when the one before it has
    ended; without a clock there is no `tx_time`, and it begins at once. Each is scaled so that its peak is `peak` of
    full scale. The block ends when its last burst, at `rate` samples a second, has been on air. The message port
    `events` takes the sink's asynchronous messages; `counts` has late packets, underruns, lost packets and bursts
    acknowledged. None of these ends anything. At the end a line on stderr tells it all.
    """

    def __init__(
        self, rate: float = 1e6, peak: float = 0.8, lead_s: float = 0.05, clock: Callable[[], float] | None = None
    ) -> None:
        super().__init__("timed_bursts", (_SAMPLES,), (_SAMPLES,), heavy=True)  # a radio waits for nobody
        if not rate > 0:
            raise ValueError(f"rate must be above 0 Hz, not {rate!r}")
        if not 0 <= lead_s <= 10:
            raise ValueError(f"lead_s must be from 0 to 10 s, not {lead_s!r}")
        self._writers = [_BurstWriter(self.gateway, 0, _SAMPLES)]
        self.rate, self.peak, self.lead_s = rate, check_peak(peak), lead_s
        self.clock = clock if callable(clock) else None
        self.message_port_register_in(_EVENTS)
        self.set_msg_handler(_EVENTS, self.note)
        self.prepare()

    def prepare(self) -> None:
        """Forget what was before."""
        self.power = PowerReport()
        self.free = 0.0  # when the last burst ends
        self.counts = dict.fromkeys(dict.fromkeys(KINDS.values()), 0)

    def set_peak(self, peak: float) -> None:
        """Change the peak, as a part of full scale, from the next burst on."""
        self.peak = check_peak(peak)

    def set_lead_s(self, lead_s: float) -> None:
        """Change how long before its time a burst is handed over, in seconds."""
        self.lead_s = lead_s

    def process(self, *arrays: NDArray[Any], meta: Meta) -> Iterator[tuple[Any, ...]]:  # type: ignore[override]
        """One burst; a message that did not fit its budget sends none."""
        if not arrays[0].size:
            return
        samples, sent = scaled(arrays[0], self.peak)
        self.power.add(sent)
        now = self.clock() if self.clock else time.monotonic()
        begin = max(now + self.lead_s, self.free)
        self.free = begin + samples.size / self.rate + _GUARD_S
        yield samples, {**meta, "tx_time": begin if self.clock else None}

    def note(self, message: Any) -> None:
        """Count an asynchronous message of the sink; one that is none is left alone."""
        try:
            codes = pmt.dict_ref(pmt.cdr(message), _CODE, pmt.PMT_NIL)
            names = [pmt.symbol_to_string(pmt.nth(place, codes)) for place in range(pmt.length(codes))]
        except Exception:  # somebody connected another port
            return
        for name in names:
            if name in KINDS and self.power.bursts:  # the sink opens its stream before there is anything to send
                self.counts[KINDS[name]] += 1

    def finish(self) -> None:
        """Wait until the last burst is on air: a radio that is closed forgets what it has still to send."""
        clock = self.clock or time.monotonic
        end = self.free + _NEWS_S if self.free else 0.0
        left, begun = end - clock() if end else 0.0, time.monotonic()
        while end > clock() and time.monotonic() - begun < left + _PATIENCE_S:
            time.sleep(0.01)
            self._take_events()
        late, underruns, lost = (self.counts[name] for name in ("late", "underruns", "lost_packets"))
        print(f"sent {self.power}; {late} late, {underruns} underruns, {lost} lost packets", file=sys.stderr)

    def _take_events(self) -> None:
        """GNU Radio calls no handler of a block that has ended, but keeps its messages."""
        while (message := self.gateway.delete_head_nowait(_EVENTS)) is not None:
            self.note(message)

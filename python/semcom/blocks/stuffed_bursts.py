# SPDX-License-Identifier: GPL-3.0-or-later
"""Bursts for a radio that must always have something to send: zeros lie between them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from gnuradio import gr
from numpy.typing import NDArray

from .. import packets
from ..message import Meta
from ..packets import PacketBlock
from ..radio.amplitude import PowerReport, check_peak, scaled
from ..stage import Port
from .hier_block import HierBlock

_SAMPLES = Port("samples", np.complex64)
_PIECE = 4096  # zeros at a time: those that wait for the radio delay the next burst
TAIL_S = 1.0  # of zeros behind the last burst: a radio's own buffers are thrown away when it is closed


class _Scaler(PacketBlock):
    """Makes the peak of each packet `peak`, and knows when there will be no more."""

    def __init__(self, peak: float) -> None:
        super().__init__("burst_scaler", (_SAMPLES,), (_SAMPLES,))
        self.peak = check_peak(peak)
        self.prepare()

    def prepare(self) -> None:
        self.power = PowerReport()
        self.ended = False

    def process(self, *arrays: NDArray[Any], meta: Meta) -> tuple[Any, ...]:
        samples, sent = scaled(arrays[0], self.peak)
        if samples.size:
            self.power.add(sent)
        return samples, meta

    def stop(self) -> bool:
        """The one behind this one asks for zeros until it knows."""
        result = super().stop()
        self.ended = True
        return result

    def finish(self) -> None:
        print(f"sent {self.power}", file=sys.stderr)


class _Stuffer(PacketBlock):
    """Packets to an endless stream that ends `tail` items after `ended` has become true."""

    def __init__(self, ended: Callable[[], bool], tail: int) -> None:
        super().__init__("burst_stuffer", (_SAMPLES,), (_SAMPLES,), heavy=True)  # a radio waits for nobody
        self.ended, self.tail = ended, tail
        self.prepare()

    def prepare(self) -> None:
        self.burst = np.zeros(0, np.complex64)
        self.left = self.tail

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        """Nothing is needed: zeros can always be made, and the radio sets the pace."""
        return [0] * ninputs

    def general_work(self, input_items: list[NDArray[Any]], output_items: list[NDArray[Any]]) -> int:
        """Fill the window with what is left of a burst, with the next one, or with zeros."""
        try:
            self._raise_start_error()
            if packets._faults.current is not None:
                return gr.WORK_DONE
            ended = self.ended()  # asked before the window is read: what comes in between is seen the next time
            self.take(input_items[0])
            window = output_items[0]
            if self.burst.size:
                piece = self.burst[: len(window)]
                self.burst = self.burst[len(piece) :]
            else:
                piece = np.zeros(min(len(window), _PIECE), np.complex64)
                if ended and not len(input_items[0]):
                    if not self.left:
                        return gr.WORK_DONE
                    piece = piece[: self.left]
                    self.left -= len(piece)
            window[: len(piece)] = piece
            self.gateway.produce(0, len(piece))
            return gr.WORK_CALLED_PRODUCE
        except Exception as error:
            packets.report_fault(self, error)
            return gr.WORK_DONE

    def take(self, window: NDArray[Any]) -> None:
        """Copy what came of a packet; when it is whole it is the next burst."""
        reader = self._readers[0]
        if not self.burst.size and reader.pull(window):
            self.burst = reader.array()
            self.packet_count += 1
            reader.release()  # the last item is not held back: this block never ends for want of input
        self.gateway.consume(0, reader.close_window())


class stuffed_bursts(HierBlock):
    """Packets of samples, complex64, to an endless stream: zeros wherever no whole burst is at hand.

    Each burst is scaled so that its peak is `peak` of full scale. The stream ends one second, at `rate` samples a
    second, behind the last burst. What it feeds must take samples at its own pace, as a radio does. At the end a line
    on stderr tells the power that was sent.
    """

    def __init__(self, rate: float = 2e6, peak: float = 0.8) -> None:
        super().__init__("stuffed_bursts", (_SAMPLES,), (_SAMPLES,))
        if not rate > 0:
            raise ValueError(f"rate must be above 0 Hz, not {rate!r}")
        self.scaler = _Scaler(peak)
        self.stuffer = _Stuffer(lambda: self.scaler.ended, round(TAIL_S * rate))
        self.connect(self, self.scaler, self.stuffer, self)

    @property
    def power(self) -> PowerReport:
        """What was sent."""
        return self.scaler.power

    def set_peak(self, peak: float) -> None:
        """Change the peak, as a part of full scale, from the next burst on."""
        self.scaler.peak = check_peak(peak)

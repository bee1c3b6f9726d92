# SPDX-License-Identifier: GPL-3.0-or-later
"""Bursts out of the samples of a radio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pmt
from numpy.typing import NDArray

from ..message import Meta
from ..packets import PacketBlock, Reader
from ..phy import burst_receiver as receivers
from ..phy.burst import Burst
from ..phy.burst_stages import received_meta
from ..phy.detection import THRESHOLD
from ..phy.header import name_id
from ..phy.sequence import SequenceWatch
from ..phy.stages import Deframer
from ..stage import Port

_PIECE = 65_536
_ESTIMATES = pmt.intern("estimates")
_NUMBERS = {name: pmt.intern(name) for name in ("esn0_db", "carrier_offset", "sampling_offset_ppm", "start", "score")}
_ID = pmt.intern("id")
_MOST_SENDERS = 64  # whose numbers are watched


def _as_pmt(meta: Meta) -> Any:
    """Message number and estimates as a PMT dictionary."""
    result = pmt.dict_add(pmt.make_dict(), _ID, pmt.from_long(meta["id"]))
    for name, key in _NUMBERS.items():
        result = pmt.dict_add(result, key, pmt.from_double(float(meta["radio"][name])))
    return result


class _SampleReader(Reader):
    """Takes samples as they come; nobody has tagged them."""

    def pull(self, window: NDArray[Any]) -> bool:
        """Copy what the window has; True as soon as that is anything."""
        if not self.whole:
            piece = window[self.next - self.base :][:_PIECE]
            if not len(piece):
                return False
            self.packet, self.filled, self.whole = piece.copy(), len(piece), True
            self.next += len(piece)
        return True

    def more(self) -> bool:
        """Nothing waits here."""
        return False

    def check_end(self) -> None:
        """A stream of samples may end anywhere."""


class burst_receiver(PacketBlock):
    """Finds bursts in an untagged stream of samples, complex64, and gives each message once.

    Each part that `payload` ("bits", "symbols" or "both") names comes out as symbols, complex64, and noise variances,
    float32. The meta is made of header and description; `radio` has the estimates, which also leave as a dictionary
    through the message port `estimates`, `lost` the numbers that never came. Bursts of another system than `system` (a
    name; empty: any) and repetitions are counted and dropped. `threshold` of the preamble's score: see docs/burst.md.
    A stream that ends needs 25,000 more samples behind its last burst.
    """

    def __init__(self, payload: str = "bits", system: str = "", threshold: float = THRESHOLD) -> None:
        self.deframer = Deframer(payload)
        super().__init__("burst_receiver", (Port("samples", np.complex64),), self.deframer.outputs)
        self._readers = [_SampleReader(self.gateway, 0, Port("samples", np.complex64))]
        self.message_port_register_out(_ESTIMATES)
        self.system = system
        self.threshold = threshold
        self.prepare()

    def prepare(self) -> None:
        """Forget what was before."""
        self.receiver = receivers.BurstReceiver(self.threshold)
        self.watches: dict[tuple[int, int], SequenceWatch] = {}
        self.counts = dict.fromkeys(("messages", "repeated", "late", "lost", "foreign", "refused"), 0)

    def process(self, *arrays: NDArray[Any], meta: Meta) -> Iterator[tuple[Any, ...]]:  # type: ignore[override]
        """A piece of the stream to the messages that it completes."""
        for burst in self.receiver.push(arrays[0]):
            message = self.accept(burst)
            if message is not None:
                yield message

    def accept(self, burst: Burst | Any) -> tuple[Any, ...] | None:
        """A burst as packets; None for one that is nobody's, or has come before."""
        if not isinstance(burst, Burst):
            self.counts["refused"] += 1
            return None
        header = burst.header
        if self.system and header.system != name_id(self.system):
            self.counts["foreign"] += 1
            return None
        sender = (header.system, header.model)
        watch = self.watches.pop(sender, None) or SequenceWatch()
        self.watches[sender] = watch  # the last one used is the last one forgotten
        if len(self.watches) > _MOST_SENDERS:
            del self.watches[next(iter(self.watches))]
        arrival = watch.note(header.sequence)
        self.counts["lost"] += len(arrival.lost)
        self.counts["late"] += arrival.late
        if arrival.repeated:
            self.counts["repeated"] += 1
            return None
        self.counts["messages"] += 1
        meta = received_meta(burst) | {"lost": list(arrival.lost), "late": arrival.late}
        if self.system:
            meta["system"] = self.system
        self.message_port_pub(_ESTIMATES, _as_pmt(meta))
        parts, meta = self.deframer.run((burst.symbols, burst.noise_var), meta)
        return (*parts, meta)

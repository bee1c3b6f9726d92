# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream that has been through native blocks back to packets."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pmt
from numpy.typing import NDArray

from .. import pmt_vectors
from ..message import Meta
from ..packets import LENGTH_TAG, META_TAG, SCAN_ITEMS, PacketBlock, PacketError, Reader
from ..stage import Port
from .item_type import item_dtype
from .packets_to_stream import STREAM

_LENGTH, _META = pmt.intern(LENGTH_TAG), pmt.intern(META_TAG)


class _Start(NamedTuple):
    """A packet whose tags were found: its first item, in items since the start, and its number of items."""

    first: int
    items: int
    meta: Meta


class _LooseReader(Reader):
    """Reads what belongs to a packet and skips what lies between; zeros stand for what another packet cut off."""

    def __init__(self, gateway: Any, port: Port, rate: Fraction, delay: int) -> None:
        self.rate, self.delay = rate, delay
        super().__init__(gateway, 0, port)

    def reset(self) -> None:
        """Back to the beginning of the stream."""
        super().reset()
        self.starts: deque[_Start] = deque()
        self.found = False

    def scan(self, end: int) -> None:
        """Find the packets whose tags lie before item `end`; a block with two inputs may have doubled every tag."""
        lengths: dict[int, int] = {}
        metas: dict[int, list[bytes]] = {}
        for tag in self.tags_in_range(0, self.scanned, end):
            if pmt.eq(tag.key, _LENGTH):
                lengths.setdefault(tag.offset, pmt.to_long(tag.value))
            elif pmt.eq(tag.key, _META):
                text = pmt_vectors.to_bytes(tag.value)
                if text not in metas.setdefault(tag.offset, []):
                    metas[tag.offset].append(text)
        for offset in sorted(lengths):
            for text in metas.get(offset, [b"{}"]):
                self.starts.append(self.start(offset, lengths[offset], self.parse(text, offset)))
        self.found = self.found or bool(self.starts)
        self.scanned = end

    def start(self, offset: int, length: int, meta: Meta) -> _Start:
        """Where the packet with its tags on item `offset` lies."""
        empty = meta.pop("empty", False)
        padding = meta.pop(STREAM, {"lead": 0, "items": 0 if empty else length})
        lead = padding["lead"] * self.rate
        if lead.denominator != 1:
            raise PacketError(f"a lead of {padding['lead']} items does not give whole items at a rate of {self.rate}")
        if lead + self.delay < 0:
            raise PacketError(
                f"a delay of {self.delay} items needs packets_to_stream with a lead of at least {-self.delay} items "
                f"of this stream, not {lead}"
            )
        items = padding["items"] * self.rate
        return _Start(offset + int(lead) + self.delay, -(-items.numerator // items.denominator), meta)

    def pull(self, window: NDArray[Any]) -> bool:
        """Copy what the window has of the packet; True when there is no more to come of it."""
        end = self.base + len(window)
        while not self.whole:
            if self.next == end:
                return False
            if self.next == self.scanned:
                self.scan(min(end, self.scanned + SCAN_ITEMS))
            if self.packet is None:
                first = self.starts[0].first if self.starts else self.scanned
                if self.next < first:
                    self.next = min(first, self.scanned)
                    continue
                if not self.starts:
                    continue
                start = self.starts.popleft()
                self.packet, self.meta = np.zeros(start.items, self.port.dtype), start.meta
            stop = min(self.scanned, self.next + len(self.packet) - self.filled)
            cut = bool(self.starts) and self.starts[0].first <= stop
            if cut:
                stop = max(self.next, self.starts[0].first)
            count = stop - self.next
            self.packet[self.filled : self.filled + count] = window[self.next - self.base : stop - self.base]
            self.filled += count
            self.next = stop
            self.whole = cut or self.filled == len(self.packet)
        return True

    def array(self) -> NDArray[Any]:
        """The whole packet; its meta says if something is missing."""
        assert self.packet is not None
        if self.filled < len(self.packet):
            self.meta["missing_items"] = len(self.packet) - self.filled
        return self.packet

    def more(self) -> bool:
        """Whether a packet that has not been begun is waiting."""
        return bool(self.starts)

    def check_end(self) -> None:
        """PacketError if the stream has ended inside a packet, or never had one."""
        if self.packet is not None or self.starts:
            items = self.starts[0].items if self.packet is None else len(self.packet)
            raise PacketError(
                f"the stream ended {self.filled} items into a packet of {items}: blocks before this one keep items "
                "back; packets_to_stream needs a longer tail"
            )
        if self.next and not self.found:
            raise PacketError(f"there was no {LENGTH_TAG} tag on {self.next} items: a block before this one loses tags")


class stream_to_packets(PacketBlock):
    """Finds the packets again in a stream that native blocks have changed, and takes padding away.

    `interpolation` and `decimation` are those of all native blocks since `packets_to_stream` (or since the last packet
    block, which is enough where no items are lost or shifted): so many items come out for so many that went in.
    `delay` says by how many items of this stream the data lie behind the tags; below zero, before them. Each packet
    comes out once. One that runs into the next one, because items were lost, is filled up with zeros and has
    `missing_items` in its meta. `note` is added to every meta: what the receiver must know of the native blocks, for
    example {"esn0_db": 6.0}.
    """

    def __init__(
        self,
        item_type: str = "complex",
        interpolation: int = 1,
        decimation: int = 1,
        delay: int = 0,
        note: Mapping[str, Any] | str = "{}",
    ) -> None:
        port = Port("items", item_dtype(item_type))
        super().__init__("stream_to_packets", (port,), (port,))
        if interpolation < 1 or decimation < 1:
            raise ValueError(f"interpolation and decimation must be at least 1, not {interpolation} and {decimation}")
        self._readers = [_LooseReader(self.gateway, port, Fraction(interpolation, decimation), int(delay))]
        self.set_note(note)

    def set_note(self, note: Mapping[str, Any] | str) -> None:
        """Change what is added to the meta, from the next packet on: a dictionary, or one as JSON."""
        self.note: Meta = dict(json.loads(note) if isinstance(note, str) else note)

    def process(self, *arrays: NDArray[Any], meta: Meta) -> tuple[Any, ...]:
        """A packet that was found."""
        return arrays[0], {**meta, **self.note}

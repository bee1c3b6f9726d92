# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets to a stream that native blocks may shift and shorten."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..message import Meta
from ..packets import PacketBlock
from ..stage import Port
from .item_type import item_dtype

STREAM = "stream"  # what packets_to_stream tells stream_to_packets in the meta


class packets_to_stream(PacketBlock):
    """Puts zero items around each packet, so that native blocks do not lose or mix what belongs to packets.

    `lead` items go before it and at least `tail` behind it, up to a whole multiple of `multiple` items: the frame of
    a native encoder, or what a native block takes for one item of its output. The zeros are sent like the rest and
    count as airtime where the meta has `symbols_total`. `stream_to_packets` takes them away again.
    """

    def __init__(self, item_type: str = "complex", lead: int = 0, tail: int = 0, multiple: int = 1) -> None:
        port = Port("items", item_dtype(item_type))
        super().__init__("packets_to_stream", (port,), (port,))
        if lead < 0 or tail < 0:
            raise ValueError(f"lead and tail must be at least 0 items, not {lead} and {tail}")
        if multiple < 1 or lead % multiple:
            raise ValueError(f"multiple must be at least 1 item and divide lead, not {multiple} with a lead of {lead}")
        self.lead, self.tail, self.multiple = lead, tail, multiple

    def process(self, *arrays: NDArray[Any], meta: Meta) -> tuple[Any, ...]:
        """A packet [n] to one of lead + n + tail items or a few more."""
        count = len(arrays[0])
        total = max(1, -(-(self.lead + count + self.tail) // self.multiple)) * self.multiple
        padded = np.zeros(total, arrays[0].dtype)
        padded[self.lead : self.lead + count] = arrays[0]
        meta = {**meta, STREAM: {"lead": self.lead, "items": count}}
        if "symbols_total" in meta:
            meta["symbols_total"] += total - count
        return padded, meta

# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets to PDUs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pmt
from numpy.typing import NDArray

from .. import pmt_vectors
from ..message import Meta
from ..packets import META_TAG, PacketBlock, encode_meta, report_fault
from ..stage import Port
from .item_type import item_dtype

PDUS, TAKEN = pmt.intern("pdus"), pmt.intern("taken")
META, NUMBER = pmt.intern(META_TAG), pmt.intern("packet_number")


class packet_to_pdu(PacketBlock):
    """Sends each packet as a PDU on message port `pdus`: a pair of a dictionary and a uniform vector of the items.

    The dictionary holds the whole meta under `packet_meta`, a u8vector of JSON, and every number of it under its own
    name, for native blocks that look at PDUs. A message queue holds nothing back: it grows for as long as the receiver
    is slower. With `max_outstanding` above 0 the block waits while so many PDUs have not been taken; `pdu_to_packet`
    tells on its message port `taken`, which must then be connected to the one here. When the stream has ended, GNU
    Radio tells the blocks behind.
    """

    def __init__(self, item_type: str = "byte", max_outstanding: int = 0) -> None:
        super().__init__("packet_to_pdu", (Port("items", item_dtype(item_type)),), ())
        if max_outstanding < 0:
            raise ValueError(f"max_outstanding must be a number of PDUs, or 0 for no limit, not {max_outstanding}")
        self.max_outstanding = max_outstanding
        self._sent = self._taken = 0
        self.gateway.message_port_register_out(PDUS)
        self.gateway.message_port_register_in(TAKEN)
        self.set_msg_handler(TAKEN, self._take)

    def prepare(self) -> None:
        """Forget what an earlier run sent."""
        for _ in range(self.gateway.nmsgs(TAKEN)):
            self.gateway.delete_head_nowait(TAKEN)
        self._sent = self._taken = 0

    def process(self, *arrays: NDArray[Any], meta: Meta) -> Iterator[None]:  # type: ignore[override]
        """Send one packet as soon as it may be."""
        while self.max_outstanding and self._sent - self._taken >= self.max_outstanding:
            yield None
        self._sent += 1
        head = pmt.dict_add(pmt.make_dict(), META, pmt_vectors.from_bytes(encode_meta(meta)))
        for name, value in meta.items():
            number = _number(value)
            if number is not None:
                head = pmt.dict_add(head, pmt.intern(name), number)
        head = pmt.dict_add(head, NUMBER, pmt.from_long(self._sent))
        self.gateway.message_port_pub(PDUS, pmt.cons(head, pmt_vectors.from_array(arrays[0])))

    def _take(self, number: Any) -> None:
        try:
            self._taken = pmt.to_long(number)
        except Exception as error:  # GNU Radio would only log it, and this block would wait for ever
            report_fault(self, error)


def _number(value: object) -> Any:
    if isinstance(value, bool):
        return pmt.from_bool(value)
    if isinstance(value, int) and abs(value) < 1 << 63:
        return pmt.from_long(value)
    if isinstance(value, float) and math.isfinite(value):
        return pmt.from_double(value)
    return None

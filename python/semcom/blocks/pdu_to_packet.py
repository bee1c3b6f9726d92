# SPDX-License-Identifier: GPL-3.0-or-later
"""PDUs to packets."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from typing import Any

import pmt

from .. import pmt_vectors
from ..message import Meta
from ..packets import PacketBlock, PacketError
from ..stage import Port
from .item_type import item_dtype
from .packet_to_pdu import META, NUMBER, PDUS, TAKEN

_SYSTEM = pmt.intern("system")  # GNU Radio's own port: here the sender's end is told


class pdu_to_packet(PacketBlock):
    """Makes a packet of each PDU on message port `pdus`, from `packet_to_pdu` or from any other block.

    The meta is a running `id`, the JSON under `packet_meta` and the dictionary's own numbers, the later before the
    earlier. The stream ends when the sender does, or with PMT_EOF; only one sender may be connected. Every PDU that
    has become a packet is told on message port `taken`.
    """

    def __init__(self, item_type: str = "byte") -> None:
        super().__init__("pdu_to_packet", (), (Port("items", item_dtype(item_type)),))
        self._queue: deque[Any] = deque()
        self.gateway.message_port_register_in(PDUS)
        self.gateway.message_port_register_out(TAKEN)
        self.set_msg_handler(PDUS, self._take)
        self.set_msg_handler(_SYSTEM, self._end)

    def prepare(self) -> None:
        """Forget what an earlier run left behind."""
        for _ in range(self.gateway.nmsgs(PDUS)):
            self.gateway.delete_head_nowait(PDUS)
        self._queue.clear()

    def _take(self, pdu: Any) -> None:
        self._queue.append(pdu)

    def _end(self, message: Any) -> None:
        # GNU Radio itself would end this block with PDUs still in the queue: an end in the queue comes after them.
        self.gateway.post(PDUS, pmt.PMT_EOF)

    def packets(self) -> Iterator[tuple[Any, ...] | None]:
        """One packet a PDU, until the end."""
        number = 0
        while True:
            if not self._queue:
                yield None
                continue
            pdu = self._queue.popleft()
            if pmt.eq(pdu, pmt.PMT_EOF):
                return
            if not pmt.is_pair(pdu):
                raise PacketError(f"expected a PDU, a pair of a dictionary and a uniform vector, found {str(pdu):.80}")
            head = pmt.car(pdu)
            array = pmt_vectors.to_array(pmt.cdr(pdu))
            dtype = self._writers[0].port.dtype
            if array.dtype != dtype:
                raise PacketError(f"expected a PDU of {dtype.__name__}, found one of {array.dtype}")
            meta = _meta(head)
            taken = meta.pop(pmt.symbol_to_string(NUMBER), None)
            yield array, {"id": number, **meta}
            number += 1
            if taken is not None:
                self.gateway.message_port_pub(TAKEN, pmt.from_long(taken))


def _meta(head: Any) -> Meta:
    meta: Meta = {}
    numbers: Meta = {}
    if not pmt.is_dict(head):
        return meta
    items = pmt.dict_items(head)
    for index in range(pmt.length(items)):
        key, value = pmt.car(pmt.nth(index, items)), pmt.cdr(pmt.nth(index, items))
        if pmt.eq(key, META):
            meta = json.loads(pmt_vectors.to_bytes(value))
        elif pmt.is_symbol(key) and (pmt.is_bool(value) or pmt.is_integer(value) or pmt.is_real(value)):
            numbers[pmt.symbol_to_string(key)] = pmt.to_python(value)
    return meta | numbers

# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of a hybrid ARQ link; the receiver's message port `feedback` goes to the transmitter's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pmt
from numpy.typing import NDArray

from ..message import Meta
from ..packets import PacketBlock, report_fault
from ..phy.harq import MOST_TRANSMISSIONS, HarqDecoder, HarqEncoder, SoftBuffer
from ..phy.segmentation import DEFAULT_BLOCK_BITS

_FEEDBACK = pmt.intern("feedback")
_ID, _TRANSMISSION, _BLOCKS_OK = (pmt.intern(name) for name in ("id", "transmission", "blocks_ok"))


class harq_transmitter(PacketBlock):
    """Bits, uint8, to coded bits, uint8: sends a message again, with other redundancy, until it is acknowledged.

    Message port in, `feedback`: a dictionary of `id`, `transmission` and `blocks_ok` (u8vector). The next message
    waits until this one has arrived or was sent `max_transmissions` times.
    """

    def __init__(
        self,
        mcs: str = "16qam-1/3",
        max_transmissions: int = MOST_TRANSMISSIONS,
        block_bits: int = DEFAULT_BLOCK_BITS,
        interleave: bool = False,
    ) -> None:
        self.stage = HarqEncoder(mcs, block_bits, interleave, max_transmissions=max_transmissions)
        super().__init__("harq_transmitter", self.stage.inputs, self.stage.outputs)
        self._answer: tuple[tuple[int, int], list[int]] | None = None
        self.gateway.message_port_register_in(_FEEDBACK)
        self.set_msg_handler(_FEEDBACK, self._take)

    def prepare(self) -> None:
        """Forget old answers."""
        self._answer = None

    def _take(self, message: Any) -> None:
        try:
            key = tuple(pmt.to_long(pmt.dict_ref(message, name, pmt.PMT_NIL)) for name in (_ID, _TRANSMISSION))
            self._answer = key, list(pmt.u8vector_elements(pmt.dict_ref(message, _BLOCKS_OK, pmt.PMT_NIL)))
        except Exception as error:  # GNU Radio would only log it, and this block would wait for ever
            report_fault(self, error)

    def process(self, *arrays: NDArray[Any], meta: Meta) -> Iterator[tuple[Any, ...] | None]:  # type: ignore[override]
        """All transmissions of one message."""
        packets = self.stage.transmissions(arrays[0], meta)
        packet = next(packets, None)
        while packet is not None:
            (coded,), sent = packet
            yield coded, sent
            key = (sent.get("id", 0), sent["transmission"])
            while self._answer is None or self._answer[0] != key:
                yield None
            try:
                packet = packets.send(self._answer[1])
            except StopIteration:
                return

    def set_mcs(self, mcs: str) -> None:
        """Change modulation and code rate from the next message on."""
        old = self.stage
        self.stage = HarqEncoder(mcs, old.block_bits, old.interleave, max_transmissions=old.max_transmissions)

    @staticmethod
    def knows(mcs: str) -> bool:
        """Whether there is a coded MCS of that name."""
        try:
            HarqEncoder(mcs)
        except ValueError:
            return False
        return True


class harq_receiver(PacketBlock):
    """LLRs, float32, of all transmissions of a message to its bits, uint8, and the answers on `feedback`."""

    def __init__(self, max_iterations: int = 50) -> None:
        self.stage = HarqDecoder(max_iterations)
        super().__init__("harq_receiver", self.stage.inputs, self.stage.outputs)
        self._buffer: SoftBuffer | None = None
        self.gateway.message_port_register_out(_FEEDBACK)

    def prepare(self) -> None:
        """Forget the message that was outstanding."""
        self._buffer = None

    def process(self, *arrays: NDArray[Any], meta: Meta) -> Iterator[tuple[Any, ...]]:  # type: ignore[override]
        """One transmission; a packet only when the message is over."""
        buffer = None if meta["transmission"] == 0 else self._buffer
        self._buffer, blocks_ok, done = self.stage.receive(np.asarray(arrays[0], np.float32), meta, buffer)
        if done is not None:
            self._buffer = None
            yield done
        answer = pmt.dict_add(pmt.make_dict(), _ID, pmt.from_long(meta.get("id", 0)))
        answer = pmt.dict_add(answer, _TRANSMISSION, pmt.from_long(meta["transmission"]))
        answer = pmt.dict_add(answer, _BLOCKS_OK, pmt.init_u8vector(len(blocks_ok), blocks_ok))
        self.gateway.message_port_pub(_FEEDBACK, answer)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Bits to coded bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pmt
from numpy.typing import NDArray

from ..message import Meta
from ..packets import report_fault
from ..phy import adaptation
from ..phy import mcs as mcs_table
from ..phy.segmentation import layout
from ..phy.stages import ChannelEncoder
from .stage_block import StageBlock

AUTO = "auto"
_STEP_DB = 0.25  # of the Es/N0 that the choice goes by: estimates that differ less get the same, remembered, answer
_ESN0_DB = pmt.intern("esn0_db")


@dataclass(frozen=True)
class Assumed:
    """What link adaptation takes the channel to be."""

    esn0_db: float = 6.0
    channel: str = "awgn"
    fading: str | int = "128"
    outage: float = 0.1

    def choose(self, bits: int, block_bits: int, interleave: bool) -> str:
        """The fastest MCS that brings a message of so many bits through, with the wanted probability."""
        level = round(self.esn0_db / _STEP_DB) * _STEP_DB
        return adaptation.choose_mcs(
            level, self.channel, self.fading, self.outage, bits=bits, block_bits=block_bits, interleave=interleave
        )


class channel_encoder(StageBlock):
    """Cuts the bits of a message into blocks, adds a CRC to each and encodes them.

    In and out: bits, uint8 of 0 and 1. `mcs` names modulation and code rate, for example "16qam-1/3"; `code` is
    "ldpc", with `block_bits` information bits a block, CRC included, or "polar-N". `interleave` sends the blocks'
    symbols in turns, which spreads every fade over all blocks of the message. With `mcs` "auto" each message gets the
    fastest MCS that loses it with a probability of at most `outage`, over a channel as `assumed_channel`,
    `assumed_fading` and `assumed_esn0_db` say; the last also comes as a number on the message port `esn0_db`.
    """

    def __init__(
        self,
        mcs: str = "16qam-1/3",
        block_bits: int = 1536,
        interleave: bool = False,
        code: str = "ldpc",
        assumed_esn0_db: float = 6.0,
        assumed_channel: str = "awgn",
        assumed_fading: str | int = "128",
        outage: float = 0.1,
    ) -> None:
        self._auto = mcs == AUTO
        stage = ChannelEncoder(mcs_table.names()[0] if self._auto else mcs, block_bits, interleave, code)
        super().__init__(stage, "channel_encoder")
        self._assumed = Assumed(assumed_esn0_db, assumed_channel, assumed_fading, outage)
        self._assumed.choose(0, block_bits, interleave)  # refuses wrong values now
        self._check()
        self.gateway.message_port_register_in(_ESN0_DB)
        self.set_msg_handler(_ESN0_DB, self._take)

    def _check(self) -> None:
        if self._auto and self.stage.code != "ldpc":  # type: ignore[attr-defined]
            raise ValueError("mcs auto needs the code ldpc: the table's gaps were measured with it")

    def _take(self, message: Any) -> None:
        try:
            self.set_assumed_esn0_db(pmt.to_double(message))
        except Exception as error:  # GNU Radio would only log it
            report_fault(self, error)

    def process(self, *arrays: NDArray[Any], meta: Meta) -> tuple[Any, ...]:
        """Encode, with an MCS of this message's own where it is "auto"."""
        stage = self.stage
        assert isinstance(stage, ChannelEncoder)
        if self._auto:
            stage = replace(stage, mcs=self._assumed.choose(arrays[0].size, stage.block_bits, stage.interleave))
        results, meta = stage.run(arrays, meta)
        return (*results, meta)

    @staticmethod
    def knows(mcs: str, code: str = "ldpc", auto: bool = True) -> bool:
        """Whether there is an MCS of that name, and room for it in the code; for Companion, which turns it red."""
        if mcs == AUTO:
            return auto and code == "ldpc"
        try:
            layout(1, mcs, code=code)
        except ValueError:
            return False
        return True

    def set_mcs(self, mcs: str) -> None:
        """Change the MCS; the receiver reads it from each packet."""
        if mcs != AUTO:
            self.set_parameter("mcs", mcs)
        self._auto = mcs == AUTO
        self._check()

    def set_block_bits(self, block_bits: int) -> None:
        """Change the information bits a block."""
        self.set_parameter("block_bits", block_bits)

    def set_interleave(self, interleave: bool) -> None:
        """Switch interleaving on or off; the receiver reads it from each packet."""
        self.set_parameter("interleave", interleave)

    def set_code(self, code: str) -> None:
        """Change the channel code; the receiver reads it from each packet."""
        self.set_parameter("code", code)
        self._check()

    def set_assumed_esn0_db(self, assumed_esn0_db: float) -> None:
        """Change the Es/N0 in dB that "auto" goes by."""
        self._assumed = replace(self._assumed, esn0_db=float(assumed_esn0_db))

    def set_outage(self, outage: float) -> None:
        """Change the probability of losing a message that "auto" allows."""
        self._assumed = replace(self._assumed, outage=outage)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A message to its payload."""

from __future__ import annotations

from ..systems.stages import Encoder
from .system_block import SystemBlock


class semantic_encoder(SystemBlock):
    """Encodes each message with a semantic system to bits, uint8 of 0 and 1, to symbols, complex64, or both.

    Which ports there are is the system's own matter; `payload`, and `kind` of its messages, are checked against it
    where they are given. Limits above zero cap a message: `max_bits` directly, `max_bpp` in bit per pixel, `airtime` in
    symbols at `mcs`. `quality` below zero and an empty `model` are the system's defaults. What does not fit is sent as
    an empty packet with `reason` "does_not_fit". `esn0_db` is what systems that adapt to the channel take it to be.
    """

    def __init__(
        self,
        system: str = "ncsc",
        model: str = "",
        max_bits: int = 0,
        max_bpp: float = 0.0,
        airtime: int = 0,
        mcs: str = "16qam-1/3",
        quality: int = -1,
        device: str = "auto",
        payload: str = "",
        esn0_db: float | None = None,
        kind: str = "",
    ) -> None:
        self.check_payload(system, payload)
        self.check_kind(system, kind)
        stage = Encoder(
            system=system,
            model=model,
            max_bits=max_bits,
            max_bpp=max_bpp,
            airtime=airtime,
            mcs=mcs,
            quality=quality,
            device=device,
            esn0_db=esn0_db,
        )
        super().__init__(stage, type(self).__name__)

    def set_max_bits(self, max_bits: int) -> None:
        """Change the limit in bits."""
        self.set_parameter("max_bits", max_bits)

    def set_max_bpp(self, max_bpp: float) -> None:
        """Change the limit in bit per pixel."""
        self.set_parameter("max_bpp", max_bpp)

    def set_airtime(self, airtime: int) -> None:
        """Change the limit in symbols."""
        self.set_parameter("airtime", airtime)

    def set_mcs(self, mcs: str) -> None:
        """Change the MCS at which the airtime is counted."""
        self.set_parameter("mcs", mcs)

    def set_quality(self, quality: int) -> None:
        """Change the system's own quality."""
        self.set_parameter("quality", quality)

    def set_esn0_db(self, esn0_db: float) -> None:
        """Change the Es/N0 in dB that the system takes the channel to have."""
        self.set_parameter("esn0_db", esn0_db)

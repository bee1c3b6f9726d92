# SPDX-License-Identifier: GPL-3.0-or-later
"""Es/N0 from what arrived."""

from __future__ import annotations

from typing import Any

import numpy as np
import pmt
from numpy.typing import NDArray

from ..message import Meta
from ..packets import PacketBlock
from ..phy.estimation import estimate_noise_var
from ..phy.mcs import get
from ..phy.snr import esn0_db_from_noise_var
from ..stage import Port

_ESN0_DB = pmt.intern("esn0_db")


class snr_estimator(PacketBlock):
    """Estimates Es/N0 from a received burst and its coefficients, complex64 [n] each, without pilots.

    The estimate in dB goes to the message port `esn0_db`, a number a packet: connect it to a channel encoder whose
    MCS is "auto". `smoothing` from 0 (each packet alone) to below 1 averages over packets. Analog symbols are left
    out; a packet without digital symbols gives no estimate.
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__("snr_estimator", (Port("burst", np.complex64), Port("coefficients", np.complex64)), ())
        self.gateway.message_port_register_out(_ESN0_DB)
        self.set_smoothing(smoothing)
        self.estimates: list[float] = []

    def set_smoothing(self, smoothing: float) -> None:
        """Change the weight of the past."""
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing must be at least 0 and below 1, not {smoothing!r}")
        self.smoothing = smoothing

    def prepare(self) -> None:
        """Forget the past."""
        self.estimates.clear()

    def process(self, *arrays: NDArray[Any], meta: Meta) -> None:
        """One burst."""
        digital = int(meta.get("digital", arrays[0].size))
        if not digital:
            return
        variance = estimate_noise_var(arrays[0][:digital], arrays[1][:digital], get(meta["mcs"]).modulation)
        value = esn0_db_from_noise_var(variance)
        if self.estimates:
            value = self.smoothing * self.estimates[-1] + (1 - self.smoothing) * value
        self.estimates[:] = [*self.estimates[-999:], value]
        self.gateway.message_port_pub(_ESN0_DB, pmt.from_double(value))

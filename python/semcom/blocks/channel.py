# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated channel that tells its coefficients."""

from __future__ import annotations

from ..phy.channel_stages import Channel
from .stage_block import StageBlock


class channel(StageBlock):
    """Fading and white Gaussian noise at a given Es/N0; burst to burst and coefficients, all complex64.

    `model` is "awgn", "rayleigh" or "rician" (with `rician_k`, a power ratio); `fading` says for how long one
    coefficient holds: "symbol", "packet" or a number of symbols, or that it varies in time: "doppler", with a largest
    Doppler shift of `doppler` cycles a symbol; `esn0_db` in dB. The same `seed` and message number give the same noise.
    """

    def __init__(
        self,
        model: str = "awgn",
        esn0_db: float = 6.0,
        fading: str = "128",
        rician_k: float = 1.0,
        seed: int = 0,
        doppler: float = 0.01,
    ) -> None:
        stage = Channel(model=model, esn0_db=esn0_db, fading=fading, rician_k=rician_k, seed=seed, doppler=doppler)
        super().__init__(stage, "channel")

    def set_model(self, model: str) -> None:
        """Change the channel model."""
        self.set_parameter("model", model)

    def set_esn0_db(self, esn0_db: float) -> None:
        """Change Es/N0, in dB."""
        self.set_parameter("esn0_db", esn0_db)

    def set_fading(self, fading: str) -> None:
        """Change for how long a coefficient holds."""
        self.set_parameter("fading", fading)

    def set_rician_k(self, rician_k: float) -> None:
        """Change the ratio of direct to scattered power."""
        self.set_parameter("rician_k", rician_k)

    def set_seed(self, seed: int) -> None:
        """Change the seed."""
        self.set_parameter("seed", seed)

    def set_doppler(self, doppler: float) -> None:
        """Change the largest Doppler shift, in cycles a symbol."""
        self.set_parameter("doppler", doppler)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A burst to bits."""

from __future__ import annotations

import numpy as np

from ..stage import Port
from .channel_decoder import channel_decoder
from .deframer import deframer
from .equaliser import equaliser
from .hier_block import HierBlock
from .soft_demapper import soft_demapper


class digital_rx(HierBlock):
    """Equaliser, deframer, soft demapper and channel decoder: burst and coefficients, complex64, to bits, uint8."""

    def __init__(self, method: str = "exact", max_iterations: int = 50, list_size: int = 8) -> None:
        inputs = (Port("burst", np.complex64), Port("coefficients", np.complex64))
        super().__init__("digital_rx", inputs, (Port("bits", np.uint8),))
        self.equaliser = equaliser()
        self.deframer = deframer("bits")
        self.demapper = soft_demapper(method)
        self.decoder = channel_decoder(max_iterations, list_size)
        for left, right in ((self, self.equaliser), (self.equaliser, self.deframer), (self.deframer, self.demapper)):
            self.connect((left, 0), (right, 0))
            self.connect((left, 1), (right, 1))
        self.connect(self.demapper, self.decoder, self)

    def set_method(self, method: str) -> None:
        """Change the demapper's method."""
        self.demapper.set_method(method)

    def set_max_iterations(self, max_iterations: int) -> None:
        """Change the decoder's limit of iterations."""
        self.decoder.set_max_iterations(max_iterations)

    def set_list_size(self, list_size: int) -> None:
        """Change the number of paths that the polar decoder keeps."""
        self.decoder.set_list_size(list_size)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets from Python into a flowgraph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..message import Meta
from ..packets import PacketBlock
from ..stage import Port


class message_source(PacketBlock):
    """Sends each (array [n], meta) of a list or any other iterable, then ends; `dtype` is the arrays' type."""

    def __init__(self, messages: Iterable[tuple[NDArray[Any], Meta]], dtype: type = np.uint8) -> None:
        super().__init__("message_source", (), (Port("message", dtype),))
        self.messages = messages

    def packets(self) -> Iterator[tuple[Any, ...]]:
        """The messages; a list is sent again when the flowgraph is started again."""
        yield from self.messages

# SPDX-License-Identifier: GPL-3.0-or-later
"""`semcom rx --assist`: listens with a radio and sets its gain."""

from __future__ import annotations

import sys
from typing import Any, Protocol

import numpy as np
from gnuradio import blocks, gr

from .. import packets
from .gain import Levels, advice, choose, levels
from .settings import RadioError

LISTEN_S = 0.5  # at each gain: some bursts should be in it
_SETTLE_S = 0.05  # after a change of gain
_PATIENCE_S = 20.0


class Radio(Protocol):
    """A radio that receives."""

    radio: Any
    gain_db: Any
    gain_range_db: Any

    def set_gain_db(self, gain_db: float) -> None:
        """Change all gain stages together."""


def choose_gain(name: str, source: Radio, rate: float) -> float:
    """Sets the gain of an open radio, tells on stderr what was found at each, and gives it in dB.

    RadioError where no samples come.
    """

    def listen(gain_db: float) -> Levels:
        source.set_gain_db(gain_db)
        found = levels(record(name, source.radio, rate))
        print(f"gain {gain_db:5.1f} dB: {found}", file=sys.stderr)
        return found

    low, high = source.gain_range_db
    gain_db, found, choice = choose(listen, low, high, source.gain_db)[-1]
    source.set_gain_db(choice.gain_db)
    print(f"gain {gain_db:.1f} dB chosen: {choice.reason}", file=sys.stderr)
    for line in advice(found):
        print(line, file=sys.stderr)
    return gain_db


def record(name: str, radio: Any, rate: float, seconds: float = LISTEN_S) -> Any:
    """So many seconds of an open radio's samples, complex64 [n]; RadioError where they do not come."""
    graph = gr.top_block("semcom assistant")
    settle = blocks.skiphead(8, round(_SETTLE_S * rate))
    head, sink = blocks.head(8, max(round(seconds * rate), 5120)), blocks.vector_sink_c()
    graph.connect(radio, settle, head, sink)
    try:
        packets.run(graph, _PATIENCE_S + seconds)
    except TimeoutError:
        raise RadioError(f"no samples came from {name} within {_PATIENCE_S:g} s") from None
    finally:
        graph.disconnect_all()
    return np.array(sink.data(), np.complex64)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages one after another in this thread: what a flowgraph does, without GNU Radio."""

from __future__ import annotations

from collections.abc import Sequence

from ..message import Meta
from ..phy.harq import HarqDecoder, HarqEncoder
from ..stage import Arrays, Stage


def run_chain(stages: Sequence[Stage], arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
    """One message through all stages; between the two ends of hybrid ARQ as often as it takes."""
    for number, stage in enumerate(stages):
        if isinstance(stage, HarqEncoder):
            end = next(i for i, other in enumerate(stages) if isinstance(other, HarqDecoder))
            arrays, meta = _until_acknowledged(stages[number : end + 1], arrays, meta)
            return run_chain(stages[end + 1 :], arrays, meta)
        arrays, meta = stage.run(arrays, meta)
    return arrays, meta


def _until_acknowledged(stages: Sequence[Stage], arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
    sender, receiver = stages[0], stages[-1]
    assert isinstance(sender, HarqEncoder) and isinstance(receiver, HarqDecoder)
    packets = sender.transmissions(arrays[0], meta)
    packet, buffer = next(packets), None
    while True:
        (llr,), arrived = run_chain(stages[1:-1], *packet)
        buffer, blocks_ok, done = receiver.receive(llr, arrived, buffer)
        if done is not None:
            return (done[0],), done[1]
        packet = packets.send(blocks_ok)

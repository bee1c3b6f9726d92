# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of `train.py` to the shipped files: two ONNX graphs and a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...speech.deepsc_s import GROUP, PLANES
from ...speech.mel import BANDS
from ..exporting import hashes, restore_parts, write_card, write_graph
from .network import DeepScS

PARTS = ("encoder", "decoder")


def export(weights: Path, folder: Path, card: dict[str, Any]) -> None:
    """Write `encoder.onnx`, `decoder.onnx` and `card.yml` (the given fields plus hashes) into `folder`."""
    model = DeepScS()
    model.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    model.eval()
    folder.mkdir(parents=True, exist_ok=True)
    one, planes = torch.ones(1), torch.rand(1, PLANES[2], 3)
    inputs = {
        "encoder": {"frames": torch.rand(1, BANDS, 3 * GROUP), "esn0_db": 10 * one, "quality": one},
        "decoder": {"planes": planes, "trust": planes, "quality": one},
    }
    outputs = {"encoder": "planes", "decoder": "frames"}
    for part in PARTS:
        axes = {name: {0: "batch"} | ({2: "length"} if value.ndim == 3 else {}) for name, value in inputs[part].items()}
        axes[outputs[part]] = {0: "batch", 2: "made"}
        write_graph(folder / f"{part}.onnx", getattr(model, part), inputs[part], (outputs[part],), axes)
    write_card(folder, {**card, "files": hashes(folder, [f"{part}.onnx" for part in PARTS])})


def restore(folder: Path) -> dict[str, Tensor]:
    """The state of `DeepScS` from exported files, so that training can go on from a shipped model."""
    return restore_parts(folder, PARTS, DeepScS().state_dict())

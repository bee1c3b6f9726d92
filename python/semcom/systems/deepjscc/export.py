# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of `train.py` to the shipped files: two ONNX graphs and a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..exporting import hashes, picture_axes, restore_parts, write_card, write_graph
from .geometry import PLANES
from .network import DeepJscc

PARTS = ("encoder", "decoder")


def export(weights: Path, folder: Path, card: dict[str, Any]) -> None:
    """Write `encoder.onnx`, `decoder.onnx` and `card.yml` (the given fields plus hashes) into `folder`."""
    model = DeepJscc()
    model.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    model.eval()
    folder.mkdir(parents=True, exist_ok=True)
    one, planes = torch.ones(1), torch.rand(1, PLANES[1], 8, 10)
    inputs = {
        "encoder": {"picture": torch.rand(1, 3, 64, 80), "esn0_db": 10 * one, "quality": one},
        "decoder": {"planes": planes, "trust": planes, "quality": one},
    }
    outputs = {"encoder": "planes", "decoder": "picture"}
    axes = picture_axes(("picture", "planes", "trust")) | {name: {0: "batch"} for name in ("esn0_db", "quality")}
    for part in PARTS:
        write_graph(folder / f"{part}.onnx", getattr(model, part), inputs[part], (outputs[part],), axes)
    write_card(folder, {**card, "files": hashes(folder, [f"{part}.onnx" for part in PARTS])})


def restore(folder: Path) -> dict[str, Tensor]:
    """The state of `DeepJscc` from exported files, so that training can go on from a shipped model."""
    return restore_parts(folder, PARTS, DeepJscc().state_dict())

# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of `train.py` to the shipped files: two ONNX graphs and a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...text.deepsc import REALS, SYMBOLS
from ..exporting import hashes, restore_parts, write_card, write_graph
from .network import DeepScText

PARTS = ("encoder", "decoder")


def export(weights: Path, folder: Path, card: dict[str, Any]) -> None:
    """Write `encoder.onnx`, `decoder.onnx` and `card.yml` (the given fields plus hashes) into `folder`."""
    model = DeepScText()
    model.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    model.eval()
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {"encoder": torch.zeros(1, 20, dtype=torch.int64), "decoder": torch.zeros(1, 20, REALS + SYMBOLS)}
    names = {"encoder": ("tokens", "values"), "decoder": ("values", "logits")}
    axes = {name: {0: "batch", 1: "length"} for name in ("tokens", "values", "logits")}
    for part in PARTS:
        given, made = names[part]
        write_graph(folder / f"{part}.onnx", getattr(model, part), {given: inputs[part]}, (made,), axes)
    write_card(folder, {**card, "files": hashes(folder, [f"{part}.onnx" for part in PARTS])})


def restore(folder: Path) -> dict[str, Tensor]:
    """The state of `DeepScText` from exported files, so that training can go on from a shipped model."""
    return restore_parts(folder, PARTS, DeepScText().state_dict())

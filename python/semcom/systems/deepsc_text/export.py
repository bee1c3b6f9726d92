# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of `train.py` to the shipped files: two ONNX graphs and a card."""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from ...text.deepsc import REALS, SYMBOLS
from .network import DeepScText

PARTS = ("encoder", "decoder")


def export(weights: Path, folder: Path, card: dict[str, Any]) -> None:
    """Write `encoder.onnx`, `decoder.onnx` and `card.yml` (the given fields plus hashes) into `folder`."""
    import onnx

    model = DeepScText()
    model.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    model.eval()
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {"encoder": torch.zeros(1, 20, dtype=torch.int64), "decoder": torch.zeros(1, 20, REALS + SYMBOLS)}
    names = {"encoder": ("tokens", "values"), "decoder": ("values", "logits")}
    hashes = {}
    for part in PARTS:
        path = folder / f"{part}.onnx"
        given, made = names[part]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                getattr(model, part), (inputs[part],), str(path), input_names=[given], output_names=[made],
                dynamic_axes={given: {0: "batch", 1: "length"}, made: {0: "batch", 1: "length"}}, opset_version=17,
                dynamo=False, do_constant_folding=False,
            )  # fmt: skip  # nothing folded: `restore` finds every parameter as it was
        graph = onnx.load(str(path))
        graph.doc_string = ""
        onnx.checker.check_model(graph)
        onnx.save(graph, str(path))
        hashes[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    temporary = folder / "card.yml.part"
    with temporary.open("w") as file:
        yaml.safe_dump({**card, "files": hashes}, file, sort_keys=False, width=110)
    os.replace(temporary, folder / "card.yml")


def restore(folder: Path) -> dict[str, Tensor]:
    """The state of `DeepScText` from exported files, so that training can go on from a shipped model."""
    import onnx
    from onnx import numpy_helper

    wanted = DeepScText().state_dict()
    state: dict[str, Tensor] = {}
    for part in PARTS:
        for tensor in onnx.load(str(folder / f"{part}.onnx")).graph.initializer:
            if (name := f"{part}.{tensor.name}") in wanted:
                state[name] = torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
    return state

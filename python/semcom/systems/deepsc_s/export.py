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

from ...speech.deepsc_s import GROUP, PLANES
from ...speech.mel import BANDS
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
    hashes = {}
    for part in PARTS:
        path = folder / f"{part}.onnx"
        _write_graph(path, getattr(model, part), inputs[part], outputs[part])
        hashes[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    temporary = folder / "card.yml.part"
    with temporary.open("w") as file:
        yaml.safe_dump({**card, "files": hashes}, file, sort_keys=False, width=110)
    os.replace(temporary, folder / "card.yml")


def restore(folder: Path) -> dict[str, Tensor]:
    """The state of `DeepScS` from exported files, so that training can go on from a shipped model."""
    import onnx
    from onnx import numpy_helper

    wanted = DeepScS().state_dict()
    state: dict[str, Tensor] = {}
    for part in PARTS:
        for tensor in onnx.load(str(folder / f"{part}.onnx")).graph.initializer:
            if (name := f"{part}.{tensor.name}") in wanted:
                state[name] = torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
    return state


def _write_graph(path: Path, module: torch.nn.Module, inputs: dict[str, Tensor], output: str) -> None:
    """Export with free batch and length."""
    import onnx

    sequences = [*(name for name, value in inputs.items() if value.ndim == 3), output]
    axes = {name: {0: "batch"} for name in inputs}
    axes |= {name: {0: "batch", 2: "length" if name in inputs else "made"} for name in sequences}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, tuple(inputs.values()), str(path), input_names=list(inputs), output_names=[output],
            dynamic_axes=axes, opset_version=17, dynamo=False, do_constant_folding=False,
        )  # fmt: skip  # nothing folded: `restore` finds every parameter as it was
    graph = onnx.load(str(path))
    graph.doc_string = ""
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of `train.py` to the shipped files: five ONNX graphs, constants and a card."""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from .network import FEATURES, HYPER, LATENTS, QUALITIES, SCALES, ExactConv, Small


class _Analysis(nn.Module):
    def __init__(self, model: Small) -> None:
        super().__init__()
        self.part = model.analysis

    def forward(self, picture: Tensor) -> Tensor:
        return self.part(picture - 0.5)


class _Synthesis(nn.Module):
    def __init__(self, model: Small) -> None:
        super().__init__()
        self.part = model.synthesis

    def forward(self, latents: Tensor) -> Tensor:
        return (self.part(latents) + 0.5).clamp(0, 1)


class _First(nn.Module):
    def __init__(self, model: Small) -> None:
        super().__init__()
        self.model, self.hyper, self.head = model, model.hyper_synthesis, model.first

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hyper = self.hyper(z)
        return (hyper, *self.model.split(self.head(hyper)))


class _Second(nn.Module):
    def __init__(self, model: Small) -> None:
        super().__init__()
        self.model, self.context, self.head = model, model.context, model.second

    def forward(self, hyper: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.split(self.head(torch.cat([hyper, self.context(known)], 1)))


def export(weights: Path, folder: Path, card: dict[str, Any]) -> None:
    """Write `<part>.onnx`, `constants.npz` and `card.yml` (the given fields plus hashes) into `folder`."""
    model = Small()
    state = torch.load(weights, weights_only=True, map_location="cpu")
    model.load_state_dict({k: v.float() for k, v in state.items()})
    model.eval()
    model.set_exact(True)
    for module in model.modules():
        if isinstance(module, ExactConv):
            module.freeze()
    folder.mkdir(parents=True, exist_ok=True)
    picture, y = torch.zeros(1, 3, 64, 64), torch.zeros(1, LATENTS, 4, 4)
    z, features = torch.zeros(1, HYPER, 1, 1), torch.zeros(1, FEATURES, 4, 4)
    graphs: dict[str, tuple[nn.Module, dict[str, Tensor], list[str]]] = {
        "analysis": (_Analysis(model), {"picture": picture}, ["latents"]),
        "hyper_analysis": (model.hyper_analysis, {"latents": y}, ["z"]),
        "entropy_first": (_First(model), {"z": z}, ["hyper", "mean", "index"]),
        "entropy_second": (_Second(model), {"hyper": features, "known": y}, ["mean", "index"]),
        "synthesis": (_Synthesis(model), {"latents": y}, ["picture"]),
    }
    files = []
    for name, (module, inputs, outputs) in graphs.items():
        _write_graph(folder / f"{name}.onnx", module, inputs, outputs)
        files.append(f"{name}.onnx")
    index = model.hyper_index.detach().clamp(0, SCALES - 1).numpy()
    at = np.arange(256) / 255 * (QUALITIES - 1)
    nodes = np.arange(QUALITIES)
    np.savez(
        folder / "constants.npz",
        log_gain=model.log_gain.detach().numpy(),
        log_inverse_gain=model.log_inverse_gain.detach().numpy(),
        hyper_index=np.stack([np.round(np.interp(at, nodes, row)) for row in index.T], 1).astype(np.uint8),
    )
    files.append("constants.npz")
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    identity = int(hashlib.sha256("".join(hashes.values()).encode()).hexdigest()[:4], 16)
    temporary = folder / "card.yml.part"
    with temporary.open("w") as file:
        yaml.safe_dump({**card, "stream_id": identity, "files": hashes}, file, sort_keys=False, width=110)
    os.replace(temporary, folder / "card.yml")


def restore(folder: Path) -> dict[str, Tensor]:
    """The state of `Small` from exported files, so that training can go on from a shipped model.

    Weights come back as they were stored: float16, those of the entropy networks on their grids.
    """
    import onnx
    from onnx import numpy_helper

    state: dict[str, Tensor] = {}
    for part in ("analysis", "hyper_analysis", "entropy_first", "entropy_second", "synthesis"):
        for tensor in onnx.load(str(folder / f"{part}.onnx")).graph.initializer:
            name = tensor.name.removesuffix(".half")
            if name.startswith("model."):
                name = name.removeprefix("model.")
            else:
                name = f"{part}.{name.removeprefix('part.')}"
            state[name] = torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
    with np.load(folder / "constants.npz", allow_pickle=False) as constants:
        nodes = np.round(np.arange(QUALITIES) * 255 / (QUALITIES - 1)).astype(int)
        state["hyper_index"] = torch.from_numpy(constants["hyper_index"][nodes].astype(np.float32))
        for name in ("log_gain", "log_inverse_gain"):
            state[name] = torch.from_numpy(constants[name])
    return state


def _write_graph(path: Path, module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> None:
    """Export with free batch, height and width; weights are stored as float16 and cast when loaded."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    axes = {name: {0: "batch", 2: f"{name}_h", 3: f"{name}_w"} for name in [*inputs, *outputs]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, tuple(inputs.values()), str(path), input_names=list(inputs), output_names=outputs,
            dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
    graph = onnx.load(str(path))
    casts = []
    for number, tensor in enumerate(list(graph.graph.initializer)):
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim != 4:
            continue
        name = tensor.name
        graph.graph.initializer.remove(tensor)
        half = numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
        graph.graph.initializer.append(half)
        casts.append(helper.make_node("Cast", [half.name], [name], name=f"cast{number}", to=TensorProto.FLOAT))
    for node in reversed(casts):
        graph.graph.node.insert(0, node)
    graph.doc_string = ""
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))

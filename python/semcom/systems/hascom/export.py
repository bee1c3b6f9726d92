# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of `train.py` to the files of a model folder: six ONNX graphs, the styles' mean, and a card."""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from .graphs import Part, parts
from .network import Hascom, parameter_count
from .style_network import StyleJscc, StyleNetwork

CHECKED = (1, 45, 300)  # phonemes or frames at which each graph must agree with its network
LARGE = 256  # values from which on a tensor is stored in float16
TOLERANCE = 1e-3
STYLES = "style.npz"


def export(weights: Path, folder: Path, card: dict[str, Any]) -> None:
    """Write the graphs, `style.npz` and `card.yml` into `folder`; style.pt, jscc.pt and style.npz lie beside `weights`.

    The card gets the given fields, the number of parameters and hashes. Weights are stored in float16. Each graph is
    run by ONNX Runtime at three lengths and must agree with Torch: RuntimeError where it does not. ValueError for
    weights of no small HASCom.
    """
    model, style, jscc = Hascom(), StyleNetwork(), StyleJscc()
    networks: list[tuple[torch.nn.Module, Path]] = [
        (model, weights), (style, weights.with_name("style.pt")), (jscc, weights.with_name("jscc.pt")),
    ]  # fmt: skip
    for network, path in networks:
        if not path.is_file():
            raise ValueError(f"{path}: missing; `semcom train hascom` writes it beside weights.pt")
        try:
            network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
        except RuntimeError as error:
            raise ValueError(f"{path}: these are no weights of preset small of this version") from error
        network.eval()
        for parameter in network.parameters():
            if parameter.numel() >= LARGE:
                parameter.data = parameter.data.half().float()
    folder.mkdir(parents=True, exist_ok=True)
    hashes = {}
    for name, part in parts(model, style, jscc).items():
        path = folder / f"{name}.onnx"
        write_graph(path, part)
        check_graph(path, part)
        hashes[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    with np.load(weights.with_name(STYLES)) as file:
        about = {name: file[name] for name in ("mean", "neutral")}
    bases = np.stack([style.emotion.basis.numpy(), style.speaker.basis.numpy()])
    np.savez(folder / STYLES, **about, bases=bases)
    hashes[STYLES] = hashlib.sha256((folder / STYLES).read_bytes()).hexdigest()
    counts = {"prior": model.prior, "denoiser": model.denoiser, "style": style, "jscc": jscc}
    needed = {"preset": "small", "parameters": {name: parameter_count(part) for name, part in counts.items()}}
    temporary = folder / "card.yml.part"
    with temporary.open("w") as out:
        yaml.safe_dump({**card, **needed, "files": hashes}, out, sort_keys=False, width=110, allow_unicode=True)
    os.replace(temporary, folder / "card.yml")


def write_graph(path: Path, part: Part) -> None:
    """Export with a free length; large tensors are stored in float16 and widened when the graph is loaded."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    part.module.eval()  # the exporter puts a module back into the mode that it found
    inputs = part.inputs(CHECKED[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            part.module, tuple(inputs.values()), str(path), input_names=list(inputs), output_names=list(part.outputs),
            dynamic_axes={name: {axis: "length"} for name, axis in part.free.items()}, opset_version=17, dynamo=False,
        )  # fmt: skip
    graph = onnx.load(str(path))
    nodes = []
    for number, tensor in enumerate(list(graph.graph.initializer)):
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= LARGE:
            half = f"{tensor.name}.half"
            nodes.append(helper.make_node("Cast", [half], [tensor.name], f"cast{number}", to=TensorProto.FLOAT))
            graph.graph.initializer.remove(tensor)
            graph.graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), half))
    for node in reversed(nodes):
        graph.graph.node.insert(0, node)
    graph.doc_string = ""
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


def check_graph(path: Path, part: Part) -> None:
    """RuntimeError unless ONNX Runtime gives what Torch gives, at lengths the exporter never saw too."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for length in CHECKED:
        inputs = part.inputs(length)
        found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        with torch.no_grad():
            outputs = part.module(*inputs.values())
        wanted = outputs if isinstance(outputs, tuple) else (outputs,)
        for name, left, right in zip(part.outputs, found, wanted, strict=True):
            scale = max(1.0, float(right.abs().max()))
            error = float(np.abs(left - right.numpy()).max()) / scale if left.shape == right.shape else np.inf
            if not error < TOLERANCE:
                raise RuntimeError(f"{path}: {name} differs from the network by {error:.1e} of its range")

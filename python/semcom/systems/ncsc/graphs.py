# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of a network as an ONNX graph: written with free batch, height and width, and compared with Torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

CHECKED = (1, 2, 3)  # sizes, in units of 64 pixels, at which each graph must agree with its network


@dataclass(frozen=True)
class Part:
    """A graph to write: `inputs` makes an example of the given size, by input name."""

    module: nn.Module
    inputs: Callable[[int], dict[str, Tensor]]
    outputs: tuple[str, ...]


def picture_input(size: int) -> dict[str, Tensor]:
    """A picture of noise, `size` units of 64 pixels high and wide."""
    return {"picture": torch.rand(1, 3, 64 * size, 64 * size)}


def noise(channels: int, side: int) -> Tensor:
    """Normal values [1, channels, side, side + 1]."""
    return torch.randn(1, channels, side, side + 1) * 2


def int8_grid(weights: Tensor) -> Tensor:
    """Convolution weights [out, in, h, w], each output channel rounded to 255 levels.

    The step of a channel is the one with the least squared error among nine that clip more or less of its largest
    weights. What comes out is its own image: the largest weight of a channel is 127 steps.
    """
    widest = weights.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12) / 127
    best, least = weights, torch.full_like(widest, torch.inf)
    for share in np.linspace(1.0, 0.6, 9):
        step = widest * float(share)
        rounded = torch.clamp(torch.round(weights / step), -127, 127) * step
        error = (rounded - weights).square().sum(dim=(1, 2, 3), keepdim=True)
        best = torch.where(error < least, rounded, best)
        least = torch.minimum(error, least)
    return best


def write_graph(path: Path, part: Part, store: str = "float32") -> None:
    """Export with free batch, height and width.

    `store`: how convolution weights lie in the file: "float32", "float16", or "int8" with a step for each output
    channel, which takes weights out of `int8_grid` as they are; the graph widens them when it is loaded.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    inputs = part.inputs(1)
    axes = {name: {0: "batch", 2: f"{name}_h", 3: f"{name}_w"} for name in [*inputs, *part.outputs]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            part.module, tuple(inputs.values()), str(path), input_names=list(inputs), output_names=list(part.outputs),
            dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
    graph = onnx.load(str(path))
    nodes = []
    for number, tensor in enumerate([] if store == "float32" else list(graph.graph.initializer)):
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim != 4:
            continue
        name = tensor.name
        graph.graph.initializer.remove(tensor)
        if store == "float16":
            kept = [numpy_helper.from_array(values.astype(np.float16), f"{name}.half")]
            nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], f"cast{number}", to=TensorProto.FLOAT))
        else:
            step = np.maximum(np.abs(values).max(axis=(1, 2, 3), keepdims=True), 1e-12) / np.float32(127)
            kept = [
                numpy_helper.from_array(np.round(values / step).astype(np.int8), f"{name}.int8"),
                numpy_helper.from_array(step, f"{name}.step"),
            ]
            wide = f"{name}.wide"
            nodes.append(helper.make_node("Cast", [f"{name}.int8"], [wide], f"cast{number}", to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", [wide, f"{name}.step"], [name], f"scale{number}"))
        graph.graph.initializer.extend(kept)
    for node in reversed(nodes):
        graph.graph.node.insert(0, node)
    graph.doc_string = ""
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


def check_graph(path: Path, part: Part) -> None:
    """RuntimeError unless ONNX Runtime gives what Torch gives, at sizes the exporter never saw too."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for size in CHECKED:
        inputs = part.inputs(size)
        found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        with torch.no_grad():
            outputs = part.module(*inputs.values())
        wanted = outputs if isinstance(outputs, tuple) else (outputs,)
        for name, left, right in zip(part.outputs, found, wanted, strict=True):
            scale = max(1.0, float(right.abs().max()))
            error = float(np.abs(left - right.numpy()).max()) / scale if left.shape == right.shape else np.inf
            if not error < 2e-3:
                raise RuntimeError(f"{path}: {name} differs from the network by {error:.1e} of its range")

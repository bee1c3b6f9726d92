# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of networks as ONNX graphs: written, compared with Torch and read back; and the card that names the files."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn

LARGE = 256  # values from which on a tensor is stored in float16
Axes = dict[str, dict[int, str]]


@dataclass(frozen=True)
class Part:
    """A graph to write: `inputs` makes an example of the given length or size, by input name; `prefix` of its weights
    in the model."""

    module: nn.Module
    inputs: Callable[[int], dict[str, Tensor]]
    outputs: tuple[str, ...]
    prefix: str = ""


def picture_input(size: int) -> dict[str, Tensor]:
    """A picture of noise, `size` units of 64 pixels high and wide."""
    return {"picture": torch.rand(1, 3, 64 * size, 64 * size)}


def picture_axes(names: Iterable[str]) -> Axes:
    """Free batch, height and width for each name."""
    return {name: {0: "batch", 2: f"{name}_h", 3: f"{name}_w"} for name in names}


def half_if_large(values: NDArray[np.float32]) -> str:
    """Storage of weights: large tensors in float16."""
    return "float16" if values.size >= LARGE else "float32"


def round_large(model: nn.Module) -> None:
    """Weights of large tensors to what float16 can hold."""
    for parameter in model.parameters():
        if parameter.numel() >= LARGE:
            parameter.data = parameter.data.half().float()


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


def write_graph(
    path: Path, module: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str], axes: Axes, *,
    store: Callable[[NDArray[np.float32]], str] | None = None, fold: bool = False,
) -> None:  # fmt: skip
    """Export, with the free axes of inputs and outputs and what they are called; names of other graphs do no harm.

    `store` tells how a tensor of weights lies in the file: "float32", "float16", or "int8" with a step for each output
    channel, which takes weights out of `int8_grid` as they are; the graph widens them when it is loaded. Without `fold`
    nothing is folded, and `stored_weights` finds every parameter as it was.
    """
    import onnx

    module.eval()  # the exporter puts a module back into the mode that it found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, tuple(inputs.values()), str(path), input_names=list(inputs), output_names=list(outputs),
            dynamic_axes={name: axes[name] for name in (*inputs, *outputs) if name in axes}, opset_version=17,
            dynamo=False, do_constant_folding=fold,
        )  # fmt: skip
    model = onnx.load(str(path))
    if store:
        _narrow(model.graph, store)
    model.doc_string = ""
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _narrow(graph: Any, store: Callable[[NDArray[np.float32]], str]) -> None:
    """Replace weights by narrower ones and nodes that widen them."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = []
    for number, tensor in enumerate(list(graph.initializer)):
        name, values = tensor.name, numpy_helper.to_array(tensor)
        how = store(values) if values.dtype == np.float32 else "float32"
        if how == "float32":
            continue
        graph.initializer.remove(tensor)
        if how == "float16":
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
        graph.initializer.extend(kept)
    for node in reversed(nodes):
        graph.node.insert(0, node)


def stored_weights(path: Path) -> dict[str, Tensor]:
    """The tensors in a graph of `write_graph`, in float32, by their names before they were narrowed."""
    import onnx
    from onnx import numpy_helper

    tensors = onnx.load(str(path)).graph.initializer
    stored = {tensor.name: numpy_helper.to_array(tensor).astype(np.float32) for tensor in tensors}
    found = {}
    for key, values in stored.items():
        name = key.removesuffix(".half").removesuffix(".int8")
        if key.endswith(".int8"):
            values = values * stored[f"{name}.step"]
        if not key.endswith(".step"):
            found[name] = torch.from_numpy(values)
    return found


def restore_parts(folder: Path, parts: Iterable[str], wanted: Iterable[str]) -> dict[str, Tensor]:
    """The `wanted` weights of a network whose parts are graphs of the same names, not narrowed or folded."""
    weights = {part: stored_weights(folder / f"{part}.onnx") for part in parts}
    found = {f"{part}.{name}": values for part in weights for name, values in weights[part].items()}
    return {name: found[name] for name in wanted if name in found}


def check_graph(path: Path, part: Part, sizes: Iterable[int], tolerance: float = 1e-3) -> None:
    """RuntimeError unless ONNX Runtime gives what Torch gives, at sizes the exporter never saw too.

    `tolerance` is a share of the largest output, or of 1: ONNX Runtime approximates the sigmoid.
    """
    import onnxruntime as ort

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    taken = {value.name for value in session.get_inputs()}
    for size in sizes:
        inputs = part.inputs(size)
        found = session.run(None, {name: value.numpy() for name, value in inputs.items() if name in taken})
        with torch.no_grad():
            outputs = part.module(*inputs.values())
        wanted = outputs if isinstance(outputs, tuple) else (outputs,)
        for name, left, right in zip(part.outputs, found, wanted, strict=True):
            scale = max(1.0, float(right.abs().max()))
            error = float(np.abs(left - right.numpy()).max()) / scale if left.shape == right.shape else np.inf
            if not error < tolerance:
                raise RuntimeError(f"{path}: {name} differs from the network by {error:.1e} of its range")


def write_picture_graph(path: Path, part: Part, store: str) -> None:
    """Export with free batch, height and width, and check; `store` as in `write_graph`, for weights of convolutions."""
    inputs = part.inputs(1)
    write_graph(
        path, part.module, inputs, part.outputs, picture_axes((*inputs, *part.outputs)),
        store=lambda values: store if values.ndim == 4 else "float32", fold=True,
    )  # fmt: skip
    check_graph(path, part, (1, 2, 3), 2e-3)


def hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files in a folder, hexadecimal, by name."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def write_card(folder: Path, card: dict[str, Any], allow_unicode: bool = False) -> None:
    """Write `card.yml` so that a kill in the middle leaves the old file."""
    temporary = folder / "card.yml.part"
    with temporary.open("w") as file:
        yaml.safe_dump(card, file, sort_keys=False, width=110, allow_unicode=allow_unicode)
    os.replace(temporary, folder / "card.yml")

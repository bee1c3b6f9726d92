# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of `train.py` to the files of a model folder: three ONNX graphs and a card."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from ...speech.ctc import TOKENS
from .codec import NGRAM
from .network import REALS, SIZES, DeepScSt, parameter_count

CHECKED = (1, 26, 300)  # lengths in frames of 40 ms at which each graph must agree with its network
LARGE = 256  # values from which on a tensor is stored in float16
TOLERANCE = 1e-3  # ONNX Runtime approximates the sigmoid


class _Recogniser(nn.Module):
    """Both outputs of a link: logits, and the last hidden layer for distances between recordings."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.recogniser = model

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        hidden, _ = self.recogniser.hidden(frames)  # type: ignore[operator]
        return self.recogniser.dense(hidden), hidden  # type: ignore[operator]


@dataclass(frozen=True)
class Part:
    """A graph to write: `inputs` makes an example of so many frames of 40 ms; `prefix` of its weights in the model."""

    module: nn.Module
    prefix: str
    inputs: Callable[[int], dict[str, Tensor]]
    outputs: tuple[str, ...]


def parts(model: DeepScSt) -> dict[str, Part]:
    """The graphs of a model, by file name."""
    bands = model.recogniser.size.bands
    return {
        "recogniser": Part(
            _Recogniser(model.recogniser),
            "",
            lambda n: {"frames": torch.randn(1, 4 * n - 1, bands)},
            ("logits", "hidden"),
        ),
        "channel_encoder": Part(
            model.encoder,
            "encoder.",
            lambda n: {"probabilities": torch.randn(1, n, TOKENS).softmax(-1), "esn0_db": torch.tensor([8.0])},
            ("values",),
        ),
        "channel_decoder": Part(
            model.decoder,
            "decoder.",
            lambda n: {"values": torch.randn(1, n, REALS), "noise_var": torch.rand(1, n, REALS // 2)},
            ("logits",),
        ),
    }


def preset_of(state: dict[str, Tensor]) -> str:
    """Which preset weights are of; ValueError for those of none."""
    for preset in SIZES:
        with torch.device("meta"):
            shapes = {name: value.shape for name, value in DeepScSt(preset).state_dict().items()}
        if shapes == {name: value.shape for name, value in state.items()}:
            return preset
    raise ValueError("these are no weights of a DeepSC-ST network of this version")


def export(weights: Path, folder: Path, card: dict[str, Any]) -> None:
    """Write `recogniser.onnx`, `channel_encoder.onnx`, `channel_decoder.onnx` and `card.yml` into `folder`.

    The card gets the given fields, what the networks need to be run, and hashes. Weights are stored in float16. Each
    graph is run by ONNX Runtime at three lengths and must agree with Torch: RuntimeError where it does not. ValueError
    for weights of no DeepSC-ST network. An `ngram.npz` that lies in `folder` (see ngram.py) becomes part of the model.
    """
    state = torch.load(weights, weights_only=True, map_location="cpu")
    preset = preset_of(state)
    model = DeepScSt(preset)
    model.load_state_dict(state)
    model.eval()
    for parameter in model.parameters():
        if parameter.numel() >= LARGE:
            parameter.data = parameter.data.half().float()
    folder.mkdir(parents=True, exist_ok=True)
    hashes = {}
    for name, part in parts(model).items():
        path = folder / f"{name}.onnx"
        write_graph(path, part)
        check_graph(path, part)
        hashes[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    if (folder / NGRAM).is_file():
        hashes[NGRAM] = hashlib.sha256((folder / NGRAM).read_bytes()).hexdigest()
    size = model.recogniser.size
    needed = {
        "preset": preset, "parameters": parameter_count(model), "bands": size.bands, "snr_adaptive": size.adaptive,
        "interleaved": size.adaptive,
    }  # fmt: skip
    temporary = folder / "card.yml.part"
    with temporary.open("w") as file:
        yaml.safe_dump({**card, **needed, "files": hashes}, file, sort_keys=False, width=110)
    os.replace(temporary, folder / "card.yml")


def write_graph(path: Path, part: Part) -> None:
    """Export with a free length; large tensors are stored in float16 and widened when the graph is loaded."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    part.module.eval()  # the exporter puts a module back into the mode that it found
    inputs = part.inputs(CHECKED[1])
    names = {name for name, value in inputs.items() if value.ndim == 3} | set(part.outputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            part.module, tuple(inputs.values()), str(path), input_names=list(inputs), output_names=list(part.outputs),
            dynamic_axes={name: {1: f"{name}_frames"} for name in names}, opset_version=17, dynamo=False,
            do_constant_folding=False,
        )  # fmt: skip  # nothing folded: `restore` finds every parameter as it was
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
    taken = {value.name for value in session.get_inputs()}
    for frames in CHECKED:
        inputs = part.inputs(frames)
        found = session.run(None, {name: value.numpy() for name, value in inputs.items() if name in taken})
        with torch.no_grad():
            outputs = part.module(*inputs.values())
        wanted = outputs if isinstance(outputs, tuple) else (outputs,)
        for name, left, right in zip(part.outputs, found, wanted, strict=True):
            scale = max(1.0, float(right.abs().max()))
            error = float(np.abs(left - right.numpy()).max()) / scale if left.shape == right.shape else np.inf
            if not error < TOLERANCE:
                raise RuntimeError(f"{path}: {name} differs from the network by {error:.1e} of its range")


def restore(folder: Path) -> dict[str, Tensor]:
    """The state of `DeepScSt` from exported files, so that training can go on from a shipped model."""
    import onnx
    from onnx import numpy_helper

    card = yaml.safe_load((folder / "card.yml").read_text())
    model = DeepScSt(card["preset"])
    state = model.state_dict()
    for name, part in parts(model).items():
        for tensor in onnx.load(str(folder / f"{name}.onnx")).graph.initializer:
            key = part.prefix + tensor.name.removesuffix(".half")
            if key in state:
                state[key] = torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
    for name in state:
        if name.endswith("num_batches_tracked"):  # no file keeps it: the statistics count as settled
            state[name] = torch.tensor(1000)
    return state

# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of `train.py` to the files of a model folder: four ONNX graphs, the vocabulary and a card.

The loop over words stays in Python: `encoder` once an utterance, `step` once a word, then `channel_encoder` and, at the
receiver, `decoder` (channel decoder and semantic decoder) once a message. Noise is outside of all of them.
"""

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
from numpy.typing import NDArray
from torch import Tensor, nn

from ...speech.filterbanks import BANDS
from ...text.vocabulary import SPECIAL, read
from .network import SIZES, SpeechToText, make, parameter_count, with_trust

CHECKED = (1, 20, 77)  # lengths (of 80 ms at `small`, or words) at which each graph must agree with its network
LARGE = 256  # values from which on a tensor is stored in float16
TOLERANCE = 1e-3  # ONNX Runtime approximates the sigmoid
VOCABULARY = "vocabulary.txt"
MEANS = "vectors.npz"  # the mean vector of each word, for models with a beam


class _Encoder(nn.Module):
    def __init__(self, model: SpeechToText) -> None:
        super().__init__()
        self.vgg, self.blstm, self.attention, self.letters = model.vgg, model.blstm, model.attention, model.letters

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        x, _ = self.vgg(frames)
        states, _, first = self.blstm(x)
        spelled = () if self.letters is None else (torch.log_softmax(self.letters(first), -1),)
        return states, self.attention.keys(states), *spelled


class _Step(nn.Module):
    def __init__(self, model: SpeechToText) -> None:
        super().__init__()
        self.attention, self.lstm, self.embedding = model.attention, model.lstm, model.embedding
        self.removal = model.removal

    def forward(
        self, states: Tensor, keys: Tensor, word: Tensor, h: Tensor, c: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        context, weights = self.attention(states, keys, h, weights)
        h, c = self.lstm(torch.cat([context, self.embedding(word)], -1), (h, c))
        return self.removal(h), h, c, weights


class _Decoder(nn.Module):
    def __init__(self, model: SpeechToText) -> None:
        super().__init__()
        self.channel_decoder, self.semantic_decoder = model.channel_decoder, model.semantic_decoder
        self.aware = model.size.aware

    def forward(self, values: Tensor, noise_var: Tensor) -> Tensor:
        return self.semantic_decoder(self.channel_decoder(with_trust(values, noise_var) if self.aware else values))


@dataclass(frozen=True)
class Part:
    """A graph to write: `inputs` makes an example of a length; `free` names the inputs and outputs whose axis 1 is, and
    `rows` those whose axis 0 is."""

    module: nn.Module
    prefix: str
    inputs: Callable[[int], dict[str, Tensor]]
    outputs: tuple[str, ...]
    free: tuple[str, ...]
    rows: tuple[str, ...] = ()


def parts(model: SpeechToText) -> dict[str, Part]:
    """The graphs of a model, by file name."""
    size = model.size
    width, decoder = 2 * size.hidden, size.decoder

    def step(n: int) -> dict[str, Tensor]:
        states = torch.tanh(torch.randn(1, n, width))
        keys = model.attention.keys(states).detach()
        sentences = 1 + n // 10
        h, c = torch.tanh(torch.randn(2, sentences, decoder))
        return {
            "states": states, "keys": keys, "word": torch.randint(model.classes, (sentences,)), "h": h, "c": c,
            "weights": torch.rand(sentences, n).softmax(-1),
        }  # fmt: skip

    letters = () if model.letters is None else ("letters",)

    return {
        "encoder": Part(
            _Encoder(model), "", lambda n: {"frames": torch.randn(1, 8 * n + 3, BANDS, 3)},
            ("states", "keys", *letters), ("frames", "states", "keys", *letters),
        ),
        "step": Part(
            _Step(model), "", step, ("logits", "h_next", "c_next", "weights_next"),
            ("states", "keys", "weights", "weights_next"),
            ("word", "h", "c", "weights", "logits", "h_next", "c_next", "weights_next"),
        ),
        "channel_encoder": Part(
            model.channel_encoder, "channel_encoder.", lambda n: {"vectors": torch.tanh(torch.randn(1, n, decoder))},
            ("values",), ("vectors", "values"),
        ),
        "decoder": Part(
            _Decoder(model), "",
            lambda n: {
                "values": torch.randn(1, n, 2 * size.symbols), "noise_var": torch.rand(1, n, size.symbols),
            },
            ("word_logits",), ("values", "noise_var", "word_logits"),
        ),
    }  # fmt: skip


def model_of(state: dict[str, Tensor]) -> tuple[str, SpeechToText]:
    """The preset that weights are of, and the network with them; ValueError for those of none."""
    classes = len(state.get("removal.bias", ()))
    for preset, size in SIZES.items():
        if classes <= SPECIAL or (size.words and size.words != classes - SPECIAL):
            continue
        with torch.device("meta"):
            shapes = {name: value.shape for name, value in make(preset, classes - SPECIAL).state_dict().items()}
        if shapes == {name: value.shape for name, value in state.items()}:
            model = make(preset, classes - SPECIAL)
            model.load_state_dict(state)
            return preset, model.eval()
    raise ValueError("these are no weights of a speech_to_text network of this version")


def export(weights: Path, folder: Path, card: dict[str, Any]) -> None:
    """Write the graphs, `vocabulary.txt` and `card.yml` into `folder`; the vocabulary lies beside the weights.

    The card gets the given fields, what the networks need to be run, and hashes. Weights are stored in float16. Each
    graph is run by ONNX Runtime at three lengths and must agree with Torch: RuntimeError where it does not. ValueError
    for weights of no such network, or a vocabulary of another one.
    """
    preset, model = model_of(torch.load(weights, weights_only=True, map_location="cpu"))
    source = weights.parent / VOCABULARY
    if not source.is_file():
        raise ValueError(f"{source}: no such file; training writes the vocabulary beside the weights")
    vocabulary = read(source.read_text(encoding="utf-8"), str(source))
    if len(vocabulary) > model.classes or (not model.size.words and len(vocabulary) != model.classes):
        raise ValueError(
            f"{source} has {len(vocabulary.words)} words and the network {model.classes - SPECIAL}: "
            "expected the vocabulary of the same training"
        )
    for parameter in model.parameters():
        if parameter.numel() >= LARGE:
            parameter.data = parameter.data.half().float()
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)  # of the inputs that graphs are checked with
    names = []
    for name, part in parts(model).items():
        path = folder / f"{name}.onnx"
        write_graph(path, part)
        check_graph(path, part)
        names.append(path.name)
    vocabulary.write(folder / VOCABULARY)
    names.append(VOCABULARY)
    if "beam" in card:
        means = means_of(weights.parent / MEANS, model)
        np.savez_compressed(folder / MEANS, means=means)
        names.append(MEANS)
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    needed = {
        "preset": preset, "parameters": parameter_count(model), "classes": model.classes,
        "symbols": model.size.symbols, "aware": model.size.aware, "interleaved": model.size.aware,
    }  # fmt: skip
    temporary = folder / "card.yml.part"
    with temporary.open("w") as file:
        yaml.safe_dump({**card, **needed, "files": hashes}, file, sort_keys=False, width=110)
    os.replace(temporary, folder / "card.yml")


def means_of(path: Path, model: SpeechToText) -> NDArray[np.float16]:
    """The mean vectors of the words, [classes, D]; ValueError where there are none of this network."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file; a card with a beam needs the vectors that stage 2 writes")
    with np.load(path) as found:
        means = found["means"].astype(np.float16)
    if means.shape != (model.classes, model.size.decoder):
        raise ValueError(f"{path}: expected vectors [{model.classes}, {model.size.decoder}], not {list(means.shape)}")
    return means


def write_graph(path: Path, part: Part) -> None:
    """Export with a free length; large tensors are stored in float16 and widened when the graph is loaded."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    part.module.eval()  # the exporter puts a module back into the mode that it found
    inputs = part.inputs(CHECKED[1])
    axes = {
        name: {axis: f"{name}_{axis}" for axis, names in ((0, part.rows), (1, part.free)) if name in names}
        for name in {*part.rows, *part.free}
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            part.module, tuple(inputs.values()), str(path), input_names=list(inputs), output_names=list(part.outputs),
            dynamic_axes=axes, opset_version=17, dynamo=False,
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
    for length in CHECKED:
        inputs = part.inputs(length)
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
    """The state of the network from exported files, so that training can go on from a shipped model.

    What no graph needs is left out.
    """
    import onnx
    from onnx import numpy_helper

    card = yaml.safe_load((folder / "card.yml").read_text())
    model = make(card["preset"], int(card["classes"]) - SPECIAL)
    state = model.state_dict()
    found: dict[str, Tensor] = {}
    for name, part in parts(model).items():
        for tensor in onnx.load(str(folder / f"{name}.onnx")).graph.initializer:
            key = part.prefix + tensor.name.removesuffix(".half")
            if key in state:
                found[key] = torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
    return found

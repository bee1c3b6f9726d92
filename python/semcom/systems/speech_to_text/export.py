# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of `train.py` to the files of a model folder: four ONNX graphs, the vocabulary and a card.

The loop over words stays in Python: `encoder` once an utterance, `step` once a word, then `channel_encoder` and, at the
receiver, `decoder` (channel decoder and semantic decoder) once a message. Noise is outside of all of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn

from ...speech.filterbanks import BANDS
from ...text.vocabulary import SPECIAL, read
from ..exporting import (
    Axes,
    Part,
    check_graph,
    half_if_large,
    hashes,
    round_large,
    stored_weights,
    write_card,
    write_graph,
)
from .network import SIZES, SpeechToText, make, parameter_count, with_trust

CHECKED = (1, 20, 77)  # lengths (of 80 ms at `small`, or words) at which each graph must agree with its network
VOCABULARY = "vocabulary.txt"
MEANS = "vectors.npz"  # the mean vector of each word, for models with a beam
LENGTHS = "frames states keys letters weights weights_next vectors values noise_var word_logits".split()  # free axis 1
ROWS = "word h c weights logits h_next c_next weights_next".split()  # free axis 0
AXES: Axes = {
    name: {axis: f"{name}_{axis}" for axis, names in ((0, ROWS), (1, LENGTHS)) if name in names}
    for name in (*LENGTHS, *ROWS)
}


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
            _Encoder(model), lambda n: {"frames": torch.randn(1, 8 * n + 3, BANDS, 3)}, ("states", "keys", *letters)
        ),
        "step": Part(_Step(model), step, ("logits", "h_next", "c_next", "weights_next")),
        "channel_encoder": Part(
            model.channel_encoder, lambda n: {"vectors": torch.tanh(torch.randn(1, n, decoder))}, ("values",),
            "channel_encoder.",
        ),
        "decoder": Part(
            _Decoder(model),
            lambda n: {
                "values": torch.randn(1, n, 2 * size.symbols), "noise_var": torch.rand(1, n, size.symbols),
            },
            ("word_logits",),
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
    round_large(model)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)  # of the inputs that graphs are checked with
    names = []
    for name, part in parts(model).items():
        path = folder / f"{name}.onnx"
        write_graph(path, part.module, part.inputs(CHECKED[1]), part.outputs, AXES, store=half_if_large)
        check_graph(path, part, CHECKED)
        names.append(path.name)
    vocabulary.write(folder / VOCABULARY)
    names.append(VOCABULARY)
    if "beam" in card:
        means = means_of(weights.parent / MEANS, model)
        np.savez_compressed(folder / MEANS, means=means)
        names.append(MEANS)
    needed = {
        "preset": preset, "parameters": parameter_count(model), "classes": model.classes,
        "symbols": model.size.symbols, "aware": model.size.aware, "interleaved": model.size.aware,
    }  # fmt: skip
    write_card(folder, {**card, **needed, "files": hashes(folder, names)})


def means_of(path: Path, model: SpeechToText) -> NDArray[np.float16]:
    """The mean vectors of the words, [classes, D]; ValueError where there are none of this network."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file; a card with a beam needs the vectors that stage 2 writes")
    with np.load(path) as found:
        means = found["means"].astype(np.float16)
    if means.shape != (model.classes, model.size.decoder):
        raise ValueError(f"{path}: expected vectors [{model.classes}, {model.size.decoder}], not {list(means.shape)}")
    return means


def restore(folder: Path) -> dict[str, Tensor]:
    """The state of the network from exported files, so that training can go on from a shipped model.

    What no graph needs is left out.
    """
    card = yaml.safe_load((folder / "card.yml").read_text())
    model = make(card["preset"], int(card["classes"]) - SPECIAL)
    state = model.state_dict()
    found: dict[str, Tensor] = {}
    for name, part in parts(model).items():
        for key, values in stored_weights(folder / f"{name}.onnx").items():
            if part.prefix + key in state:
                found[part.prefix + key] = values
    return found

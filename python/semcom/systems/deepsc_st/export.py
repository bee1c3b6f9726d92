# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of `train.py` to the files of a model folder: three ONNX graphs and a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from ...speech.ctc import TOKENS
from ..exporting import (
    Part,
    check_graph,
    half_if_large,
    hashes,
    round_large,
    stored_weights,
    write_card,
    write_graph,
)
from .codec import NGRAM
from .network import REALS, SIZES, DeepScSt, parameter_count

CHECKED = (1, 26, 300)  # lengths in frames of 40 ms at which each graph must agree with its network
FREE = ("frames", "logits", "hidden", "probabilities", "values", "noise_var")
AXES = {name: {1: f"{name}_frames"} for name in FREE}


class _Recogniser(nn.Module):
    """Both outputs of a link: logits, and the last hidden layer for distances between recordings."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.recogniser = model

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        hidden, _ = self.recogniser.hidden(frames)  # type: ignore[operator]
        return self.recogniser.dense(hidden), hidden  # type: ignore[operator]


def parts(model: DeepScSt) -> dict[str, Part]:
    """The graphs of a model, by file name."""
    bands = model.recogniser.size.bands
    return {
        "recogniser": Part(
            _Recogniser(model.recogniser),
            lambda n: {"frames": torch.randn(1, 4 * n - 1, bands)},
            ("logits", "hidden"),
        ),
        "channel_encoder": Part(
            model.encoder,
            lambda n: {"probabilities": torch.randn(1, n, TOKENS).softmax(-1), "esn0_db": torch.tensor([8.0])},
            ("values",),
            "encoder.",
        ),
        "channel_decoder": Part(
            model.decoder,
            lambda n: {"values": torch.randn(1, n, REALS), "noise_var": torch.rand(1, n, REALS // 2)},
            ("logits",),
            "decoder.",
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
    round_large(model)
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, part in parts(model).items():
        path = folder / f"{name}.onnx"
        write_graph(path, part.module, part.inputs(CHECKED[1]), part.outputs, AXES, store=half_if_large)
        check_graph(path, part, CHECKED)
        names.append(path.name)
    if (folder / NGRAM).is_file():
        names.append(NGRAM)
    size = model.recogniser.size
    needed = {
        "preset": preset, "parameters": parameter_count(model), "bands": size.bands, "snr_adaptive": size.adaptive,
        "interleaved": size.adaptive,
    }  # fmt: skip
    write_card(folder, {**card, **needed, "files": hashes(folder, names)})


def restore(folder: Path) -> dict[str, Tensor]:
    """The state of `DeepScSt` from exported files, so that training can go on from a shipped model."""
    card = yaml.safe_load((folder / "card.yml").read_text())
    model = DeepScSt(card["preset"])
    state = model.state_dict()
    for name, part in parts(model).items():
        for key, values in stored_weights(folder / f"{name}.onnx").items():
            if part.prefix + key in state:
                state[part.prefix + key] = values
    for name in state:
        if name.endswith("num_batches_tracked"):  # no file keeps it: the statistics count as settled
            state[name] = torch.tensor(1000)
    return state

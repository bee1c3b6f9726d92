# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of `train.py` to the files of a model folder: two ONNX graphs, the codebooks and a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from ..exporting import Part, hashes, int8_grid, picture_input, stored_weights, write_card, write_picture_graph
from .network import Small
from .presets import Geometry
from .train import Network, build

PARTS = ("encoder", "decoder")
CODEBOOKS = "codebooks.npz"


class Encoder(nn.Module):
    """Picture to the vectors before quantising, finest scale first."""

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model = model

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """[B, 3, H, W] in [0, 1] to [B, K, h, w] each."""
        features = self.model.encode(picture)
        return tuple(features[scale.level] for scale in self.model.geometry.scales)


class Decoder(nn.Module):
    """Vectors, finest scale first, to a picture."""

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.part = model.synthesis if isinstance(model, Small) else model.decoder
        self.levels = [scale.level for scale in model.geometry.scales]

    def forward(self, *vectors: Tensor) -> Tensor:
        """[B, K, h, w] each to [B, 3, H, W] in [0, 1]."""
        return self.part(dict(zip(self.levels, vectors, strict=True))).clamp(0, 1)


def load_model(weights: Path) -> tuple[Network, dict[str, Any]]:
    """The network of a `weights.pt`, ready to run, and what the file says of it; ValueError for other files."""
    state = torch.load(weights, weights_only=True, map_location="cpu")
    if not isinstance(state, dict) or "meta" not in state:
        raise ValueError(f"{weights}: holds no weights of a VQ-DeepSC network")
    meta = state["meta"]
    model = build(meta["preset"], meta["scales"], meta["quantised"])
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as error:
        raise ValueError(f"{weights}: not the weights of this version's network: {error}") from error
    return model.eval(), meta


def export(weights: Path, folder: Path, card: dict[str, Any]) -> None:
    """Write `encoder.onnx`, `decoder.onnx`, `codebooks.npz` and `card.yml` (the given fields, geometry and hashes).

    Weights of `small` are stored in int8 with a step for each output channel. Each graph is run by ONNX Runtime at
    three sizes and must agree with Torch: RuntimeError where it does not. ValueError for an unquantised twin, which
    sends no bits, and for weights of no VQ-DeepSC network.
    """
    model, meta = load_model(weights)
    if not meta["quantised"]:
        raise ValueError(f"{weights}: an unquantised twin has no bits to send: it is for comparison only")
    small = isinstance(model, Small)
    if small:
        round_weights(model)
    geometry = model.geometry
    names = tuple(scale.name for scale in geometry.scales)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    parts = {
        "encoder": Part(Encoder(model), picture_input, names),
        "decoder": Part(Decoder(model), lambda size: vectors(geometry, size), ("picture",)),
    }
    for name, part in parts.items():
        write_picture_graph(folder / f"{name}.onnx", part, "int8" if small else "float32")
    codes = {s.name: model.quantisers.level(s.level).codes.detach().numpy() for s in geometry.scales}
    np.savez(folder / CODEBOOKS, **codes)
    files = [*(f"{name}.onnx" for name in PARTS), CODEBOOKS]
    facts = {
        "scales": geometry.name,
        "bits": geometry.bits,
        "geometry": [
            {"level": s.level, "grid": s.grid, "codes": s.codes, "dimension": s.dimension} for s in geometry.scales
        ],
        "preset": meta["preset"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "last_run_steps": meta["steps"],
    }
    write_card(folder, {**card, **facts, "files": hashes(folder, files)})


@torch.no_grad()
def round_weights(model: nn.Module) -> None:
    """Weights of convolutions to what int8 with a step for each output channel can hold."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_(int8_grid(module.weight))


def vectors(geometry: Geometry, size: int) -> dict[str, Tensor]:
    """Random vectors of a picture of `size` units of 64 pixels a side, by scale."""
    return {s.name: torch.randn(1, s.dimension, s.grid * size // 2, s.grid * size // 2) for s in geometry.scales}


def restore(folder: Path) -> dict[str, Tensor]:
    """The state of `Small` from exported files, as it was stored, so that training can go on from a shipped model.

    ValueError where the folder holds no model of preset `small`.
    """
    card = yaml.safe_load((folder / "card.yml").read_text())
    if card.get("preset") != "small" or "scales" not in card:
        raise ValueError(f"{folder}: holds no VQ-DeepSC model of preset small")
    model = build("small", card["scales"], True)
    state = model.state_dict()
    for part, prefix, name in (("encoder", "model.", ""), ("decoder", "part.", "synthesis.")):
        for key, values in stored_weights(folder / f"{part}.onnx").items():
            if (ours := name + key.removeprefix(prefix)) in state:
                state[ours] = values.reshape(state[ours].shape)
    with np.load(folder / CODEBOOKS, allow_pickle=False) as codes:
        for scale in model.geometry.scales:
            state[f"quantisers.{scale.level}.codes"] = torch.from_numpy(codes[scale.name])
    return state

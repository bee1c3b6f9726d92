# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of `train.py` to the files of a model folder: ONNX graphs, constants and a card.

Of `small` all that the codec runs; of the paper's network its parts, which the codec does not run (see paper.py).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..exporting import Part, hashes, int8_grid, picture_input, stored_weights, write_card, write_picture_graph
from .export_paper import noise, paper_constants, paper_parts
from .network import CLIP, FEATURES, HYPER, LATENTS, QUALITIES, SCALES, STEP, ExactConv, Small
from .paper import Paper

TRANSFORMS = ("analysis", "hyper_analysis", "synthesis")  # of `small`, stored in int8: 0.005 dB, half the size


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
    """Write `<part>.onnx`, `constants.npz` and `card.yml` (the given fields plus hashes) into `folder`.

    The weights tell which network they are of. Each graph is run by ONNX Runtime at three sizes and must agree with
    Torch: RuntimeError where it does not. ValueError for weights of no NCSC network.
    """
    state = {k: v.float() for k, v in torch.load(weights, weights_only=True, map_location="cpu").items()}
    model: Small | Paper
    if "log_gain" in state:
        model = Small()
    elif "context.weight" in state:
        model = Paper(state["context.weight"].shape[1])
    else:
        raise ValueError(f"{weights}: holds no weights of an NCSC network")
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{weights}: not the weights of this version's network: {error}") from error
    model.eval()
    small = isinstance(model, Small)
    if isinstance(model, Small):
        for name in TRANSFORMS:
            for module in getattr(model, name).modules():
                if isinstance(module, nn.Conv2d):
                    module.weight.data = int8_grid(module.weight.data)
    parts = _small_parts(model) if isinstance(model, Small) else paper_parts(model)
    constants = _small_constants(model) if isinstance(model, Small) else paper_constants(model)
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        store = ("int8" if name in TRANSFORMS else "float16") if small else "float32"
        write_picture_graph(folder / f"{name}.onnx", part, store)
    np.savez(folder / "constants.npz", **constants)
    files = [*(f"{name}.onnx" for name in parts), "constants.npz"]
    found = hashes(folder, files)
    identity = int(hashlib.sha256("".join(found.values()).encode()).hexdigest()[:4], 16)
    if isinstance(model, Paper):
        count = sum(p.numel() for p in model.parameters())
        card = {**card, "preset": "paper", "channels": model.channels, "parameters": count, "runs_in_codec": False}
    write_card(folder, {**card, "stream_id": identity, "files": found})


def _small_parts(model: Small) -> dict[str, Part]:
    """The graphs of the codec. Examples for the exact networks lie on their grids."""
    model.set_exact(True)
    for module in model.modules():
        if isinstance(module, ExactConv):
            module.freeze()

    def grid(channels: int, size: int, low: float) -> Tensor:
        return torch.randint(int(low / STEP), int(CLIP / STEP) + 1, (1, channels, 4 * size, 4 * size)) * STEP

    return {
        "analysis": Part(_Analysis(model), picture_input, ("latents",)),
        "hyper_analysis": Part(model.hyper_analysis, lambda n: {"latents": noise(LATENTS, 4 * n)}, ("z",)),
        "entropy_first": Part(
            _First(model),
            lambda n: {"z": torch.randint(-31, 32, (1, HYPER, n, n)).float()},
            ("hyper", "mean", "index"),
        ),
        "entropy_second": Part(
            _Second(model),
            lambda n: {"hyper": grid(FEATURES, n, 0), "known": grid(LATENTS, n, -CLIP)},
            ("mean", "index"),
        ),
        "synthesis": Part(_Synthesis(model), lambda n: {"latents": noise(LATENTS, 4 * n)}, ("picture",)),
    }


def _small_constants(model: Small) -> dict[str, np.ndarray]:
    index = model.hyper_index.detach().clamp(0, SCALES - 1).numpy()
    at = np.arange(256) / 255 * (QUALITIES - 1)
    nodes = np.arange(QUALITIES)
    return {
        "log_gain": model.log_gain.detach().numpy(),
        "log_inverse_gain": model.log_inverse_gain.detach().numpy(),
        "hyper_index": np.stack([np.round(np.interp(at, nodes, row)) for row in index.T], 1).astype(np.uint8),
    }


def restore(folder: Path) -> dict[str, Tensor]:
    """The state of `Small` from exported files, so that training can go on from a shipped model.

    Weights come back as they were stored: rounded to int8 with a step for each channel, those of the entropy networks
    on their grids.
    """
    state: dict[str, Tensor] = {}
    for part in ("analysis", "hyper_analysis", "entropy_first", "entropy_second", "synthesis"):
        for name, values in stored_weights(folder / f"{part}.onnx").items():
            if name.startswith("model."):
                name = name.removeprefix("model.")
            else:
                name = f"{part}.{name.removeprefix('part.')}"
            state[name] = values
    with np.load(folder / "constants.npz", allow_pickle=False) as constants:
        nodes = np.round(np.arange(QUALITIES) * 255 / (QUALITIES - 1)).astype(int)
        state["hyper_index"] = torch.from_numpy(constants["hyper_index"][nodes].astype(np.float32))
        for name in ("log_gain", "log_inverse_gain"):
            state[name] = torch.from_numpy(constants[name])
    return state

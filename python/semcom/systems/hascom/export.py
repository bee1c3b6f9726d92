# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of `train.py` to the files of a model folder: six ONNX graphs, the styles' mean, and a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..exporting import check_graph, half_if_large, hashes, round_large, write_card, write_graph
from .graphs import AXES, parts
from .network import Hascom, parameter_count
from .style_network import StyleJscc, StyleNetwork

CHECKED = (1, 45, 300)  # phonemes or frames at which each graph must agree with its network
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
        round_large(network)
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, part in parts(model, style, jscc).items():
        path = folder / f"{name}.onnx"
        write_graph(path, part.module, part.inputs(CHECKED[1]), part.outputs, AXES, store=half_if_large, fold=True)
        check_graph(path, part, CHECKED)
        names.append(path.name)
    with np.load(weights.with_name(STYLES)) as file:
        about = {name: file[name] for name in ("mean", "neutral")}
    bases = np.stack([style.emotion.basis.numpy(), style.speaker.basis.numpy()])
    np.savez(folder / STYLES, **about, bases=bases)
    counts = {"prior": model.prior, "denoiser": model.denoiser, "style": style, "jscc": jscc}
    needed = {"preset": "small", "parameters": {name: parameter_count(part) for name, part in counts.items()}}
    files = hashes(folder, [*names, STYLES])
    write_card(folder, {**card, **needed, "files": files}, allow_unicode=True)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The attention heat map (the paper's Figure 3): which moment of speech each word was taken from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...message import SAMPLE_RATE
from ...speech.attention import Heard
from ...text.vocabulary import EOS, PAD, SPECIAL, UNK, Vocabulary

MOST = 4  # utterances in a figure
NAMES = {PAD: "<pad>", UNK: "<unk>", EOS: "<eos>"}


def labels(heard: Heard, vocabulary: Vocabulary) -> list[str]:
    """A name for each step of the loop; what is not sent stands in brackets."""
    return [NAMES[k] if k in NAMES else vocabulary.words[k - SPECIAL] for k in heard.ids.tolist()]


def attention_figure(
    path: Path, utterances: Sequence[tuple[str, NDArray[np.float32], Heard]], vocabulary: Vocabulary
) -> None:
    """A map for each of the first utterances, (name, samples, what was heard): steps downwards, seconds to the right.

    Written aside, then renamed; `.png` where `path` has no ending of a picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if path.suffix not in (".png", ".svg", ".pdf"):
        path = path.with_name(path.name + ".png")
    shown = list(utterances[:MOST])
    rows = [len(heard.ids) for _, _, heard in shown]
    figure = Figure(figsize=(8, sum(0.26 * n + 1.1 for n in rows)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(shown), 1, squeeze=False, height_ratios=[0.26 * n + 1.1 for n in rows])[:, 0]
    for axis, (name, samples, heard) in zip(axes, shown, strict=True):
        seconds = samples.size / SAMPLE_RATE
        axis.imshow(heard.weights, aspect="auto", cmap="viridis", vmin=0, extent=(0, seconds, len(heard.ids), 0))
        axis.set_yticks(np.arange(len(heard.ids)) + 0.5, labels(heard, vocabulary), fontsize=8)
        axis.set_xlabel("seconds", fontsize=8)
        axis.set_title(f"{name}: {len(heard.kept)} words sent of {heard.weights.shape[1]} states", fontsize=9)
    temporary = path.with_name(path.name + ".part")
    figure.savefig(temporary, format=path.suffix.lstrip("."))
    os.replace(temporary, path)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of docs/deepsc_st.md out of the committed results, into docs/images.

    .venv/bin/python benchmarks/deepsc_st_figures.py [--output docs/images]

Figure 4 from `benchmarks/deepsc_st_models.json`, Figure 5 from `benchmarks/deepsc_st_figure5*.json`, Figures 6 to 8
from `benchmarks/deepsc_st_speech.json`, which `semcom bench examples/sweeps/...yml --save` wrote; what is not there is
left out. A panel is a channel. The dashed line is no channel at all: the text transceiver over AWGN at 20 dB, where all
of its texts arrive, and for speech the voice that speaks the transcripts.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gnuradio.semcom.bench.curves import Results, load
from gnuradio.semcom.bench.plot import COLOURS, MARKERS, figure_style

FOLDER = Path(__file__).resolve().parent
IMAGES = FOLDER.parent / "docs/images"
CHANNELS = {"awgn": "AWGN", "rayleigh": "Rayleigh", "rician": "Rician, K = 1"}
SYSTEMS = {
    "deepsc_st": "DeepSC-ST", "sr_deepsc": "SR+DeepSC", "text_transceiver": "text transceiver, 64-QAM",
    "speech_transceiver": "speech transceiver, 64-QAM", "feature_transceiver": "feature transceiver, 64-QAM",
    "plain text": "plain text, QPSK 1/12",
}  # fmt: skip
SPEECH = {"fdsd": "FDSD", "kdsd": "KDSD", "predicted_mos": "predicted MOS"}
DELIVERS_DB = 20.0


def canvas(rows: int, columns: int, width: float, height: float) -> tuple[Any, Any]:
    """Figure and its axes [rows, columns], both axes shared."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=True, sharey="row")


def learning_rates(content: dict[str, Any], path: Path) -> None:
    """Figure 4: the loss of each step, a running mean of 20 steps."""
    figure, axes = canvas(1, 1, 8, 4.2)
    for number, (rate, losses) in enumerate(content["loss_a_character"].items()):
        smooth = np.convolve(losses, np.full(20, 0.05), "valid")
        axes[0, 0].plot(np.arange(smooth.size) + 20, smooth, color=COLOURS[number], label=f"learning rate {rate}")
    axes[0, 0].set(xlabel="step (24 utterances each)", ylabel="CTC loss a character", ylim=(0, 5))
    axes[0, 0].legend(frameon=False)
    figure.savefig(path, metadata={"Software": None})


def panel(axes: Any, results: Results, metric: str, channel: str, ground: float | None) -> None:
    """The curves of one channel."""
    curves = results.curves()
    for number, (name, title) in enumerate(SYSTEMS.items()):
        points = sorted(curves.get(f"{name}, {channel}", []), key=lambda p: float(p.axis["esn0_db"]))
        seen = [(float(p.axis["esn0_db"]), p.metrics[metric]) for p in points if metric in p.metrics]
        seen = [(x, m) for x, m in seen if m.value is not None]
        if not seen:
            continue
        x, value = [x for x, _ in seen], np.array([m.value for _, m in seen], float)
        axes.plot(x, value, color=COLOURS[number], marker=MARKERS[number], markersize=5, linewidth=1.6, label=title)
        if all(m.bounded for _, m in seen):
            low, high = (np.array([getattr(m, end) for _, m in seen], float) for end in ("low", "high"))
            axes.fill_between(x, low, high, color=COLOURS[number], alpha=0.15, linewidth=0)
    if ground is not None:
        axes.axhline(ground, color="0.35", linestyle=(0, (4, 2)), linewidth=1.2, label="no channel", zorder=1)


def delivered_text(results: Results, metric: str = "cer") -> float:
    """The metric where the text transceiver delivers everything. ValueError where it does not."""
    for point in results.curves().get("text_transceiver, awgn", []):
        if point.axis["esn0_db"] == DELIVERS_DB and point.metrics["delivered"].value == 1:
            return float(point.metrics[metric].value or 0.0)
    raise ValueError(f"the text transceiver delivers not all texts over AWGN at {DELIVERS_DB:g} dB")


def recognition(rows: dict[str, Results], path: Path) -> None:
    """Figure 5, a row of panels for each recogniser."""
    figure, axes = canvas(len(rows), 3, 12, 0.8 + 3.5 * len(rows))
    for number, (row, (title, results)) in enumerate(zip(axes, rows.items(), strict=True)):
        ground = delivered_text(results)
        for axis, (channel, name) in zip(row, CHANNELS.items(), strict=True):
            panel(axis, results, "cer", channel, ground)
            axis.set(title="" if number else name, ylim=(0, 1.05))
        row[0].set_ylabel(f"character error rate\n{title}")
    finish(figure, axes, path)


def synthesis(results: Results, ground: dict[str, float], path: Path) -> None:
    """Figures 6 to 8."""
    shown = [channel for channel in CHANNELS if f"deepsc_st, {channel}" in results.curves()]
    figure, axes = canvas(len(SPEECH), len(shown), 4 * len(shown), 10)
    for number, (row, (metric, title)) in enumerate(zip(axes, SPEECH.items(), strict=True)):
        for axis, channel in zip(row, shown, strict=True):
            panel(axis, results, metric, channel, ground.get(metric))
            axis.set(title="" if number else CHANNELS[channel])
        row[0].set_ylabel(title)
        row[0].set_ylim(bottom=1 if metric == "predicted_mos" else 0)
    finish(figure, axes, path)


def finish(figure: Any, axes: Any, path: Path) -> None:
    """Labels, one legend, the file."""
    for axis in axes[-1]:
        axis.set_xlabel("Es/N0 (dB)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, metadata={"Software": None})
    print(path.name, file=sys.stderr)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=IMAGES)
    output = parser.parse_args().output
    models = json.loads((FOLDER / "deepsc_st_models.json").read_text())
    with figure_style():
        learning_rates(models["learning_rates"], output / "deepsc_st_figure4.png")
        found = {"recogniser domain": "deepsc_st_figure5_domain.json", "recogniser open": "deepsc_st_figure5.json"}
        rows = {title: load(FOLDER / name) for title, name in found.items() if (FOLDER / name).is_file()}
        if rows:
            recognition(rows, output / "deepsc_st_figure5.png")
        speech, ground = FOLDER / "deepsc_st_speech.json", FOLDER / "deepsc_st_ground.json"
        if speech.is_file():
            known = json.loads(ground.read_text())["spoken_transcripts"] if ground.is_file() else {}
            synthesis(load(speech), known, output / "deepsc_st_figure6.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())

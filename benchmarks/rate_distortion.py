# SPDX-License-Identifier: GPL-3.0-or-later
"""Rate and distortion of the source codecs alone, every installed NCSC model among them: no channel, all delivered.

    .venv/bin/python benchmarks/rate_distortion.py [--input FOLDER] [--output FILE.json] [--figure FILE.png]
    .venv/bin/python benchmarks/rate_distortion.py --systems ncsc    # anew, the other curves as they are in FILE.json
    .venv/bin/python benchmarks/rate_distortion.py --draw            # table and figure of FILE.json, nothing measured

Each picture is encoded and decoded at each of a ladder of the codec's own qualities, NCSC also at caps below its least
one. Rates are whole files or streams before channel coding. Curves are means over pictures at one rung, as in
published figures. BD-rates are means over
pictures of the difference at equal quality to HEVC intra, which stands for BPG; MS-SSIM is taken in dB.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from pathlib import Path

import numpy as np

from gnuradio.semcom.bench.bjontegaard import bd_rate, similarity_db
from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.inputs import list_inputs
from gnuradio.semcom.message import Received
from gnuradio.semcom.metrics import ms_ssim, psnr_db
from gnuradio.semcom.output import progress_bar, versions
from gnuradio.semcom.report import table
from gnuradio.semcom.systems import registry
from gnuradio.semcom.systems.base import Request

LADDERS = {  # about 0.05 to 0.5 bit/pixel, or as far down as the codec goes: qualities, and caps in bit/pixel (floats)
    "ncsc": (0.03, 0.05, 0.07, 0, 25, 50, 80, 107, 135, 165, 195, 225, 255),
    "jpeg": (1, 3, 5, 7, 10, 13, 17, 22),
    "webp": (0, 1, 2, 4, 7, 11, 16, 22, 30),
    "avif": (1, 3, 6, 10, 14, 18, 23, 28, 33, 38),
    "hevc": (50, 48, 46, 44, 42, 40, 38, 36, 34),
    "jpeg2000": (86, 90, 94, 98, 102, 106, 110, 114, 118, 122),
    "jpeg_xl": (250, 225, 199, 180, 150, 120, 95, 75, 58),
}
ANCHOR = "hevc"
SHOWN = (0.05, 0.5)  # bit/pixel in the figure
PAPER = {"MSE": (0.117, 28.10, 0.923), "MS-SSIM": (0.100, 25.29, 0.942)}  # bit/pixel, PSNR, MS-SSIM
METRICS = ("bits_per_pixel", "psnr_db", "ms_ssim")
STYLES = {
    "jpeg": ("JPEG", "tab:gray"),
    "webp": ("WebP", "tab:brown"),
    "avif": ("AVIF", "tab:orange"),
    "hevc": ("HEVC intra", "tab:blue"),
    "jpeg2000": ("JPEG 2000", "tab:green"),
    "jpeg_xl": ("JPEG XL", "tab:purple"),
}
NEURAL_COLOURS = ("tab:red", "tab:pink", "tab:olive", "tab:cyan")


def curves(systems: list[str]) -> list[tuple[str, str, str]]:
    """Label, system and model of what can run here; what cannot is told."""
    found = []
    for name in systems:
        system = registry.get(name)
        for model in system.models() if name == "ncsc" else [""]:
            try:
                system.check(Request(model=model))
                system.prepare(Request(model=model))
            except ValueError as error:
                print(f"left out: {error}")
                continue
            found.append((f"{name} {model}".strip(), name, model))
    return found


def measure(folder: Path, systems: list[str]) -> dict[str, object]:
    """Every picture at every rung of every curve of these systems."""
    items = list_inputs(folder)
    messages = [read_image(item.path) for item in items]
    todo = curves(systems)
    bar = progress_bar(sum(len(LADDERS[name]) for _, name, _ in todo) * len(messages), "files")
    ladders = {}
    for label, name, model in todo:
        system, begun = registry.get(name), time.perf_counter()
        rungs, rows = [], {metric: [] for metric in METRICS}
        for quality in LADDERS[name]:
            values = []
            for message in messages:
                pixels = message.data.shape[0] * message.data.shape[1]
                capped = isinstance(quality, float)
                limit = int(quality * pixels) if capped else None
                request = Request(model=model, quality=None if capped else quality, max_bits=limit)
                payload = system.encode(message, request)
                bar.update()
                if payload is None:
                    continue
                bits = payload.bits
                meta = {"kind": "image", "shape": list(message.data.shape)}
                decoded, concealed = system.decode(Received(bits, np.ones(bits.size, bool)), meta, model)
                if concealed:
                    raise RuntimeError(f"{label} did not decode its own stream at quality {quality}")
                found = psnr_db(message.data, decoded.data), ms_ssim(message.data, decoded.data)
                values.append((round(bits.size / pixels, 5), round(found[0], 3), round(found[1], 5)))
            if len(values) < len(messages):
                print(f"{label} at {quality}: left out, {len(messages) - len(values)} pictures do not fit")
                continue
            rungs.append(quality)
            for metric, column in zip(METRICS, zip(*values, strict=True), strict=True):
                rows[metric].append(list(column))
        ladders[label] = {"system": name, "model": model, "rungs": rungs, **rows,
                          "elapsed_s": round(time.perf_counter() - begun, 1)}  # fmt: skip
    bar.close()
    return {"pictures": [item.name for item in items], "ladders": ladders}


def means(ladder: dict) -> tuple[np.ndarray, ...]:
    """Bit/pixel, PSNR and MS-SSIM of each rung, means over pictures."""
    return tuple(np.mean(ladder[metric], axis=1) for metric in METRICS)


def comparison(ladders: dict) -> list[dict[str, object]]:
    """BD-rates of each curve: mean over pictures, how many of them could be compared, and over which qualities."""
    rows = []
    for label, ladder in ladders.items():
        row: dict[str, object] = {"curve": label}
        for metric in ("psnr_db", "ms_ssim"):
            found, spans = [], []
            for k in range(len(ladder[metric][0])):
                pairs = []
                for one in (ladders[ANCHOR], ladder):
                    quality = np.array(one[metric])[:, k]
                    quality = similarity_db(quality) if metric == "ms_ssim" else quality
                    pairs += [np.array(one["bits_per_pixel"])[:, k], quality]
                value = bd_rate(*pairs)
                if value is not None:
                    found.append(value)
                    spans.append((max(min(pairs[1]), min(pairs[3])), min(max(pairs[1]), max(pairs[3]))))
            row[f"{metric}_bd_rate_percent"] = round(float(np.mean(found)), 1) if found else None
            row[f"{metric}_pictures"] = len(found)
            row[f"{metric}_compared_db"] = [round(float(v), 2) for v in np.mean(spans, 0)] if found else None
        rows.append(row)
    return rows


def draw(ladders: dict, path: Path) -> None:
    """Two panels: PSNR and MS-SSIM over bit/pixel."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 5.2), layout="constrained")
    own = iter(NEURAL_COLOURS)
    shown: list[list[np.ndarray]] = [[], []]
    for ladder in ladders.values():
        rate, *values = means(ladder)
        if ladder["system"] == "ncsc":
            text, style = f"NCSC {ladder['model']}", {"color": next(own), "linewidth": 2.6, "marker": "o", "zorder": 3}
        else:
            text, colour = STYLES[ladder["system"]]
            style = {"color": colour, "linewidth": 1.4, "marker": ".", "zorder": 2}
        inside = (rate >= SHOWN[0]) & (rate <= SHOWN[1])
        for axis, value, kept in zip(axes, values, shown, strict=True):
            axis.plot(rate, value, label=text, **style)
            kept.append(value[inside])
    for (name, (rate, psnr, similarity)), marker in zip(PAPER.items(), ("*", "P"), strict=True):
        for axis, value in zip(axes, (psnr, similarity), strict=True):
            axis.plot(rate, value, marker, color="black", markersize=11, label=f"NCSC, the paper's {name} figure")
    for axis, name, kept in zip(axes, ("PSNR, dB (RGB)", "MS-SSIM"), shown, strict=True):
        every = np.concatenate(kept)
        margin = 0.05 * np.ptp(every)
        axis.set(xlim=SHOWN, ylim=(every.min() - margin, every.max() + margin))
        axis.set(xlabel="bit/pixel before channel coding", ylabel=name)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=9)
    count = len(next(iter(ladders.values()))["psnr_db"][0])
    figure.suptitle(f"Source coding alone, mean over {count} pictures at each quality setting")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, help="default: kodak/ below the folder that SEMCOM_DATA names")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/rate_distortion.json"))
    parser.add_argument("--figure", type=Path, default=Path("docs/images/ncsc_rate_distortion.png"))
    parser.add_argument("--systems", nargs="+", choices=list(LADDERS), help="only these; the others stay as they are")
    parser.add_argument("--draw", action="store_true", help="measure nothing: table and figure of --output")
    arguments = parser.parse_args()
    if arguments.draw:
        result = json.loads(arguments.output.read_text())
    else:
        folder = arguments.input or (Path(os.environ["SEMCOM_DATA"]) / "kodak" if "SEMCOM_DATA" in os.environ else None)
        if folder is None:
            print("skipped: neither --input nor SEMCOM_DATA names photographs")
            return
        measured = measure(folder, arguments.systems or list(LADDERS))
        if arguments.systems:
            before = json.loads(arguments.output.read_text())
            if before["pictures"] != measured["pictures"]:
                raise SystemExit(f"{arguments.output}: is of other pictures; measure all systems")
            kept = {k: v for k, v in before["ladders"].items() if v["system"] not in arguments.systems}
            every = {**measured["ladders"], **kept}
            measured["ladders"] = {k: every[k] for name in LADDERS for k in every if every[k]["system"] == name}
        seconds = round(sum(ladder["elapsed_s"] for ladder in measured["ladders"].values()))
        command = "python benchmarks/rate_distortion.py --input kodak"
        result = {"command": command, "versions": versions(), "elapsed_s": seconds, **measured}
    result["bd_rate"] = comparison(result["ladders"])
    # numbers of a row on one line
    text = re.sub(r"\[\s+([^][{}]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", json.dumps(result, indent=1))
    arguments.output.write_text(text + "\n")
    draw(result["ladders"], arguments.figure)
    columns = list(result["bd_rate"][0])
    print(table(columns, [[str(row[c]) for c in columns] for row in result["bd_rate"]]))
    for label, ladder in result["ladders"].items():
        print(label, *(f"{r:.3f}:{p:.2f}/{s:.4f}" for r, p, s in zip(*means(ladder), strict=True)))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""VQ-DeepSC as trained: SSIM and PSNR without errors, usage of the codes, the unquantised twins, the discriminator.

    python benchmarks/vq_deepsc_training.py --test data/cars four_scales=run1/weights.pt twin=run2/weights.pt \
        --output benchmarks/vq_deepsc_training.json

Each NAME=PATH is a `weights.pt` of `semcom train vq_deepsc`. Of a quantised network what the shipped files do is
measured: weights rounded to 8 bits, pictures from the nearest codes. Rows of the same name in the output are replaced.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from gnuradio.semcom.metrics.image import psnr_db, ssim
from gnuradio.semcom.systems.vq_deepsc.export import load_model, round_weights
from gnuradio.semcom.systems.vq_deepsc.presets import SIDE


def test_pictures(folder: Path, every: int = 1) -> NDArray[np.uint8]:
    """Split `test` of a folder with a MANIFEST.tsv, cut into tiles, every so-manieth: uint8 [M, 128, 128, 3]."""
    with (folder / "MANIFEST.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    pictures = [Image.open(folder / r["file"]).convert("RGB") for r in rows if r.get("split", "test") == "test"]
    tiles = [
        np.asarray(picture.crop((x, y, x + SIDE, y + SIDE)))
        for picture in pictures
        for y in range(0, picture.height - SIDE + 1, SIDE)
        for x in range(0, picture.width - SIDE + 1, SIDE)
    ]
    return np.stack(tiles[::every])


def edges(picture: NDArray[np.uint8]) -> float:
    """Mean absolute difference of neighbouring pixels, both ways: how much fine detail there is, true or invented."""
    plane = picture.astype(np.float64)
    return float(np.abs(np.diff(plane, axis=0)).mean() + np.abs(np.diff(plane, axis=1)).mean())


@torch.no_grad()
def measure(weights: Path, pictures: NDArray[np.uint8]) -> dict[str, Any]:
    """One network on all pictures, one after another."""
    model, meta = load_model(weights)
    if meta["quantised"]:
        round_weights(model)
    counts = {s.level: np.zeros(s.codes) for s in model.geometry.scales}
    rows = []
    for picture in pictures:
        out, _, features = model(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)
        received = (out[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy().astype(np.uint8)
        rows.append((ssim(picture, received), psnr_db(picture, received), edges(received) / edges(picture)))
        for level, count in counts.items():
            index = model.quantisers.level(level).indices(features[level])
            count += np.bincount(index.ravel().numpy(), minlength=len(count))
    means = np.mean(np.array(rows, float), axis=0)
    meta["last_run_steps"] = meta.pop("steps")  # the cards tell of earlier ones
    result: dict[str, Any] = {**meta, "pictures": len(pictures), "ssim": round(float(means[0]), 4)}
    result |= {"psnr_db": round(float(means[1]), 2), "edges_kept": round(float(means[2]), 3)}
    log = weights.parent / "log.jsonl"
    if log.exists():
        result["last_run_s"] = json.loads(log.read_text().splitlines()[-1])["elapsed_s"]
    if meta["quantised"]:
        result["bits"] = model.geometry.bits
        shares = {level: count / count.sum() for level, count in counts.items()}
        result["least_usage"] = {f"scale{k}": round(float(share.min()), 4) for k, share in shares.items()}
        result["effective_codes"] = {
            f"scale{k}": round(float(np.exp(-(share * np.log(share + 1e-12)).sum())), 2) for k, share in shares.items()
        }
    return result


def main() -> None:
    """The command above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="+", metavar="NAME=PATH")
    parser.add_argument("--test", type=Path, required=True, help="folder with a MANIFEST.tsv")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="measure on every N-th tile")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pictures = test_pictures(arguments.test, arguments.every)
    found = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    found["what"] = "means over tiles of 128x128, no channel errors; SSIM of the project's metrics"
    found["command"] = "python benchmarks/vq_deepsc_training.py --test data/cars NAME=run/weights.pt --output JSON"
    for name, path in (item.split("=", 1) for item in arguments.weights):
        found.setdefault("rows", {})[name] = row = {
            "test": arguments.test.resolve().name,
            **measure(Path(path), pictures),
        }
        print(name, row, flush=True)
    arguments.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

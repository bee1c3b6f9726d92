# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the NCSC networks on folders of photographs. Called by `semcom train ncsc`."""

from __future__ import annotations

import csv
import math
import random
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..training import Run, half_cosine, log_row, read_checkpoint, write_aside
from .export import restore
from .network import Small
from .paper import Paper
from .presets import Preset, get_preset

VALIDATION = 12  # pictures at the end of the last set that are kept out of training


def load_photographs(folders: list[Path]) -> list[np.ndarray]:
    """All photographs of the folders, uint8 [H, W, 3]; of a folder with a MANIFEST.tsv only splits train and val."""
    pictures = []
    for folder in folders:
        manifest = folder / "MANIFEST.tsv"
        if manifest.exists():
            with manifest.open(newline="") as file:
                rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
            names = [folder / row["file"] for row in rows if row.get("split", "train") in ("train", "val")]
        else:
            names = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))
        for name in names:
            with Image.open(name) as picture:
                pictures.append(np.asarray(picture.convert("RGB")))
    if not pictures:
        raise ValueError(f"no training photographs below {', '.join(map(str, folders))}")
    return pictures


class Crops:
    """Random square crops, scaled, mirrored and transposed. Large photographs and small ones take turns: `large` and
    `small` are side and number of crops a batch, as in `Preset`."""

    def __init__(
        self, pictures: list[np.ndarray], seed: int, large: tuple[int, int], small: tuple[int, int] | None
    ) -> None:
        self.sizes = large, small or large
        least = self.sizes[1][0]
        self.large = [p for p in pictures if min(p.shape[:2]) >= large[0]]
        self.small = [p for p in pictures if least <= min(p.shape[:2]) < large[0]]
        if not self.large and not self.small:
            raise ValueError(f"training photographs must have sides of at least {least} pixels")
        self.random = random.Random(seed)

    def batch(self) -> Tensor:
        """One batch, float32 [B, 3, S, S] in [0, 1]."""
        large = self.large and (not self.small or self.random.random() < 0.75)
        pictures, (side, count) = (self.large, self.sizes[0]) if large else (self.small, self.sizes[1])
        return torch.stack([self.crop(self.random.choice(pictures), side) for _ in range(count)])

    def crop(self, picture: np.ndarray, side: int) -> Tensor:
        """One crop, float32 [3, side, side]."""
        height, width = picture.shape[:2]
        largest = min(height, width)
        source = side
        if largest > side and self.random.random() < 0.6:  # shrinking also removes JPEG traces
            source = self.random.randint(side, min(largest, int(side * 1.6)))
        top = self.random.randint(0, height - source)
        left = self.random.randint(0, width - source)
        x = torch.from_numpy(picture[top : top + source, left : left + source].copy()).permute(2, 0, 1).float() / 255
        if source != side:
            x = F.interpolate(x[None], (side, side), mode="bilinear", antialias=True)[0].clamp(0, 1)
        if self.random.random() < 0.5:
            x = x.flip(2)
        if self.random.random() < 0.3:
            x = x.transpose(1, 2)
        if self.random.random() < 0.1:
            x = x[torch.randperm(3)]
        return x


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Multi-scale SSIM of [B, 3, S, S]; as many of the five scales as fit, weights renormalised."""
    weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
    weights = weights[: max(1, min(5, int(math.log2(min(x.shape[-2:]) / 11)) + 1))]
    taps = torch.exp(-((torch.arange(11, device=x.device) - 5.0) ** 2) / (2 * 1.5**2))
    taps = taps / taps.sum()

    def blur(t: Tensor) -> Tensor:
        channels = t.shape[1]
        t = F.conv2d(t, taps.view(1, 1, 1, 11).repeat(channels, 1, 1, 1), groups=channels)
        return F.conv2d(t, taps.view(1, 1, 11, 1).repeat(channels, 1, 1, 1), groups=channels)

    value = torch.ones(x.shape[0], 3, device=x.device)
    for level, weight in enumerate(weights):
        mx, my = blur(x), blur(y)
        vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
        contrast = (2 * cov + 0.03**2) / (vx + vy + 0.03**2)
        last = level == len(weights) - 1
        if last:
            contrast = contrast * (2 * mx * my + 0.01**2) / (mx * mx + my * my + 0.01**2)
        value = value * contrast.mean((2, 3)).clamp_min(1e-4) ** (weight / sum(weights))
        if not last:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return value.mean(1)


@torch.no_grad()
def validate(model: Small | Paper, pictures: list[np.ndarray], qualities: tuple[float, ...]) -> list[dict[str, float]]:
    """Mean bit/pixel (entropy), PSNR and MS-SSIM of the model at these qualities."""
    model.eval()
    if isinstance(model, Paper):
        model.density.fit()
    rows = []
    for quality in qualities:
        bpp, psnr, similarity = [], [], []
        for picture in pictures:
            h, w = (s // 64 * 64 for s in picture.shape[:2])
            x = torch.from_numpy(picture[:h, :w].copy()).permute(2, 0, 1)[None].float() / 255
            x = x.to(next(model.parameters()).device)
            out, bits_y, bits_z = model(x, torch.tensor([quality], device=x.device))
            out = out.clamp(0, 1).mul(255).round() / 255
            bpp.append(float(bits_y + bits_z) / (h * w))
            psnr.append(-10 * math.log10(float(F.mse_loss(out, x)) + 1e-12))
            similarity.append(float(ms_ssim(out, x)))
        rows.append(
            {
                "quality": quality,
                "bits_per_pixel": round(float(np.mean(bpp)), 4),
                "psnr_db": round(float(np.mean(psnr)), 2),
                "ms_ssim": round(float(np.mean(similarity)), 4),
            }
        )
    model.train()
    return rows


def train(
    data: list[Path],
    output: Path,
    *,
    time_budget_s: float = 3600.0,
    loss: str = "mse",
    preset: str | Preset = "small",
    rate_lambda: float | None = None,
    learning_rate: float | None = None,
    threads: int = 0,
    resume: bool = False,
    start: Path | None = None,
    exact_from: float = 0.75,
    device: str = "cpu",
    seed: int = 1,
) -> None:
    """Train until `time_budget_s` of wall time is used up, sessions before a `resume` counted in.

    `output` receives `checkpoint.pt` (resumable), `weights.pt` (averaged, float16) and `log.jsonl`. From the
    share `exact_from` of the budget on, the entropy networks of `small` train in exact arithmetic. SIGTERM and Ctrl-C
    save a checkpoint first. `start`, the weights of another run or, for `small`, the folder of an exported
    model, is the beginning of this one. `preset` is one or its name; without `learning_rate` its own is taken.
    ValueError for names that there are not, photographs that are too small and a checkpoint of another preset.
    """
    kind = preset if isinstance(preset, Preset) else get_preset(preset, loss, rate_lambda)
    learning_rate = kind.learning_rate if learning_rate is None else learning_rate
    output.mkdir(parents=True, exist_ok=True)
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    pictures = load_photographs(data)
    validation, pictures = pictures[-VALIDATION:], pictures[:-VALIDATION]
    model = kind.build().to(device)
    channels_last = device == "cpu" and kind.mixed_precision
    if channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if start:
        if start.is_dir() and not isinstance(model, Small):
            raise ValueError(
                f"{start}: the preset {kind.name} starts from weights.pt of a run, not from a model folder"
            )
        load_weights(model, restore(start) if start.is_dir() else torch.load(start, weights_only=True), start)
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    state = read_checkpoint(output, device) if resume else None
    if state and state.get("preset", "small") != kind.name:
        raise ValueError(f"{output / 'checkpoint.pt'}: is of preset {state.get('preset', 'small')}, not {kind.name}")
    run = Run(output, model, optimiser, time_budget_s, state, decay=0.9995, save_every_s=90, check_every_s=480)
    crops = Crops(pictures, seed + run.step, kind.large, kind.small)
    chooser = random.Random(seed + 7919 * (run.step + 1))

    def save() -> None:
        run.save_checkpoint(preset=kind.name)
        write_aside(output / "weights.pt", {k: v.half() for k, v in run.average.items()})

    def check(**final: bool) -> None:
        rows = validate(model, validation, kind.qualities)
        log_row(output, {"step": run.step, "elapsed_s": round(run.elapsed_s), **final, "validation": rows})

    def check_average(_: bool) -> None:
        with run.averaged():
            check()

    running: dict[str, float] = {}
    for share in run.shares():
        if isinstance(model, Small) and not model.exact and share >= exact_from:
            model.set_exact(True)
        rate = learning_rate * min(1.0, (run.step + 1) / 300) * half_cosine(share, 0.02)
        run.set_rate(rate)
        x = crops.batch().to(device)
        if channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        goal = kind.goal(chooser)
        quality = torch.full((len(x),), goal.quality, device=device)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=kind.mixed_precision):
            out, bits_y, bits_z = model(x, quality)
        bpp = (bits_y + bits_z).mean() / (x.shape[2] * x.shape[3])
        error = F.mse_loss(out, x)
        objective = bpp + goal.error * 255**2 * error
        if goal.structure:
            objective = objective + goal.structure * (1 - ms_ssim(out, x).mean())
        run.update(objective)
        running["bpp"] = 0.98 * running.get("bpp", float(bpp.detach())) + 0.02 * float(bpp.detach())
        running["psnr"] = 0.98 * running.get("psnr", 10.0) - 0.02 * 10 * math.log10(float(error.detach()))
        if run.step % 100 == 0:
            if isinstance(model, Paper):
                model.density.fit()
            means = f"{running['bpp']:.3f} bit/pixel {running['psnr']:.2f} dB"
            print(f"step {run.step} {run.elapsed_s:.0f} s rate {rate:.2e} {means}", flush=True)
        run.when_due(save, check_average)
    save()
    model.load_state_dict(run.average)
    if isinstance(model, Small):
        model.set_exact(True)
    check(final=not run.stop)


def load_weights(model: Small | Paper, state: dict[str, Tensor], source: Path) -> None:
    """Put a state of `weights.pt` or `restore` into the model; ValueError where it is another network's."""
    wanted = model.state_dict()
    if state.keys() != wanted.keys() or any(state[k].shape != v.shape for k, v in wanted.items()):
        raise ValueError(f"{source}: holds the weights of another network or preset")
    model.load_state_dict({k: v.float() for k, v in state.items()})


if __name__ == "__main__":
    train([Path(p) for p in sys.argv[3:]], Path(sys.argv[1]), time_budget_s=float(sys.argv[2]), resume=True)

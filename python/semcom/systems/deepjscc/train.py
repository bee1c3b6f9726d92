# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the DeepJSCC network on a folder of photographs. Called by `semcom train deepjscc`."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..training import Run, half_cosine, read_checkpoint
from .crops import Crops, Picture, load_photographs
from .export import restore
from .geometry import PLANES, STRIDE
from .network import DeepJscc

SIDE, BATCH = 128, 16
ESN0_DB = (-5.0, 20.0)
RAYLEIGH = 0.25  # share of messages whose symbols fade one by one, equalised
MISTAKEN = 0.2  # share of messages whose transmitter takes the channel for another, by a few dB
WEIGHT_DB = 0.35  # a dB of Es/N0 weighs squared errors up by so many dB: about what it takes them down
VALIDATION = 12  # photographs at the end that are kept out of training


def channels(count: int, random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Random channels of a batch: true Es/N0 and the transmitter's idea of it in dB, [count] each, and the noise
    variance of each equalised symbol, [count, 32, side / 8, side / 8]."""
    esn0_db = random.uniform(*ESN0_DB, count)
    assumed = esn0_db + random.normal(0, 4, count) * (random.random(count) < MISTAKEN)
    places = (count, PLANES[1] // 2, SIDE // STRIDE, SIDE // STRIDE)
    fades = random.exponential(1, places) + 1e-4  # |h|^2 of Rayleigh fading
    gain = np.where(random.random((count, 1, 1, 1)) < RAYLEIGH, fades, 1.0)
    noise_var = 10 ** (-esn0_db / 10)[:, None, None, None] / gain
    return tuple(torch.from_numpy(a.astype(np.float32)) for a in (esn0_db, assumed, noise_var))  # type: ignore[return-value]


@torch.no_grad()
def validate(model: DeepJscc, pictures: list[Picture]) -> list[dict[str, float]]:
    """Mean PSNR over AWGN at both qualities, with noise that is the same each time."""
    model.eval()
    noise = torch.Generator().manual_seed(0)
    device = next(model.parameters()).device
    rows = []
    for quality in range(len(PLANES)):
        for esn0_db in (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0):
            psnr = []
            for picture in pictures:
                h, w = (length // STRIDE for length in picture.shape[:2])
                x = torch.from_numpy(picture[: h * STRIDE, : w * STRIDE].copy()).permute(2, 0, 1)[None].float() / 255
                at, q = torch.tensor([esn0_db]), torch.tensor([float(quality)])
                noise_var = torch.full((1, PLANES[1] // 2, h, w), 10 ** (-esn0_db / 10))
                drawn = torch.randn((1, PLANES[1], h, w), generator=noise)
                out = model(*(t.to(device) for t in (x, at, q, noise_var, drawn))).cpu()
                error = F.mse_loss(out.clamp(0, 1).mul(255).round() / 255, x)
                psnr.append(-10 * math.log10(float(error) + 1e-12))
            rows.append({"quality": quality, "esn0_db": esn0_db, "psnr_db": round(float(np.mean(psnr)), 2)})
    model.train()
    return rows


def train(
    data: list[Path],
    output: Path,
    *,
    time_budget_s: float = 3600.0,
    loss: str = "mse",
    learning_rate: float = 1e-3,
    threads: int = 1,
    resume: bool = False,
    start: Path | None = None,
    device: str = "cpu",
    seed: int = 1,
) -> None:
    """Train until `time_budget_s` of wall time is used up, runs before a `resume` counted in.

    `output` receives `checkpoint.pt` (resumable), `weights.pt` (averaged) and `log.jsonl`. SIGTERM and Ctrl-C save a
    checkpoint first. `start`, the weights of another run or the folder of an exported model, is the beginning of this
    one. ValueError for a loss other than mse, and where `data` has too few photographs.
    """
    if loss != "mse":
        raise ValueError(f"deepjscc is trained for mse only, not {loss!r}")
    pictures = load_photographs(data, SIDE)
    if len(pictures) <= VALIDATION:
        raise ValueError(f"training needs more than {VALIDATION} photographs, found {len(pictures)}")
    validation, pictures = pictures[-VALIDATION:], pictures[:-VALIDATION]
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads or 1)
    torch.manual_seed(seed)
    model = DeepJscc()
    if start:
        model.load_state_dict(restore(start) if start.is_dir() else torch.load(start, weights_only=True))
    else:
        model.start_linear(pictures, seed)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    state = read_checkpoint(output, device) if resume else None
    run = Run(
        output, model, optimiser, time_budget_s, state, decay=0.9995, save_every_s=90, check_every_s=420
    )  # fmt: skip
    if state:
        torch.manual_seed(seed + run.step)
    crops = Crops(pictures, SIDE, seed + run.step)
    random = np.random.default_rng([seed, run.step])

    def log(final: bool) -> None:
        with run.averaged():
            run.log(final, validation=validate(model, validation))

    running = 0.0
    for share in run.shares():
        rate = learning_rate * min(1.0, (run.step + 1) / 300) * half_cosine(share)
        run.set_rate(rate)
        x = torch.from_numpy(crops.batch(BATCH)).to(device).float() / 255
        x = x.contiguous(memory_format=torch.channels_last)
        esn0_db, assumed, noise_var = (t.to(device) for t in channels(BATCH, random))
        quality = torch.from_numpy(random.integers(0, len(PLANES), BATCH)).to(device).float()
        noise = torch.randn(BATCH, PLANES[1], SIDE // STRIDE, SIDE // STRIDE, device=device)
        with torch.autocast(device, dtype=torch.bfloat16):
            out = model(x, assumed, quality, noise_var, noise)
        error = (out - x).square().mean((1, 2, 3))
        objective = (error * 10 ** (WEIGHT_DB / 10 * (esn0_db - 7.5))).mean()
        norm = run.update(20 * objective)  # gradients of about unit norm, so that clipping is rare
        weighted = -10 * math.log10(float(objective.detach()) + 1e-12)
        running = weighted if run.step == 1 else 0.99 * running + 0.01 * weighted
        if run.step % 200 == 0:
            print(f"step {run.step} {run.elapsed_s:.0f} s rate {rate:.2e} norm {norm:.2f} {running:.2f} dB", flush=True)
        run.when_due(run.save, log)
    run.save()
    log(not run.stop)

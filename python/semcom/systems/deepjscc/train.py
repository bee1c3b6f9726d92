# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the DeepJSCC network on a folder of photographs. Called by `semcom train deepjscc`."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

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
    checkpoint = output / "checkpoint.pt"
    step, elapsed = 0, 0.0
    if start:
        model.load_state_dict(restore(start) if start.is_dir() else torch.load(start, weights_only=True))
    else:
        model.start_linear(pictures, seed)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = {k: v.clone() for k, v in model.state_dict().items()}
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    if resume and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        average, step, elapsed = state["average"], state["step"], state["elapsed_s"]
        torch.manual_seed(seed + step)
    crops = Crops(pictures, SIDE, seed + step)
    random = np.random.default_rng([seed, step])
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)

    def save() -> None:
        state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "average": average}
        write_aside(checkpoint, {**state, "step": step, "elapsed_s": elapsed})
        write_aside(output / "weights.pt", average)

    def log(final: bool) -> None:
        kept = {k: v.clone() for k, v in model.state_dict().items()}
        model.load_state_dict(average)
        row = {"step": step, "elapsed_s": round(elapsed, 1), "final": final, "validation": validate(model, validation)}
        model.load_state_dict(kept)
        with (output / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    begun, last_save, last_check = time.time() - elapsed, time.time(), time.time()
    running = 0.0
    model.train()
    while not stopping and elapsed < time_budget_s:
        share = elapsed / time_budget_s
        rate = learning_rate * min(1.0, (step + 1) / 300) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        x = torch.from_numpy(crops.batch(BATCH)).to(device).float() / 255
        x = x.contiguous(memory_format=torch.channels_last)
        esn0_db, assumed, noise_var = (t.to(device) for t in channels(BATCH, random))
        quality = torch.from_numpy(random.integers(0, len(PLANES), BATCH)).to(device).float()
        noise = torch.randn(BATCH, PLANES[1], SIDE // STRIDE, SIDE // STRIDE, device=device)
        with torch.autocast(device, dtype=torch.bfloat16):
            out = model(x, assumed, quality, noise_var, noise)
        error = (out - x).square().mean((1, 2, 3))
        objective = (error * 10 ** (WEIGHT_DB / 10 * (esn0_db - 7.5))).mean()
        optimiser.zero_grad(set_to_none=True)
        (20 * objective).backward()  # gradients of about unit norm, so that clipping is rare
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if torch.isfinite(norm):
            optimiser.step()
        step += 1
        keep = min(0.9995, 1 - 1 / (step / 10 + 1))
        with torch.no_grad():
            for key, value in model.state_dict().items():
                average[key].lerp_(value, 1 - keep)
        now = time.time()
        elapsed = now - begun
        weighted = -10 * math.log10(float(objective.detach()) + 1e-12)
        running = weighted if step == 1 else 0.99 * running + 0.01 * weighted
        if step % 200 == 0:
            print(f"step {step} {elapsed:.0f} s rate {rate:.2e} norm {float(norm):.2f} {running:.2f} dB", flush=True)
        if now - last_save > 90:
            save()
            last_save = now
        if now - last_check > 420:
            log(False)
            last_check = time.time()
    save()
    log(not stopping)


def write_aside(path: Path, state: object) -> None:
    """Save so that a kill in the middle leaves the old file."""
    temporary = path.with_suffix(path.suffix + ".part")
    torch.save(state, temporary)
    os.replace(temporary, path)

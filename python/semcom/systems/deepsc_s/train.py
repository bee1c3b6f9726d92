# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the DeepSC-S baseline on folders of speech. Called by `semcom train deepsc_s`."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...speech.deepsc_s import GROUP, PLANES
from ..training import Run, half_cosine, read_checkpoint
from .data import Frames, Pieces, load
from .export import restore
from .network import DeepScS

FRAMES, BATCH = 192, 16  # 3 s
ESN0_DB = (-6.0, 20.0)
RAYLEIGH = 0.25  # share of messages over Rayleigh fading, half of them symbol by symbol, half by blocks of groups
MISTAKEN = 0.2  # share of messages whose transmitter takes the channel for another, by a few dB
WEIGHT_DB = 0.25  # a dB of Es/N0 weighs squared errors up by so many dB: about what it takes them down
QUALITY_SHARES = (0.4, 0.3, 0.3)
CHECKED = 48  # pieces that a validation looks at


def channels(count: int, positions: int, random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Random channels of a batch: true Es/N0 and the transmitter's idea of it in dB, [count] each, and the noise
    variance of each equalised symbol, [count, 128, positions]."""
    esn0_db = random.uniform(*ESN0_DB, count)
    assumed = esn0_db + random.normal(0, 4, count) * (random.random(count) < MISTAKEN)
    shape = (count, PLANES[2] // 2, positions)
    single = random.exponential(1, shape)
    blocks = np.repeat(random.exponential(1, (count, shape[1], -(-positions // 4))), 4, 2)[:, :, :positions]
    faded = np.where(random.random((count, 1, 1)) < 0.5, single, blocks) + 1e-4  # |h|^2
    gain = np.where(random.random((count, 1, 1)) < RAYLEIGH, faded, 1.0)
    noise_var = 10 ** (-esn0_db / 10)[:, None, None] / gain
    return tuple(torch.from_numpy(a.astype(np.float32)) for a in (esn0_db, assumed, noise_var))  # type: ignore[return-value]


@torch.no_grad()
def validate(model: DeepScS, held: list[Frames]) -> list[dict[str, float]]:
    """Root mean squared error of log-mel values in dB over AWGN, with noise that is the same each time."""
    model.eval()
    pieces = torch.from_numpy(Pieces(held, FRAMES, 0).batch(CHECKED))
    positions = FRAMES // GROUP
    rows = []
    for quality in range(len(PLANES)):
        for esn0_db in (-6.0, 0.0, 6.0, 12.0, 18.0):
            noise = torch.randn(CHECKED, PLANES[2], positions, generator=torch.Generator().manual_seed(0))
            at, q = torch.full((CHECKED,), esn0_db), torch.full((CHECKED,), float(quality))
            noise_var = torch.full((CHECKED, PLANES[2] // 2, positions), 10 ** (-esn0_db / 10))
            error = float((model(pieces, at, q, noise_var, noise) - pieces).square().mean())
            rows.append({"quality": quality, "esn0_db": esn0_db, "rmse_db": round(math.sqrt(error) * 8.686, 3)})
    model.train()
    return rows


def train(
    data: list[Path],
    output: Path,
    *,
    time_budget_s: float = 1300.0,
    loss: str = "mse",
    learning_rate: float = 1e-3,
    threads: int = 1,
    resume: bool = False,
    start: Path | None = None,
    device: str = "cpu",
    seed: int = 1,
    max_steps: int = 0,
) -> None:
    """Train until `time_budget_s` of wall time is used up, runs before a `resume` counted in, or for `max_steps`.

    `output` receives `checkpoint.pt` (resumable), `weights.pt` (averaged) and `log.jsonl`. SIGTERM and Ctrl-C save a
    checkpoint first. `start`: weights of another run, or the folder of an exported model. ValueError for a loss other
    than mse, and where `data` has too little speech.
    """
    if loss != "mse":
        raise ValueError(f"deepsc_s is trained for mse only, not {loss!r}")
    recordings, held = load(data)
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads or 1)
    torch.manual_seed(seed)
    model = DeepScS()
    if start:
        model.load_state_dict(restore(start) if start.is_dir() else torch.load(start, weights_only=True))
    else:
        model.start_linear(Pieces(recordings, FRAMES, seed).blocks(20_000))
    model = model.to(device)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=learning_rate)
    state = read_checkpoint(output, device) if resume else None
    run = Run(
        output, model, optimiser, time_budget_s, state, decay=0.999, save_every_s=90, check_every_s=240
    )  # fmt: skip
    if state:
        torch.manual_seed(seed + run.step)
    pieces = Pieces(recordings, FRAMES, [seed, run.step])
    random = np.random.default_rng([seed, run.step, 1])

    def log(final: bool) -> None:
        with run.averaged():
            run.log(final, validation=validate(model, held))

    running = 0.0
    for share in run.shares(max_steps):
        rate = learning_rate * min(1.0, (run.step + 1) / 200) * half_cosine(share)
        run.set_rate(rate)
        x = torch.from_numpy(pieces.batch(BATCH)).to(device)
        esn0_db, assumed, noise_var = (t.to(device) for t in channels(BATCH, FRAMES // GROUP, random))
        quality = torch.from_numpy(random.choice(len(PLANES), BATCH, p=QUALITY_SHARES)).to(device).float()
        noise = torch.randn(BATCH, PLANES[2], FRAMES // GROUP, device=device)
        with torch.autocast(device, dtype=torch.bfloat16):
            out = model(x, assumed, quality, noise_var, noise)
        error = (out - x).square().mean((1, 2))
        objective = (error * 10 ** (WEIGHT_DB / 10 * (esn0_db - 7))).mean()
        norm = run.update(objective)
        running = float(objective.detach()) if run.step == 1 else 0.99 * running + 0.01 * float(objective.detach())
        if run.step % 100 == 0:
            print(f"step {run.step} {run.elapsed_s:.0f} s rate {rate:.2e} norm {norm:.2f} {running:.4f}", flush=True)
        run.when_due(run.save, log)
    run.save()
    log(not run.stop)

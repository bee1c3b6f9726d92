# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the VQ-DeepSC networks on a folder of photographs. Called by `semcom train vq_deepsc`.

The rate is flat for six tenths of the time and falls linearly to 0 in the rest (Hu et al. 2024, "warm-up, stable,
decay"), on elapsed time. Where it begins to fall `branch.pt` is kept: the quantised network and its unquantised twin
both go on from there, so both have had the same budget in the end.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..training import Stop, log_row, read_checkpoint, write_aside
from .discriminator import PatchGan, discriminator_loss, generator_loss
from .losses import ssim, windows
from .network import Small
from .optimiser import Muon, split_parameters
from .paper import Paper
from .pictures import Pictures
from .presets import PRESETS, SIDE, get_geometry

DECAY_FROM = 0.6  # share of the time
REVIVE_EVERY, REVIVE_UNTIL = 50, 0.85  # steps; share of the time
FIDELITY = 5.0  # weight of the rest of the loss where there is an adversarial term (paper, equation 10)
LOG_EVERY_S, SAVE_EVERY_S = 240.0, 90.0

Network = Small | Paper


@dataclass(frozen=True)
class Recipe:
    """How a preset trains. `similarity` is the weight of 1 - SSIM beside mean |error|: SSIM is what counts here."""

    batch: int
    rate: float
    similarity: float
    betas: tuple[float, float]
    gan_from: int | None
    rate_discriminator: float = 1e-5
    matrix_rate: float | None = None  # of Muon for convolutions; without it Adam takes them too


RECIPES = {
    "small": Recipe(16, 1e-3, 1.0, (0.9, 0.99), None, 1e-4, 2e-3),
    "paper": Recipe(24, 1.75e-4, 0.0, (0.5, 0.999), 0),
}


def build(preset: str, scales: str, quantised: bool) -> Network:
    """The network of that preset; ValueError for names that there are not."""
    geometry = get_geometry(scales, preset)
    return Small(geometry, True, quantised) if preset == "small" else Paper(geometry, False, quantised)


def optimisers(model: Network, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Adam, and before it Muon where the recipe has it."""
    matrices, others = split_parameters(model)
    if recipe.matrix_rate is None:
        return [torch.optim.Adam(model.parameters(), recipe.rate, recipe.betas)]
    return [Muon(matrices, recipe.matrix_rate), torch.optim.Adam(others, recipe.rate, recipe.betas)]


@torch.no_grad()
def start_codebooks(model: Network, pictures: Tensor) -> None:
    """Codebooks from encoder outputs of [B, 3, 128, 128], coarse to fine: finer vectors may depend on coarser codes."""
    training, quantised = model.training, model.quantised
    model.eval()
    model.quantised = True
    for level in sorted(map(int, model.quantisers), reverse=True):
        model.quantisers.level(level).start(model(pictures)[2][level])
    model.quantised = quantised
    model.train(training)


@torch.no_grad()
def validate(model: Network, pictures: np.ndarray) -> dict[str, Any]:
    """Mean SSIM and PSNR of 8-bit pictures [B, 3, 128, 128], and the least used code's share by level."""
    model.eval()
    device = next(model.parameters()).device
    similarity, psnr = [], []
    counts = {scale.level: torch.zeros(scale.codes) for scale in model.geometry.scales}
    for first in range(0, len(pictures), 20):
        x = torch.from_numpy(np.ascontiguousarray(pictures[first : first + 20])).to(device).float() / 255
        out, _, features = model(x)
        out = out.clamp(0, 1).mul(255).round() / 255
        similarity += [float(ssim(a[None], b[None])) for a, b in zip(x, out, strict=True)]
        psnr += (-10 * torch.log10((out - x).square().mean((1, 2, 3)) + 1e-10)).tolist()
        for level, count in counts.items():
            indices = model.quantisers.level(level).indices(features[level])
            count += torch.bincount(indices.ravel(), minlength=len(count)).cpu()
    model.train()
    row: dict[str, Any] = {"ssim": round(float(np.mean(similarity)), 4), "psnr_db": round(float(np.mean(psnr)), 2)}
    if model.quantised:
        row["least_usage"] = {k: round(float(c.min() / c.sum()), 4) for k, c in counts.items()}
    return row


def rate_share(share: float, step: int) -> float:
    """Of the full rate, at that share of the time: rises over 100 steps, flat, then linear to 0."""
    return min(1.0, (step + 1) / 100) * min(1.0, max(0.0, (1 - share) / (1 - DECAY_FROM)))


def train(
    data: list[Path],
    output: Path,
    *,
    time_budget_s: float = 3600.0,
    loss: str = "mse",
    preset: str = "small",
    scales: str = "four_scales",
    unquantised: bool = False,
    gan_from: int | None = None,
    max_steps: int | None = None,
    rate_lambda: float | None = None,
    threads: int = 1,
    resume: bool = False,
    start: Path | None = None,
    device: str = "cpu",
    seed: int = 1,
) -> None:
    """Train until `time_budget_s` of wall time is used up or `max_steps` are done, runs before a `resume` counted in;
    the rate follows what is nearer to its end.

    `output` receives `checkpoint.pt` (resumable), `branch.pt` (the same, when the rate begins to fall), `weights.pt`
    and `log.jsonl`. SIGTERM and Ctrl-C save a checkpoint first. `start` is the weights of another run, whose clock
    begins at 0, or a `branch.pt`, whose clock goes on; with other `scales` than ours what fits is taken.
    `unquantised` trains the twin. `gan_from` is the epoch from which the discriminator takes part (default: that of
    the preset). `loss` is not asked for here: the presets have their own. ValueError for names that there are not, too
    few photographs, and a checkpoint of another network.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset of vq_deepsc must be {' or '.join(PRESETS)}, not {preset!r}")
    if rate_lambda is not None:
        raise ValueError("lambda is for codecs of variable rate: vq_deepsc sends a fixed number of bits")
    if loss != "mse":
        raise ValueError(f"the presets of vq_deepsc have their own loss: {loss!r} cannot be chosen")
    recipe = RECIPES[preset]
    gan_from = recipe.gan_from if gan_from is None else gan_from
    torch.set_num_threads(threads or 1)
    torch.manual_seed(seed)
    model = build(preset, scales, not unquantised)
    pictures = Pictures(data, seed)
    output.mkdir(parents=True, exist_ok=True)
    meta = {"preset": preset, "scales": scales, "quantised": not unquantised}
    state = read_checkpoint(output) if resume else None
    if state:
        if state["meta"] != meta:
            raise ValueError(f"{output / 'checkpoint.pt'}: holds another network: {state['meta']}, not {meta}")
    elif start is not None:
        begin = _load_start(start)
        if "elapsed_s" in begin:
            state = begin
            if {**state["meta"], "quantised": None} != {**meta, "quantised": None}:
                raise ValueError(f"{start}: holds another network: {state['meta']}, not {meta}")
        else:
            take_weights(model, begin["model"], start)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    steppers = optimisers(model, recipe)
    rates = [group["lr"] for o in steppers for group in o.param_groups]
    critic = PatchGan().to(device)
    critic_stepper = torch.optim.Adam(critic.parameters(), recipe.rate_discriminator, (0.5, 0.999))
    step, elapsed = 0, 0.0
    if state:
        model.load_state_dict(state["model"])
        for stepper, kept in zip(steppers, state["optimisers"], strict=True):
            stepper.load_state_dict(kept)
        if "critic" in state:
            critic.load_state_dict(state["critic"])
            critic_stepper.load_state_dict(state["critic_optimiser"])
        step, elapsed = state["step"], state["elapsed_s"]
    else:
        known = _codebook_shapes(begin["model"]) if start is not None else {}
        if known != _codebook_shapes(model.state_dict()) and not unquantised:
            start_codebooks(model, _to_floats(pictures.batch(32), device))
    torch.manual_seed(seed + step)
    pictures.random = np.random.default_rng([seed, step])
    stop = Stop()

    def save(name: str = "checkpoint.pt") -> None:
        kept: dict[str, Any] = {"meta": meta, "model": model.state_dict(), "step": step, "elapsed_s": elapsed}
        kept["optimisers"] = [o.state_dict() for o in steppers]
        if gan_from is not None:
            kept |= {"critic": critic.state_dict(), "critic_optimiser": critic_stepper.state_dict()}
        write_aside(output / name, kept)
        write_aside(output / "weights.pt", {"meta": {**meta, "steps": step}, "model": model.state_dict()})

    def log(final: bool) -> None:
        found = validate(model, pictures.validation)
        log_row(output, {"step": step, "elapsed_s": round(elapsed), "final": final, **found})

    def progress() -> float:
        return max(elapsed / time_budget_s, step / max_steps if max_steps else 0.0)

    grids = [windows(SIDE, 2, first).to(device) for first in (0, 1)]  # every other place, by turns: a quarter the work
    begun = last_log = last_save = time.time()
    begun -= elapsed
    epoch_steps = max(1, len(pictures.training) // recipe.batch)
    model.train()
    while not stop and progress() < 1:
        share = progress()
        groups = [group for o in steppers for group in o.param_groups]
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate * rate_share(share, step)
        x = _to_floats(pictures.batch(recipe.batch), device)
        adversarial = gan_from is not None and step >= gan_from * epoch_steps
        with torch.autocast(device, dtype=torch.bfloat16):
            out, objective, features = model(x)
        error = F.l1_loss(out, x)
        likeness = ssim(x, out, grids[step % 2], grids[step // 2 % 2])
        objective = objective + error + recipe.similarity * (1 - likeness)
        if adversarial:
            with torch.autocast(device, dtype=torch.bfloat16):
                critic.requires_grad_(False)
                judged = critic(out)
                critic.requires_grad_(True)
            objective = FIDELITY * objective + generator_loss(judged.float())
        for stepper in steppers:
            stepper.zero_grad()
        objective.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        if torch.isfinite(norm):
            for stepper in steppers:
                stepper.step()
        if adversarial:
            with torch.autocast(device, dtype=torch.bfloat16):
                real, fake = critic(x), critic(out.detach())
            critic_stepper.zero_grad()
            discriminator_loss(real.float(), fake.float()).backward()
            critic_stepper.step()
        step += 1
        if model.quantised and step % REVIVE_EVERY == 0 and share < REVIVE_UNTIL:
            for level, vectors in features.items():
                model.quantisers.level(level).revive(vectors.detach())
        now = time.time()
        elapsed = now - begun
        if share < DECAY_FROM <= progress():
            save("branch.pt")
        if step % 100 == 0:
            print(f"step {step} {elapsed:.0f} s ssim {float(likeness.detach()):.4f} norm {float(norm):.2f}", flush=True)
        if now - last_save > SAVE_EVERY_S:
            save()
            last_save = now
        if now - last_log > LOG_EVERY_S:
            log(False)
            last_log = time.time()
    save()
    log(not stop)


def take_weights(model: Network, weights: dict[str, Tensor], source: Path) -> None:
    """Those of the same name and shape; ValueError where most of ours are not there."""
    ours = model.state_dict()
    fitting = {k: v for k, v in weights.items() if k in ours and ours[k].shape == v.shape}
    if len(fitting) < len(ours) / 2:
        raise ValueError(f"{source}: holds the weights of another network or preset")
    model.load_state_dict({**ours, **fitting})


def _load_start(start: Path) -> dict[str, Any]:
    if start.is_dir():
        from .export import restore

        return {"model": restore(start)}
    begin: dict[str, Any] = torch.load(start, weights_only=True, map_location="cpu")
    if "model" not in begin:
        raise ValueError(f"{start}: holds no weights of a VQ-DeepSC network")
    return begin


def _codebook_shapes(state: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {k: v.shape for k, v in state.items() if k.endswith(".codes")}


def _to_floats(pictures: np.ndarray, device: str) -> Tensor:
    x = torch.from_numpy(pictures).to(device).float() / 255
    return x.contiguous(memory_format=torch.channels_last)

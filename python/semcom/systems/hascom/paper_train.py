# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of preset `paper`: alignment search in every step, Adam, the paper's losses. For research: days on a CPU."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..training import Stop, log_row, read_checkpoint, write_aside
from . import forward
from .alignment import search
from .data import Utterance
from .network import BANDS, CENTRE, SPREAD, mask, spread
from .paper import PaperHascom
from .train import RECEIVED_SHARE, batches, jscc_stage, received, style_stage, tensors

SEGMENT = 128  # frames, a multiple of 4


def losses(
    model: PaperHascom, chosen: Sequence[Utterance], style: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """L_s, L_t and L_d of a batch; mel values are brought to about unit variance first."""
    phonemes, _, counts, mel, lengths = tensors(chosen)
    mel = (mel - CENTRE) / SPREAD
    said, heard = mask(counts), mask(lengths)
    means, log_frames = model.encoder(phonemes, said)
    frames = aligned(means, mel, counts, lengths)
    owner, _ = spread(frames, mel.shape[2])
    mu = means.gather(2, owner[:, None].expand(-1, BANDS, -1))
    out = {
        "prior": ((mu - mel).square() * heard).sum() / (heard.sum() * BANDS),
        "frames": ((log_frames - (frames + 1e-8).log()).square() * said[:, 0]).sum() / said.sum(),
    }
    room = (lengths - SEGMENT).clamp(min=0)
    start = (torch.rand(len(chosen), generator=generator) * (room + 1)).long()
    at = (start[:, None] + torch.arange(SEGMENT))[:, None].clamp(max=mel.shape[2] - 1)
    clean, prior = (value.gather(2, at.expand(-1, BANDS, -1)) for value in (mel, mu))
    valid = (torch.arange(SEGMENT)[None] < (lengths - start)[:, None]).float()[:, None]
    t = torch.rand(len(chosen), generator=generator) * (1 - 1e-5) + 1e-5
    noise = torch.randn(clean.shape, generator=generator)
    rho = torch.exp(-forward.integral(t) / 2)[:, None, None]
    noisy = (1 - rho) * prior + rho * clean + (1 - rho**2).sqrt() * noise
    found = model.unet(noisy * valid, prior * valid, t, style, valid)
    out["diffusion"] = ((found - noise).square() * valid).sum() / (valid.sum() * BANDS)
    return out


@torch.no_grad()
def aligned(means: Tensor, mel: Tensor, counts: Tensor, lengths: Tensor) -> Tensor:
    """Frames of each phoneme int64 [B, N] on the path of the largest likelihood under N(mu~, I)."""
    scores = means.transpose(1, 2) @ mel - 0.5 * means.square().sum(1)[..., None]  # but for a term of the frame alone
    frames = torch.zeros(means.shape[0], means.shape[2], dtype=torch.int64)
    for row, (score, count, length) in enumerate(zip(scores.numpy(), counts, lengths, strict=True)):
        frames[row, : int(count)] = torch.from_numpy(search(score[: int(count), : int(length)]))
    return frames


def train_paper(
    utterances: list[Utterance], output: Path, time_budget_s: float, resume: bool, start: Path | None, device: str,
    seed: int, learning_rate: float,
) -> None:  # fmt: skip
    """All stages of preset `paper`; checkpoint.pt, weights.pt and log.jsonl in `output`."""
    utterances = [u for u in utterances if len(u.phonemes) <= len(u.mel)]
    values = style_stage(output, utterances, seed)
    jscc = jscc_stage(output, values, seed)
    styles = torch.from_numpy(values)
    torch.manual_seed(seed)
    model = PaperHascom()
    if start:
        model.load_state_dict(torch.load(start, weights_only=True))
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate, betas=(0.9, 0.998), eps=1e-9)
    step, elapsed = 0, 0.0
    state = read_checkpoint(output) if resume else None
    if state:
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        step, elapsed = state["step"], state["elapsed_s"]
    generator = torch.Generator().manual_seed(seed + step)
    source = batches(utterances, set(), np.random.default_rng([seed, step]))
    begun, stop, last = time.time() - elapsed, Stop(), time.time()
    model.train()
    while not stop and elapsed < time_budget_s:
        chosen = next(source)
        style = styles[chosen]
        if elapsed > (1 - RECEIVED_SHARE) * time_budget_s:
            style = received(jscc, style, generator)
        parts = losses(model, [utterances[n] for n in chosen], style, generator)
        objective = torch.stack(list(parts.values())).sum()
        optimiser.zero_grad(set_to_none=True)
        objective.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        elapsed = time.time() - begun
        if step % 20 == 0:
            values_now = {name: float(value.detach()) for name, value in parts.items()}
            log_row(output, {"step": step, "elapsed_s": round(elapsed, 1), **values_now})
        if time.time() - last > 300:
            save(output, model, optimiser, step, elapsed)
            last = time.time()
    save(output, model, optimiser, step, elapsed)


def save(output: Path, model: PaperHascom, optimiser: torch.optim.Optimizer, step: int, elapsed_s: float) -> None:
    """The checkpoint, and weights.pt beside it."""
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
    write_aside(output / "checkpoint.pt", {**state, "step": step, "elapsed_s": elapsed_s})
    write_aside(output / "weights.pt", model.state_dict())

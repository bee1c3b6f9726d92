# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of HASCom on folders of speech with transcripts. Called by `semcom train hascom`.

Stages, as in the paper with its third scheme (see docs/hascom.md): 0 the style encoder; I the JSCC of styles; IIa prior
and diffusion with styles as sent; IIb the same with styles as received. A stage that is done is kept in `output`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..training import Run, half_cosine, log_row, read_checkpoint, write_aside
from . import forward
from .data import Utterance, load, prepare
from .network import BANDS, CENTRE, SPREAD, Hascom, mask, spread
from .style_network import ESN0_DB, SYMBOLS, StyleJscc, StyleNetwork, embed, prepared, train_jscc, train_style

STYLE_STEPS, JSCC_STEPS = 1200, 4000
BATCH = 12
SEGMENT = 128  # frames that the denoiser sees in a step
FIRST_SHARE = 0.55  # of the batches: the first folder, which decides how well words are understood
RECEIVED_SHARE = 0.15  # of the time at the end: styles as received
OTHER_STYLE = 0.6  # how often the style is that of another utterance of the same voice and emotion
STYLE_NOISE = 0.25  # of what is added to each half, of length 1
CHECK_S = 240
KEPT = 24  # utterances of the first folder that tell how it goes
LEARNING_RATE = {"small": 1.5e-3, "paper": 1e-4}


def style_stage(output: Path, utterances: Sequence[Utterance], seed: int) -> np.ndarray:
    """Styles [n, 512] of the utterances, by the style encoder in `output`, which is trained first if it is not there.

    Writes style.npz: the mean over all, and the neutral style, the mean of the first folder.
    """
    network = StyleNetwork()
    path = output / "style.pt"
    if not path.exists():
        result = train_style(network, utterances, STYLE_STEPS, seed)
        log_row(output, {"stage": "style", "emotion_accuracy": result.emotion, "speaker_accuracy": result.speaker})
        write_aside(path, network.state_dict())
    network.load_state_dict(torch.load(path, weights_only=True))
    styles = embed(network, [prepared(u.mel) for u in utterances])
    first = np.array([u.source == 0 for u in utterances])
    np.savez(output / "style.npz", mean=styles.mean(0), neutral=styles[first].mean(0))
    return styles


def jscc_stage(output: Path, styles: np.ndarray, seed: int) -> StyleJscc:
    """Stage I: the JSCC in `output`, which is trained first if it is not there. Nothing reads it before stage IIb."""
    jscc = StyleJscc()
    path = output / "jscc.pt"
    if not path.exists():
        errors = train_jscc(jscc, styles, JSCC_STEPS, seed)
        log_row(output, {"stage": "I", "mean_squared_error": [round(e, 7) for e in errors]})
        write_aside(path, jscc.state_dict())
    jscc.load_state_dict(torch.load(path, weights_only=True))
    return jscc.eval()


def batches(utterances: Sequence[Utterance], kept: set[int], random: np.random.Generator) -> Iterator[list[int]]:
    """Numbers of utterances of like lengths, for ever; the first folder has its share whatever its size."""
    usable = [n for n in range(len(utterances)) if n not in kept]
    first = [n for n in usable if utterances[n].source == 0]
    others = [n for n in usable if utterances[n].source]
    share = FIRST_SHARE if others else 1.0
    while True:
        pool = BATCH * 16
        count = int(round(share * pool))
        chosen = [*random.choice(first, count), *(random.choice(others, pool - count) if others else [])]
        chosen.sort(key=lambda n: len(utterances[n].mel) * random.uniform(0.95, 1.05))
        for group in random.permutation(pool // BATCH):
            yield [int(n) for n in chosen[group * BATCH : (group + 1) * BATCH]]


def tensors(chosen: Sequence[Utterance]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Phonemes and frames int64 [B, N], counts [B], mel [B, 80, T] and lengths [B] of utterances."""
    counts = torch.tensor([len(u.phonemes) for u in chosen])
    lengths = torch.tensor([len(u.mel) for u in chosen])
    phonemes = torch.zeros(len(chosen), int(counts.max()), dtype=torch.int64)
    frames = torch.zeros_like(phonemes)
    mel = torch.full((len(chosen), BANDS, int(lengths.max())), CENTRE)
    for row, u in enumerate(chosen):
        phonemes[row, : len(u.phonemes)] = torch.from_numpy(u.phonemes)
        frames[row, : len(u.frames)] = torch.from_numpy(u.frames)
        mel[row, :, : len(u.mel)] = torch.from_numpy(u.mel.T)
    return phonemes, frames, counts, mel, lengths


def losses(model: Hascom, chosen: Sequence[Utterance], style: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """The parts of the loss of a batch."""
    phonemes, frames, counts, mel, lengths = tensors(chosen)
    said, heard = mask(counts), mask(lengths)
    hidden, coarse, log_frames = model.prior.encode(phonemes, said, style)
    owner, places = spread(frames, mel.shape[2])
    index = owner[:, None]
    over_frames = hidden.gather(2, index.expand(-1, hidden.shape[1], -1))
    mu = model.prior.decode(over_frames, places, heard, style).float()
    total = heard.sum() * BANDS
    spread_out = coarse.float().gather(2, index.expand(-1, BANDS, -1))
    out = {
        "prior": ((mu - mel).abs() * heard).sum() / total,
        "coarse": ((spread_out - mel).square() * heard).sum() / total / SPREAD**2,
        "frames": ((log_frames.float() - frames.clamp(min=1).log()).square() * said[:, 0]).sum() / said.sum(),
    }
    # the denoiser sees a piece of each utterance
    length = min(SEGMENT, mel.shape[2])
    room = (lengths - length).clamp(min=0)
    start = (torch.rand(len(chosen), generator=generator) * (room + 1)).long()
    at = (start[:, None] + torch.arange(length))[:, None]
    clean, prior = (value.gather(2, at.expand(-1, BANDS, -1)) for value in (mel, mu.detach()))
    valid = heard.gather(2, at)
    t = torch.rand(len(chosen), generator=generator) * (1 - 1e-5) + 1e-5
    noise = torch.randn(clean.shape, generator=generator)
    rho = torch.exp(-forward.integral(t) / 2)[:, None, None]
    delta = (1 - rho**2).sqrt()
    noisy = prior + rho * (clean - prior) + delta * noise
    wanted = rho * noise - delta * (clean - prior)
    found = model.denoiser(noisy, prior, t, style, valid).float()
    out["diffusion"] = ((found - wanted).square() * valid).sum() / (valid.sum() * BANDS)
    return out


class Styles:
    """Styles for training. An utterance's own would be its name, by which a network learns the utterance by heart."""

    def __init__(self, utterances: Sequence[Utterance], styles: Tensor, random: np.random.Generator) -> None:
        self.styles, self.random = styles, random
        self.alike: dict[tuple[int, int], list[int]] = {}
        for number, u in enumerate(utterances):
            self.alike.setdefault((u.speaker, u.emotion), []).append(number)
        self.key = [(u.speaker, u.emotion) for u in utterances]

    def of(self, chosen: Sequence[int]) -> Tensor:
        """Styles [B, 512]: often of another utterance of the same voice and emotion, always a little off."""
        swapped = self.random.random(len(chosen)) < OTHER_STYLE
        other = [
            int(self.random.choice(self.alike[self.key[n]])) if swap else n
            for n, swap in zip(chosen, swapped, strict=True)
        ]
        halves = self.styles[other].reshape(len(chosen), 2, -1)
        noise = torch.from_numpy(self.random.standard_normal(halves.shape).astype(np.float32))
        halves = halves + STYLE_NOISE / halves.shape[2] ** 0.5 * noise
        return torch.nn.functional.normalize(halves, dim=2).reshape(len(chosen), -1)


@torch.no_grad()
def received(jscc: StyleJscc, style: Tensor, generator: torch.Generator) -> Tensor:
    """Styles after the channel, Es/N0 uniform in 0 to 20 dB."""
    esn0_db = torch.empty(len(style), 1).uniform_(*ESN0_DB, generator=generator)
    noise = torch.randn(len(style), 2 * SYMBOLS, generator=generator) * (10 ** (-esn0_db / 10) / 2).sqrt()
    return jscc(style, noise)


@torch.no_grad()
def validate(model: Hascom, kept: Sequence[Utterance], styles: Tensor) -> dict[str, float]:
    """The losses on utterances kept back."""
    model.eval()
    generator = torch.Generator().manual_seed(0)
    rows = [losses(model, kept[n : n + 8], styles[n : n + 8], generator) for n in range(0, len(kept), 8)]
    found = {name: round(float(sum(row[name] for row in rows)) / len(rows), 4) for name in rows[0]}
    model.train()
    return found


def train(
    data: list[Path],
    output: Path,
    *,
    time_budget_s: float,
    loss: str = "",
    threads: int = 1,
    resume: bool = False,
    start: Path | None = None,
    device: str = "cpu",
    seed: int = 0,
    preset: str = "small",
    rate_lambda: float | None = None,
    learning_rate: float | None = None,
) -> None:
    """Train for `time_budget_s` seconds; files in `output`: data.npz, style.pt, jscc.pt, checkpoint.pt, weights.pt,
    log.jsonl.

    The first folder of `data` is the main voice. SIGTERM and Ctrl-C save a checkpoint first. `start` holds the
    weights.pt of another run. The losses are the paper's: `loss` and `rate_lambda` belong to systems of pictures.
    ValueError where `data` has no speech.
    """
    if rate_lambda is not None:
        raise ValueError("--lambda is for ncsc: hascom has no rate to weigh")
    if preset == "paper":
        from .paper_train import train_paper as run
    else:
        run = train_small
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads or 1)
    if not (output / "data.npz").exists():
        prepare(data, output / "data.part.npz")
        os.replace(output / "data.part.npz", output / "data.npz")
    utterances = load(output / "data.npz")
    run(utterances, output, time_budget_s, resume, start, device, seed, learning_rate or LEARNING_RATE[preset])


def train_small(
    utterances: list[Utterance], output: Path, time_budget_s: float, resume: bool, start: Path | None, device: str,
    seed: int, learning_rate: float,
) -> None:  # fmt: skip
    """All stages of the small preset."""
    torch.manual_seed(seed)
    values = style_stage(output, utterances, seed)
    styles = torch.from_numpy(values)
    jscc: StyleJscc | None = None
    torch.manual_seed(seed)
    model = Hascom()
    if start:
        model.load_state_dict(torch.load(start, weights_only=True))
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    state = read_checkpoint(output) if resume else None
    best: float = state["best"] if state else math.inf
    run = Run(output, model, optimiser, time_budget_s, state, decay=0.999, save_every_s=180, check_every_s=CHECK_S)
    random = np.random.default_rng([seed, run.step])
    generator = torch.Generator().manual_seed(seed + run.step)
    main = [n for n, u in enumerate(utterances) if u.source == 0]
    kept = [main[i] for i in np.random.default_rng(1).permutation(len(main))[: min(KEPT, len(main) // 4)]]
    source = batches(utterances, set(kept), random)
    teacher = Styles(utterances, styles, random)

    def save() -> None:
        run.save_checkpoint(best=best)

    def check(final: bool) -> None:
        nonlocal best
        with run.averaged():
            found = validate(model, [utterances[n] for n in kept], styles[kept])
        stage = "IIb" if run.elapsed_s > (1 - RECEIVED_SHARE) * time_budget_s else "IIa"
        where = {"stage": stage, "step": run.step, "elapsed_s": round(run.elapsed_s, 1)}
        log_row(output, {**where, "final": final, **found})
        total = sum(found.values())
        if total < best:  # an hour of speech is soon known by heart: the best weights are kept, not the last
            best = total
            write_aside(output / "weights.pt", run.average)

    running: dict[str, float] = {}
    for share in run.shares():
        rate = learning_rate * min(1.0, (run.step + 1) / 200) * half_cosine(share, 0.02)
        run.set_rate(rate)
        chosen = next(source)
        style = teacher.of(chosen)
        if share > 1 - RECEIVED_SHARE:
            jscc = jscc or jscc_stage(output, values, seed)
            style = received(jscc, style, generator)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            parts = losses(model, [utterances[n] for n in chosen], style, generator)
        objective = sum(parts.values())
        assert isinstance(objective, Tensor)
        norm = run.update(objective)
        for name, part in parts.items():
            value = float(part.detach())
            running[name] = 0.98 * running.get(name, value) + 0.02 * value
        if run.step % 50 == 0:
            text = " ".join(f"{name} {value:.3f}" for name, value in running.items())
            print(f"step {run.step} {run.elapsed_s:.0f} s rate {rate:.1e} norm {norm:.2f} {text}", flush=True)
        run.when_due(save, check)
    check(not run.stop)
    save()

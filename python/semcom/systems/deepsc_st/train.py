# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of DeepSC-ST on folders of speech with transcripts. Called by `semcom train deepsc_st`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...metrics.text import edit_distance
from ...speech.ctc import BLANK, greedy
from ...speech.features import SAMPLE_RATE
from ...speech.recurrent import valid
from ..training import Run, half_cosine, read_checkpoint
from .data import Utterance, batches, load, make_batch
from .export import restore
from .network import REALS, DeepScSt
from .symbols import SYMBOLS, send_order

BATCH_S = 72.0  # seconds of speech in a batch
RECOGNISER_SHARE = {False: 0.8, True: 0.6}  # of the time before the channel comes in; less with a `start`
DROPOUT = 0.1
LEARNING_RATE = {"small": 1e-3, "paper": 1e-4}
ESN0_DB = (-8.0, 20.0)
BLOCK = 128  # symbols with one fade
CHANNELS = ("awgn", "rayleigh", "rician")
VALIDATION = 40  # utterances a folder
LONGEST_S = 9.0  # longer utterances take more time than they teach: few rows for many steps

def fades(count: int, channel: str, random: np.random.Generator) -> np.ndarray:
    """Power gains |h|^2 of `count` blocks over AWGN, Rayleigh or Rician (K = 1) fading, float64 [count]."""
    scattered = (random.standard_normal(count) + 1j * random.standard_normal(count)) * math.sqrt(0.5)
    if channel == "awgn":
        return np.ones(count)
    return np.abs(scattered) ** 2 if channel == "rayleigh" else np.abs(math.sqrt(0.5) * (1 + scattered)) ** 2

def noise_variances(
    lengths: np.ndarray, esn0_db: np.ndarray, channel: list[str], random: np.random.Generator, interleaved: bool
) -> np.ndarray:
    """Noise variance of each equalised symbol, float32 [B, max L, 20]; one fade for 128 symbols in the order sent."""
    out = np.ones((len(lengths), int(lengths.max()), SYMBOLS), np.float32)
    for row, frames, level, kind in zip(out, lengths, esn0_db, channel, strict=True):
        count = int(frames) * SYMBOLS
        gains = np.repeat(fades(-(-count // BLOCK), kind, random), BLOCK)[:count]
        flat = np.empty(count)
        flat[send_order(count) if interleaved else slice(None)] = 10 ** (-level / 10) / np.maximum(gains, 1e-4)
        row[: int(frames)] = flat.reshape(-1, SYMBOLS)
    return out

def ctc(logits: Tensor, lengths: Tensor, tokens: Tensor, counts: Tensor) -> Tensor:
    """CTC loss, the mean over characters."""
    logs = F.log_softmax(logits.float(), -1).transpose(0, 1)
    total = F.ctc_loss(logs, tokens, lengths, counts, blank=BLANK, reduction="sum", zero_infinity=True)
    return total / counts.sum()

@torch.no_grad()
def validate(model: DeepScSt, sets: dict[str, list[Utterance]], esn0_db: float | None = 4.0) -> dict[str, float]:
    """Character error rates of greedy decoding: noiseless of the recogniser, and over AWGN at `esn0_db`."""
    model.eval()
    random = np.random.default_rng(0)
    generator = torch.Generator().manual_seed(0)
    device = next(model.parameters()).device
    rates: dict[str, float] = {}
    for name, utterances in sets.items():
        errors, over_channel, characters = 0, 0, 0
        for first in range(0, len(utterances), 20):
            batch = make_batch(utterances[first : first + 20], model.recogniser.size.bands)
            logits, lengths = model.recogniser(*(torch.from_numpy(a).to(device) for a in (batch.frames, batch.lengths)))
            count = lengths.cpu().numpy()
            levels = np.full(len(count), 0.0 if esn0_db is None else esn0_db)
            variance = noise_variances(count, levels, ["awgn"] * len(count), random, False)
            noise = torch.randn((*variance.shape[:2], REALS), generator=generator)
            channel = (torch.from_numpy(levels).float(), torch.from_numpy(variance), noise)
            received = model.over_channel(logits.softmax(-1), lengths, *(t.to(device) for t in channel))
            for number, text in enumerate(batch.texts):
                errors += edit_distance(greedy(logits[number, : count[number]].cpu().numpy()), text)
                over_channel += edit_distance(greedy(received[number, : count[number]].cpu().numpy()), text)
                characters += len(text)
        rates[f"{name}_cer"] = round(errors / max(1, characters), 4)
        if esn0_db is not None:
            rates[f"{name}_cer_awgn_{esn0_db:g}_db"] = round(over_channel / max(1, characters), 4)
    model.train()
    return rates

def load_sets(data: list[Path]) -> tuple[list[Utterance], dict[str, list[Utterance]]]:
    """Utterances to train on, and by folder those that tell how it goes: split `heldout` where there is one, else some
    of the training split, which are then left out of it. A folder named twice counts twice."""
    training: list[Utterance] = []
    sets: dict[str, list[Utterance]] = {}
    kept: dict[Path, list[Utterance]] = {}
    for folder in data:
        if folder not in kept:
            found, held = load(folder, "train"), load(folder, "heldout")
            found = [u for u in found if len(u.audio) <= LONGEST_S * SAMPLE_RATE]
            if held:
                held = held[:: max(1, len(held) // VALIDATION)][:VALIDATION]
            else:
                step = max(2, len(found) // VALIDATION)
                held = found[step - 1 :: step][:VALIDATION]
                chosen = {id(u) for u in held}
                found = [u for u in found if id(u) not in chosen]
            kept[folder], sets[folder.name] = found, held
        training += kept[folder]
    if not training:
        raise ValueError(f"no speech to train on in {', '.join(map(str, data))}")
    return training, sets

def endless(training: list[Utterance], random: np.random.Generator, fresh: bool) -> Iterator[list[Utterance]]:
    """Batches without end, the first pass from short to long where `fresh`."""
    while True:
        yield from batches(training, BATCH_S, random, fresh)
        fresh = False

def train(
    data: list[Path],
    output: Path,
    *,
    time_budget_s: float = 3600.0,
    loss: str = "mse",
    learning_rate: float | None = None,
    threads: int = 1,
    resume: bool = False,
    start: Path | None = None,
    device: str = "cpu",
    seed: int = 1,
    preset: str = "small",
    rate_lambda: float | None = None,
) -> None:
    """Train until `time_budget_s` of wall time is used up, runs before a `resume` counted in.

    The recogniser alone first, then all of it end to end over random channels: AWGN, Rayleigh and Rician of -8 to
    20 dB for `small`, Rician at 8 dB for `paper`. Preset `tacotron2` trains the synthesiser instead. `output` receives
    `checkpoint.pt` (resumable), `weights.pt` (averaged) and `log.jsonl` with character error rates. SIGTERM and Ctrl-C
    save a checkpoint first. `start`, the weights of another run or the folder of an exported model, is the beginning
    of this one. The loss is always CTC; `loss` and `rate_lambda` belong to systems of pictures. ValueError where
    `data` has no speech.
    """
    if preset == "tacotron2":
        from .tacotron2_train import train as train_speech

        train_speech(
            data, output, time_budget_s=time_budget_s, learning_rate=learning_rate or 1e-3, threads=threads,
            resume=resume, device=device, seed=seed,
        )  # fmt: skip
        return
    if rate_lambda is not None:
        raise ValueError("--lambda is for ncsc: deepsc_st has no rate to weigh")
    training, sets = load_sets(data)
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads or 1)
    torch.manual_seed(seed)
    model = DeepScSt(preset)
    if start:
        model.load_state_dict(restore(start) if start.is_dir() else torch.load(start, weights_only=True))
    model = model.to(device)
    model.recogniser.dropout = DROPOUT
    highest = learning_rate or LEARNING_RATE[preset]
    layers = [*model.encoder.parameters(), *model.decoder.parameters()]  # of the channel: fresh when they come in
    groups: list[dict[str, Any]] = [{"params": list(model.recogniser.parameters())}, {"params": layers}]
    optimiser = torch.optim.Adam(groups, lr=highest)
    state = read_checkpoint(output, device) if resume else None
    run = Run(
        output, model, optimiser, time_budget_s, state, decay=0.998, save_every_s=120, check_every_s=500
    )  # fmt: skip
    if state:
        torch.manual_seed(seed + run.step)
    random = np.random.default_rng([seed, run.step])
    source = endless(training, random, run.step == 0 and start is None)
    alone = RECOGNISER_SHARE[start is not None] * time_budget_s

    def log(final: bool) -> None:
        with run.averaged():
            rates = validate(model, sets, None if run.elapsed_s < alone else 4.0)
        run.log(final, loss=round(running, 4), **rates)

    running = math.nan
    for share in run.shares():
        rate = highest * half_cosine(share) * min(1.0, (run.step + 1) / 100)
        optimiser.param_groups[0]["lr"] = rate
        later = max(0.0, run.elapsed_s - alone) / (time_budget_s - alone)
        optimiser.param_groups[1]["lr"] = highest * half_cosine(later)
        batch = make_batch(next(source), model.recogniser.size.bands, random)
        frames, lengths, tokens, counts = (
            torch.from_numpy(a).to(device) for a in (batch.frames, batch.lengths, batch.tokens, batch.counts)
        )
        with torch.autocast(device, dtype=torch.bfloat16):
            logits, lengths = model.recogniser(frames, lengths)
        objective = ctc(logits, lengths, tokens, counts)
        if run.elapsed_s >= alone:
            objective = objective + channel_loss(model, logits, lengths, tokens, counts, random)
        norm = run.update(objective, model.recogniser.parameters(), layers)  # not squeezed by fresh layers
        value = float(objective.detach())
        running = value if math.isnan(running) else 0.98 * running + 0.02 * value
        if run.step % 50 == 0:
            at = f"step {run.step} {run.elapsed_s:.0f} s"
            print(f"{at} rate {rate:.2e} norm {norm:.2f} loss {running:.3f}", flush=True)
        run.when_due(run.save, log)
    run.save()
    log(not run.stop)

def channel_loss(
    model: DeepScSt, logits: Tensor, lengths: Tensor, tokens: Tensor, counts: Tensor, random: np.random.Generator
) -> Tensor:
    """Half the CTC loss after a random channel for each utterance, plus each frame's cross entropy with what was sent.

    The second tells fresh channel layers in a few hundred steps what CTC alone takes thousands to tell. The
    transmitter is told Es/N0, sometimes wrongly.
    """
    rows = len(lengths)
    device = logits.device
    if model.recogniser.size.adaptive:
        esn0_db = random.uniform(*ESN0_DB, rows)
        channel = [CHANNELS[n] for n in random.integers(0, len(CHANNELS), rows)]
    else:
        esn0_db, channel = np.full(rows, 8.0), ["rician"] * rows
    assumed = esn0_db + random.normal(0, 4, rows) * (random.random(rows) < 0.2)
    variance = noise_variances(lengths.cpu().numpy(), esn0_db, channel, random, model.recogniser.size.adaptive)
    noise = torch.randn((*variance.shape[:2], REALS), device=device)
    told, noise_var = (torch.from_numpy(a).float().to(device) for a in (assumed, variance))
    probabilities = logits.float().softmax(-1)
    received = model.over_channel(probabilities, lengths, told, noise_var, noise)
    fixed = probabilities.detach()  # the recogniser must not make its work easier than speech is
    copied = F.log_softmax(model.over_channel(fixed, lengths, told, noise_var, noise), -1)
    frames = -(fixed * copied).sum(-1) * valid(lengths, fixed.shape[1])
    return 0.5 * ctc(received, lengths, tokens, counts) + frames.sum() / counts.sum()

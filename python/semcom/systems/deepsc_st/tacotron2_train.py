# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of Tacotron 2 on folders of speech with transcripts: `semcom train deepsc_st --preset tacotron2`."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import resample_poly
from torch import Tensor

from ..training import Stop, log_row, read_checkpoint, write_aside
from .data import load_voices
from .tacotron2 import MELS, PADDING, Tacotron2, loss, mel_spectrogram, symbols_of

BATCH, LONGEST_S = 8, 10.0
CLIP, DECAY = 1.0, 1e-6

Example = tuple[NDArray[np.int64], NDArray[np.float32], int]


def examples(data: list[Path]) -> tuple[list[Example], list[str]]:
    """Symbols, mel frames and speaker number of each utterance of up to 10 s, and the speakers' names."""
    voices = [(u, speaker) for folder in data for u, speaker in load_voices(folder, "train")]
    names = sorted({speaker for _, speaker in voices})
    found = []
    for utterance, speaker in voices:
        if len(utterance.audio) <= LONGEST_S * 16_000:
            audio = resample_poly(utterance.audio / 32768, 441, 320)  # 16,000 to 22,050 Hz
            found.append((symbols_of(utterance.text), mel_spectrogram(audio), names.index(speaker)))
    if not found:
        raise ValueError(f"no speech to train on in {', '.join(map(str, data))}")
    return found, names


def pad(batch: list[Example]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """text [B, N], its lengths [B], speakers [B], mel [B, T, 80] and its lengths [B]."""
    lengths, frames = [len(e[0]) for e in batch], [len(e[1]) for e in batch]
    text = np.full((len(batch), max(lengths)), PADDING, np.int64)
    mel = np.zeros((len(batch), max(frames), MELS), np.float32)
    for row, (symbols, spectrum, _) in enumerate(batch):
        text[row, : len(symbols)], mel[row, : len(spectrum)] = symbols, spectrum
    speakers = torch.tensor([e[2] for e in batch])
    return torch.from_numpy(text), torch.tensor(lengths), speakers, torch.from_numpy(mel), torch.tensor(frames)


def train(
    data: list[Path], output: Path, *, time_budget_s: float, learning_rate: float, threads: int, resume: bool,
    device: str, seed: int,
) -> None:  # fmt: skip
    """Train until `time_budget_s` of wall time is used up, runs before a `resume` counted in.

    `output` receives `checkpoint.pt`, `weights.pt`, `speakers.json` and `log.jsonl` with the mean loss. SIGTERM and
    Ctrl-C save a checkpoint first.
    """
    found, names = examples(data)
    output.mkdir(parents=True, exist_ok=True)
    (output / "speakers.json").write_text(json.dumps(names))
    torch.set_num_threads(threads or 1)
    torch.manual_seed(seed)
    model = Tacotron2(speakers=len(names)).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate, weight_decay=DECAY)
    step, elapsed = 0, 0.0
    losses: list[float] = []
    state = read_checkpoint(output, device) if resume else None
    if state:
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        step, elapsed = state["step"], state["elapsed_s"]
    stop = Stop()
    random = np.random.default_rng([seed, step])
    begun, last = time.time() - elapsed, time.time()
    while True:
        stopping = bool(stop) or elapsed >= time_budget_s
        if stopping or time.time() - last > 300:
            state = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
            write_aside(output / "checkpoint.pt", {**state, "step": step, "elapsed_s": elapsed})
            write_aside(output / "weights.pt", model.state_dict())
            row = {"step": step, "elapsed_s": round(elapsed, 1), "loss": round(float(np.mean(losses or [0])), 4)}
            log_row(output, row)
            last, losses = time.time(), []
            if stopping:
                return
        batch = pad([found[n] for n in random.integers(len(found), size=BATCH)])
        text, lengths, speakers, mel, frames = (t.to(device) for t in batch)
        before, after, gates, _ = model(text, lengths, speakers, mel)
        objective = loss(before, after, gates, mel, frames)
        optimiser.zero_grad(set_to_none=True)
        objective.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        losses.append(float(objective.detach()))
        step += 1
        elapsed = time.time() - begun

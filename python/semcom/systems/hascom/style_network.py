# SPDX-License-Identifier: GPL-3.0-or-later
"""The style encoder's network and the JSCC of styles, with their training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ...speech.mel import BANDS
from ...speech.style import EMOTION, RANK, WIDTH, prepared
from .data import EMOTIONS, Utterance

CHANNELS = 96
CROP = 128  # frames, 2 s
SHARPNESS = 12.0  # of the cosine soft-max
BATCH = 64
SYMBOLS = 64  # complex, of one utterance
ESN0_DB = (0.0, 20.0)
JSCC_BATCH = 256


class _Half(nn.Module):
    """Log-mel frames to a unit vector of 256 in 24 dimensions: convolutions, mean and deviation over time."""

    basis: Tensor

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(BANDS, CHANNELS, 5, 2, 2), nn.BatchNorm1d(CHANNELS), nn.ReLU(),
            nn.Conv1d(CHANNELS, CHANNELS, 3, 2, 1), nn.BatchNorm1d(CHANNELS), nn.ReLU(),
            nn.Conv1d(CHANNELS, CHANNELS, 3, 1, 1), nn.BatchNorm1d(CHANNELS), nn.ReLU(),
        )  # fmt: skip
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(2 * CHANNELS, RANK)
        random = np.random.default_rng(seed).standard_normal((EMOTION, RANK))
        self.register_buffer("basis", torch.from_numpy(np.linalg.qr(random)[0].T.astype(np.float32)))

    def forward(self, frames: Tensor) -> Tensor:
        """[B, T, 80] to [B, 256]."""
        hidden = self.layers((frames.transpose(1, 2) + 4) / 3)
        mean = hidden.mean(2)
        deviation = ((hidden - mean[..., None]) ** 2).mean(2).add(1e-5).sqrt()
        return F.normalize(self.head(self.dropout(torch.cat([mean, deviation], 1))), dim=1) @ self.basis


class StyleNetwork(nn.Module):
    """Emotion part and speaker part of `prepared` frames."""

    def __init__(self) -> None:
        super().__init__()
        self.emotion, self.speaker = _Half(1), _Half(2)

    def forward(self, frames: Tensor) -> Tensor:
        """[B, T, 80] to [B, 512]."""
        return torch.cat([self.emotion(frames), self.speaker(frames)], 1)


class StyleJscc(nn.Module):
    """512 to 64 complex symbols of mean energy 1 and back: 512-512-256-128 and 128-256-512-512, ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _stack(WIDTH, 512, 256, 2 * SYMBOLS)
        self.decoder = _stack(2 * SYMBOLS, 256, 512, WIDTH)

    def encode(self, style: Tensor) -> Tensor:
        """[B, 512] to reals [B, 128], of mean square 1/2."""
        values = self.encoder(style)
        return values * (SYMBOLS / values.square().sum(1, keepdim=True).clamp(min=1e-9)).sqrt()

    def forward(self, style: Tensor, noise: Tensor) -> Tensor:
        """What comes out where `noise` [B, 128] comes on top of the symbols."""
        return self.decoder(self.encode(style) + noise)


def _stack(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@dataclass
class Result:
    """What came of training: the share of right answers on utterances kept back."""

    emotion: float
    speaker: float


def train_style(network: StyleNetwork, utterances: Sequence[Utterance], steps: int, seed: int = 0) -> Result:
    """Teach who speaks, and with which emotion where that is known. One utterance of fifteen is kept back."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    frames = [prepared(u.mel) for u in utterances]
    speakers = np.array([u.speaker for u in utterances])
    emotions = np.array([u.emotion for u in utterances])
    kept = np.arange(len(frames)) % 15 == 7
    weights = np.array([1 / np.sqrt((speakers == s).sum()) for s in speakers]) * np.where(emotions >= 0, 2.5, 1) * ~kept
    who = nn.Parameter(torch.randn(int(speakers.max()) + 1, EMOTION) * 0.1)
    how = nn.Parameter(torch.randn(len(EMOTIONS), EMOTION) * 0.1)
    optimiser = torch.optim.AdamW([*network.parameters(), who, how], lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps + 1)
    network.train()
    for step in range(steps):
        chosen = random.choice(len(frames), BATCH, p=weights / weights.sum())
        batch = torch.from_numpy(np.stack([crop(frames[i], random) for i in chosen]))
        style = network(batch)
        loss = _cross_entropy(style[:, EMOTION:], who, torch.from_numpy(speakers[chosen]), 0.2)
        known = emotions[chosen] >= 0
        if known.any():
            loss = loss + _cross_entropy(style[known, :EMOTION], how, torch.from_numpy(emotions[chosen][known]), 0.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(f"style step {step} loss {float(loss.detach()):.3f}", flush=True)
    found = embed(network, [frames[i] for i in np.flatnonzero(kept)])
    emotion = np.argmax(found[:, :EMOTION] @ F.normalize(how, dim=1).detach().numpy().T, 1)
    speaker = np.argmax(found[:, EMOTION:] @ F.normalize(who, dim=1).detach().numpy().T, 1)
    known = emotions[kept] >= 0
    right = emotion[known] == emotions[kept][known]
    return Result(float(right.mean()) if known.any() else float("nan"), float((speaker == speakers[kept]).mean()))


def _cross_entropy(style: Tensor, classes: Tensor, wanted: Tensor, margin: float) -> Tensor:
    cosines = style @ F.normalize(classes, dim=1).T
    cosines = cosines - margin * F.one_hot(wanted, len(classes))
    return F.cross_entropy(SHARPNESS * cosines, wanted)


def crop(frames: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Two seconds of it, float32 [128, 80], with some bands turned up or down: microphones differ."""
    if len(frames) < CROP:
        frames = np.tile(frames, (-(-CROP // len(frames)), 1))
    start = int(random.integers(len(frames) - CROP + 1))
    tilt = random.normal(0, 0.3) * np.linspace(-1, 1, BANDS) + random.normal(0, 0.2)
    out = frames[start : start + CROP] + tilt.astype(np.float32)
    width, first = int(random.integers(0, 25)), int(random.integers(0, CROP - 25))
    out[first : first + width] = -4
    return out


@torch.no_grad()
def embed(network: StyleNetwork, frames: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Styles [n, 512] of whole utterances, `prepared` frames."""
    network.eval()
    found = [network(torch.from_numpy(f)[None])[0].numpy() for f in frames]
    return np.array(found, np.float32).reshape(-1, WIDTH)


def train_jscc(jscc: StyleJscc, styles: NDArray[np.float32], steps: int, seed: int = 0) -> list[float]:
    """Stage I of the paper: the squared error of styles over AWGN of Es/N0 uniform in 0 to 20 dB.

    Half of the styles are mixtures of two, each half on its own, so that voices between the known ones are known too.
    Returns the error (mean over elements) every 100 steps.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    known = torch.from_numpy(styles)
    optimiser = torch.optim.Adam(jscc.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, 1e-5)
    errors: list[float] = []
    for step in range(steps):
        style = mixed(known, JSCC_BATCH, generator)
        esn0_db = torch.empty(JSCC_BATCH, 1).uniform_(*ESN0_DB, generator=generator)
        noise = torch.randn(JSCC_BATCH, 2 * SYMBOLS, generator=generator) * (10 ** (-esn0_db / 10) / 2).sqrt()
        loss = (jscc(style, noise) - style).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            errors.append(float(loss.detach()))
    return errors


def mixed(known: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Styles [count, 512]: half of them known ones, half sums of known ones with random weights, of unit halves."""
    picks = torch.randint(len(known), (3, count), generator=generator)
    weights = torch.randn(3, count, 2, 1, generator=generator)
    weights[:, : count // 2] = 0
    weights[0, : count // 2] = 1
    halves = (weights * known[picks].reshape(3, count, 2, EMOTION)).sum(0)
    return F.normalize(halves, dim=2).reshape(count, WIDTH)

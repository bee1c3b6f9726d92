# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the text transformer over the channel. Called by `semcom train deepsc_text`."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...media.inputs import list_inputs
from ...media.texts import read_text
from ...text.alphabet import ALPHABET, INDEX, normalise
from ...text.deepsc import REALS, SYMBOLS
from ..training import Run, half_cosine, read_checkpoint
from .export import restore
from .network import DeepScText

BATCH, LENGTHS = 24, (8, 16, 32, 48, 64, 96)
ESN0_DB = (-8.0, 18.0)
FADING = 0.5  # share of messages over Rayleigh or Rician blocks
BLOCK = 128  # symbols of one fade, 16 characters
RANDOM = 0.05  # share of messages of random letters: no text may be impossible
VALIDATION = 0.03  # share of the texts that are kept out


def read_texts(data: list[Path]) -> list[str]:
    """Normalised texts of folders: the transcripts of the split `train` in a MANIFEST.tsv, or lines of .txt files."""
    found = []
    for folder in data:
        if (folder / "MANIFEST.tsv").is_file() if folder.is_dir() else False:
            items = [item for item in list_inputs(folder, kind="speech") if item.split in ("", "train")]
            lines = [item.columns.get("transcript", "") for item in items]
        else:
            files = list_inputs(folder, kind="text")
            lines = [line for item in files for line in read_text(item.path).data.tobytes().decode().splitlines()]
        found += [text for text in map(normalise, lines) if text]
    return found


class Batches:
    """Pieces of a long string of all texts, cut anywhere, and their channels."""

    def __init__(self, texts: list[str], seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.letters = np.array([INDEX[c] for c in " ".join(texts)], np.int64)
        self.starts = np.cumsum([0, *(len(text) + 1 for text in texts[:-1])])

    def tokens(self, count: int, length: int) -> Tensor:
        """int64 [count, length]; half of them begin where a text does, as messages do."""
        last = self.letters.size - length
        starts = self.random.integers(0, last + 1, count)
        begun = self.random.random(count) < 0.5
        starts[begun] = np.minimum(self.random.choice(self.starts, int(begun.sum())), last)
        tokens = self.letters[starts[:, None] + np.arange(length)]
        drawn = self.random.random(count) < RANDOM
        tokens[drawn] = self.random.integers(0, len(ALPHABET), (int(drawn.sum()), length))
        return torch.from_numpy(tokens)

    def noise_var(self, count: int, length: int) -> Tensor:
        """Of each equalised symbol, float32 [count, length, 8]."""
        esn0_db = self.random.uniform(*ESN0_DB, count)
        gains = fading_gains(self.random, count, length * SYMBOLS)
        gains[self.random.random(count) >= FADING] = 1
        return _variance(esn0_db[:, None], gains, length)


def fading_gains(random: np.random.Generator, count: int, symbols: int) -> NDArray[np.float64]:
    """|h|^2 of Rayleigh or, every second message, Rician fading (K = 1) in blocks of 128 symbols, [count, symbols]."""
    blocks = -(-symbols // BLOCK) + 1
    h = random.normal(0, math.sqrt(0.5), (count, blocks, 2)).view(np.complex128)[..., 0]
    h[::2] = math.sqrt(0.5) + math.sqrt(0.5) * h[::2]
    shift = int(random.integers(0, BLOCK))
    return np.repeat(np.abs(h) ** 2, BLOCK, 1)[:, shift : shift + symbols]


def _variance(esn0_db: NDArray[np.float64], gains: NDArray[np.float64], length: int) -> Tensor:
    values = 10 ** (-esn0_db / 10) / np.maximum(gains, 1e-4)
    return torch.from_numpy(values.reshape(-1, length, SYMBOLS).astype(np.float32))


@torch.no_grad()
def validate(model: DeepScText, texts: list[str]) -> list[dict[str, float | str]]:
    """Character error rates over AWGN and Rayleigh blocks, with noise that is the same each time."""
    model.eval()
    batches = Batches(texts, 0)
    tokens = batches.tokens(64, 64)
    generator = torch.Generator().manual_seed(0)
    rows: list[dict[str, float | str]] = []
    for channel in ("awgn", "rayleigh"):
        random = np.random.default_rng(1)
        for esn0_db in (-6.0, -3.0, 0.0, 3.0, 6.0, 12.0):
            gains = np.ones((len(tokens), 64 * SYMBOLS))
            if channel == "rayleigh":
                gains = np.concatenate([fading_gains(random, 2, 64 * SYMBOLS)[1:] for _ in tokens])
            variance = _variance(np.array(esn0_db), gains, 64)
            noise = torch.randn(len(tokens), 64, REALS, generator=generator)
            wrong = (model(tokens, variance, noise).argmax(2) != tokens).float().mean()
            rows.append({"channel": channel, "esn0_db": esn0_db, "cer": round(float(wrong), 4)})
    model.train()
    return rows


def train(
    data: list[Path],
    output: Path,
    *,
    time_budget_s: float = 900.0,
    loss: str = "mse",
    learning_rate: float = 2e-3,
    threads: int = 1,
    resume: bool = False,
    start: Path | None = None,
    device: str = "cpu",
    seed: int = 1,
) -> None:
    """Train until `time_budget_s` of wall time is used up, runs before a `resume` counted in.

    The loss is the cross-entropy of characters; `loss` is not looked at. `output` receives `checkpoint.pt` (resumable),
    `weights.pt` (averaged) and `log.jsonl`. SIGTERM and Ctrl-C save a checkpoint first. ValueError where `data` has too
    few texts.
    """
    texts = read_texts(data)
    if sum(map(len, texts)) < 2000:
        raise ValueError(f"training needs at least 2000 characters of text, found {sum(map(len, texts))}")
    np.random.default_rng(0).shuffle(texts)
    kept = max(8, round(VALIDATION * len(texts)))
    validation, texts = texts[:kept], texts[kept:]
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads or 1)
    torch.manual_seed(seed)
    model = DeepScText()
    if start:
        model.load_state_dict(restore(start) if start.is_dir() else torch.load(start, weights_only=True))
    model = model.to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate, betas=(0.9, 0.98))
    state = read_checkpoint(output, device) if resume else None
    run = Run(
        output, model, optimiser, time_budget_s, state, decay=0.999, save_every_s=120, check_every_s=math.inf
    )  # fmt: skip
    if state:
        torch.manual_seed(seed + run.step)
    batches = Batches(texts, seed + run.step)

    def log(final: bool) -> None:
        with run.averaged():
            run.log(final, validation=validate(model, validation))

    running = 0.0
    for share in run.shares():
        rate = learning_rate * min(1.0, (run.step + 1) / 200) * half_cosine(share)
        run.set_rate(rate)
        length = int(batches.random.choice(LENGTHS))
        count = BATCH * 48 // length
        tokens, variance = batches.tokens(count, length), batches.noise_var(count, length)
        noise = torch.randn(count, length, REALS)
        with torch.autocast(device, dtype=torch.bfloat16):
            objective = model.loss(tokens.to(device), variance.to(device), noise.to(device))
        norm = run.update(objective)
        running = float(objective.detach()) if run.step == 1 else 0.99 * running + 0.01 * float(objective.detach())
        if run.step % 100 == 0:
            at = f"step {run.step} {run.elapsed_s:.0f} s"
            print(f"{at} rate {rate:.2e} norm {norm:.2f} loss {running:.4f}", flush=True)
        run.when_due(run.save, log)
        if run.step % 1000 == 0:
            log(False)
    run.save()
    log(not run.stop)

# SPDX-License-Identifier: GPL-3.0-or-later
"""New words for a trained model, in minutes: its hearing stays as it is, the loop and the channel coder learn.

    python -m gnuradio.semcom.systems.speech_to_text.new_words --start run/weights.pt --data more --output run2

VGG and BLSTM are frozen, so what they make of an utterance is computed once. Every utterance with a word that the
vocabulary of `--start` lacks takes part, and `--count` others, drawn over all folders, so that nothing is forgotten.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...text.vocabulary import UNK, Vocabulary, extended, read
from ..training import write_aside
from .data import Utterance, load, make_batch
from .export import MEANS, VOCABULARY
from .network import PAPER_WORDS, SpeechToText, make
from .train import DROPOUT, OWN_WORDS, Vectors, grown, kept_loss, over_channel, packed, words_loss

PRESET = "small"
ROWS = 32  # of a batch
STEPS, CHANNEL_STEPS = 500, 2500
RATE, CHANNEL_RATE = 7e-4, 7e-4


@dataclass(frozen=True)
class Known:
    """What the frozen part made of an utterance: states [n, E], and the numbers of its words with EOS [q]."""

    states: Tensor
    targets: Tensor


def chosen(
    data: list[Path], before: Vocabulary, count: int, random: np.random.Generator
) -> tuple[list[Utterance], Vocabulary]:
    """Utterances with new words and `count` others of the training splits, and the vocabulary with the new words."""
    found = [utterance for folder in data for utterance in load(folder, "train", random)]
    new = [utterance for utterance in found if UNK in before.encode(utterance.text)]
    others = [utterance for utterance in found if UNK not in before.encode(utterance.text)]
    picked = [others[k] for k in random.permutation(len(others))[:count]]
    vocabulary = extended(before, (u.text for u in new), PAPER_WORDS) if new else before
    return new + picked, vocabulary


@torch.no_grad()
def hear(
    model: SpeechToText, utterances: list[Utterance], vocabulary: Vocabulary, random: np.random.Generator
) -> list[Known]:
    """The states of utterances, from short to long; augmented as in training."""
    known = []
    for utterance in sorted(utterances, key=lambda u: len(u.powers)):
        batch = make_batch([utterance], vocabulary, random)
        states, _, _ = model.states(torch.from_numpy(batch.frames))
        known.append(Known(states[0], torch.from_numpy(batch.targets[0])))
    return known


def joined(rows: list[Known]) -> tuple[Tensor, Tensor, Tensor]:
    """States [B, n, E], their lengths [B] and targets [B, q], padded."""
    pad = torch.nn.utils.rnn.pad_sequence
    lengths = torch.tensor([len(row.states) for row in rows])
    return pad([r.states for r in rows], batch_first=True), lengths, pad([r.targets for r in rows], batch_first=True)


def learn(
    start: Path, data: list[Path], output: Path, *, count: int = 1400, steps: int = STEPS,
    channel_steps: int = CHANNEL_STEPS, seed: int = 1,
) -> Vocabulary:  # fmt: skip
    """Write `weights.pt`, `vocabulary.txt` and `vectors.npz` into `output`, as `train` does; the vocabulary."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    path = start.parent / VOCABULARY
    before = read(path.read_text(encoding="utf-8"), str(path))
    utterances, vocabulary = chosen(data, before, count, random)
    model = make(PRESET, len(vocabulary.words))
    model.load_state_dict(grown(torch.load(start, weights_only=True, map_location="cpu"), model))
    model.eval()
    known = hear(model, utterances, vocabulary, random)
    print(f"{len(known)} utterances, {len(vocabulary) - len(before)} new words", flush=True)

    def batch() -> tuple[Tensor, Tensor, Tensor]:
        first = int(random.integers(0, max(1, len(known) - ROWS)))
        return joined(known[first : first + ROWS])

    loop = [model.attention, model.lstm, model.embedding, model.removal, model.semantic_decoder]
    parameters = [p for module in loop for p in module.parameters()]
    updates = torch.optim.Adam(parameters)
    model.train()
    model.dropout = DROPOUT[PRESET]
    for step in range(steps):
        states, lengths, targets = batch()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, vectors, _ = model.teach(states, lengths, targets, OWN_WORDS)
            loss = words_loss(logits, targets) + kept_loss(model.semantic_decoder(vectors), targets)
        advance(updates, loss, parameters, RATE * falling(step, steps))
        if step % 50 == 0:
            print(f"step {step} loss {float(loss.detach()):.3f}", flush=True)

    model.eval()
    kept = Vectors()
    with torch.no_grad():
        for first in range(0, len(known), ROWS):
            states, lengths, targets = joined(known[first : first + ROWS])
            vectors, numbers, words = packed(model.teach(states, lengths, targets)[1], targets)
            kept.rows += [(v[:n].clone(), k[:n].clone()) for v, k, n in zip(vectors, numbers, words, strict=True)]
    coder = [model.channel_encoder, model.channel_decoder, model.semantic_decoder]
    parameters = [p for module in coder for p in module.parameters()]
    updates = torch.optim.Adam(parameters)
    for step in range(channel_steps):
        vectors, numbers, words = kept.batch(random)
        loss = kept_loss(over_channel(model, vectors, words, random), numbers)
        advance(updates, loss, parameters, CHANNEL_RATE * falling(step, channel_steps))
        if step % 250 == 0:
            print(f"channel step {step} loss {float(loss.detach()):.3f}", flush=True)

    output.mkdir(parents=True, exist_ok=True)
    vocabulary.write(output / VOCABULARY)
    np.savez(output / MEANS, means=kept.means(model.classes))
    write_aside(output / "weights.pt", model.state_dict())
    return vocabulary


def falling(step: int, steps: int) -> float:
    """From a short rise to 1 down to 0."""
    return min(1.0, (step + 1) / 30) * 0.5 * (1 + float(np.cos(np.pi * step / steps)))


def advance(updates: torch.optim.Optimizer, loss: Tensor, parameters: Sequence[Tensor], rate: float) -> None:
    """One step at a learning rate."""
    for group in updates.param_groups:
        group["lr"] = rate
    updates.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 5.0)
    updates.step()


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m gnuradio.semcom.systems.speech_to_text.new_words")
    parser.add_argument("--start", type=Path, required=True, help="weights.pt, its vocabulary.txt beside it")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folders with a MANIFEST.tsv")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1400, help="utterances without new words")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--channel-steps", type=int, default=CHANNEL_STEPS)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        learn(
            a.start, a.data, a.output, count=a.count, steps=a.steps, channel_steps=a.channel_steps, seed=a.seed
        )  # fmt: skip
    except (ValueError, OSError) as error:
        print(f"new_words: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

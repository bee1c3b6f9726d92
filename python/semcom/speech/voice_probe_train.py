# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains and exports the voice probe.

    python -m gnuradio.semcom.speech.voice_probe_train --data ravdess --data librispeech --data kathleen \
        --output run --time-budget 600 [--export models/voice_probe/standard --card card.yml]

Folders with a MANIFEST.tsv of columns file, split, speaker and perhaps emotion. Only the split `train` is learnt from;
what whole held-out speakers (splits `test` and `heldout`) score is printed and put into the card: the accuracy of the
emotion, and the equal error rate of telling speakers apart by the cosine of their embeddings.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..media.inputs import list_inputs
from ..media.speech import read_speech
from ..metrics.voice import speaker_cosine
from .mel import BANDS
from .voice_probe import EMOTIONS, said

WIDTH, EMBEDDING = 128, 64
FRAMES, BATCH = 128, 48
UNKNOWN = -1
SMOOTHING = 0.1
EMOTIONAL = 0.6  # share of each batch that has an emotion


@dataclass
class Voices:
    """Log-mel [80, T] of what was said, speaker and emotion by number, of one split."""

    frames: list[NDArray[np.float16]]
    speakers: NDArray[np.int64]
    emotions: NDArray[np.int64]
    names: list[str]


def load(folders: list[Path], splits: tuple[str, ...]) -> Voices:
    """The utterances of those splits; ValueError where there are none."""
    frames, speakers, emotions = [], [], []
    for folder in folders:
        for item in list_inputs(folder, kind="speech"):
            if item.split not in splits:
                continue
            frames.append(said(read_speech(item.path).data).astype(np.float16))
            speakers.append(f"{folder.name}/{item.columns.get('speaker', '')}")
            emotion = item.columns.get("emotion", "")
            emotions.append(EMOTIONS.index(emotion) if emotion in EMOTIONS else UNKNOWN)
    if not frames:
        raise ValueError(f"no speech of split {' or '.join(splits)} in {', '.join(map(str, folders))}")
    names = sorted(set(speakers))
    return Voices(frames, np.array([names.index(s) for s in speakers]), np.array(emotions), names)


class Branch(nn.Module):
    """Two convolutions, mean and deviation over time, an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(WIDTH, WIDTH, 3, padding=2, dilation=2)
        self.second = nn.Conv1d(WIDTH, WIDTH, 3, padding=4, dilation=4)
        self.out = nn.Linear(2 * WIDTH, EMBEDDING)
        self.dropout = nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 128, T] to [B, 64]."""
        x = x + F.relu(self.first(x))
        x = x + F.relu(self.second(x))
        mean = x.mean(2)
        deviation = torch.sqrt((x - mean[:, :, None]).square().mean(2) + 1e-5)
        return self.out(self.dropout(torch.cat([mean, deviation], 1)))


class Probe(nn.Module):
    """Log-mel frames to emotion, speaker and scores of the emotions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(BANDS, WIDTH, 5, 2, 2)
        self.middle = nn.Conv1d(WIDTH, WIDTH, 3, padding=1)
        self.emotion, self.speaker = Branch(), Branch()
        self.scores = nn.Linear(EMBEDDING, len(EMOTIONS))

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, 80, T] to [B, 64], [B, 64], [B, 8]."""
        x = F.relu(self.stem(frames * 0.4))
        x = x + F.relu(self.middle(x))
        emotion = self.emotion(x)
        return emotion, self.speaker(x), self.scores(F.relu(emotion))


def piece(frames: NDArray[np.float16], random: np.random.Generator) -> NDArray[np.float32]:
    """float32 [80, 128] from a random place, through a random smooth filter, over a random floor, with gaps."""
    repeated = np.tile(frames, -(-FRAMES // frames.shape[1])) if frames.shape[1] < FRAMES else frames
    start = int(random.integers(repeated.shape[1] - FRAMES + 1))
    out = repeated[:, start : start + FRAMES].astype(np.float32)
    x = np.linspace(0, math.pi, BANDS)
    tilt = sum(random.normal(0, 0.25) * np.cos(k * x + random.uniform(0, math.pi)) for k in (1, 2, 3))
    out += np.asarray(tilt, np.float32)[:, None]
    out = np.logaddexp(out, out.max() - random.uniform(5, 12)).astype(np.float32)  # a floor 43 to 104 dB down
    width = int(random.integers(0, 14))
    first = int(random.integers(BANDS - width + 1))
    out[first : first + width] = out.mean()
    return out - out.mean()


@torch.no_grad()
def embed(model: Probe, voices: Voices) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Emotion [n, 64], speaker [n, 64] and scores [n, 8] of whole utterances."""
    model.eval()
    rows = [model(torch.from_numpy(f.astype(np.float32))[None]) for f in voices.frames]
    model.train()
    return tuple(torch.cat([row[k] for row in rows]).numpy() for k in range(3))  # type: ignore[return-value]


def equal_error_rate(vectors: NDArray[Any], speakers: NDArray[np.int64], mean: NDArray[Any]) -> float:
    """Where as many pairs of one speaker fall below a threshold on the cosine as pairs of two lie above it."""
    centred = vectors - mean
    centred = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    upper = np.triu_indices(len(vectors), 1)
    cosines = (centred @ centred.T)[upper]
    same = (speakers[:, None] == speakers[None])[upper]
    order = np.argsort(cosines)
    missed = np.cumsum(same[order]) / same.sum()
    false = 1 - np.cumsum(~same[order]) / (~same).sum()
    return float(missed[np.argmin(np.abs(missed - false))])


def scores(model: Probe, training: Voices, held: Voices) -> dict[str, Any]:
    """What the probe scores on speakers that it never heard, and the training means."""
    emotion, speaker, _ = embed(model, training)
    means = {"emotion": emotion.mean(0), "speaker": speaker.mean(0)}
    _, vectors, guesses = embed(model, held)
    known = held.emotions != UNKNOWN
    right = guesses[known].argmax(1) == held.emotions[known]
    by_speaker = {held.names[s]: held.speakers == s for s in np.unique(held.speakers)}
    same = [speaker_cosine(vectors[a][0], vectors[a][1], means["speaker"]) for a in by_speaker.values()]
    return {
        "emotion_accuracy": round(float(right.mean()), 4) if known.any() else None,
        "emotion_utterances": int(known.sum()), "speakers": len(by_speaker), "utterances": len(held.frames),
        "speaker_equal_error_rate": round(equal_error_rate(vectors, held.speakers, means["speaker"]), 4),
        "first_pairs_cosine": round(float(np.mean(same)), 3), "means": means,
    }  # fmt: skip


def train(data: list[Path], output: Path, time_budget_s: float, seed: int = 1) -> dict[str, Any]:
    """Train for so many seconds; `weights.pt` and `means.npz` into `output`, the scores are returned."""
    training, held = load(data, ("train",)), load(data, ("test", "heldout"))
    shared = set(training.names) & set(held.names)  # of a set with one speaker
    keep = [n for n, s in enumerate(held.speakers) if held.names[s] not in shared]
    held = Voices([held.frames[n] for n in keep], held.speakers[keep], held.emotions[keep], held.names)
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    model = Probe()
    heads = nn.Linear(EMBEDDING, len(training.names), bias=False)
    optimiser = torch.optim.AdamW([*model.parameters(), *heads.parameters()], lr=1e-3, weight_decay=0.02)
    emotional = np.flatnonzero(training.emotions != UNKNOWN)
    others = np.arange(len(training.frames))
    spread = 1 / np.bincount(training.speakers)[training.speakers] ** 0.5
    spread /= spread.sum()
    begun, step, running = time.time(), 0, 0.0
    while (elapsed := time.time() - begun) < time_budget_s:
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * elapsed / time_budget_s))
        first = random.choice(emotional, int(EMOTIONAL * BATCH))
        chosen = np.concatenate([first, random.choice(others, BATCH - len(first), p=spread)])
        x = torch.from_numpy(np.stack([piece(training.frames[n], random) for n in chosen]))
        _, speaker, guesses = model(x)
        emotions = torch.from_numpy(training.emotions[chosen])
        cosines = F.linear(F.normalize(speaker), F.normalize(heads.weight))
        objective = F.cross_entropy(guesses, emotions, ignore_index=UNKNOWN, label_smoothing=SMOOTHING)
        objective = objective + F.cross_entropy(16 * cosines, torch.from_numpy(training.speakers[chosen]))
        optimiser.zero_grad(set_to_none=True)
        objective.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        step += 1
        running += 0.02 * (float(objective.detach()) - running) if step > 1 else float(objective.detach())
        if step % 200 == 0:
            print(f"step {step} {elapsed:.0f} s {running:.3f}", flush=True)
        if step % 1000 == 0:
            print({k: v for k, v in scores(model, training, held).items() if k != "means"}, flush=True)
    found = scores(model, training, held)
    means = found.pop("means")
    torch.save(model.state_dict(), output / "weights.pt")
    np.savez(output / "means.npz", **means)
    found |= {"steps": step, "training_utterances": len(training.frames), "training_speakers": len(training.names)}
    (output / "scores.json").write_text(json.dumps(found, indent=1) + "\n")
    return found


def export(run: Path, folder: Path, card: dict[str, Any]) -> None:
    """Write `probe.onnx`, `means.npz` and `card.yml` (the given fields, the scores, hashes) into `folder`."""
    import onnx
    import yaml

    model = Probe()
    model.load_state_dict(torch.load(run / "weights.pt", weights_only=True))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "probe.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(), (torch.rand(1, BANDS, 40),), str(path), input_names=["frames"],
            output_names=["emotion", "speaker", "scores"], dynamic_axes={"frames": {0: "batch", 2: "length"}},
            opset_version=17, dynamo=False,
        )  # fmt: skip
    graph = onnx.load(str(path))
    graph.doc_string = ""
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))
    (folder / "means.npz").write_bytes((run / "means.npz").read_bytes())
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("probe.onnx", "means.npz")}
    content = {**card, "measured": json.loads((run / "scores.json").read_text()), "files": files}
    (folder / "card.yml.part").write_text(yaml.safe_dump(content, sort_keys=False, width=110))
    os.replace(folder / "card.yml.part", folder / "card.yml")


def main() -> None:
    """Entry point."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--data", type=Path, action="append", default=[])
    options.add_argument("--output", type=Path, required=True)
    options.add_argument("--time-budget", type=float, default=600.0)
    options.add_argument("--export", type=Path)
    options.add_argument("--card", type=Path)
    arguments = options.parse_args()
    if arguments.data:
        print(train(arguments.data, arguments.output, arguments.time_budget))
    if arguments.export:
        import yaml

        export(arguments.output, arguments.export, yaml.safe_load(arguments.card.read_text()))


if __name__ == "__main__":
    main()

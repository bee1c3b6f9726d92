# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech for training: log-mel frames, phonemes with their frames, who speaks and how, made once and kept."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...media.utterances import FRAME, levels_db, threshold_db
from ...speech import phonemes as sounds
from ...speech.mel import HOP, RATE, log_mel
from .alignment import fit
from .level import levelled

MARGIN = 10  # frames of 10 ms kept around what is said
LONGEST_S, SHORTEST_S = 12.0, 0.5
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
UNKNOWN = -1
PAUSE_FRAMES = 4  # a pause between words counts from 64 ms on


@dataclass(frozen=True)
class Utterance:
    """Log-mel float32 [T, 80], phonemes int64 [n] with frames int64 [n] that add up to T, set, speaker, emotion."""

    mel: NDArray[np.float32]
    phonemes: NDArray[np.int64]
    frames: NDArray[np.int64]
    source: int
    speaker: int
    emotion: int


def trimmed(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without the silence before and after, but for a tenth of a second."""
    levels = levels_db(samples)
    said = np.flatnonzero(levels > threshold_db(levels))
    if not said.size:
        return samples
    return samples[max(0, said[0] - MARGIN) * FRAME : (said[-1] + 1 + MARGIN) * FRAME]


def read_rows(folder: Path) -> list[dict[str, str]]:
    """Training rows of MANIFEST.tsv; ValueError where it is missing or has no transcripts."""
    path = folder / "MANIFEST.tsv"
    if not path.is_file():
        raise ValueError(f"{folder}: training needs a MANIFEST.tsv with columns file and transcript there")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows or not {"file", "transcript"} <= set(rows[0]):
        raise ValueError(f"{path}: expected columns file and transcript, and at least one row")
    return [row for row in rows if row.get("split", "train") == "train"]


def with_optional_pauses(text: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Phonemes with a pause at both ends, between clauses, and one between words that may not be there."""
    found, optional = [sounds.PAUSE], [True]
    for clause in sounds.words(text):
        for word in clause:
            found += [*word, sounds.PAUSE]
            optional += [False] * len(word) + [True]
    return np.array(found, np.int64), np.array(optional)


def prepare(folders: Sequence[Path], path: Path, most: int = 0) -> None:
    """Write the training utterances of folders with a MANIFEST.tsv to the file at `path` (.npz), aligned.

    The first folder begins the aligner, the others go on from it. `most` above 0 limits later folders.
    """
    import soundfile

    aligner = None
    out: dict[str, list[Any]] = {name: [] for name in ("mel", "phonemes", "frames", "about")}
    speakers: dict[tuple[int, str], int] = {}
    lost = 0
    for number, folder in enumerate(folders):
        mels, texts, free, about = [], [], [], []
        rows = read_rows(folder)
        if most and number and len(rows) > most:
            rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:most]]
        for row in rows:
            samples, rate = soundfile.read(str(folder / row["file"]), dtype="float32", always_2d=True)
            if rate != RATE:
                raise ValueError(f"{folder / row['file']}: speech for training must be at 16000 Hz, not {rate}")
            speech = trimmed(samples[:, 0])
            transcript = row["transcript"]
            text, optional = with_optional_pauses(transcript.lower() if transcript.isupper() else transcript)
            if not SHORTEST_S <= len(speech) / RATE <= LONGEST_S or len(text) < 3:
                continue
            mels.append(log_mel(levelled(speech)))
            texts.append(text)
            free.append(optional)
            speaker = speakers.setdefault((number, row.get("speaker", "")), len(speakers))
            emotion = EMOTIONS.index(row["emotion"]) if row.get("emotion") in EMOTIONS else UNKNOWN
            about.append((number, speaker, emotion))
        plain = [sounds.unstressed(text) for text in texts]
        aligner = fit(mels, plain, free, len(sounds.SYMBOLS), aligner, 12 if aligner is None else 5)
        for mel, text, bare, optional, facts in zip(mels, texts, plain, free, about, strict=True):
            try:
                counts = aligner.align(mel, bare, optional)
            except ValueError:
                lost += 1
                continue
            kept = merged(counts, optional)
            out["mel"].append(mel.astype(np.float16))
            out["phonemes"].append(text[kept > 0])
            out["frames"].append(kept[kept > 0])
            out["about"].append(facts)
        minutes = sum(map(len, mels)) * HOP / RATE / 60
        print(f"{folder}: {len(mels)} utterances, {minutes:.1f} minutes; {lost} lost so far", flush=True)
    np.savez(
        path, mel=np.concatenate(out["mel"]), phonemes=np.concatenate(out["phonemes"]),
        frames=np.concatenate(out["frames"]), lengths=np.array([len(m) for m in out["mel"]]),
        counts=np.array([len(p) for p in out["phonemes"]]), about=np.array(out["about"]),
    )  # fmt: skip


def merged(counts: NDArray[np.int64], optional: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Frames without the pauses between words below 64 ms, whose frames go to the sound before."""
    kept = counts.copy()
    for place in np.flatnonzero(optional[1:-1]) + 1:
        if kept[place] < PAUSE_FRAMES:
            kept[place - 1] += kept[place]
            kept[place] = 0
    return kept


def load(path: Path) -> list[Utterance]:
    """The utterances that `prepare` wrote."""
    with np.load(path) as file:
        content = {name: file[name] for name in file.files}
    mels = np.split(content["mel"], np.cumsum(content["lengths"])[:-1])
    texts = np.split(content["phonemes"], np.cumsum(content["counts"])[:-1])
    frames = np.split(content["frames"], np.cumsum(content["counts"])[:-1])
    return [
        Utterance(mel.astype(np.float32), text, count, *(int(fact) for fact in facts))
        for mel, text, count, facts in zip(mels, texts, frames, content["about"], strict=True)
    ]

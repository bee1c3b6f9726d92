# SPDX-License-Identifier: GPL-3.0-or-later
"""Utterances with transcripts for training: their log-mel bands, augmentation of these, batches of like lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...media.inputs import MANIFEST, list_inputs
from ...media.speech import read_speech
from ...speech.filterbanks import BANDS, log_mel, stacked
from ...speech.warp import between, warp_bands
from ...text.alphabet import encode_text, normalise
from ...text.vocabulary import EOS, PAD, Vocabulary

LONGEST_S, SHORTEST_S = 17.0, 0.25
ROWS = 40  # of a batch, at most
STRETCH = (0.85, 1.18)
SPEEDS = (17, 18, 19, 21, 22, 23)  # in twentieths: pitch, vocal tract and speed together, like another voice
TIME_MASKS, BAND_MASKS = 2, 1

Powers = NDArray[np.float32]


@dataclass(frozen=True)
class Utterance:
    """Log-mel bands, float16 [N, 40], and the normalised transcript."""

    powers: NDArray[np.float16]
    text: str


def load(folder: Path, split: str, random: np.random.Generator | None = None) -> list[Utterance]:
    """Utterances of a split, of 0.25 to 17 s, in the order of the manifest; rows without a split are `train`.

    With `random`, half of them are played at another speed. ValueError where there is no manifest with transcripts.
    """
    from scipy.signal import resample_poly

    if not (folder / MANIFEST).is_file():
        raise ValueError(f"{folder}: training needs a {MANIFEST} with columns file and transcript there")
    found = []
    for item in list_inputs(folder, kind="speech"):
        if "transcript" not in item.columns:
            raise ValueError(f"{folder / MANIFEST}: expected a column transcript")
        text = normalise(item.columns["transcript"])
        if (item.split or "train") != split or not text:
            continue
        audio = read_speech(item.path).data
        if random is not None and random.random() < 0.5:
            audio = resample_poly(audio, 20, int(random.choice(SPEEDS))).astype(np.float32)
        if SHORTEST_S <= audio.size / 16_000 <= LONGEST_S:
            found.append(Utterance(log_mel(audio).astype(np.float16), text))
    return found


def augment(powers: Powers, random: np.random.Generator) -> Powers:
    """Another speed and another vocal tract, sometimes noise of 5 to 40 dB: all of it on log-mel bands [N, 40]."""
    out = powers
    if random.random() < 0.7:
        frames = max(4, round(len(out) * random.uniform(*STRETCH)))
        out = between(out, np.linspace(0, len(out) - 1, frames), 0)
    if random.random() < 0.7:
        out = warp_bands(out, random)
    if random.random() < 0.4:
        mean = float(np.log(np.exp(out).mean()))
        tilt = np.linspace(0.5, -0.5, BANDS) * random.uniform(-1, 3)
        level = mean - random.uniform(5, 40) * np.log(10) / 10
        noise = level + tilt + 0.5 * random.standard_normal(out.shape)
        out = np.logaddexp(out, noise.astype(np.float32))
    return out


def mask_bands(frames: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Some stretches of time and of bands set to the mean (SpecAugment, Park et al., Interspeech 2019), in place."""
    steps = len(frames)
    for _ in range(TIME_MASKS):
        width = int(random.integers(0, max(2, min(15, steps // 8))))
        start = int(random.integers(0, max(1, steps - width)))
        frames[start : start + width] = 0
    for _ in range(BAND_MASKS):
        width = int(random.integers(0, 7))
        start = int(random.integers(0, BANDS - width + 1))
        frames[:, start : start + width] = 0
    return frames


@dataclass(frozen=True)
class Batch:
    """Frames [B, N, 40, 3] with lengths [B]; word numbers with EOS, then PAD, `targets` [B, q]; the letters of all rows
    in a row with counts [B]; the texts; about where in the utterance each of the targets is said, 0 to 1 [B, q]."""

    frames: NDArray[np.float32]
    lengths: NDArray[np.int64]
    targets: NDArray[np.int64]
    letters: NDArray[np.int64]
    counts: NDArray[np.int64]
    texts: list[str]
    places: NDArray[np.float32]


def make_batch(
    utterances: Sequence[Utterance], vocabulary: Vocabulary, random: np.random.Generator | None = None
) -> Batch:
    """Features and targets of utterances; augmented where there is `random`."""
    inputs = []
    for utterance in utterances:
        powers = utterance.powers.astype(np.float32)
        frames = stacked(powers if random is None else augment(powers, random))
        inputs.append(frames if random is None else mask_bands(frames, random))
    lengths = np.array([len(f) for f in inputs], np.int64)
    frames = np.zeros((len(inputs), int(lengths.max()), BANDS, 3), np.float32)
    ids = [vocabulary.encode(u.text) for u in utterances]
    targets = np.full((len(ids), 1 + max(map(len, ids))), PAD, np.int64)
    for number, (values, words) in enumerate(zip(inputs, ids, strict=True)):
        frames[number, : len(values)] = values
        targets[number, : len(words)], targets[number, len(words)] = words, EOS
    places = np.ones(targets.shape, np.float32)
    for row, utterance in zip(places, utterances, strict=True):
        sizes = np.array([len(word) + 1 for word in utterance.text.split()])
        row[: len(sizes)] = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
    letters = [encode_text(u.text) for u in utterances]
    counts = np.array([len(row) for row in letters], np.int64)
    return Batch(frames, lengths, targets, np.concatenate(letters), counts, [u.text for u in utterances], places)


def batches(
    utterances: Sequence[Utterance], seconds: float, random: np.random.Generator, ascending: bool = False
) -> Iterator[list[Utterance]]:
    """One pass: lists of utterances of like lengths, `seconds` in all where padded, in random order; from short to long
    where `ascending`, which is how attention finds its first alignments."""
    length = np.array([len(u.powers) / 100 for u in utterances])
    order = np.argsort(length * random.uniform(0.85, 1.15, len(length)))
    groups: list[list[Utterance]] = [[]]
    longest = 0.0
    for number in order:
        longest = max(longest, float(length[number]))
        rows = len(groups[-1])
        if rows and (longest * (rows + 1) > seconds or rows == ROWS):
            groups.append([])
            longest = float(length[number])
        groups[-1].append(utterances[number])
    for number in range(len(groups)) if ascending else random.permutation(len(groups)):
        yield groups[number]

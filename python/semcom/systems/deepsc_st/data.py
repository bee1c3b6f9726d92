# SPDX-License-Identifier: GPL-3.0-or-later
"""Utterances with transcripts for training: folders with a MANIFEST.tsv, batches of like lengths, augmentation."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...speech.ctc import encode_text, normalise
from ...speech.features import SAMPLE_RATE, features, frame_count, output_frames
from ...speech.warp import warp_bands

LONGEST_S, SHORTEST_S = 17.0, 0.25
FEWEST = 8  # rows of a batch, however long: a step of a recurrent layer takes as long for fewer
SPEEDS = (0.85, 1.17)
WARPED = 0.6  # share of the utterances that another vocal tract speaks
TIME_MASKS, BAND_MASKS = 2, 1


@dataclass(frozen=True)
class Utterance:
    """int16 samples at 16 kHz [n], and the normalised transcript."""

    audio: NDArray[np.int16]
    text: str


def read_manifest(folder: Path) -> list[dict[str, str]]:
    """Rows of MANIFEST.tsv (columns file, transcript and perhaps split); ValueError where it is missing or has none."""
    path = folder / "MANIFEST.tsv"
    if not path.is_file():
        raise ValueError(f"{folder}: training needs a MANIFEST.tsv with columns file and transcript there")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows or "file" not in rows[0] or "transcript" not in rows[0]:
        raise ValueError(f"{path}: expected columns file and transcript, and at least one row")
    return rows


def load_voices(folder: Path, split: str) -> list[tuple[Utterance, str]]:
    """Utterances of a split of 0.25 to 17 s with their speakers, in the order of the manifest.

    Rows without a split are `train`. ValueError for speech at another rate than 16 kHz.
    """
    import soundfile

    found = []
    for row in read_manifest(folder):
        if row.get("split", "train") != split or not normalise(row["transcript"]):
            continue
        audio, rate = soundfile.read(str(folder / row["file"]), dtype="int16", always_2d=True)
        if rate != SAMPLE_RATE:
            raise ValueError(f"{folder / row['file']}: speech for training must be at 16000 Hz, not {rate}")
        if SHORTEST_S <= len(audio) / rate <= LONGEST_S:
            utterance = Utterance(np.ascontiguousarray(audio[:, 0]), normalise(row["transcript"]))
            found.append((utterance, row.get("speaker", "")))
    return found


def load(folder: Path, split: str) -> list[Utterance]:
    """The utterances alone."""
    return [utterance for utterance, _ in load_voices(folder, split)]


def needed_frames(tokens: NDArray[np.int64]) -> int:
    """Frames that CTC needs at least: one a token and a blank between equal ones."""
    return len(tokens) + int(np.sum(tokens[1:] == tokens[:-1]))


def change_speed(audio: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Faster and higher by `factor`, by linear interpolation: n samples to n / factor."""
    at = np.arange(int(len(audio) / factor)) * factor
    return np.interp(at, np.arange(len(audio)), audio).astype(np.float32)


@lru_cache(maxsize=1)
def noise_bank() -> NDArray[np.float32]:
    """Noises of unit variance, float32 [12, 2^19], whose power falls with frequency by exponents of 0 to 2."""
    random = np.random.default_rng(0)
    size = 1 << 19
    bank = np.empty((12, size), np.float32)
    for exponent, row in zip(np.linspace(0, 1, len(bank)), bank, strict=True):
        spectrum = np.fft.rfft(random.standard_normal(size))
        row[:] = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), size / 400) ** exponent)
        row /= row.std()
    return bank


def coloured_noise(count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """A piece [count] of one of the noises."""
    bank = noise_bank()
    start = int(random.integers(bank.shape[1] - count + 1))
    return bank[int(random.integers(len(bank))), start : start + count]


def augment(audio: NDArray[np.int16], random: np.random.Generator) -> NDArray[np.float32]:
    """At another speed, sometimes with silence around it, with coloured noise at 5 to 40 dB, or clipped."""
    out = audio.astype(np.float32) / 32768
    if random.random() < 0.7:
        out = change_speed(out, random.uniform(*SPEEDS))
    if random.random() < 0.2:
        out = np.pad(out, tuple(random.integers(0, SAMPLE_RATE // 3, 2)))
    level = float(out.std()) + 1e-6
    if random.random() < 0.4:
        out = out + level * 10 ** (-random.uniform(5, 40) / 20) * coloured_noise(len(out), random)
    if random.random() < 0.05:
        out = np.clip(out, -1.5 * level, 1.5 * level)
    return out


def mask_bands(frames: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Some stretches of time and of bands set to the mean (SpecAugment, Park et al., Interspeech 2019), in place."""
    steps, bands = frames.shape
    for _ in range(TIME_MASKS):
        width = int(random.integers(0, max(2, min(20, steps // 6))))
        start = int(random.integers(0, max(1, steps - width)))
        frames[start : start + width] = 0
    for _ in range(BAND_MASKS):
        width = int(random.integers(0, bands // 6 + 1))
        start = int(random.integers(0, bands - width + 1))
        frames[:, start : start + width] = 0
    return frames


@dataclass
class Batch:
    """Padded frames float32 [B, T, bands] with lengths int64 [B], and tokens in a row with counts int64 [B]."""

    frames: NDArray[np.float32]
    lengths: NDArray[np.int64]
    tokens: NDArray[np.int64]
    counts: NDArray[np.int64]
    texts: list[str]


def make_batch(utterances: Sequence[Utterance], bands: int, random: np.random.Generator | None = None) -> Batch:
    """Features of utterances; augmented where there is `random`."""
    spectra, tokens = [], []
    for utterance in utterances:
        sequence = encode_text(utterance.text)
        plain = utterance.audio.astype(np.float32) / 32768
        audio = plain if random is None else augment(utterance.audio, random)
        if output_frames(frame_count(len(audio))) < needed_frames(sequence):
            audio = plain
        frames = features(audio, bands)
        if random is not None:
            frames = warp_bands(frames, random) if random.random() < WARPED else frames
            mask_bands(frames, random)
        spectra.append(frames)
        tokens.append(sequence)
    lengths = np.array([len(s) for s in spectra], np.int64)
    frames = np.zeros((len(spectra), int(lengths.max()), bands), np.float32)
    for row, spectrum in zip(frames, spectra, strict=True):
        row[: len(spectrum)] = spectrum
    counts = np.array([len(t) for t in tokens], np.int64)
    return Batch(frames, lengths, np.concatenate(tokens), counts, [u.text for u in utterances])


def batches(
    utterances: Sequence[Utterance], seconds: float, random: np.random.Generator, ascending: bool = False
) -> Iterator[list[Utterance]]:
    """One pass: lists of utterances of like lengths, `seconds` in all where padded but at least 8, in random order.

    `ascending`: from short to long, as the first pass of Deep Speech 2 ("SortaGrad").
    """
    length = np.array([len(u.audio) / SAMPLE_RATE for u in utterances])
    order = np.argsort(length * random.uniform(0.85, 1.15, len(length)))
    groups: list[list[Utterance]] = [[]]
    longest = 0.0
    for number in order:
        longest = max(longest, float(length[number]))
        if groups[-1] and longest * (len(groups[-1]) + 1) > max(seconds, FEWEST * longest):
            groups.append([])
            longest = float(length[number])
        groups[-1].append(utterances[number])
    for number in range(len(groups)) if ascending else random.permutation(len(groups)):
        yield groups[number]

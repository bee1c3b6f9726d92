# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech from and to files. What a file holds comes out as 16 kHz mono float32 in [-1, 1], or is refused by name."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..message import SAMPLE_RATE, Message

Samples = NDArray[np.float32]

SUFFIXES = frozenset(".wav .flac .ogg .oga .opus .mp3 .aif .aiff .au .caf .w64 .rf64".split())
LOWEST_RATE, HIGHEST_RATE = 8000, 192_000
LONGEST_S = 3600
MAX_CHANNELS = 16
EXPECTED = "expected a recording (WAV, FLAC, Ogg, Opus, MP3, AIFF)"


def read_speech(path: str | os.PathLike[str]) -> Message:
    """The recording in a file as a message of kind "speech": float32 [N] of 16 kHz mono, its name in the meta.

    Channels are averaged, 8 to 192 kHz are resampled, what lies beyond full scale is clipped, samples that are no
    numbers are 0. Silence is legal. Raises ValueError, one line, for what is no recording, has no sample or lasts
    above an hour.
    """
    file = Path(path)
    if "\0" in str(file):
        raise ValueError(f"not a path: {str(file)!r}")
    try:
        if file.is_dir():
            raise ValueError(f"{file} is a folder: {EXPECTED}")
        if not file.is_file():
            raise ValueError(f"no such recording: {file}; check the path")
        with file.open("rb") as stream:
            samples = _decoded(stream, str(file))
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}; {EXPECTED}") from error
    return Message("speech", samples, {"name": file.name, "sample_rate": SAMPLE_RATE})


def decode_speech(data: bytes, name: str) -> Samples:
    """The same of a file's content; `name` is for messages."""
    return _decoded(io.BytesIO(data), name)


def is_speech(path: str | os.PathLike[str]) -> bool:
    """Whether the file has the suffix of a recording; nothing is opened."""
    return Path(path).suffix.lower() in SUFFIXES


def to_speech(samples: NDArray[Any], sample_rate: int) -> Samples:
    """Samples [N] or [N, channels] of any rate as 16 kHz mono, float32 in [-1, 1]."""
    mono = np.asarray(samples, np.float32)
    if mono.ndim == 2:
        mono = mono.mean(1, dtype=np.float32)
    mono = np.nan_to_num(mono, nan=0.0, posinf=1.0, neginf=-1.0)
    if sample_rate != SAMPLE_RATE and mono.size:
        from scipy.signal import resample_poly

        common = math.gcd(int(sample_rate), SAMPLE_RATE)
        mono = resample_poly(mono, SAMPLE_RATE // common, int(sample_rate) // common)
    return np.ascontiguousarray(np.clip(mono, -1, 1), np.float32)


def wav_bytes(samples: Samples, sample_rate: int = SAMPLE_RATE) -> bytes:
    """A WAV file of 16 bits."""
    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, np.clip(samples, -1, 1), sample_rate, format="WAV", subtype="PCM_16")
    return stream.getvalue()


def write_wav(path: str | os.PathLike[str], samples: Samples, sample_rate: int = SAMPLE_RATE) -> None:
    """Write float32 [N] as WAV of 16 bits; the file appears whole or not at all, its folder is made.

    ValueError, one line, where it cannot be written.
    """
    if samples.ndim != 1:
        raise ValueError(f"speech must be mono, float32 [N], got {list(samples.shape)}")
    write_whole(Path(path), wav_bytes(samples, sample_rate))


def write_whole(file: Path, content: bytes) -> None:
    """Write aside, then rename. ValueError, one line, where that fails."""
    aside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(content)
        os.replace(aside, file)
    except OSError as error:
        raise ValueError(f"cannot write {file}: {error.strerror}; choose a folder that can be written") from error


def _decoded(stream: BinaryIO, name: str) -> Samples:
    import soundfile

    try:
        with soundfile.SoundFile(stream) as file:
            if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
                raise ValueError(
                    f"{name} has {file.samplerate} Hz: expected {LOWEST_RATE} to {HIGHEST_RATE} Hz; resample it"
                )
            if file.channels > MAX_CHANNELS:
                raise ValueError(f"{name} has {file.channels} channels: expected at most {MAX_CHANNELS}")
            most = LONGEST_S * file.samplerate
            samples = file.read(most + 1 if file.frames > most else -1, dtype="float32", always_2d=True)
            rate = file.samplerate
    except soundfile.LibsndfileError as error:
        reason = " ".join(str(error.error_string).split()).rstrip(".")
        raise ValueError(f"{name} is not a recording that can be read ({reason}): {EXPECTED}") from error
    if len(samples) > most:
        raise ValueError(f"{name} lasts more than {LONGEST_S} s: cut it")
    if not len(samples):
        raise ValueError(f"{name} holds no samples: {EXPECTED} of at least one sample")
    return to_speech(samples, rate)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech from synthetic voices with its texts: a folder with a MANIFEST.tsv that training and tests read.

`python -m gnuradio.semcom.systems.deepsc_st.synthetic --output DIR --texts domain --count 6000`. Voices are programs of
Debian (flite, espeak-ng) and hibari-tts where they are installed; some voices, and some texts, are kept for tests.
With `--voice prompts` a text is put together of words that a person recorded (see prompts.py).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...speech.features import SAMPLE_RATE
from ...text.alphabet import normalise
from . import grammar, prompts
from .data import read_manifest

FLITE = {"train": ("slt", "awb", "kal16"), "test": ("rms",)}
LANGUAGES = ("en-us", "en", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc")
VARIANTS = {
    "train": "f1 f2 f3 m1 m2 m3 m4 m5 m8 Alex Annie Andrea Diogo Gene Hugo Jacky Lee Linda Michael Mike Mr Tweaky Zac "
    "whisper whisperf croak klatt klatt2 klatt3 klatt4",
    "test": "f4 f5 m6 m7 Adam Alicia Ed Steph",
}
SHARES = {"train": {"flite": 0.6, "espeak": 0.33, "hibari": 0.07}, "test": {"flite": 0.5, "espeak": 0.5}}

Samples = NDArray[np.int16]


def to_16k(samples: NDArray[np.floating], rate: int) -> NDArray[np.float64]:
    """Resampled to 16 kHz."""
    from scipy.signal import resample_poly

    divisor = gcd(SAMPLE_RATE, rate)
    return samples if rate == SAMPLE_RATE else resample_poly(samples, SAMPLE_RATE // divisor, rate // divisor)


def run(command: list[str], text: str) -> tuple[NDArray[np.float64], int]:
    """A program that writes a WAV to its standard output, given a text. OSError where it fails."""
    import soundfile

    done = subprocess.run([*command, text], capture_output=True, timeout=60, check=False)
    if done.returncode or len(done.stdout) <= 44:
        raise OSError(f"{command[0]} failed: {done.stderr.decode(errors='replace').strip()[:200]}")
    data = bytearray(done.stdout)
    if data[:4] == b"RIFF":  # written to a pipe, its length fields say nothing
        at = data.find(b"data")
        data[4:8], data[at + 4 : at + 8] = ((len(data) - 8) & 0xFFFFFFFF).to_bytes(4, "little"), (
            len(data) - at - 8
        ).to_bytes(4, "little")
    samples, rate = soundfile.read(io.BytesIO(bytes(data)), dtype="float64")
    return samples, rate


def flite(text: str, random: np.random.Generator, split: str) -> tuple[NDArray[np.float64], int, str]:
    """One of flite's voices, at some speed."""
    voice = str(random.choice(FLITE[split]))
    stretch = random.uniform(0.85, 1.2)
    samples, rate = run(
        ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.2f}", "-o", "/dev/stdout", "-t"], text
    )
    return samples, rate, f"flite-{voice}"


def espeak(text: str, random: np.random.Generator, split: str) -> tuple[NDArray[np.float64], int, str]:
    """A voice variant of espeak-ng with some accent, speed and pitch."""
    language = str(random.choice(LANGUAGES))
    variant = str(random.choice(VARIANTS[split].split()))
    voice = f"{language}+{variant}"
    speed, pitch = random.integers(120, 190), random.integers(25, 75)
    samples, rate = run(["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout"], text)
    return samples, rate, f"espeak-{voice}"


@lru_cache(maxsize=1)
def _hibari() -> Any:
    from hibari import Hibari

    return Hibari()


def hibari(text: str, random: np.random.Generator, split: str) -> tuple[NDArray[np.float64], int, str]:
    """The voice of hibari-tts."""
    spoken = np.asarray(_hibari()(text, seed=int(random.integers(1 << 30))), np.float64).ravel()
    return spoken, 24_000, "hibari"


def recorded(text: str, random: np.random.Generator, split: str) -> tuple[NDArray[np.float64], int, str]:
    """Recorded words one after the other."""
    return prompts.speak(text, random), SAMPLE_RATE, "prompts"


VOICES: dict[str, Callable[[str, np.random.Generator, str], tuple[NDArray[np.float64], int, str]]] = {
    "flite": flite, "espeak": espeak, "hibari": hibari, "prompts": recorded,
}  # fmt: skip


def voice_shares(split: str, voice: str | None) -> dict[str, float]:
    """How often each voice speaks: only `voice` where one is named, else the installed ones of the split."""
    if voice:
        return {voice: 1.0}
    here = installed()
    return {name: share for name, share in SHARES[split].items() if name in here}


def installed() -> list[str]:
    """Which of the synthetic voices are here."""
    from importlib.util import find_spec

    programs = [name for name, program in (("flite", "flite"), ("espeak", "espeak-ng")) if shutil.which(program)]
    return programs + (["hibari"] if find_spec("hibari") else [])


def texts(kind: str, split: str, random: np.random.Generator, folders: list[Path]) -> Iterator[str]:
    """Texts without end: of the grammar (`domain`, `sentences`), or `transcripts`: those of the split train of
    `folders`, and the lines of those of them that are text files.

    Those of the grammar are split by their checksum. Long lines are cut into pieces of up to 12 words.
    """
    if kind == "transcripts":
        rows = []
        for folder in folders:
            if folder.is_file():
                rows += [normalise(line) for line in folder.read_text(encoding="utf-8").splitlines()]
            else:
                rows += [normalise(r["transcript"]) for r in read_manifest(folder) if r.get("split") == "train"]
        rows = [row for row in rows if row]
        if not rows:
            raise ValueError("texts from transcripts need --from folders with training transcripts")
        while True:
            words = rows[int(random.integers(len(rows)))].split()
            length = int(random.integers(5, 13))
            start = int(random.integers(0, max(1, len(words) - length + 1)))
            yield " ".join(words[start : start + length])
    make = {"domain": grammar.domain, "sentences": grammar.sentence}[kind]
    while True:
        text = make(random)
        if grammar.held_out(text) == (split == "test"):
            yield text


def generate(
    output: Path, kind: str, count: int, *, split: str = "train", seed: int = 1, folders: list[Path] | None = None,
    voice: str | None = None, progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:  # fmt: skip
    """Write `count` utterances as FLAC of 16 kHz and their MANIFEST.tsv into `output`.

    ValueError where no voice is installed.
    """
    import soundfile

    shares = voice_shares(split, voice)
    if not shares:
        raise ValueError("synthetic speech needs flite or espeak-ng: apt install flite espeak-ng")
    random = np.random.default_rng([seed, split == "test"])
    source = texts(kind, split, random, folders or [])
    if voice == "prompts":
        source = (text for text in source if prompts.files(text) is not None)
    (output / "audio").mkdir(parents=True, exist_ok=True)
    with (output / "MANIFEST.tsv.part").open("w", encoding="utf-8") as manifest:
        manifest.write("file\tsplit\tspeaker\tseconds\tsha256\ttranscript\n")
        for number in range(count):
            text = next(source)
            engine = str(random.choice(list(shares), p=np.array(list(shares.values())) / sum(shares.values())))
            samples, rate, speaker = VOICES[engine](text, random, split)
            samples = to_16k(samples, rate)
            samples = samples / (np.abs(samples).max() + 1e-9) * random.uniform(0.2, 0.9)
            path = output / "audio" / f"{number:05d}.flac"
            soundfile.write(str(path), np.round(samples * 32767).astype(np.int16), SAMPLE_RATE)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            seconds = len(samples) / SAMPLE_RATE
            manifest.write(f"audio/{path.name}\t{split}\t{speaker}\t{seconds:.3f}\t{digest}\t{text}\n")
            progress(number + 1, count)
    (output / "MANIFEST.tsv.part").rename(output / "MANIFEST.tsv")


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m gnuradio.semcom.systems.deepsc_st.synthetic", description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--texts", choices=("domain", "sentences", "transcripts"), default="domain")
    parser.add_argument("--from", dest="folders", type=Path, action="append", help="with a MANIFEST.tsv, or a text")
    parser.add_argument("--voice", choices=tuple(VOICES), help="only this one; default: all installed synthetic ones")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--split", choices=("train", "test"), default="train")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(argv)

    def progress(done: int, total: int) -> None:
        if done % 50 == 0 or done == total:
            print(f"\r{done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    try:
        generate(
            arguments.output, arguments.texts, arguments.count, split=arguments.split, seed=arguments.seed,
            folders=arguments.folders, voice=arguments.voice, progress=progress,
        )  # fmt: skip
    except (ValueError, OSError, subprocess.TimeoutExpired) as error:
        print(f"synthetic: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

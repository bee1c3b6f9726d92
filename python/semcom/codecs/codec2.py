# SPDX-License-Identifier: GPL-3.0-or-later
"""Codec 2 (D. Rowe, LGPL): speech of 8 kHz at 450 to 3,200 bit/s, through Debian's libcodec2-1.0, which GNU Radio's own
vocoder blocks bring along.

The decoder draws the phases of unvoiced sounds from a generator that it never seeds and shares between all users of the
library. So each utterance is decoded by a copy of the library that is loaded for it and unloaded after it: the same
bits then give the same samples. The codec conceals nothing: a lost frame repeats the one before, three in a row at
most, then silence.
"""

from __future__ import annotations

import atexit
import ctypes
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .speech_codec import Bits, Samples, SpeechCodec, shared_library, to_int16

MODES = (10, 8, 5, 4, 3, 2, 1, 0)  # the library's numbers (codec2.h), from 450 bit/s up
RATES = (0.45, 0.7, 1.2, 1.3, 1.4, 1.6, 2.4, 3.2)
FRAME_BITS = (18, 28, 48, 52, 56, 64, 48, 64)
FRAME_MS = (40, 40, 40, 40, 40, 40, 20, 20)
DELAY = (320, 280, 180, 180, 140, 140, 140, 140)  # samples of 8 kHz between in and out, about, by correlation
REPEATED = 3
_lock = threading.Lock()


class Codec2(SpeechCodec):
    """Eight modes, from 450 to 3,200 bit/s."""

    name = "codec2"
    title = "Codec 2, 0.45 to 3.2 kbit/s, narrow band"
    rates_kbit_s = RATES
    default_mode = 3

    def check_installed(self) -> None:
        """Looks for the library."""
        _library()

    def frame_bits(self, mode: int) -> int:
        """18 to 64."""
        return FRAME_BITS[mode]

    def frame_samples(self, mode: int) -> int:
        """40 ms, or 20 in the two best modes."""
        return FRAME_MS[mode] * 16

    def encode(self, speech: Samples, mode: int) -> Bits:
        """See the base; the coder's delay is taken off here."""
        from scipy.signal import resample_poly

        self.check_mode(mode)
        count, length = self.frame_count(speech.size, mode), FRAME_MS[mode] * 8
        narrow = resample_poly(speech, 1, 2).astype(np.float32) if speech.size else speech
        samples = to_int16(narrow, count * length, DELAY[mode])
        octets = -(-FRAME_BITS[mode] // 8)
        out = np.zeros((count, octets), np.uint8)
        library = _library()
        state = library.codec2_create(MODES[mode])
        try:
            for number in range(count):
                part = np.ascontiguousarray(samples[number * length : (number + 1) * length])
                library.codec2_encode(state, out[number].ctypes.data, part.ctypes.data)
        finally:
            library.codec2_destroy(state)
        return np.unpackbits(out, axis=1)[:, : FRAME_BITS[mode]]

    def decode(self, bits: Bits, mode: int, lost: ArrayLike) -> Samples:
        """See the base."""
        from scipy.signal import resample_poly

        self.check_mode(mode)
        gone = np.asarray(lost, bool)
        octets, length = np.packbits(bits, axis=1), FRAME_MS[mode] * 8
        out = np.zeros((len(octets), length), np.int16)
        before: NDArray[np.uint8] | None = None
        missing = 0
        with _fresh_library() as library:
            state = library.codec2_create(MODES[mode])
            try:
                for number, frame in enumerate(octets):
                    missing = missing + 1 if gone[number] else 0
                    if not missing:
                        before = np.ascontiguousarray(frame)
                    if before is not None and missing <= REPEATED:
                        library.codec2_decode(state, out[number].ctypes.data, before.ctypes.data)
            finally:
                library.codec2_destroy(state)
        wide = resample_poly(out.ravel().astype(np.float32) / 32768, 2, 1)
        return np.clip(wide, -1, 1).astype(np.float32)


def _declared(library: Any) -> Any:
    library.codec2_create.restype = ctypes.c_void_p
    library.codec2_create.argtypes = [ctypes.c_int]
    library.codec2_destroy.argtypes = [ctypes.c_void_p]
    for function in (library.codec2_encode, library.codec2_decode):
        function.argtypes = [ctypes.c_void_p] * 3
        function.restype = None
    return library


@lru_cache(maxsize=1)
def _library() -> Any:
    return _declared(shared_library("libcodec2.so.1.0", "codec2", "libcodec2-1.0", "codec2"))


@lru_cache(maxsize=1)
def _copy() -> Path:
    """A copy of the library's file, under a name that no other part of the process has loaded."""
    _library()
    for line in Path("/proc/self/maps").read_text().splitlines():
        place = line.split(maxsplit=5)[-1]
        if "libcodec2" in place:
            folder = Path(tempfile.mkdtemp(prefix="semcom-codec2-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            return Path(shutil.copy(place, folder / "libcodec2-private.so"))
    raise ValueError("the file of libcodec2 is not to be found in /proc/self/maps")


@contextmanager
def _fresh_library() -> Iterator[Any]:
    """The library as it is before anybody has called it; one at a time."""
    from _ctypes import dlclose

    with _lock:
        library = _declared(ctypes.CDLL(str(_copy())))
        try:
            yield library
        finally:
            dlclose(library._handle)

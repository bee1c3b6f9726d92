# SPDX-License-Identifier: GPL-3.0-or-later
"""Codec 2 (D. Rowe, LGPL): speech of 8 kHz at 450 to 3,200 bit/s, through Debian's libcodec2-1.0, which GNU Radio's own
vocoder blocks bring along.

The library draws the phases of unvoiced sounds from a generator that it never seeds and shares between all its users,
and its coder reads memory that it has not written. So each utterance has a process of its own (`codec2_process.py`), in
which fresh memory is zero: the same speech then gives the same bits, the same bits the same samples. The codec conceals
nothing: a lost frame repeats the one before, three in a row at most, then silence.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from .speech_codec import Bits, Samples, SpeechCodec, shared_library, to_int16

MODES = (10, 8, 5, 4, 3, 2, 1, 0)  # the library's numbers (codec2.h), from 450 bit/s up
RATES = (0.45, 0.7, 1.2, 1.3, 1.4, 1.6, 2.4, 3.2)
FRAME_BITS = (18, 28, 48, 52, 56, 64, 48, 64)
FRAME_MS = (40, 40, 40, 40, 40, 40, 20, 20)
DELAY = (320, 280, 180, 180, 140, 140, 140, 140)  # samples of 8 kHz between in and out, about, by correlation
REPEATED = 3
PROCESS = Path(__file__).with_name("codec2_process.py")
ZEROED = "glibc.malloc.perturb=255:glibc.malloc.tcache_count=0"  # what malloc gives is filled with 255 ^ 255
TIMEOUT_S = 120.0


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
        out = np.frombuffer(_run("encode", mode, samples.tobytes()), np.uint8).reshape(count, octets)
        return np.unpackbits(out, axis=1)[:, : FRAME_BITS[mode]]

    def decode(self, bits: Bits, mode: int, lost: ArrayLike) -> Samples:
        """See the base."""
        from scipy.signal import resample_poly

        self.check_mode(mode)
        gone = np.asarray(lost, bool)
        frames = np.packbits(bits, axis=1)
        told = np.zeros((len(frames), 1 + frames.shape[1]), np.uint8)  # whether there is something to decode, and what
        before, missing = -1, 0
        for number in range(len(frames)):
            missing = missing + 1 if gone[number] else 0
            before = before if missing else number
            if before >= 0 and missing <= REPEATED:
                told[number, 0], told[number, 1:] = 1, frames[before]
        out = np.frombuffer(_run("decode", mode, told.tobytes()), np.int16)
        wide = resample_poly(out.astype(np.float32) / 32768, 2, 1)
        return np.clip(wide, -1, 1).astype(np.float32)


@lru_cache(maxsize=1)
def _library() -> str:
    return str(shared_library("libcodec2.so.1.0", "codec2", "libcodec2-1.0", "codec2")._name)


def _run(what: str, mode: int, data: bytes) -> bytes:
    """What the process makes of all frames of an utterance."""
    command = [sys.executable, "-I", "-S", str(PROCESS), _library(), what, str(MODES[mode])]
    done = subprocess.run(
        command, input=data, capture_output=True, timeout=TIMEOUT_S, env={**os.environ, "GLIBC_TUNABLES": ZEROED}
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise RuntimeError(f"codec2's process failed: {last[0]}")
    return done.stdout

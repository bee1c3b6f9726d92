# SPDX-License-Identifier: GPL-3.0-or-later
"""AMR-WB (3GPP TS 26.171, ITU-T G.722.2): 16 kHz speech in frames of 20 ms, through Debian's libraries.

Encoder: libvo-amrwbenc0, decoder: libopencore-amrwb0. Only the class bits of a frame go on air, in the order of the
storage format (TS 26.201), which puts the most sensitive ones first; the codec has no CRC of its own. A frame that is
marked as lost is concealed by the decoder.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FRAME = 320  # samples
RATES_KBIT_S = (6.60, 8.85, 12.65, 14.25, 15.85, 18.25, 19.85, 23.05, 23.85)
FRAME_BITS = (132, 177, 253, 285, 317, 365, 397, 461, 477)
DELAY = 94  # samples between what goes in and what comes out, measured; encoding begins so much later in the recording
LOST = 14  # the frame type of a frame that did not arrive
_ENCODER = ("libvo-amrwbenc.so.0", "vo-amrwbenc", "libvo-amrwbenc0")
_DECODER = ("libopencore-amrwb.so.0", "opencore-amrwb", "libopencore-amrwb0")

Bits = NDArray[np.uint8]
Samples = NDArray[np.float32]


def check_installed() -> None:
    """ValueError, one line with what to install, where a library is missing."""
    _encoder()
    _decoder()


def encode(speech: Samples, mode: int) -> Bits:
    """16 kHz, float32 [N], to the class bits of all frames, uint8 of 0 and 1 [frames, bits of the mode]."""
    _check_mode(mode)
    library = _encoder()
    count = frame_count(speech.size)
    padded = np.zeros(count * FRAME, np.float32)
    padded[: speech.size] = speech
    samples = np.rint(np.clip(padded, -1, 1) * 32767).astype(np.int16)
    shifted = np.concatenate([samples[DELAY:], np.zeros(DELAY, np.int16)])
    octets = -(-FRAME_BITS[mode] // 8)
    out = np.zeros((count, octets + 1), np.uint8)
    buffer = (ctypes.c_ubyte * 64)()
    state = library.E_IF_init()
    try:
        for number in range(count):
            frame = shifted[number * FRAME : (number + 1) * FRAME]
            length = library.E_IF_encode(state, mode, frame.ctypes.data, buffer, 0)
            if length != octets + 1:
                raise RuntimeError(f"libvo-amrwbenc gave a frame of {length} octets, {octets + 1} were expected")
            out[number] = np.frombuffer(bytes(buffer[:length]), np.uint8)
    finally:
        library.E_IF_exit(state)
    return np.unpackbits(out[:, 1:], axis=1)[:, : FRAME_BITS[mode]]


def decode(bits: Bits, mode: int, lost: ArrayLike) -> Samples:
    """Frames, uint8 [frames, bits of the mode], and which of them are lost, to 16 kHz, float32 [frames * 320]."""
    _check_mode(mode)
    library = _decoder()
    gone = np.asarray(lost, bool)
    octets = np.packbits(bits, axis=1)
    out = np.zeros((len(bits), FRAME), np.int16)
    state = library.D_IF_init()
    try:
        for number, frame in enumerate(octets):
            kind = LOST if gone[number] else mode
            data = bytes([kind << 3 | (0 if gone[number] else 4)]) + frame.tobytes()
            library.D_IF_decode(state, data, out[number].ctypes.data, 0)
    finally:
        library.D_IF_exit(state)
    return out.ravel().astype(np.float32) / 32768


def frame_count(samples: int) -> int:
    """Frames of an utterance, at least one."""
    return max(1, -(-samples // FRAME))


def _check_mode(mode: int) -> None:
    if not 0 <= mode < len(FRAME_BITS):
        raise ValueError(f"mode of AMR-WB must be 0 to {len(FRAME_BITS) - 1}, not {mode}")


def _load(names: tuple[str, str, str]) -> Any:
    versioned, plain, package = names
    for name in (versioned, ctypes.util.find_library(plain)):
        if name:
            try:
                return ctypes.CDLL(name)
            except OSError:
                continue
    raise ValueError(f"AMR-WB needs {versioned}: apt install {package}")


@lru_cache(maxsize=1)
def _encoder() -> Any:
    library = _load(_ENCODER)
    library.E_IF_init.restype = ctypes.c_void_p
    library.E_IF_encode.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
    library.E_IF_exit.argtypes = [ctypes.c_void_p]
    library.E_IF_exit.restype = None
    return library


@lru_cache(maxsize=1)
def _decoder() -> Any:
    library = _load(_DECODER)
    library.D_IF_init.restype = ctypes.c_void_p
    library.D_IF_decode.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int]
    library.D_IF_decode.restype = None
    library.D_IF_exit.argtypes = [ctypes.c_void_p]
    library.D_IF_exit.restype = None
    return library

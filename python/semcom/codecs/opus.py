# SPDX-License-Identifier: GPL-3.0-or-later
"""Opus (IETF RFC 6716) at constant bit rates in frames of 60 ms, through libopus.

No container: a packet is as long as every other, and its bits alone go on air, the table-of-contents byte with them.
The decoder conceals lost frames itself.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .speech_codec import Bits, Samples, SpeechCodec, shared_library, to_int16

RATES = (6.0, 8.0, 10.0, 12.0, 16.0, 24.0)
FRAME = 960  # samples: 60 ms, the longest and cheapest
RATE = 16_000
_VOIP, _VOICE = 2048, 3001  # opus_defines.h
_SET_BITRATE, _SET_VBR, _SET_COMPLEXITY, _SET_SIGNAL, _GET_LOOKAHEAD = 4002, 4006, 4010, 4024, 4027


class Opus(SpeechCodec):
    """Six bit rates, 6 to 24 kbit/s."""

    name = "opus"
    title = "Opus, 6 to 24 kbit/s, constant rate"
    rates_kbit_s = RATES

    def check_installed(self) -> None:
        """Looks for the library."""
        _library()

    def frame_bits(self, mode: int) -> int:
        """360 to 1,440."""
        return 8 * round(RATES[mode] * 1000 * FRAME / RATE / 8)

    def frame_samples(self, mode: int) -> int:
        """60 ms."""
        return FRAME

    def encode(self, speech: Samples, mode: int) -> Bits:
        """See the base; the encoder's look-ahead is taken off here."""
        self.check_mode(mode)
        library, octets = _library(), self.frame_bits(mode) // 8
        count = self.frame_count(speech.size, mode)
        error = ctypes.c_int()
        state = library.opus_encoder_create(RATE, 1, _VOIP, ctypes.byref(error))
        if error.value:
            raise RuntimeError(f"libopus gave error {error.value}")
        try:
            for request, value in (
                (_SET_BITRATE, round(RATES[mode] * 1000)), (_SET_VBR, 0), (_SET_COMPLEXITY, 10), (_SET_SIGNAL, _VOICE),
            ):  # fmt: skip
                library.opus_encoder_ctl(ctypes.c_void_p(state), request, ctypes.c_int(value))
            ahead = ctypes.c_int()
            library.opus_encoder_ctl(ctypes.c_void_p(state), _GET_LOOKAHEAD, ctypes.byref(ahead))
            # the look-ahead of the first frame is silence that the decoder would give; begin so much later
            samples = to_int16(speech, count * FRAME, ahead.value)
            out = np.zeros((count, octets), np.uint8)
            for number in range(count):
                part = np.ascontiguousarray(samples[number * FRAME : (number + 1) * FRAME])
                length = library.opus_encode(state, part.ctypes.data, FRAME, out[number].ctypes.data, octets)
                if length != octets:
                    raise RuntimeError(f"libopus gave a packet of {length} octets, {octets} were expected")
        finally:
            library.opus_encoder_destroy(state)
        return np.unpackbits(out, axis=1)

    def decode(self, bits: Bits, mode: int, lost: ArrayLike) -> Samples:
        """See the base."""
        self.check_mode(mode)
        library = _library()
        gone = np.asarray(lost, bool)
        packets = np.packbits(bits, axis=1)
        out = np.zeros((len(packets), FRAME), np.float32)
        error = ctypes.c_int()
        state = library.opus_decoder_create(RATE, 1, ctypes.byref(error))
        if error.value:
            raise RuntimeError(f"libopus gave error {error.value}")
        try:
            for number, packet in enumerate(packets):
                data = np.ascontiguousarray(packet)
                place, length = (None, 0) if gone[number] else (data.ctypes.data, data.size)
                made = library.opus_decode_float(state, place, length, out[number].ctypes.data, FRAME, 0)
                if made != FRAME:  # a packet that libopus does not take is lost, too
                    out[number] = 0
                    library.opus_decode_float(state, None, 0, out[number].ctypes.data, FRAME, 0)
        finally:
            library.opus_decoder_destroy(state)
        return np.clip(out.ravel(), -1, 1)


@lru_cache(maxsize=1)
def _library() -> Any:
    library = shared_library("libopus.so.0", "opus", "libopus0", "opus")
    pointer, number = ctypes.c_void_p, ctypes.c_int
    library.opus_encoder_create.restype = library.opus_decoder_create.restype = pointer
    library.opus_encode.argtypes = [pointer, pointer, number, pointer, ctypes.c_int32]
    library.opus_decode_float.argtypes = [pointer, pointer, ctypes.c_int32, pointer, number, number]
    library.opus_encoder_destroy.argtypes = library.opus_decoder_destroy.argtypes = [pointer]
    return library

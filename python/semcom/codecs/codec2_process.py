# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that codes or decodes one utterance with libcodec2 and ends; see `codec2.py`. Standard library only.

    python -I -S codec2_process.py LIBRARY encode|decode MODE <frames >frames

`encode` reads int16 samples of whole frames and writes the octets of each; `decode` reads for each frame one octet, 0
for silence, and those of the frame, and writes int16 samples.
"""

import ctypes
import sys


def main(library_name: str, what: str, mode: int) -> None:
    """Standard input to standard output."""
    library = ctypes.CDLL(library_name)
    library.codec2_create.restype = ctypes.c_void_p
    for name in ("codec2_bits_per_frame", "codec2_samples_per_frame"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("codec2_encode", "codec2_decode"):
        getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
    state = library.codec2_create(mode)
    octets = (library.codec2_bits_per_frame(state) + 7) // 8
    width = 2 * library.codec2_samples_per_frame(state)
    data = sys.stdin.buffer.read()
    out = bytearray()
    step = width if what == "encode" else 1 + octets
    for start in range(0, len(data), step):
        frame = data[start : start + step]
        made = ctypes.create_string_buffer(octets if what == "encode" else width)
        if what == "encode":
            library.codec2_encode(state, made, frame)
        elif frame[0]:
            library.codec2_decode(state, made, frame[1:])
        out += made.raw
    sys.stdout.buffer.write(out)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

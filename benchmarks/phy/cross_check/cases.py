# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compared: the lists that both sides of the cross-check read. Standard library only."""

from __future__ import annotations

import random

_LIFTING_SIZES = sorted({a << j for a in (2, 3, 5, 7, 9, 11, 13, 15) for j in range(8) if a << j <= 384})
_CODE_RATES = (0.2, 0.27, 1 / 3, 0.4, 0.5, 0.6, 2 / 3, 0.7, 0.75, 0.8, 5 / 6, 8 / 9)


def ldpc_codes() -> list[tuple[int, int]]:
    """(k, n) that reach every lifting size of base graph 2 and those of base graph 1 that a k above 292 can have.

    Each information size stands just below or at what a number of columns holds (so with and without fillers), with
    a low, a middle and a high code rate. Code rates below 1/5, and below 1/3 above 3840 bits, are left out: the other
    package has no repetition.
    """
    rng = random.Random(38212)
    codes = {(1536, 4608), (24, 27), (8448, 9504), (3840, 19200), (292, 400), (293, 400), (3824, 5708), (3825, 5708)}
    for z in _LIFTING_SIZES:
        for columns in (6, 8, 9, 10, 22):
            k = columns * z - rng.choice((0, 0, rng.randrange(columns * z // 20 + 1)))
            if not 24 <= k <= 8448:
                continue
            rates = [r for r in _CODE_RATES if r > 1 / 3 or k <= 3840]
            for low in range(0, len(rates), 4):
                codes.add((k, int(k / rng.choice(rates[low : low + 4]))))
    return sorted(codes)


LDPC_WORDS = 2  # random words of each code

# Redundancy versions 0 to 3 of each: both base graphs, with and without fillers, short and long.
RATE_MATCHED = (
    (24, 40), (100, 300), (100, 450), (500, 1000), (640, 700), (1536, 2304), (1536, 4608), (1601, 3000), (3840, 5000),
    (3000, 3600), (5000, 7000), (8448, 9504), (8448, 20000), (8400, 25000),
)  # fmt: skip

# (k, coded bits that are a full circular buffer, n): repetition, below the code rates that the other package offers
REPEATED = ((1600, 8000, 19200), (3840, 19200, 46080), (720, 3600, 8640), (8448, 25344, 60000))

# (n, bits a symbol) of the bit interleaver of 5.4.2.2
INTERLEAVED = ((96, 2), (4608, 4), (2304, 6), (2048, 8), (6, 6), (8, 8))

# (k without CRC, n, list size for the round trip, CRC) in natural order
POLAR = (
    (16, 32, 1, None), (20, 64, 2, None), (32, 64, 4, None), (64, 128, 8, None), (40, 128, 4, "crc6"),
    (100, 256, 8, "crc11"), (200, 256, 2, None), (128, 512, 4, "crc24c"), (256, 512, 4, None), (400, 512, 1, None),
    (240, 512, 8, "crc16"), (512, 1024, 8, "crc24a"), (300, 1024, 32, "crc24b"), (1000, 1024, 4, None),
)  # fmt: skip
POLAR_WORDS = 8

CRCS = ("crc24a", "crc24b", "crc24c", "crc16", "crc11", "crc6")
CRC_LENGTHS = (1, 2, 23, 24, 100, 1512, 8424)

SCRAMBLERS = ((1, 1), (0, 7), (65535, 1023), (12345, 678))  # n_rnti, n_id; c_init = n_rnti 2**15 + n_id
SCRAMBLED_BITS = 100_000

MODULATIONS = {"bpsk": 1, "qpsk": 2, "16qam": 4, "64qam": 6, "256qam": 8}
METHODS = {"exact": "app", "maxlog": "maxlog"}
SYMBOLS = 4000
NOISE_VARIANCES = (1.0, 0.1, 0.01)  # for the whole packet; and one for each symbol, from 0.003 to 3

# Block error rates: code, modulation, decoder, and points (Es/N0 in dB, blocks).
LDPC_BLER = {"k": 1536, "n": 4608, "modulation": "16qam", "iterations": 20}
LDPC_POINTS = ((3.25, 600), (3.5, 1000), (3.75, 2000))
LAYERED_BLOCKS = (150, 300, 300)  # the first blocks of each point again, with our schedule and check rule
COMBINED_BLER = {"k": 1536, "n": 2304, "rvs": (0, 2), "modulation": "16qam", "iterations": 20}
COMBINED_POINTS = ((3.5, 600),)
POLAR_BLER = {"k": 256, "n": 512, "list_size": 4, "crc": None, "modulation": "bpsk"}
POLAR_POINTS = ((-1.51, 1500), (-1.01, 3000), (-0.51, 4000))  # Eb/N0 1.5, 2.0 and 2.5 dB
CHECKED_BLER = {"k": 240, "n": 512, "list_size": 8, "crc": "crc16", "modulation": "bpsk"}
CHECKED_POINTS = ((-1.51, 2000),)

TDL_MODELS = ("A", "B", "C", "D", "E")
TDL_DELAY_SPREAD_S = 100e-9

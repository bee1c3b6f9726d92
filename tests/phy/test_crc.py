# SPDX-License-Identifier: GPL-3.0-or-later
"""CRCs: published check values, GNU Radio's own, long division, and what they detect."""

import numpy as np
import pytest
from gnuradio import digital

from gnuradio.semcom.phy import crc

TEXT = np.unpackbits(np.frombuffer(b"123456789", np.uint8))
NAMES = ["crc24a", "crc24b", "crc24c", "crc16", "crc11", "crc6"]

# Exponents of the generator polynomials as TS 38.212, 5.1, writes them.
EXPONENTS = {
    "crc24a": (24, 23, 18, 17, 14, 11, 10, 7, 6, 5, 4, 3, 1, 0),
    "crc24b": (24, 23, 6, 5, 1, 0),
    "crc24c": (24, 23, 21, 20, 17, 15, 13, 12, 8, 4, 2, 1, 0),
    "crc16": (16, 12, 5, 0),
    "crc11": (11, 10, 9, 5, 0),
    "crc6": (6, 5, 0),
}


def number(bits):
    return int("".join(map(str, bits)), 2)


# Check values of the CRC catalogue: CRC-24/LTE-A, CRC-24/LTE-B, CRC-16/XMODEM.
@pytest.mark.parametrize(("name", "value"), [("crc24a", 0xCDE703), ("crc24b", 0x23EF52), ("crc16", 0x31C3)])
def test_published_check_values(name, value):
    bits = crc.crc(TEXT, name)
    assert bits.dtype == np.uint8
    assert number(bits) == value


@pytest.mark.parametrize("name", NAMES[:-1])  # GNU Radio's has no fewer than 8 bits
def test_gnu_radios_crc_agrees(name):
    polynomial = sum(1 << e for e in EXPONENTS[name][1:])
    native = digital.crc(crc.crc_length(name), polynomial, 0, 0, False, False)
    for seed in range(5):
        data = np.random.default_rng(seed).integers(0, 256, 40, dtype=np.uint8)
        assert number(crc.crc(np.unpackbits(data), name)) == native.compute(data.tolist())


@pytest.mark.parametrize("name", NAMES)
def test_long_division_agrees(name):
    divisor = sum(1 << e for e in EXPONENTS[name])
    degree = EXPONENTS[name][0]
    assert crc.crc_length(name) == degree
    for length in (0, 1, 5, 57):
        word = np.random.default_rng(length).integers(0, 2, length, dtype=np.uint8)
        rest = number(word) << degree if length else 0
        for i in range(length - 1, -1, -1):
            if rest >> (i + degree) & 1:
                rest ^= divisor << i
        assert number(crc.crc(word, name)) == rest


@pytest.mark.parametrize("name", NAMES)
def test_single_errors_are_found(name):
    words = crc.attach(np.random.default_rng(0).integers(0, 2, (20, 57), dtype=np.uint8), name)
    assert crc.check(words, name).all()
    for position in range(words.shape[1]):
        broken = words.copy()
        broken[:, position] ^= 1
        assert not crc.check(broken, name).any()


@pytest.mark.parametrize("name", NAMES)
def test_the_remainders_of_the_single_bits_add_up(name):
    word = crc.attach(np.random.default_rng(1).integers(0, 2, 40, dtype=np.uint8), name)
    parts = crc.remainders(name, word.size)
    assert np.bitwise_xor.reduce(parts[word == 1]) == 0
    assert np.bitwise_xor.reduce(parts[:40][word[:40] == 1]) == number(word[40:])


def test_a_batch_is_its_words():
    words = np.random.default_rng(0).integers(0, 2, (5, 100), dtype=np.uint8)
    np.testing.assert_array_equal(crc.crc(words), [crc.crc(word) for word in words])
    assert crc.attach(words[:0]).shape == (0, 124)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="crc24a"):
        crc.crc(TEXT, "crc32")
    with pytest.raises(ValueError, match="at least 24 bits"):
        crc.check(TEXT[:23])
    with pytest.raises(ValueError, match="at least 11 bits"):
        crc.remainders("crc11", 10)

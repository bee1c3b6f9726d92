# SPDX-License-Identifier: GPL-3.0-or-later
"""CRCs: published check values, and what they detect."""

import numpy as np
import pytest

from gnuradio.semcom.phy import crc

TEXT = np.unpackbits(np.frombuffer(b"123456789", np.uint8))


# Check values of the CRC catalogue: CRC-24/LTE-A, CRC-24/LTE-B, CRC-16/XMODEM.
@pytest.mark.parametrize(("name", "value"), [("crc24a", 0xCDE703), ("crc24b", 0x23EF52), ("crc16", 0x31C3)])
def test_published_check_values(name, value):
    bits = crc.crc(TEXT, name)
    assert bits.dtype == np.uint8
    assert int("".join(map(str, bits)), 2) == value


@pytest.mark.parametrize("name", ["crc24a", "crc24b", "crc24c", "crc16", "crc11", "crc6"])
def test_long_division_agrees_and_single_errors_are_found(name):
    words = crc.attach(np.random.default_rng(0).integers(0, 2, (20, 57), dtype=np.uint8), name)
    assert crc.check(words, name).all()
    for position in range(words.shape[1]):
        broken = words.copy()
        broken[:, position] ^= 1
        assert not crc.check(broken, name).any()


def test_a_batch_is_its_words():
    words = np.random.default_rng(0).integers(0, 2, (5, 100), dtype=np.uint8)
    np.testing.assert_array_equal(crc.crc(words), [crc.crc(word) for word in words])
    assert crc.attach(words[:0]).shape == (0, 124)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="crc24a"):
        crc.crc(TEXT, "crc32")
    with pytest.raises(ValueError, match="at least 24 bits"):
        crc.check(TEXT[:23])

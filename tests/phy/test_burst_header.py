# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers: what is said is understood, what lies is refused, and nothing breaks the receiver."""

import numpy as np
import pytest

from gnuradio.semcom.phy import burst, header, mcs, ofdm, preamble
from gnuradio.semcom.phy.burst_receiver import receive
from gnuradio.semcom.phy.channel import noise
from gnuradio.semcom.phy.sequence import Arrival, SequenceWatch

HEAD = header.Header(4095, 17, 65535, 30_000, 1234, "16qam-1/2", "polar-512", True, 200)


@pytest.mark.parametrize("name", mcs.names())
def test_every_scheme_goes_through_the_header(name):
    head = header.Header(1, 2, 3, 400, 5, name)
    assert header.unpack(header.pack(head)) == head
    assert header.unpack(header.pack(HEAD)) == HEAD


@pytest.mark.parametrize(("strength", "esn0_db"), [("robust", -8.0), ("short", 0.0)])
def test_a_header_is_read_at_its_lowest_es_n0(strength, esn0_db):
    rng = np.random.default_rng(0)
    bits, lost = header.pack(HEAD), 0
    for _ in range(100):
        sent = header.encode(bits, strength)
        variance = 10 ** (-(esn0_db - 1.0) / 10)  # a decibel is left for the estimates of a receiver
        got = header.decode(sent + noise(sent.size, variance, rng), np.full(sent.size, variance, np.float32), strength)
        lost += got is None or not np.array_equal(got, bits)
    assert lost <= 2


def test_noise_is_no_header():
    rng = np.random.default_rng(1)
    for strength in preamble.STRENGTHS:
        size = ofdm.DATA * header.OFDM_SYMBOLS[strength]
        for x in (np.zeros(size, np.complex64), np.full(size, np.nan, np.complex64), noise(size, 1.0, rng)):
            assert header.decode(x, np.ones(size, np.float32), strength) is None


def test_a_lying_header_is_refused_in_words():
    bits = header.pack(header.Header(bits=100, symbols=5))
    fields = {"version": 0, "bits": 42, "symbols": 66, "mcs": 95, "code": 100}
    for name, text in (("mcs", "MCS 31"), ("code", "code 7"), ("version", "another version")):
        lie = bits.copy()
        lie[fields[name] : fields[name] + header._FIELDS[name]] = 1
        if name != "version":
            assert header.unpack(bits).bits == 100
        with pytest.raises(ValueError, match=text):
            header.unpack(lie)
    lie = bits.copy()
    lie[fields["symbols"] : fields["symbols"] + 21] = 1
    with pytest.raises(ValueError, match="at most 1048576 symbols"):
        header.unpack(lie)


def with_header_bits(bits, strength="short"):
    """A burst with any bits for a header, and two OFDM symbols of payload."""
    head = ofdm.modulate(ofdm.grid(header.encode(bits, strength)))
    body = ofdm.modulate(ofdm.grid(np.ones(2 * ofdm.DATA, np.complex64)))
    return np.concatenate((np.zeros(400), preamble.preamble(strength), head, body, np.zeros(400))).astype(np.complex64)


def fuzz(count, seed):
    """Bursts with random headers of the right version; everything comes out within what a header may say."""
    rng = np.random.default_rng(seed)
    refused = 0
    for _ in range(count):
        bits = rng.integers(0, 2, 104, dtype=np.uint8)
        bits[:2] = (0, 1)
        if rng.uniform() < 0.3:  # most random lengths lie: these ones may not
            bits[42:60] = 0
            bits[66:78] = 0
        samples = with_header_bits(bits) + noise(400 * 2 + 312 + 4 * ofdm.SYMBOL, 0.1, rng)
        (got,) = receive(samples)
        if isinstance(got, burst.Refused):
            refused += 1
            with pytest.raises(ValueError):
                header.unpack(bits)
        else:
            assert np.array_equal(header.pack(got.header), bits)
            assert got.symbols.size == got.header.payload_symbols <= header.MAX_SYMBOLS
            assert np.isfinite(got.symbols).all() and np.all(got.noise_var > 0)
    return refused


def test_random_headers_never_break_the_receiver():
    refused = fuzz(150, 2)
    assert 0 < refused < 150


@pytest.mark.slow
def test_ten_thousand_random_headers_never_break_the_receiver():
    refused = fuzz(10_000, 3)
    assert 0 < refused < 10_000


def test_fields_that_do_not_fit_are_refused():
    for field, value in (("system", 4096), ("model", -1), ("sequence", 65536), ("bits", 1 << 24), ("symbols", 1 << 21)):
        with pytest.raises(ValueError, match=field):
            header.Header(**{field: value})
    with pytest.raises(ValueError, match="mcs must be one of"):
        header.Header(bits=1, mcs="qpsk-1/5")
    with pytest.raises(ValueError, match="code must be one of"):
        header.Header(code="turbo")


def test_names_have_the_same_number_everywhere():
    # CRC-24A of the nine digits is 0xCDE703 (catalogue of CRC algorithms, CRC-24/LTE-A)
    assert header.name_id("123456789") == 0xCDE
    assert len({header.name_id(name) for name in ("ncsc", "deepjscc", "vq_deepsc", "deepsc_st", "jpeg", "webp")}) == 6


def test_numbers_tell_what_was_repeated_lost_and_late():
    watch = SequenceWatch(patience=2)
    assert watch.note(65534) == Arrival()
    assert watch.note(65535) == Arrival()
    assert watch.note(65535) == Arrival(repeated=True)
    assert watch.note(1) == Arrival()  # 0 may still come
    assert watch.note(0) == Arrival(late=True)
    assert watch.note(0) == Arrival(repeated=True)
    assert watch.note(3) == Arrival()
    assert watch.note(6) == Arrival(lost=(2,))
    assert watch.note(2) == Arrival(repeated=True)  # given up before
    assert watch.finish() == (4, 5)
    assert watch.note(40_000) == Arrival()  # begins anew
    assert watch.note(10) == Arrival()  # so far away that the sender must have begun anew


def test_every_number_is_told_once_whatever_happens():
    rng = np.random.default_rng(4)
    watch, told = SequenceWatch(patience=8), []
    order = [n for n in range(70_000, 72_000) if rng.uniform() > 0.1]
    places = np.array(order) + rng.integers(0, 6, len(order))
    for number in np.repeat(np.array(order)[np.argsort(places, kind="stable")], 2):
        arrival = watch.note(int(number) % 65536)
        if not arrival.repeated:
            told.append(int(number) % 65536)
        told += arrival.lost
    told += watch.finish()
    assert len(told) == len(set(told))
    assert set(told) >= {n % 65536 for n in range(max(order[0], 70_010), order[-1])}

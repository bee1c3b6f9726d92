# SPDX-License-Identifier: GPL-3.0-or-later
"""Polar codes: known vectors, round trips, block error rates, independent decoders, bad input."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from gnuradio import blocks, fec, gr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfc
from scipy.stats import binomtest

from gnuradio.semcom.phy import crc as crcs
from gnuradio.semcom.phy.polar import Polar, information_positions, polar_code

VECTORS = json.loads((Path(__file__).parent / "data" / "polar_vectors.json").read_text())["polar"]
CRCS = ("crc6", "crc11", "crc16", "crc24a", "crc24b", "crc24c")


def unpack(text, count):
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))[:count]


def send(code, ebn0_db, blocks, seed):
    """Random bits over BPSK and AWGN: bits and LLRs. Eb counts the code's k bits."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (blocks, code.k), dtype=np.uint8)
    n0 = 1 / (10 ** (ebn0_db / 10) * code.k / code.n)
    received = 1 - 2.0 * code.encode(bits) + rng.normal(0, np.sqrt(n0 / 2), (blocks, code.n))
    return bits, (4 / n0 * received).astype(np.float32)


def wrong(decoded, bits):
    return np.any(decoded != bits, axis=1)


def interval(failed, trials):
    found = binomtest(int(failed), trials).proportion_ci(0.99)
    return found.low, found.high


def transform(bits):
    """u F^(x)m by its definition, on the last axis."""
    matrix = np.ones((1, 1), np.int64)
    while len(matrix) < bits.shape[-1]:
        matrix = np.kron([[1, 0], [1, 1]], matrix)
    return bits.astype(np.int64) @ matrix % 2


def cancel(llr, is_information):
    """Successive cancellation in float, straight from Arikan's recursion: bits u and code bits x, [B, n]."""
    if llr.shape[1] == 1:
        u = ((llr < 0) & is_information).astype(np.uint8)
        return u, u
    half = llr.shape[1] // 2
    a, b = llr[:, :half], llr[:, half:]
    u0, x0 = cancel(np.sign(a * b) * np.minimum(abs(a), abs(b)), is_information[:half])
    u1, x1 = cancel(b + (1 - 2.0 * x0) * a, is_information[half:])
    return np.hstack((u0, u1)), np.hstack((x0 ^ x1, x1))


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: f"{case['k']}-{case['n']}")
def test_known_vectors_are_encoded_and_decoded(case):
    k, n = case["k"], case["n"]
    bits = np.array([unpack(word["bits"], k) for word in case["words"]])
    coded = np.array([unpack(word["coded"], n) for word in case["words"]])
    np.testing.assert_array_equal(Polar(k, n).encode(bits), coded)
    for list_size in (1, 2, 3, 4, 8, 16, 32):
        decoded, ok = Polar(k, n, list_size).decode(np.float32(4) - np.float32(8) * coded)
        np.testing.assert_array_equal(decoded, bits)
        assert ok.all() and ok.dtype == bool and decoded.dtype == np.uint8


@pytest.mark.parametrize("n", [32, 64, 128, 256, 512, 1024])
def test_the_code_word_is_the_kronecker_power_of_the_bits(n):
    k = n // 3
    bits = np.random.default_rng(n).integers(0, 2, (4, k), dtype=np.uint8)
    word = np.zeros((4, n), np.uint8)
    word[:, information_positions(k, n)] = bits
    np.testing.assert_array_equal(Polar(k, n).encode(bits), transform(word))


def test_gnu_radios_encoder_gives_the_same_bits_in_bit_reversed_order():
    code = Polar(256, 512)
    bits = np.random.default_rng(4).integers(0, 2, (5, 256), dtype=np.uint8)
    frozen = np.setdiff1d(np.arange(512), information_positions(256, 512)).tolist()
    encoder = fec.encoder(fec.polar_encoder.make(512, 256, frozen, [0] * 256, False), 1, 1)
    source, sink, graph = blocks.vector_source_b(bits.ravel().tolist()), blocks.vector_sink_b(), gr.top_block()
    graph.connect(source, encoder, sink)
    graph.run()
    reverse = [int(f"{i:09b}"[::-1], 2) for i in range(512)]
    np.testing.assert_array_equal(np.array(sink.data()).reshape(5, 512)[:, reverse], code.encode(bits))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_any_code_comes_back_from_a_clean_channel(data):
    n = data.draw(st.sampled_from([32, 64, 128, 256, 512, 1024]))
    crc = data.draw(st.sampled_from((None, *CRCS)))
    k = data.draw(st.integers(1, n - (crcs.crc_length(crc) if crc else 0)))
    code = Polar(k, n, data.draw(st.integers(1, 32)), crc)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    bits = rng.integers(0, 2, (data.draw(st.integers(0, 11)), k), dtype=np.uint8)
    size = rng.uniform(0.3, 3.0, (len(bits), n))  # signs are right, magnitudes are not
    decoded, ok = code.decode(size * (1 - 2.0 * code.encode(bits)))
    np.testing.assert_array_equal(decoded, bits)
    assert ok.all()


def test_a_list_of_one_is_successive_cancellation():
    code = Polar(256, 512, 1)
    bits, llr = send(code, 2.0, 1000, 7)
    is_information = np.isin(np.arange(512), information_positions(256, 512))
    steps = np.rint(llr * (64 / np.mean(abs(llr), axis=1, keepdims=True)))  # rounded as the decoder does it
    reference = cancel(steps.astype(float), is_information)[0][:, is_information]
    decoded, _ = code.decode(llr)
    assert 0.05 < np.mean(wrong(decoded, bits)) < 0.25
    assert np.mean(wrong(decoded, reference)) < 0.006  # where two LLRs are equal, either bit may be turned


@pytest.mark.parametrize(("k", "n"), [(5, 32), (5, 128), (4, 1024), (3, 64)])
def test_a_list_of_all_words_is_maximum_likelihood(k, n):
    code = Polar(k, n, 32)
    words = (np.arange(2**k)[:, None] >> np.arange(k) & 1).astype(np.uint8)
    _, llr = send(code, 1.0, 500, n)
    likelihood = llr @ (1 - 2.0 * code.encode(words)).T
    decoded, _ = code.decode(llr)
    chosen = np.take_along_axis(likelihood, (decoded @ (1 << np.arange(k)))[:, None], 1)[:, 0]
    lost = likelihood.max(1) - chosen
    assert np.mean(lost > 0) < 0.02  # near ties only: the decoder rounds LLRs to 1/64 of their mean
    assert np.all(lost <= n / 64 * np.mean(abs(llr), axis=1))


def test_one_bit_has_the_error_rate_of_repetition():
    code = Polar(1, 256)
    bits, llr = send(code, 4.0, 20_000, 1)
    decoded, _ = code.decode(llr)
    low, high = interval(wrong(decoded, bits).sum(), 20_000)
    assert low <= 0.5 * erfc(np.sqrt(10**0.4)) <= high


# DESIGN.md, section 4, and issue 3: 0.027 at 2 dB. Seeded, so that it either holds or does not.
def test_block_error_rate_of_list_4_is_the_accepted_one():
    code = Polar(256, 512, 4)
    bits, llr = send(code, 2.0, 3000, 11)
    decoded, ok = code.decode(llr)
    failed = wrong(decoded, bits).sum()
    low, high = interval(failed, 3000)
    assert low <= 0.027 <= high, f"{failed} of 3000 failed"
    assert ok.all()  # nothing can tell without a CRC


def test_longer_lists_lose_fewer_blocks_and_a_crc_fewer_still():
    failed = {}
    for list_size, crc in ((1, None), (2, None), (4, None), (8, None), (1, "crc11"), (8, "crc11"), (32, "crc11")):
        code = Polar(245 if crc else 256, 512, list_size, crc)
        bits, llr = send(code, 1.5, 1000, 3)
        decoded, ok = code.decode(llr)
        bad = wrong(decoded, bits)
        failed[list_size, crc] = bad.sum()
        if crc:
            assert not np.any(~ok & ~bad)  # a right word passes
            assert np.sum(ok & bad) <= 3  # about 2**-11 for each path that was asked
    assert failed[1, None] > 1.5 * failed[2, None] > 1.5 * failed[4, None] > 1.2 * failed[8, None]
    assert failed[1, "crc11"] > 3 * failed[8, "crc11"] > 3 * failed[32, "crc11"]
    assert failed[8, None] > 1.4 * failed[8, "crc11"]


def test_lists_between_powers_of_two_lie_between_them():
    failed = []
    for list_size in (1, 2, 3, 4, 6, 8, 12, 16, 32):
        code = Polar(112, 256, list_size, "crc16")
        bits, llr = send(code, 1.75, 2000, 5)
        failed.append(wrong(code.decode(llr)[0], bits).sum())
    assert all(more >= fewer for more, fewer in zip(failed, failed[1:], strict=False)), failed
    assert failed[1] > failed[2] > failed[3]


def test_the_crc_picks_the_best_path_that_passes():
    plain, checked = Polar(136, 256, 8), Polar(120, 256, 8, "crc16")  # the same positions, the same list
    bits, llr = send(checked, 1.0, 1500, 9)
    best, _ = plain.decode(llr)
    decoded, ok = checked.decode(llr)
    passes = crcs.check(best, "crc16")
    np.testing.assert_array_equal(decoded[passes], best[passes, :120])
    assert ok[passes].all()
    rescued = ok & ~passes
    assert rescued.sum() > 50 and np.mean(wrong(decoded[rescued], bits[rescued])) < 0.05
    np.testing.assert_array_equal(decoded[~ok], best[~ok, :120])  # none passes: the most likely


def test_turned_bits_are_corrected():
    code = Polar(256, 512, 8)
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 2, (200, 256), dtype=np.uint8)
    llr = 1 - 2.0 * code.encode(bits)
    for row in llr:
        row[rng.choice(512, 5, replace=False)] *= -1
    np.testing.assert_array_equal(code.decode(llr)[0], bits)


def test_the_scale_of_the_llrs_hardly_matters():
    code = Polar()
    _, llr = send(code, 2.5, 300, 2)
    reference, _ = code.decode(llr)
    for factor in (0.01, 0.5, 4.0):
        assert np.mean(wrong(code.decode(llr * np.float32(factor))[0], reference)) < 0.02


def test_nan_counts_as_nothing_known_and_infinities_saturate():
    code = Polar(128, 512, 8, "crc11")
    bits, llr = send(code, 15.0, 4, 2)
    llr[0, ::10] = np.nan
    llr[1, ::7] = np.where(llr[1, ::7] > 0, np.inf, -np.inf)
    llr[2, 5] = 1e38
    decoded, ok = code.decode(llr)
    np.testing.assert_array_equal(decoded[[0, 1, 3]], bits[[0, 1, 3]])
    assert ok[[0, 1, 3]].all() and decoded.max() <= 1
    as_zero, _ = code.decode(np.nan_to_num(llr[:1], nan=0.0))
    np.testing.assert_array_equal(as_zero, decoded[:1])
    certain = np.where(code.encode(bits) == 1, -np.inf, np.inf)
    decoded, ok = code.decode(certain)
    assert ok.all() and np.array_equal(decoded, bits)


@pytest.mark.parametrize("crc", [None, "crc24c"])
@pytest.mark.parametrize("value", [0.0, -0.0, np.nan, 1e-30])
def test_an_erased_block_is_not_ok(crc, value):
    code = Polar(200, 512, 4, crc)
    decoded, ok = code.decode(np.full((3, 512), value, np.float32))
    assert not ok.any() and decoded.shape == (3, 200)
    few = np.zeros(512, np.float32)
    few[: 199 + (24 if crc else 0)] = 1.0  # one LLR too few, all of which speak for the all-zero word
    assert not code.decode(few)[1]
    few[-1] = 1.0
    assert code.decode(few)[1]


def test_one_block_and_no_block_keep_their_shape():
    for code in (Polar(100, 128), Polar(100, 128, 8, "crc11")):
        assert code.encode(np.zeros(100, np.uint8)).shape == (128,)
        assert code.encode(np.zeros((0, 100), np.uint8)).shape == (0, 128)
        bits, ok = code.decode(np.ones(128, np.float32))
        assert bits.shape == (100,) and ok.shape == () and ok
        bits, ok = code.decode(np.zeros((0, 128), np.float32))
        assert bits.shape == (0, 100) and ok.shape == (0,)


def test_a_block_does_not_depend_on_its_neighbours():
    for list_size, crc in ((1, None), (4, None), (8, "crc11"), (32, "crc6")):
        code = Polar(120, 256, list_size, crc)
        _, llr = send(code, 0.5, 37, 8)
        whole = code.decode(llr)
        alone = [code.decode(row) for row in llr]
        np.testing.assert_array_equal(whole[0], [bits for bits, _ in alone])
        np.testing.assert_array_equal(whole[1], [ok for _, ok in alone])


def test_threads_may_share_a_code():
    code = Polar(256, 512, 4)
    _, llr = send(code, 1.0, 200, 9)
    expected = code.decode(llr)[0]
    results = [None] * 4

    def work(i):
        results[i] = code.decode(llr)[0]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(np.array_equal(result, expected) for result in results)


DIGEST = """
import ctypes, hashlib, numpy as np
from gnuradio.semcom.kernels import library
from gnuradio.semcom.phy.polar import Polar
name = library().semcom_polar_kernel
name.restype = ctypes.c_char_p
digest = hashlib.sha256()
for n in (32, 128, 512, 1024):
    for list_size in (1, 2, 3, 4, 8, 13, 16, 32):
        for k, crc in ((n // 4, None), (n // 2, "crc6"), (n - 7, None)):
            llr = np.random.default_rng(n + k).normal(1.2, 1.9, (9, n)).astype(np.float32)
            for array in Polar(k, n, list_size, crc).decode(llr):
                digest.update(array.tobytes())
print(name().decode(), digest.hexdigest())
"""


def test_every_kernel_gives_the_same_bits():
    names, digests = zip(
        *(
            subprocess.run(
                [sys.executable, "-c", DIGEST], env={**os.environ, "SEMCOM_KERNEL": kernel},
                capture_output=True, text=True, check=True, timeout=120,
            ).stdout.split()
            for kernel in ("", "avx2", "plain")
        ), strict=True,
    )  # fmt: skip
    assert len(set(digests)) == 1
    assert names[2] == "plain" and names[1] in ("avx2", "plain")


def test_the_same_parameters_share_one_code():
    assert polar_code(64, 128) is polar_code(64, 128)
    assert repr(polar_code(64, 128, 8, "crc11")) == "Polar(k=64, n=128, list_size=8, crc='crc11')"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k must be from 1 to 512"), ({"k": 513}, "k must be from 1 to 512"),
        ({"k": 8, "n": 16}, "n must be from 32 to 1024"), ({"n": 2048}, "n must be from 32 to 1024"),
        ({"n": 500}, "n must be a power of two from 32 to 1024"), ({"k": 2.5}, "k must be an integer"),
        ({"n": "512"}, "n must be an integer"), ({"list_size": 0}, "list_size must be from 1 to 32"),
        ({"list_size": 33}, "list_size must be from 1 to 32"), ({"crc": "crc32"}, "crc must be one of crc24a"),
        ({"crc": ["crc6"]}, "crc must be one of"), ({"k": 507, "crc": "crc6"}, "k must be from 1 to 506"),
        ({"k": 9, "n": 32, "crc": "crc24c"}, "k must be from 1 to 8"),
    ],
)  # fmt: skip
def test_an_impossible_code_is_refused_with_the_legal_range(arguments, message):
    with pytest.raises(ValueError, match=rf"^{message}"):
        Polar(**arguments)


def test_wrong_arrays_are_refused_by_name():
    code = Polar(100, 256)
    for bits in (np.zeros((2, 99), np.uint8), np.full(100, 2), np.full(100, -1), np.zeros(100), np.uint8(1)):
        with pytest.raises(ValueError, match="bits must"):
            code.encode(bits)
    for llr in (np.zeros((2, 255), np.float32), np.zeros((1, 256), complex), np.float32(1), np.full((1, 256), "x")):
        with pytest.raises(ValueError, match="llr must"):
            code.decode(llr)

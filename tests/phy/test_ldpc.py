# SPDX-License-Identifier: GPL-3.0-or-later
"""LDPC: the standard's known vectors, round trips, block error rates, bad input."""

import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from gnuradio.semcom.phy import LDPC5G, Modulation
from gnuradio.semcom.phy.channel import noise
from gnuradio.semcom.phy.snr import noise_var

VECTORS = json.loads((Path(__file__).parent / "data" / "vectors.json").read_text())["ldpc"]


def unpack(text, count):
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))[:count]


def words(case):
    bits = np.array([unpack(word["bits"], case["k"]) for word in case["words"]])
    return bits, np.array([unpack(word["coded"], case["n"]) for word in case["words"]])


def clopper_pearson(failed, trials, confidence=0.99):
    """Exact interval of a probability, by bisection on the binomial distribution."""

    def tail(p, upto):  # P(X <= upto)
        if p <= 0 or p >= 1:
            return 1.0 if p <= 0 else float(upto >= trials)
        logs = [
            math.lgamma(trials + 1) - math.lgamma(i + 1) - math.lgamma(trials - i + 1)
            + i * math.log(p) + (trials - i) * math.log1p(-p)
            for i in range(upto + 1)
        ]  # fmt: skip
        return math.fsum(map(math.exp, logs))

    def solve(holds):
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if holds(middle) else (low, middle)
        return low

    half = (1 - confidence) / 2
    lower = 0.0 if failed == 0 else solve(lambda p: 1 - tail(p, failed - 1) < half)
    return lower, solve(lambda p: tail(p, failed) > half)


def send(code, modulation, esn0_db, blocks, seed):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (blocks, code.k), dtype=np.uint8)
    symbols = modulation.map(code.encode(bits))
    variance = noise_var(esn0_db)
    received = symbols + noise(symbols.size, variance, rng).reshape(symbols.shape)
    return bits, modulation.llr(received, variance)


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: f"{case['k']}-{case['n']}")
def test_known_vectors_are_encoded_and_decoded(case):
    bits, coded = words(case)
    code = LDPC5G(case["k"], case["n"])
    assert (code.base_graph, code.z) == (case["base_graph"], case["z"])
    np.testing.assert_array_equal(code.encode(bits), coded)
    decoded, ok, iterations = code.decode(np.float32(4) - np.float32(8) * coded)
    np.testing.assert_array_equal(decoded, bits)
    assert ok.all() and ok.dtype == bool and (iterations >= 1).all()


@pytest.mark.parametrize(
    ("k", "n"),
    [(24, 24), (24, 25), (24, 5000), (25, 76), (192, 400), (193, 1000), (292, 300), (561, 2000), (641, 1200),
     (1512, 1701), (3825, 30000), (8448, 8448), (8448, 26112), (8448, 40000), (1536, 18432)],
)  # fmt: skip
def test_any_size_comes_back_from_a_clean_channel(k, n):
    code = LDPC5G(k, n)
    bits = np.random.default_rng(k).integers(0, 2, (3, k), dtype=np.uint8)
    coded = code.encode(bits)
    assert coded.shape == (3, n) and coded.max() <= 1
    decoded, ok, _ = code.decode(np.float32(5) - np.float32(10) * coded, 50)
    if n >= k + k // 8 + 2 * code.z:  # enough to make good the punctured columns
        assert ok.all()
    np.testing.assert_array_equal(decoded[ok], bits[ok])


@pytest.mark.parametrize("rv", [0, 1, 2, 3])
def test_every_redundancy_version_is_part_of_the_same_codeword(rv):
    k, n = 1536, 4608
    bits = np.random.default_rng(5).integers(0, 2, (2, k), dtype=np.uint8)
    whole = LDPC5G(k, 50 * 160 - 64).encode(bits)  # the circular buffer once round
    start = {0: 0, 1: 13, 2: 25, 3: 43}[rv] * 160
    start -= 64 if rv else 0  # the fillers in front are not sent
    np.testing.assert_array_equal(LDPC5G(k, n, rv).encode(bits), np.roll(whole, -start, axis=1)[:, :n])
    decoded, ok, _ = LDPC5G(k, n, rv).decode(np.float32(4) - np.float32(8) * LDPC5G(k, n, rv).encode(bits))
    if rv in (0, 3):  # the two that hold information bits and can stand alone
        assert ok.all() and np.array_equal(decoded, bits)


def test_repeated_bits_are_combined():
    code = LDPC5G(40, 2000)
    bits, llr = send(code, Modulation("qpsk"), -12.0, 50, 3)
    decoded, ok, _ = code.decode(llr)
    assert ok.mean() > 0.9 and np.array_equal(decoded[ok], bits[ok])


# DESIGN.md, section 4: block error rates of float layered min-sum, and of sum-product, with 20 iterations.
@pytest.mark.parametrize(("esn0_db", "expected"), [(3.50, 0.367), (3.75, 0.0705)])
def test_block_error_rate_is_within_the_acceptance_table(esn0_db, expected):
    code = LDPC5G(1536, 4608)
    bits, llr = send(code, Modulation("16qam"), esn0_db, 2000, 11)
    decoded, ok, iterations = code.decode(llr, 20)
    failed = int(np.sum(np.any(decoded != bits, axis=1)))
    lower, upper = clopper_pearson(failed, 2000)
    assert lower <= expected, f"{failed} of 2000 failed"
    assert upper >= 0.75 * expected  # far below the table the noise would be wrong, not the code good
    assert not np.any(ok & np.any(decoded != bits, axis=1))
    assert iterations.max() == 20 and iterations[~ok].min() == 20


def test_the_scale_of_the_llrs_hardly_matters():
    code = LDPC5G(1536, 4608)
    _, llr = send(code, Modulation("16qam"), 4.0, 200, 2)
    reference, _, _ = code.decode(llr, 20)
    for factor in (0.01, 0.5, 4.0):
        assert np.mean(np.any(code.decode(llr * np.float32(factor), 20)[0] != reference, axis=1)) < 0.03


def test_nan_counts_as_nothing_known_and_infinities_saturate():
    code = LDPC5G(1536, 4608)
    bits, llr = send(code, Modulation("16qam"), 8.0, 4, 2)
    llr[0, ::10] = np.nan
    llr[1, ::7] = np.where(llr[1, ::7] > 0, np.inf, -np.inf)
    llr[2, 5] = 1e38
    decoded, ok, _ = code.decode(llr)
    assert ok[0] and np.array_equal(decoded[0], bits[0])
    assert decoded.max() <= 1
    assert ok[3] and np.array_equal(decoded[3], bits[3])


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_an_erased_block_is_not_ok(value):
    decoded, ok, iterations = LDPC5G(1536, 4608).decode(np.full((2, 4608), value, np.float32), 7)
    assert not ok.any() and (iterations == 7).all() and decoded.shape == (2, 1536)


def test_one_block_and_no_block_keep_their_shape():
    code = LDPC5G(100, 300)
    assert code.encode(np.zeros(100, np.uint8)).shape == (300,)
    assert code.encode(np.zeros((0, 100), np.uint8)).shape == (0, 300)
    bits, ok, iterations = code.decode(np.ones(300, np.float32))
    assert bits.shape == (100,) and ok.shape == () and iterations.shape == ()
    bits, ok, iterations = code.decode(np.zeros((0, 300), np.float32))
    assert bits.shape == (0, 100) and ok.shape == (0,) and iterations.shape == (0,)


def test_threads_may_share_a_code():
    code = LDPC5G(1536, 4608)
    _, llr = send(code, Modulation("16qam"), 4.0, 40, 9)
    expected = code.decode(llr, 20)[0]
    results = [None] * 4

    def work(i):
        results[i] = code.decode(llr, 20)[0]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(np.array_equal(result, expected) for result in results)


DIGEST = """
import hashlib, numpy as np
from gnuradio.semcom.phy import LDPC5G
digest = hashlib.sha256()
for k, n in ((30, 90), (100, 300), (1536, 4608), (3840, 5760), (8448, 12672)):
    llr = np.random.default_rng(k).normal(1.2, 1.9, (6, n)).astype(np.float32)
    for array in LDPC5G(k, n).decode(llr, 12):
        digest.update(array.tobytes())
print(digest.hexdigest())
"""


def test_every_kernel_gives_the_same_bits():
    found = {
        subprocess.run(
            [sys.executable, "-c", DIGEST], env={**os.environ, "SEMCOM_KERNEL": kernel},
            capture_output=True, text=True, check=True, timeout=120,
        ).stdout
        for kernel in ("", "avx2", "plain")
    }  # fmt: skip
    assert len(found) == 1


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"k": 23, "n": 100}, "k"), ({"k": 8449, "n": 10000}, "k"), ({"k": 100, "n": 99}, "n"),
        ({"k": 1.5, "n": 100}, "k"), ({"k": 100, "n": 200, "rv": 4}, "rv"),
        ({"k": 100, "n": 200, "alpha": 0.0}, "alpha"),
        ({"k": 100, "n": 200, "alpha": float("nan")}, "alpha"), ({"k": 100, "n": 2**20 + 1}, "n"),
    ],
)  # fmt: skip
def test_an_impossible_code_is_refused_by_name(arguments, name):
    with pytest.raises(ValueError, match=rf"^{name} must be"):
        LDPC5G(**arguments)


def test_wrong_arrays_are_refused_by_name():
    code = LDPC5G(100, 300)
    for bits in (np.zeros((2, 99), np.uint8), np.full((1, 100), 2), np.zeros((1, 100)), np.uint8(1)):
        with pytest.raises(ValueError, match="bits must"):
            code.encode(bits)
    for llr in (np.zeros((2, 299), np.float32), np.zeros((1, 300), complex), np.float32(1)):
        with pytest.raises(ValueError, match="llr must"):
            code.decode(llr)
    with pytest.raises(ValueError, match="max_iterations must"):
        code.decode(np.zeros((1, 300), np.float32), 0)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Round trips without noise over everything that is legal: sizes, modulations, redundancy versions, payloads, codes.

Which transmission can be decoded at all is no matter of taste: without noise a bit that was not sent is an erasure,
and message passing finds an erased bit exactly if some parity check misses no other (Luby, Mitzenmacher, Shokrollahi,
Spielman, "Efficient erasure correcting codes", IEEE Trans. IT 2001). `found_by_peeling` does just that on the lifted
graph, so the decoder is held to: right where peeling ends, and never "ok" with a wrong bit.
"""

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gnuradio.semcom.phy.ldpc as ldpc
from gnuradio.semcom.phy import LDPC5G, Modulation
from gnuradio.semcom.phy.mcs import get, names
from gnuradio.semcom.phy.modulation import BITS_PER_SYMBOL, METHODS
from gnuradio.semcom.phy.polar import Polar
from gnuradio.semcom.phy.segmentation import CODES, DEFAULT_BLOCK_BITS, layout
from gnuradio.semcom.phy.stages import ChannelDecoder, ChannelEncoder, Mapper, SoftDemapper

ORDER = (0, 2, 3, 1)  # of hybrid ARQ
ITERATIONS = 100


def fuzz(examples):
    """The same bounded number of examples in every run, however slow the machine."""
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None)


@lru_cache(maxsize=2)
def base_graph(number):
    table = np.loadtxt(Path(ldpc.__file__).parent / "data" / f"base_graph_{number}.tsv", int, "#", "\t", skiprows=1)
    return table[:, 0], table[:, 1], table[:, 2:]


def found_by_peeling(code):
    """Which bits of the whole word follow from those that are sent, bool [columns * z], and after how many rounds."""
    z, systematic = code.z, {1: 22, 2: 10}[code.base_graph]
    lifting_set = next(i for i, a in enumerate((2, 3, 5, 7, 9, 11, 13, 15)) for j in range(8) if a << j == z)
    row, column, shift = base_graph(code.base_graph)
    lane = np.arange(z)
    check = (row[:, None] * z + lane).ravel()
    bit = (column[:, None] * z + (lane + shift[:, lifting_set, None]) % z).ravel()
    known = np.zeros((column.max() + 1) * z, bool)
    known[code.k : systematic * z] = True  # fillers
    for first, length in code._runs:
        known[first : first + length] = True
    rounds = 0
    while True:
        missing = ~known[bit]
        lonely = missing & (np.bincount(check[missing], minlength=check.max() + 1)[check] == 1)
        if not lonely.any():
            return known, rounds
        known[bit[lonely]] = True
        rounds += 1


@st.composite
def codes(draw):
    """Any k, often a small one; any code rate, often a high one; whole symbols; one or several transmissions."""
    k = draw(st.one_of(st.integers(24, 400), st.integers(24, ldpc.MAX_K)))
    rate = draw(st.one_of(st.floats(0.6, 1.0), st.floats(1 / 12, 1.0)))
    modulation = draw(st.sampled_from(sorted(BITS_PER_SYMBOL)))
    bits_per_symbol = BITS_PER_SYMBOL[modulation]
    n = -(-math.ceil(k / rate) // bits_per_symbol) * bits_per_symbol
    rv = draw(st.one_of(st.integers(0, 3), st.lists(st.integers(0, 3), min_size=1, max_size=4)))
    return k, n, modulation, rv


@fuzz(500)
@given(codes(), st.sampled_from(METHODS), st.integers(0, 2**32))
def test_ldpc_words_come_back_through_map_and_demap(parameters, method, seed):
    k, n, modulation, rv = parameters
    code, mapping = LDPC5G(k, n, rv), Modulation(modulation)
    bits = np.random.default_rng(seed).integers(0, 2, (2, k), dtype=np.uint8)
    coded = code.encode(bits)
    llr = mapping.llr(mapping.map(coded), 0.05, method)
    np.testing.assert_array_equal(llr < 0, coded)
    decoded, ok, _ = code.decode(llr, ITERATIONS)
    known, rounds = found_by_peeling(code)
    np.testing.assert_array_equal(decoded[:, known[:k]], bits[:, known[:k]])
    # "ok" asks the core checks, which need the information and four columns of parity
    core = {1: 26, 2: 14}[code.base_graph] * code.z
    assert ok.all() == known[:core].all() or rounds > ITERATIONS
    assert ok.all() or not ok.any()


# The lowest number of coded bits for each information bit with which one transmission of a redundancy version can be
# decoded at all, whatever k: versions 1 and 2 carry few information bits, 3 begins before the end and goes on at the
# beginning.
ALONE = {0: 1 / 0.9, 3: 1 / 0.55, 2: 1 / 0.28, 1: 1 / 0.19}


@fuzz(200)
@given(st.sampled_from(sorted(ALONE)), st.integers(24, ldpc.MAX_K), st.floats(1, 3))
def test_one_transmission_is_enough_from_a_code_rate_that_depends_on_its_version(rv, k, more):
    code = LDPC5G(k, math.ceil(k * ALONE[rv] * more), rv)
    bits = np.random.default_rng(k).integers(0, 2, (1, k), dtype=np.uint8)
    decoded, ok, _ = code.decode(np.float32(3) - np.float32(6) * code.encode(bits), ITERATIONS)
    assert ok.all()
    np.testing.assert_array_equal(decoded, bits)


@fuzz(200)
@given(st.integers(24, ldpc.MAX_K), st.floats(1, 3), st.sampled_from([(0, 1), (0, 2), (0, 3), (0, 2, 3), ORDER]))
def test_version_0_and_any_other_are_enough_at_every_code_rate(k, more, rvs):
    code = LDPC5G(k, math.ceil(k * more), rvs)
    bits = np.random.default_rng(k).integers(0, 2, (1, k), dtype=np.uint8)
    decoded, ok, _ = code.decode(np.float32(3) - np.float32(6) * code.encode(bits), ITERATIONS)
    assert ok.all()
    np.testing.assert_array_equal(decoded, bits)


@st.composite
def polar_codes(draw):
    n = draw(st.sampled_from([32, 64, 128, 256, 512, 1024]))
    crc = draw(st.sampled_from([None, "crc6", "crc11", "crc16", "crc24a", "crc24b", "crc24c"]))
    k = draw(st.integers(1, n - (int(crc[3:].rstrip("abc")) if crc else 0)))
    return k, n, draw(st.integers(1, 32)), crc


@fuzz(300)
@given(polar_codes(), st.sampled_from(sorted(BITS_PER_SYMBOL)), st.integers(0, 2**32))
def test_polar_words_come_back_through_map_and_demap(parameters, modulation, seed):
    code, mapping = Polar(*parameters), Modulation(modulation)
    bits = np.random.default_rng(seed).integers(0, 2, (2, code.k), dtype=np.uint8)
    coded = code.encode(bits)
    padded = np.pad(coded, ((0, 0), (0, -coded.shape[1] % mapping.bits_per_symbol)))
    decoded, ok = code.decode(mapping.llr(mapping.map(padded), 0.05)[:, : code.n])
    np.testing.assert_array_equal(decoded, bits)
    assert ok.all()


SCHEMES = [
    (mcs, code) for mcs in names() for code in CODES
    if code == "ldpc" or int(code.split("-")[1]) * get(mcs).code_rate > 16
]  # fmt: skip


@st.composite
def payloads(draw):
    """A scheme, a code, a block size, and from no bit to some blocks of random bits, zeros or ones."""
    mcs, code = draw(st.sampled_from(SCHEMES))
    block_bits = draw(st.sampled_from([DEFAULT_BLOCK_BITS, 25, 8448]) | st.integers(25, 8448))
    block = layout(10**5, mcs, block_bits, code).block_payload if get(mcs).coded else block_bits
    few = st.integers(0, 3)
    count = draw(few | st.builds(lambda i, d: max(0, i * block + d - 2), few, few) | st.integers(0, 4 * block))
    fill = draw(st.sampled_from(["random", "zeros", "ones"]))
    bits = {"random": np.random.default_rng(count).integers(0, 2, count), "zeros": np.zeros(count)}
    return ChannelEncoder(mcs, block_bits, draw(st.booleans()), code), bits.get(fill, np.ones(count)).astype(np.uint8)


@fuzz(700)
@given(payloads(), st.sampled_from(METHODS))
def test_any_payload_comes_back_through_the_stages(sent, method):
    encoder, bits = sent
    arrays, meta = (bits,), {"id": 0}
    for stage in (encoder, Mapper()):
        arrays, meta = stage.run(arrays, meta)
    assert arrays[0].size == layout(bits.size, encoder.mcs, encoder.block_bits, encoder.code).symbols
    arrays = (arrays[0], np.full(arrays[0].size, 0.05, np.float32))
    for stage in (SoftDemapper(method), ChannelDecoder()):
        arrays, meta = stage.run(arrays, meta)
    np.testing.assert_array_equal(arrays[0], bits)
    assert arrays[0].dtype == np.uint8
    assert meta["blocks_failed"] == 0 and meta["blocks_ok"] == [1] * meta["blocks"]


@pytest.mark.parametrize("mcs", [name for name in names() if get(name).coded])
def test_every_size_of_a_block_of_every_scheme_can_be_decoded(mcs):
    """A step of 41 bits, another start for each scheme; the first hundred sizes all."""
    scheme = get(mcs)
    for k in [*range(25, 125), *range(125 + len(mcs), 8449, 41)]:
        n = -(-k * scheme.code_rate.denominator // (scheme.code_rate.numerator * scheme.bits_per_symbol))
        code = LDPC5G(k, n * scheme.bits_per_symbol, alpha=scheme.alpha)
        bits = np.random.default_rng(k).integers(0, 2, (1, k), dtype=np.uint8)
        decoded, ok, _ = code.decode(np.float32(3) - np.float32(6) * code.encode(bits))
        assert ok.all() and np.array_equal(decoded, bits), code

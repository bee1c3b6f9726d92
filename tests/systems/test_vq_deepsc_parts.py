# SPDX-License-Identifier: GPL-3.0-or-later
"""What VQ-DeepSC is made of: nearest codes, maps of indices to bits, the exact prior, reliability of bits."""

import itertools

import numpy as np
import pytest

from gnuradio.semcom.phy import coding, reliability
from gnuradio.semcom.phy.ldpc import ldpc_code
from gnuradio.semcom.phy.modulation import Modulation
from gnuradio.semcom.phy.segmentation import layout
from gnuradio.semcom.systems.vq_deepsc import bits as maps
from gnuradio.semcom.systems.vq_deepsc import prior as exact
from gnuradio.semcom.systems.vq_deepsc import rans
from gnuradio.semcom.systems.vq_deepsc.presets import get_geometry
from gnuradio.semcom.systems.vq_deepsc.search import nearest

GEOMETRIES = [get_geometry(name) for name in ("four_scales", "three_scales")]
IDS = [geometry.name for geometry in GEOMETRIES]


def random_indices(geometry, tiles, seed):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, s.codes, (tiles, s.grid, s.grid)).astype(np.uint8) for s in geometry.scales]


def random_prior(geometry, seed, size=300):
    rng = np.random.default_rng(seed)
    arrays = {}
    for number, scale in enumerate(geometry.scales):
        shapes = {"near": (10, scale.codes + 1, 64), "place": (64, 64)}
        shapes |= {"mix": (64, 64), "middle": (64,), "output": (64, scale.codes), "bias": (scale.codes,)}
        shapes |= {f"far{other.level}": (4, 9, other.codes, 64) for other in geometry.scales[number + 1 :]}
        arrays |= {f"{scale.name}.{k}": rng.integers(-size, size, v).astype(np.int16) for k, v in shapes.items()}
    return exact.Prior(arrays, geometry)


# the nearest code


@pytest.mark.parametrize(("codes", "dimension"), [(2, 8), (16, 8), (64, 16), (64, 1)])
def test_the_nearest_code_is_the_one_brute_force_finds(codes, dimension):
    rng = np.random.default_rng(codes)
    book = rng.normal(size=(codes, dimension)).astype(np.float32)
    features = rng.normal(size=(2, dimension, 9, 7)).astype(np.float32)
    found = nearest(features, book)
    for t, y, x in np.ndindex(2, 9, 7):
        vector = features[t, :, y, x].tolist()
        gaps = [sum((a - float(b)) ** 2 for a, b in zip(vector, code, strict=True)) for code in book]
        best = int(np.argmin(gaps))
        assert found[t, y, x] == best or gaps[found[t, y, x]] - gaps[best] < 1e-5


def test_of_equally_near_codes_the_lowest_is_taken():
    book = np.array([[1.0], [-1.0], [1.0], [-1.0]], np.float32)
    assert nearest(np.zeros((1, 1, 2, 2), np.float32), book).tolist() == [[[0, 0], [0, 0]]]
    assert nearest(np.full((1, 1, 1, 1), -3, np.float32), book).item() == 1


# indices and bits


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=IDS)
def test_indices_become_bits_in_the_order_of_the_page_and_come_back(geometry):
    indices = random_indices(geometry, 3, 1)
    bits = maps.pack(indices, maps.natural(geometry), geometry)
    assert bits.size == 3 * {"four_scales": 5008, "three_scales": 1904}[geometry.name] == 3 * geometry.bits
    written = "".join(
        format(value, f"0{scale.bits_per_index}b")
        for tile in range(3)
        for index, scale in zip(indices, geometry.scales, strict=True)
        for value in index[tile].reshape(-1)
    )
    assert "".join(map(str, bits)) == written
    labels = [np.random.default_rng(2).permutation(s.codes).astype(np.uint8) for s in geometry.scales]
    for one in (maps.natural(geometry), labels):
        back = maps.unpack(maps.pack(indices, one, geometry), one, geometry)
        for a, b in zip(indices, back, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=IDS)
def test_evidence_is_the_log_likelihood_of_each_code(geometry):
    rng = np.random.default_rng(4)
    labels = [rng.permutation(s.codes).astype(np.uint8) for s in geometry.scales]
    llr = rng.normal(0, 3, 2 * geometry.bits).astype(np.float32)
    found = maps.evidence(llr, labels, geometry)
    p_zero = 1 / (1 + np.exp(-llr.astype(np.float64)))
    at = 0
    for scale, label, one in zip(geometry.scales, labels, found, strict=True):
        assert one.shape == (2, scale.codes, scale.grid, scale.grid)
        part = p_zero[at : at + scale.bits_per_index]  # the first place of the first tile
        at += scale.bits
        wanted = [
            sum(np.log(p if bit == "0" else 1 - p) for p, bit in zip(part, format(word, f"0{len(part)}b"), strict=True))
            for word in label
        ]
        got = one[0, :, 0, 0] - one[0, 0, 0, 0]
        np.testing.assert_allclose(got, np.array(wanted) - wanted[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("codes", "dimension"), [(2, 8), (4, 8), (8, 8), (16, 8), (64, 16)])
def test_the_channel_aware_map_is_a_permutation_that_is_always_the_same_and_never_worse(codes, dimension):
    rng = np.random.default_rng(codes)
    book = rng.normal(size=(codes, dimension)).astype(np.float32)
    usage = rng.dirichlet(np.ones(codes))
    label = maps.channel_aware(book, usage)
    assert label.dtype == np.uint8 and sorted(label) == list(range(codes))
    np.testing.assert_array_equal(label, maps.channel_aware(book, usage))
    natural = np.arange(codes, dtype=np.uint8)
    assert maps.exposure(book, label, usage) <= maps.exposure(book, natural, usage) + 1e-9
    if codes >= 16:
        chance = [maps.exposure(book, rng.permutation(codes).astype(np.uint8), usage) for _ in range(50)]
        assert maps.exposure(book, label, usage) < min(chance)


def test_the_channel_aware_map_is_the_best_there_is_where_all_can_be_tried():
    rng = np.random.default_rng(9)
    book, usage = rng.normal(size=(8, 3)).astype(np.float32), np.full(8, 1 / 8)
    best = min(maps.exposure(book, np.array(p, np.uint8), usage) for p in itertools.permutations(range(8)))
    assert maps.exposure(book, maps.channel_aware(book, usage), usage) == pytest.approx(best)


def test_codes_on_a_line_get_a_gray_like_map():
    line = np.arange(16, dtype=np.float32)[:, None]
    usage = np.full(16, 1 / 16)
    order = np.arange(16)
    gray = (order ^ order >> 1).astype(np.uint8)
    assert maps.exposure(line, maps.channel_aware(line), usage) <= maps.exposure(line, gray, usage) + 1e-9


def test_exposure_is_the_mean_over_codes_and_bits():
    book = np.array([[0.0], [1.0], [5.0], [9.0]], np.float32)
    usage = np.array([0.4, 0.3, 0.2, 0.1])
    label = np.array([2, 0, 3, 1], np.uint8)
    code = np.argsort(label)
    wanted = sum(
        usage[k] * (book[k, 0] - book[code[label[k] ^ flip], 0]) ** 2 / 2 for k in range(4) for flip in (1, 2)
    )
    assert maps.exposure(book, label, usage) == pytest.approx(wanted)


# the entropy coder


def test_the_range_coder_needs_what_the_shares_say():
    rng = np.random.default_rng(0)
    tables = rng.integers(0, 256, 20_000).astype(np.uint8)
    share = (2 * tables.astype(float) + 1) / 512
    bits = (rng.random(20_000) > share).astype(np.uint8)
    data = rans.encode(bits, tables)
    entropy = -(share * np.log2(share) + (1 - share) * np.log2(1 - share)).sum()
    assert 8 * len(data) == pytest.approx(entropy, rel=0.01)
    assert 8 * len(data) == pytest.approx(rans.COST[tables, bits].sum() + 32, abs=64)
    decoder = rans.Decoder(data)
    found = np.concatenate([decoder.take(part) for part in np.split(tables, [7, 7, 9_999])])
    np.testing.assert_array_equal(found, bits)
    assert decoder.finished() and not rans.Decoder(data).finished()


def test_the_range_decoder_stops_at_the_end_and_refuses_what_is_no_bit():
    tables = np.full(1000, 128, np.uint8)
    assert rans.Decoder(b"").take(tables) is None and rans.Decoder(b"abc").take(tables) is None
    decoder = rans.Decoder(bytes(range(40)))
    taken = 0
    while decoder.take(tables[:8]) is not None:
        taken += 8
    assert 200 < taken < 500
    with pytest.raises(ValueError, match="0 or 1"):
        rans.encode(np.array([2], np.uint8), tables[:1])


@pytest.mark.parametrize("tiles", [1, 3])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=IDS)
def test_the_prior_decodes_what_it_encoded_place_by_place(geometry, tiles):
    prior = random_prior(geometry, 5)
    indices = random_indices(geometry, tiles, 6)
    data = prior.encode(indices)
    found, known, finished = prior.decode(data, tiles)
    assert finished and all(one.all() for one in known)
    for a, b in zip(indices, found, strict=True):
        np.testing.assert_array_equal(a, b)
    assert 8 * len(data) == pytest.approx(float(prior.bits(indices).sum()) + 32, abs=32)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=IDS)
def test_a_beginning_of_a_stream_gives_the_coarse_scales_right(geometry):
    prior = random_prior(geometry, 5)
    indices = random_indices(geometry, 2, 6)
    data = prior.encode(indices)
    counts = []
    for length in (0, 3, 40, len(data) // 2, len(data) - 2):
        found, known, finished = prior.decode(data[:length], 2)
        assert not finished
        for a, b, there in zip(indices, found, known, strict=True):
            np.testing.assert_array_equal(a[there == 1], b[there == 1])
        counts.append(sum(int(one.sum()) for one in known))
    assert counts == sorted(counts) and counts[0] == counts[1] == 0 and counts[-1] > counts[-2] > counts[2]
    found, known, _ = prior.decode(data[: len(data) // 2], 2)
    assert known[-1].all() and not known[0].all()


def test_the_priors_powers_of_two_are_exact():
    wanted = np.maximum(1, np.floor(65536 * 2.0 ** (-np.arange(512) / 16) + 0.5))
    np.testing.assert_array_equal(exact._powers(), wanted)


def test_shares_do_not_depend_on_how_they_are_added():
    """The same integers from float32 matrix products in any order, and from Python's own integers."""
    geometry = GEOMETRIES[0]
    prior = random_prior(geometry, 8, size=511)
    scale = prior.scales[0]
    sums = np.random.default_rng(1).integers(-5000, 5000, (50, 64)).astype(np.int32)

    def layer(rows, weights, biases):
        columns = list(zip(weights.T.astype(int).tolist(), biases.astype(int).tolist(), strict=True))
        return np.array([[sum(map(int.__mul__, row, column)) + bias for column, bias in columns] for row in rows])

    hidden = np.clip((sums.astype(int) + 8) >> 4, 0, 127)
    hidden = np.clip((layer(hidden.tolist(), scale.mix, scale.middle) + 32) >> 6, 0, 127)
    logits = layer(hidden.tolist(), scale.output, scale.bias)
    below = (np.max(logits, axis=1, keepdims=True) - logits) >> 6
    np.testing.assert_array_equal(scale.frequencies(sums), exact._powers()[np.minimum(below, 511)])


# how sure bits are


def test_each_information_bit_is_found_where_it_was_sent():
    for k, n, mcs in ((1276, 3828, "16qam-1/3"), (976, 1952, "qpsk-1/2"), (300, 330, "qpsk-2/3")):
        code = ldpc_code(k, n)
        bits = np.random.default_rng(k).integers(0, 2, (3, k)).astype(np.uint8)
        words, places = code.encode(bits), code.systematic()
        assert mcs and (places < 0).sum() == 2 * code.z
        np.testing.assert_array_equal(words[:, places[places >= 0]], bits[:, places >= 0])


def test_llrs_of_failed_blocks_are_right_as_often_as_they_say():
    plan = layout(5008, "16qam-1/3")
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 2, 5008).astype(np.uint8)
    words = coding.encode(bits, plan)
    modulation = Modulation("16qam")
    symbols = modulation.map(words.reshape(-1))
    noise = rng.normal(0, np.sqrt(0.5 / 10**0.2), (2, symbols.size))
    variance = np.full(symbols.size, 1 / 10**0.2, np.float32)
    llr = modulation.llr((symbols + noise[0] + 1j * noise[1]).astype(np.complex64), variance, "exact").reshape(4, -1)
    llr[3] = 30 * (1 - 2.0 * words[3])  # a good block
    found, ok = coding.decode(llr, plan)
    assert ok.tolist() == [False, False, False, True]
    doubt = reliability.of_blocks(llr, found, ok, plan)
    assert doubt.shape == (5008,) and (np.abs(doubt[-1252:]) == reliability.LARGEST).all()
    np.testing.assert_array_equal(doubt[-1252:] < 0, bits[-1252:])
    failed = doubt[: 3 * 1252]
    wrong = (failed < 0) != bits[: 3 * 1252]
    assert np.mean(wrong) == pytest.approx(np.mean(1 / (1 + np.exp(np.abs(failed)))), abs=0.03)


def test_llrs_survive_as_text():
    llr = np.array([0.0, 0.3, -5.1, 1e9, -np.inf, np.nan, 31.7], np.float32)
    back = reliability.unpacked(reliability.packed(llr), 7)
    np.testing.assert_allclose(back, [0, 0.25, -5, 31.75, -31.75, 0, 31.75])
    for text, count in ((reliability.packed(llr), 6), ("%%%", 3), (None, 2), ("", 5), (7, 1)):
        assert reliability.unpacked(text, count).size == 0

# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input: broken LLRs and symbols, next to nothing to send, packets cut short, arguments out of range.

And the decoders' C++ paths: whatever the input, every processor gives the same bits.
"""

import ctypes
import dataclasses
import hashlib
import importlib
import json
import math
import os
import pkgutil
import platform
import shutil
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr

from gnuradio.semcom import kernels, packets, phy
from gnuradio.semcom.blocks.channel import channel
from gnuradio.semcom.blocks.collect_sink import collect_sink
from gnuradio.semcom.blocks.digital_rx import digital_rx
from gnuradio.semcom.blocks.digital_tx import digital_tx
from gnuradio.semcom.blocks.message_source import message_source
from gnuradio.semcom.packets import FlowgraphError
from gnuradio.semcom.phy import LDPC5G, Modulation, bounds, segmentation, tdl
from gnuradio.semcom.phy.channel_stages import Channel, MultipathChannel, RadioImpairments
from gnuradio.semcom.phy.harq import HarqDecoder, HarqEncoder
from gnuradio.semcom.phy.mcs import get
from gnuradio.semcom.phy.modulation import BITS_PER_SYMBOL, METHODS
from gnuradio.semcom.phy.polar import Polar
from gnuradio.semcom.phy.stages import (
    ChannelDecoder,
    ChannelEncoder,
    Deframer,
    Equaliser,
    Framer,
    Mapper,
    SoftDemapper,
)
from gnuradio.semcom.stage import Stage

LIMIT_S = 60
PATHS = ("avx512", "avx2", "plain")


def path_in_use(decoder):
    function = getattr(kernels.library(), f"semcom_{decoder}_kernel")
    function.restype = ctypes.c_char_p
    return function().decode()


@pytest.fixture(params=PATHS)
def path(request, monkeypatch):
    """Each C++ path that this processor has; the library asks the environment at every call."""
    monkeypatch.setenv("SEMCOM_KERNEL", request.param)
    found = {path_in_use("ldpc"), path_in_use("polar")}
    if found != {request.param}:
        pytest.skip(f"this processor has no {request.param}")
    return request.param


def words(code, count, deviation, seed=1, amplitude=2.0):
    """Random words, their LLRs with noise."""
    rng = np.random.default_rng([seed, code.k, code.n])
    bits = rng.integers(0, 2, (count, code.k), dtype=np.uint8)
    coded = code.encode(bits)
    noise = rng.normal(0, deviation, coded.shape)
    return bits, (amplitude * (1 - 2.0 * coded) + noise).astype(np.float32)


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


# --- broken LLRs -----------------------------------------------------------------------------------------------------

DECODERS = {
    "base graph 2": LDPC5G(300, 900), "base graph 1": LDPC5G(1000, 1300), "repeated": LDPC5G(40, 700, rv=2),
    "two versions": LDPC5G(200, 300, rv=(0, 2)), "polar": Polar(100, 256, 8),
    "polar with CRC": Polar(64, 128, 4, "crc11"),
}  # fmt: skip
ALIKE = [
    ("NaN", np.nan, 0.0), ("NaN with its sign set", -np.nan, 0.0), ("smallest", 1e-45, 0.0), ("denormal", -1e-39, 0.0),
    ("infinity", np.inf, 1e6), ("negative infinity", -np.inf, -1e6), ("largest", np.finfo(np.float32).max, 1e6),
    ("negative zero", -0.0, 0.0),
]  # fmt: skip


@pytest.mark.parametrize("value", ALIKE, ids=lambda value: value[0])
@pytest.mark.parametrize("name", DECODERS)
def test_nan_says_nothing_and_infinity_is_a_large_number(name, value, path):
    code = DECODERS[name]
    _, llr = words(code, 6, 1.6)
    broken, same = llr.copy(), llr.copy()
    broken[:, ::7] = value[1]
    same[:, ::7] = value[2]
    assert_same(code.decode(broken), code.decode(same))


@pytest.mark.parametrize("name", DECODERS)
def test_a_block_of_nonsense_is_not_ok_and_harms_no_other(name, path):
    code = DECODERS[name]
    bits, llr = words(code, 12, 0.6)
    good, ok, *_ = code.decode(llr)
    assert ok.all()
    np.testing.assert_array_equal(good, bits)
    with np.errstate(over="ignore"):
        nonsense = np.random.default_rng(1).integers(0, 2**32, llr.shape[1], np.uint32).view(np.float32)
    for row, value in enumerate((0.0, np.nan, 1e-45, -1e-45, -np.inf, nonsense)):
        llr[2 * row] = value
    broken, ok, *_ = code.decode(llr)
    np.testing.assert_array_equal(broken[1::2], bits[1::2])
    assert ok[1::2].all()
    assert not ok[:8:2].any()  # nothing is known of these
    assert broken.max() <= 1
    if name != "polar":  # without a CRC a polar decoder cannot tell
        assert not ok[8::2].any()


@pytest.mark.parametrize("name", DECODERS)
def test_certain_zeros_are_the_zero_word(name, path):
    code = DECODERS[name]
    for value in (np.inf, 3e38, 1.0):
        bits, ok, *_ = code.decode(np.full((1, code.encode(np.zeros(code.k, np.uint8)).size), value, np.float32))
        assert ok.all() and not bits.any()


# --- the same bits on every processor --------------------------------------------------------------------------------

MANY_CODES = (
    # both base graphs, every kind of lifting size (below, at and beside the vectors' widths), repetition, high code
    # rates, several versions
    [(24, 60, 0), (31, 40, 3), (64, 770, 0), (97, 200, 2), (190, 400, 1), (292, 328, 0), (293, 400, 0), (575, 1725, 0),
     (640, 2000, (2, 3)), (1536, 4608, 0), (1600, 1800, 0), (2049, 3100, 1), (3840, 5000, (0, 2)), (3841, 5000, 0),
     (5000, 16000, 3), (8448, 9504, 0)]
)  # fmt: skip
MANY_POLAR_CODES = [(1, 32, 1, None), (20, 32, 32, "crc6"), (60, 128, 2, None), (100, 256, 5, "crc11"),
                    (256, 512, 4, None), (500, 1024, 8, "crc24c"), (1023, 1024, 16, None)]  # fmt: skip


def digest_of_random_words():
    """Of bits, verdicts and iterations of words from hopeless to easy, broken values among them."""
    digest = hashlib.sha256()
    for k, n, rv in MANY_CODES:
        code = LDPC5G(k, n, rv)
        for deviation in (1.2, 1.7, 2.2, 3.0):
            _, llr = words(code, 12, deviation, seed=2)
            llr[3, ::11], llr[4, ::13], llr[5] = np.nan, np.inf, llr[5] * 1e4
            for array in code.decode(llr, 20):
                digest.update(array.tobytes())
    for k, n, list_size, crc in MANY_POLAR_CODES:
        polar = Polar(k, n, list_size, crc)
        for deviation in (1.0, 1.8, 2.6):
            _, llr = words(polar, 21, deviation, seed=2)
            llr[3, ::11], llr[4, ::13], llr[5] = np.nan, -np.inf, llr[5] * 1e4
            for array in polar.decode(llr):
                digest.update(array.tobytes())
    return digest.hexdigest()


def test_thousands_of_words_decode_alike_on_every_path(monkeypatch):
    found = {}
    for wish in PATHS:
        monkeypatch.setenv("SEMCOM_KERNEL", wish)
        if path_in_use("ldpc") == path_in_use("polar") == wish:
            found[wish] = digest_of_random_words()
    assert "plain" in found and len(set(found.values())) == 1
    if len(found) == 1:
        pytest.skip("this processor has the plain path only")


EMULATED = """
    import ctypes, hashlib, struct, sys
    library = ctypes.CDLL(sys.argv[1])
    library.semcom_ldpc_kernel.restype = ctypes.c_char_p
    data = sys.stdin.buffer.read()
    def take(format):
        global data
        size = struct.calcsize(format)
        values, data = struct.unpack(format, data[:size]), data[size:]
        return values
    def block():
        global data
        (size,) = take("<q")
        found, data = data[:size], data[size:]
        return found
    k, systematic, z, columns, rows, runs, n, alpha, blocks = take("<9i")
    llr, starts, column, shift, pairs = (block() for _ in range(5))
    out = [ctypes.create_string_buffer(size) for size in (blocks * k, blocks, 4 * blocks)]
    assert 0 == library.semcom_ldpc_decode(llr, ctypes.c_int64(blocks), k, systematic, z, columns, rows, starts, column,
                                           shift, pairs, runs, n, alpha, 20, *out)
    sizes = (blocks * k, blocks, 4 * blocks)
    digest = hashlib.sha256(b"".join(o.raw[:size] for o, size in zip(out, sizes)))
    print(library.semcom_ldpc_kernel().decode(), digest.hexdigest())
"""


@pytest.mark.parametrize(("processor", "expected"), [("Nehalem", "plain"), ("Haswell", "avx2")])
def test_an_emulated_processor_decodes_alike(processor, expected):
    """Emulation refuses instructions that the processor lacks, so nothing of AVX has slipped into the plain path.

    Without numpy, which itself does not start there.
    """
    emulator = shutil.which("qemu-x86_64")
    if emulator is None or platform.machine() != "x86_64":
        pytest.skip("needs qemu-x86_64 (Debian package qemu-user) on an x86-64 host")
    code = LDPC5G(1536, 4608)
    _, llr = words(code, 8, 2.0, seed=3)
    starts, column, shift = code._used_edges
    numbers = (code.k, code._systematic, code.z, code._columns, code._decoder_rows, len(code._runs), code.n,
               code._alpha, len(llr))  # fmt: skip
    stdin = struct.pack("<9i", *numbers)
    for array in (llr, starts, column, shift, code._runs):
        stdin += struct.pack("<q", array.nbytes) + array.tobytes()
    done = subprocess.run(
        [emulator, "-cpu", processor, "/usr/bin/python3", "-S", "-c", textwrap.dedent(EMULATED),
         kernels.library()._name],
        input=stdin, capture_output=True, check=True, timeout=120,
        env={name: value for name, value in os.environ.items() if name != "SEMCOM_KERNEL"},
    )  # fmt: skip
    digest = hashlib.sha256()
    for array in code.decode(llr, 20):
        digest.update(array.astype(np.uint8 if array.dtype == bool else array.dtype).tobytes())
    assert done.stdout.decode().split() == [expected, digest.hexdigest()]


# --- broken symbols --------------------------------------------------------------------------------------------------

BROKEN_SYMBOLS = [
    complex(np.nan, 0.4), complex(0.4, np.nan), complex(np.nan, np.nan), complex(np.inf, 0.4), complex(0.4, -np.inf),
    complex(-np.inf, np.inf), complex(3e38, -3e38), complex(1e-45, -1e-45), 0,
]  # fmt: skip
NOISE_VARIANCES = [1e-45, 1e-38, 1e-3, 1.0, 1e20, 3e38, np.inf]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", BITS_PER_SYMBOL)
def test_a_broken_symbol_says_nothing_wrong_and_harms_no_other(name, method):
    modulation = Modulation(name)
    rng = np.random.default_rng(6)
    bits = rng.integers(0, 2, 40 * modulation.bits_per_symbol, dtype=np.uint8)
    sent = modulation.map(bits)
    for variance in NOISE_VARIANCES:
        received = np.repeat(sent, 2)
        received[1::2] = np.resize(np.array(BROKEN_SYMBOLS, np.complex64), sent.size)
        each = np.full(received.size, variance, np.float32)
        each[::2] = 0.1
        llr = modulation.llr(received, each, method).reshape(received.size, -1)
        assert not np.isnan(llr).any()
        np.testing.assert_array_equal(llr[::2].reshape(-1), modulation.llr(sent, np.float32(0.1), method))
        if name == "bpsk":
            continue
        for number, symbol in enumerate(BROKEN_SYMBOLS):
            for part, value in enumerate((symbol.real, symbol.imag)):
                first = llr[1::2][number, part]  # the sign's bit: 0 for a positive amplitude
                assert first == 0 or (not math.isnan(value) and (first > 0) == (value > 0))
        if variance == np.inf:
            assert not llr[1::2].any()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [complex(np.nan, np.nan), complex(np.inf, -np.inf), 0], ids=str)
@pytest.mark.parametrize(("mcs", "code"), [("qpsk-1/3", "ldpc"), ("16qam-1/2", "ldpc"), ("qpsk-1/3", "polar-512")])
def test_a_message_survives_a_few_broken_samples(mcs, code, value):
    bits = np.random.default_rng(1).integers(0, 2, 3000, dtype=np.uint8)
    (burst,), meta = run((ChannelEncoder(mcs, code=code), Mapper(), Framer()), bits)
    burst = burst.copy()
    burst[::23] = value
    ones = np.ones_like(burst)
    meta["esn0_db"] = 12.0
    arrays = burst, ones
    for stage in RECEIVER:
        arrays, meta = stage.run(arrays, meta)
    assert meta["blocks_failed"] == 0
    np.testing.assert_array_equal(arrays[0], bits)


# --- next to nothing to send -----------------------------------------------------------------------------------------

RECEIVER = (Equaliser(), Deframer(), SoftDemapper(), ChannelDecoder())
LEAST = [
    ("qpsk-1/12", "ldpc"), ("256qam-8/9", "ldpc"), ("qpsk-1/3", "polar-128"), ("64qam-5/6", "polar-1024"),
    ("uncoded-qpsk", "ldpc"), ("uncoded-16qam", "ldpc"),
]  # fmt: skip


def run(stages, bits, meta=None):
    arrays, meta = (bits,), {"id": 0} | (meta or {})
    for stage in stages:
        arrays, meta = stage.run(arrays, meta)
    return arrays, meta


@pytest.mark.parametrize("model", ["awgn", "rayleigh", "rician"])
@pytest.mark.parametrize("fading", ["symbol", "packet", "7", "doppler"])
@pytest.mark.parametrize(("mcs", "code"), LEAST)
def test_no_bit_and_one_bit_pass_the_chain(mcs, code, fading, model):
    encoder = ChannelEncoder(mcs, code=code)
    for count in (0, 1, 2):
        bits = np.ones(count, np.uint8)
        channels = Channel(model, 60.0, fading, seed=2)
        (received,), meta = run((encoder, Mapper(), Framer(), channels, *RECEIVER), bits)
        np.testing.assert_array_equal(received, bits)
        assert received.dtype == np.uint8
        assert meta["symbols_total"] == segmentation.symbols_total(count, mcs, code=code)
        assert (meta["symbols_total"] == 0) == (count == 0) == (meta["blocks_ok"] == [])


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize(
    "stage",
    [MultipathChannel("TDL-A", doppler_hz=100.0), MultipathChannel("TDL-D", tail=True), RadioImpairments(),
     RadioImpairments(0.01, 50.0, 1e-4, 3.0, 1.0, 2.0)],
)  # fmt: skip
def test_an_empty_burst_passes_the_radio_channels(stage, size):
    for array in stage.run((np.ones(size, np.complex64),), {"id": 1})[0]:
        assert np.isfinite(array).all()


def test_next_to_nothing_passes_a_flowgraph_in_order():
    lengths = (0, 1, 0, 0, 1, 1513, 0, 1)
    rng = np.random.default_rng(5)
    sent = [(rng.integers(0, 2, length, np.uint8), {"id": number}) for number, length in enumerate(lengths)]
    for mcs, code in LEAST:
        tb = gr.top_block()
        chain = message_source(sent), digital_tx(mcs, code=code), channel(esn0_db=60.0), digital_rx(), collect_sink()
        tb.kept = chain
        connect(tb, chain)
        packets.run(tb, timeout_s=LIMIT_S)
        received = chain[-1].received
        assert [meta["id"] for _, meta in received] == list(range(len(lengths)))
        for (bits, _), (got, meta) in zip(sent, received, strict=True):
            np.testing.assert_array_equal(got, bits)
            assert meta["blocks_failed"] == 0


def connect(tb, chain):
    for left, right in zip(chain, chain[1:], strict=False):
        tb.connect((left, 0), (right, 0))
        if isinstance(right, digital_rx):
            tb.connect((left, 1), (right, 1))


# --- packets that are not what their tags say ------------------------------------------------------------------------


def burst_and_meta(mcs="16qam-1/3"):
    (burst,), meta = run((ChannelEncoder(mcs), Mapper(), Framer()), np.ones(3000, np.uint8))
    return burst, {**meta, "esn0_db": 20.0}


def receive(sources):
    """Burst and coefficients from two native or packet sources through the receiver."""
    tb = gr.top_block()
    tb.kept = receiver, sink = digital_rx(), collect_sink()
    tb.sources = sources
    for port, source in enumerate(sources):
        tb.connect(source, (receiver, port))
    tb.connect(receiver, sink)
    packets.run(tb, timeout_s=LIMIT_S)
    return sink.received


def tagged(samples, length, meta):
    encoded = json.dumps(meta).encode()
    tags = {"packet_len": pmt.from_long(length), "packet_meta": pmt.init_u8vector(len(encoded), list(encoded))}
    made = [gr.python_to_tag({"offset": 0, "key": pmt.intern(k), "value": v}) for k, v in tags.items()]
    return blocks.vector_source_c(samples, tags=made)


def test_a_burst_from_a_native_source_is_received():
    burst, meta = burst_and_meta()
    ((bits, _),) = receive([tagged(x, burst.size, meta) for x in (burst, np.ones_like(burst))])
    np.testing.assert_array_equal(bits, np.ones(3000, np.uint8))


@pytest.mark.parametrize("short", [0, 1])
def test_a_burst_that_ends_before_its_tag_says_stops_the_receiver_by_name(short):
    burst, meta = burst_and_meta()
    whole = np.ones_like(burst)
    sources = [tagged(x[: -5 if port == short else None], burst.size, meta) for port, x in enumerate((burst, whole))]
    with pytest.raises(FlowgraphError, match=rf"equaliser.* ended {burst.size - 5} items .* packet of {burst.size}"):
        receive(sources)


def test_a_native_block_that_cuts_the_stream_is_noticed():
    tb = gr.top_block()
    sent = [(np.ones(1000, np.uint8), {"id": number}) for number in range(5)]
    tb.kept = chain = message_source(sent), digital_tx("qpsk-1/2"), blocks.head(gr.sizeof_gr_complex, 2500)
    tb.end = middle, sink = channel(), collect_sink(dtype=np.complex64)
    tb.connect(*chain, middle)
    tb.connect((middle, 0), sink)
    tb.connect((middle, 1), blocks.null_sink(gr.sizeof_gr_complex))
    with pytest.raises(FlowgraphError, match=r"channel.*ended \d+ items into a packet of"):
        packets.run(tb, timeout_s=LIMIT_S)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda meta: meta | {"digital": 10**6}, r"deframer.*needs 1000000 digital"),
        (lambda meta: {k: v for k, v in meta.items() if k != "mcs"}, "needs 'mcs'"),
        (lambda meta: meta | {"mcs": "64qam-2/3"}, r"needs 2 blocks of \d+ LLRs"),
        (lambda meta: meta | {"blocks": 3}, r"needs 3 blocks of \d+ LLRs"),
        (lambda meta: meta | {"code": "turbo"}, "code must be one of ldpc"),
    ],
)
def test_a_packet_that_is_not_what_its_meta_says_stops_the_graph_with_what_was_expected(change, message):
    burst, meta = burst_and_meta()
    with pytest.raises(FlowgraphError, match=message):
        receive([message_source([(x, change(meta))], np.complex64) for x in (burst, np.ones_like(burst))])


# --- arguments out of range ------------------------------------------------------------------------------------------

NAN, INF = math.nan, math.inf
BLOCK_BITS = ([24, 8449, -1, 0, NAN], "block_bits must be (an integer )?from 25 to 8448")
MCS_NAMES = (["16qam", "qpsk-1/7", "", None, 3], "mcs must be one of qpsk-1/12, .*, 256qam-8/9")
MODELS = (["cable", "", None], "channel must be one of awgn, rayleigh, rician")
ESN0_DB = ([NAN, INF, -INF], "esn0_db must be a finite number")
SEED = ([-1], "seed must be at least 0")
ITERATIONS = ([0, -1, 10_001, NAN], "max_iterations must be (an integer )?from 1 to 10000")
PARTS = (["all", "", None], "payload must be one of bits, symbols, both")

# Values that are refused, and what the message says is legal.
REFUSED = {
    ChannelEncoder: {
        "mcs": MCS_NAMES, "block_bits": BLOCK_BITS,
        "code": (["turbo", "polar", "polar-100", None], "code must be one of ldpc, polar-128, .*, polar-1024"),
    },
    HarqEncoder: {
        "mcs": MCS_NAMES, "block_bits": BLOCK_BITS, "max_transmissions": ([0, 5, -1], "must be from 1 to 4"),
        "code": (["turbo", None], "code must be one of ldpc"),
    },
    Framer: {"payload": PARTS},
    Channel: {
        "model": MODELS, "esn0_db": ESN0_DB, "seed": SEED, "rician_k": ([-0.1, INF, NAN], "at least 0 and finite"),
        "fading": (["never", 0, -3, "", None, NAN], "must be symbol, packet, doppler or a block length of at least 1"),
        "doppler": ([-0.1, 0.51, NAN], "doppler must be from 0 to 0.5 cycles a symbol"),
    },
    MultipathChannel: {
        "profile": (["TDL-F", "A", None], f"profile must be one of {', '.join(tdl.PROFILES)}"), "esn0_db": ESN0_DB,
        "delay_spread_s": ([-1e-9, 1.0, NAN], "must be from 0 to 256 samples, 0.000256 s"),
        "sample_rate_hz": ([0.0, -1.0, INF, NAN], "must be above 0 Hz and finite"), "seed": SEED,
        "doppler_hz": ([-1.0, 500_001.0, NAN], "must be from 0 to half the sample rate, 500000 Hz"),
    },
    RadioImpairments: {
        "carrier_offset": ([-0.6, 0.6, NAN], "carrier_offset must be from .* to"),
        "sampling_offset_ppm": ([1e9, -1e9, NAN], "sampling_offset_ppm must be from .* to"),
        "linewidth": ([-1e-9, 10.0, NAN], "linewidth must be from .* to"),
        "clip_db": ([-1e3, NAN], "clip_db must be from .* to"), "seed": SEED,
        "iq_gain_db": ([1e3, -1e3, NAN], "iq_gain_db must be from .* to"),
        "iq_phase_deg": ([361.0, -361.0, NAN], "iq_phase_deg must be from .* to"),
    },
    Deframer: {"payload": PARTS},
    SoftDemapper: {"method": (["hard", "", None], "method must be one of exact, maxlog")},
    ChannelDecoder: {"max_iterations": ITERATIONS},
    HarqDecoder: {"max_iterations": ITERATIONS},
}  # fmt: skip


def all_stages():
    found = set()
    for module in pkgutil.iter_modules(phy.__path__):
        for value in vars(importlib.import_module(f"{phy.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Stage) and value is not Stage:
                found.add(value)
    return sorted(found, key=lambda stage: stage.__qualname__)


@pytest.mark.parametrize("stage", all_stages(), ids=lambda stage: f"{stage.__module__.split('.')[-1]}.{stage.__name__}")
def test_no_stage_takes_nonsense_for_any_parameter(stage):
    """Also stages that are not in the table: an unknown name, a negative whole number, a number that is none."""
    for parameter in dataclasses.fields(stage):
        nonsense = {str: "no such name", int: -1, float: NAN}.get(type(parameter.default))
        if nonsense is not None:
            with pytest.raises(ValueError, match="must be|needs|no room"):
                stage(**{parameter.name: nonsense})


@pytest.mark.parametrize("stage", REFUSED)
def test_a_stage_refuses_what_is_out_of_range_before_anything_runs(stage):
    stage()
    for name, (values, message) in REFUSED[stage].items():
        for value in values:
            with pytest.raises(ValueError, match=message):
                stage(**{name: value})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LDPC5G(23, 100), "k must be from 24 to 8448, not 23"),
        (lambda: LDPC5G(8449, 20_000), "k must be from 24 to 8448"),
        (lambda: LDPC5G(100, 99), "n must be from 100 to 1048576, not 99"),
        (lambda: LDPC5G(100, 2**20 + 1), "n must be from 100 to 1048576"),
        (lambda: LDPC5G("100", 300), "k must be an integer from 24 to 8448"),
        (lambda: LDPC5G(100, 300.0), "n must be an integer from 100 to 1048576"),
        (lambda: LDPC5G(100, 300, rv=4), "rv must be from 0 to 3, not 4"),
        (lambda: LDPC5G(100, 300, rv=None), "rv must be an integer from 0 to 3"),
        (lambda: LDPC5G(100, 300, rv=()), "rv must name 1 to 3495 transmissions"),
        (lambda: LDPC5G(100, 300, alpha=1.01), "alpha must be above 0 and at most 1"),
        (lambda: Polar(0, 512), "k must be from 1 to 512, not 0"),
        (lambda: Polar(513, 512), "k must be from 1 to 512, not 513"),
        (lambda: Polar(500, 512, crc="crc16"), "k must be from 1 to 496, not 500"),
        (lambda: Polar(10, 500), "n must be a power of two from 32 to 1024"),
        (lambda: Polar(10, 16), "n must be from 32 to 1024"), (lambda: Polar(10, 2048), "n must be from 32 to 1024"),
        (lambda: Polar(10, None), "n must be an integer from 32 to 1024"),
        (lambda: Polar(256, 512, 0), "list_size must be from 1 to 32"),
        (lambda: Polar(256, 512, 33), "list_size must be from 1 to 32"),
        (lambda: Polar(256, 512, 4.0), "list_size must be an integer from 1 to 32"),
        (lambda: Polar(256, 512, crc="crc32"), "crc must be one of crc24a, .*, crc6"),
        (lambda: Modulation("8psk"), "modulation must be one of bpsk, qpsk, 16qam, 64qam, 256qam"),
        (lambda: Modulation(None), "modulation must be one of bpsk, qpsk, 16qam, 64qam, 256qam"),
        (lambda: get("16qam-9/10"), "mcs must be one of qpsk-1/12, .*, 256qam-8/9"),
        (lambda: segmentation.layout(10, "qpsk-1/12", code="polar-128"), "no room for more than its CRC"),
        (lambda: bounds.uncoded_ber("psk", 3.0), "modulation must be one of"),
        (lambda: Polar().decode(np.zeros(511, np.float32)), r"llr must have shape \[B, 512\], not \[511\]"),
        (lambda: Polar().encode(np.zeros((2, 255), np.uint8)), r"bits must have shape \[B, 256\], not \[2, 255\]"),
        (lambda: Polar().encode(np.full(256, 2)), "bits must be 0 and 1, found 2 to 2"),
        (lambda: Polar().decode(np.zeros(512, complex)), "llr must be real numbers"),
    ],
)  # fmt: skip
def test_what_is_outside_the_tables_is_refused_with_the_legal_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_status_of_a_program_whose_stream_ends_inside_a_packet_is_not_0():
    program = """
        import numpy as np, pmt
        from gnuradio import blocks, gr
        from gnuradio.semcom.blocks.collect_sink import collect_sink
        tag = gr.python_to_tag({"offset": 0, "key": pmt.intern("packet_len"), "value": pmt.from_long(300)})
        tb = gr.top_block()
        chain = blocks.vector_source_b([1] * 200, tags=[tag]), collect_sink()
        tb.connect(*chain)
        tb.run()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 1
    assert "ended 200 items into a packet of 300" in done.stderr

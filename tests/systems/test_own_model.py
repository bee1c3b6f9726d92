# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of the user's own, described by a card: right ones run in the link, wrong ones are refused by name."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml

from gnuradio.semcom.links import Link
from gnuradio.semcom.media.images import write_png
from gnuradio.semcom.message import Message, Received
from gnuradio.semcom.systems import registry, stages
from gnuradio.semcom.systems.base import Request
from gnuradio.semcom.systems.own_model import convert, from_card, read_card, shipped_card
from gnuradio.semcom.systems.own_model.networks import ModelFault
from gnuradio.semcom.systems.own_model.shapes import Tensor

onnx = pytest.importorskip("onnx")
helper, kinds = onnx.helper, onnx.TensorProto
TYPES = {"float32": kinds.FLOAT, "uint8": kinds.UINT8, "int64": kinds.INT64, "int32": kinds.INT32}
PICTURE = ["1", "3", "H", "W"]
ONES = np.ones((3, 1, 4, 4), np.float32)


def node(kind, inputs, outputs="y", **attributes):
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def network(path, nodes, given, gives, constants=None):
    """An ONNX file: `given` and `gives` are (name, type, shape), shapes with names where they are free."""
    infos = [[helper.make_tensor_value_info(n, TYPES.get(t, t), s) for n, t, s in part] for part in (given, gives)]
    tensors = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", *infos, tensors)
    made = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(made.SerializeToString())


SHRINK = [node("AveragePool", "x", kernel_shape=[4, 4], strides=[4, 4])]
GROW = [node("ConvTranspose", "x ones", group=3, strides=[4, 4])]
QUANTISE = [
    node("AveragePool", "x", "a", kernel_shape=[4, 4], strides=[4, 4]),
    node("Mul", "a scale", "b"),
    node("Floor", "b", "c"),
    node("Clip", "c zero top", "d"),
    node("Cast", "d", to=kinds.INT64),
]
RESTORE = [
    node("Gather", "book x", "a"),  # fails for an index past the last
    node("ConvTranspose", "a ones", group=3, strides=[4, 4]),
]
BOOK = ((np.arange(40) + 0.5) / 40).astype(np.float32)
SMALL = [1, 3, "h", "w"]


def fields(**changes):
    """The card of an averaging model that sends symbols; `encoder__file` is the field `file` of `encoder`."""
    card = {
        "name": "Averages",
        "message": "image",
        "payload": "symbols",
        "power": "unit",
        "range": [-1, 1],
        "multiple": 8,
        "encoder": {
            "file": "encoder.onnx",
            "input": "float32 [1, 3, H, W]",
            "output": "float32 [1, 3, H/4, W/4]",
        },
        "decoder": {
            "file": "decoder.onnx",
            "input": "float32 [1, 3, H/4, W/4]",
            "output": "float32 [1, 3, H, W]",
        },
    }
    for key, value in changes.items():
        place, _, last = key.rpartition("__")
        target = card[place] if place else card
        if value is None:
            target.pop(last, None)
        else:
            target[last] = value
    return card


BITS = {"payload": "bits", "power": None}
INDICES = {**BITS, "code": "indices", "levels": 40, "range": [0, 1],
           "encoder__output": "int64 [1, 3, H/4, W/4]", "decoder__input": "int64 [1, 3, H/4, W/4]"}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A folder with the files of the averaging model and of the quantising one."""
    big = [1, 3, "H", "W"]
    network(tmp_path / "encoder.onnx", SHRINK, [("x", "float32", big)], [("y", "float32", SMALL)])
    network(tmp_path / "decoder.onnx", GROW, [("x", "float32", SMALL)], [("y", "float32", big)], {"ones": ONES})
    constants = {"scale": np.float32(40), "zero": np.float32(0), "top": np.float32(39)}
    network(tmp_path / "quantise.onnx", QUANTISE, [("x", "float32", big)], [("y", "int64", SMALL)], constants)
    network(
        tmp_path / "restore.onnx", RESTORE, [("x", "int64", SMALL)], [("y", "float32", big)],
        {"ones": ONES, "book": BOOK},
    )  # fmt: skip
    return tmp_path


def card_of(folder, file="card.yml", **changes):
    path = folder / file
    path.write_text(yaml.safe_dump(fields(**changes), sort_keys=False))
    return path


def picture(height=40, width=56, seed=0):
    random = np.random.default_rng(seed)
    blocks = random.integers(30, 220, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    data = np.kron(blocks, np.ones((8, 8, 1), np.uint8))[:height, :width]
    return Message("image", np.ascontiguousarray(data), {"name": f"picture {seed}"})


def received(system, payload, bits_ok=True):
    n = payload.bits.size
    noise = np.full(payload.symbols.size, 0.1, np.float32)
    return Received(payload.bits, np.full(n, bits_ok), payload.symbols, noise)


def meta_of(message):
    return {"kind": message.kind, "shape": list(message.data.shape), "name": "m", "esn0_db": 10.0}


def round_trip(path, message):
    system = registry.get(str(path))
    payload = system.encode(message, Request(esn0_db=10.0))
    return payload, system.decode(received(system, payload), meta_of(message))[0]


@pytest.mark.parametrize("shape", [(40, 56), (41, 51), (1, 1), (8, 200)])
def test_symbols_have_unit_energy_and_give_the_picture_back(folder, shape):
    sent = picture(*shape)
    path = card_of(folder, power="none")
    payload, back = round_trip(path, sent)
    assert back.data.shape == sent.data.shape and back.data.dtype == np.uint8
    if shape == (40, 56):
        np.testing.assert_array_equal(back.data, sent.data)
    normalised, _ = round_trip(card_of(folder, "unit.yml"), sent)
    high, wide = (-(-n // 8) * 8 for n in shape)
    assert normalised.symbols.dtype == np.complex64
    assert payload.symbols.size == normalised.symbols.size == -(-3 * high * wide // 16 // 2)
    assert np.mean(np.abs(normalised.symbols) ** 2) == pytest.approx(1, abs=1e-5)
    ratio = normalised.symbols / payload.symbols
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)


def test_consecutive_values_are_the_parts_of_a_symbol(folder):
    sent = picture(8, 16)
    payload, _ = round_trip(card_of(folder, power="none"), sent)
    means = sent.data.reshape(2, 4, 4, 4, 3).mean((1, 3)).transpose(2, 0, 1).ravel() / 127.5 - 1
    np.testing.assert_allclose(payload.symbols, means[::2] + 1j * means[1::2], atol=1e-6)


def test_logits_are_bits_by_their_sign_and_come_back_as_numbers(folder):
    sent = picture()
    path = card_of(folder, **BITS, code="logits")
    payload, back = round_trip(path, sent)
    means = sent.data.reshape(10, 4, 14, 4, 3).mean((1, 3)).transpose(2, 0, 1).ravel() / 127.5 - 1
    np.testing.assert_array_equal(payload.bits, means > 0)
    assert set(np.unique(back.data)) <= {0, 255}
    path = card_of(folder, "other.yml", **BITS, code="logits", threshold=0.2, bit_values=[-0.5, 0.5])
    payload, back = round_trip(path, sent)
    np.testing.assert_array_equal(payload.bits, means > 0.2)
    assert set(np.unique(back.data)) <= {64, 191}


def test_indices_are_bits_most_significant_first(folder):
    sent = picture()
    path = card_of(folder, **INDICES, encoder__file="quantise.onnx", decoder__file="restore.onnx")
    payload, back = round_trip(path, sent)
    assert payload.bits.size == 6 * 3 * 10 * 14  # 40 levels: six bits
    first = int("".join(map(str, payload.bits[:6])), 2)
    assert first == int(sent.data[:4, :4, 0].mean() / 255 * 40)
    assert np.abs(back.data.astype(int) - sent.data).max() <= 4


@pytest.mark.parametrize("kind", ["logits", "indices", "symbols"])
def test_whatever_the_channel_did_there_is_a_picture(folder, kind):
    changes = {
        "logits": {**BITS, "code": "logits"},
        "indices": {**INDICES, "encoder__file": "quantise.onnx", "decoder__file": "restore.onnx"},
        "symbols": {},
    }[kind]
    system = registry.get(str(card_of(folder, **changes)))
    sent = picture()
    payload = system.encode(sent, Request())
    random = np.random.default_rng(1)
    for trial in range(40):
        bits = random.integers(0, 2, payload.bits.size).astype(np.uint8)
        n = payload.symbols.size
        symbols = (10.0 ** random.uniform(-3, 20) * random.normal(size=(n, 2))).astype(np.float32).view(np.complex64)
        symbols = symbols[:, 0]
        if trial > 20 and n:
            symbols[random.integers(n, size=9)] = random.choice(
                np.array([np.nan, np.inf, -np.inf, complex(np.inf, -np.inf)], np.complex64), 9
            )
        arrived = Received(bits, np.zeros(bits.size, bool), symbols, np.full(n, np.inf, np.float32))
        message, concealed = system.decode(arrived, meta_of(sent))
        assert message.data.shape == sent.data.shape and message.data.dtype == np.uint8 and concealed == 0


@pytest.mark.parametrize("changes", [{}, {**BITS, "code": "logits"}], ids=["symbols", "bits"])
def test_the_flowgraph_equals_the_plain_call_chain(folder, changes):
    path = str(card_of(folder, **changes))
    link = Link(path, channel="rayleigh", esn0_db=9.0, mcs="qpsk-1/2", seed=3)
    sent = [picture(40, 48 + 8 * k, k) for k in range(3)]
    direct, graph = list(link.run(sent)), list(link.run_flowgraph(sent, 4096, timeout_s=60))
    assert len(direct) == len(graph) == 3
    for (left, first), (right, second) in zip(direct, graph, strict=True):
        np.testing.assert_array_equal(left.data, right.data)
        assert {**first, "elapsed_s": 0} == {**second, "elapsed_s": 0}
        assert first["symbols_total"] > 0
    if not changes:
        assert all(record["delivered"] and record["metrics"]["psnr_db"] > 12 for _, record in direct)


def test_limits_make_a_message_that_does_not_fit(folder):
    for changes in ({}, {**BITS, "code": "logits"}):
        path = str(card_of(folder, **changes))
        ((_, record),) = Link(path, airtime=50).run([picture()])
        assert record["reason"] == "does_not_fit" and record["symbols_total"] == 0
        ((_, record),) = Link(path, airtime=50_000).run([picture()])
        assert record["reason"] != "does_not_fit" and 0 < record["symbols_total"] <= 50_000


def test_fixed_sizes_are_tiles(folder):
    fixed, few = [1, 3, 16, 24], [1, 3, 4, 6]
    network(folder / "small.onnx", SHRINK, [("x", "float32", fixed)], [("y", "float32", few)])
    network(folder / "big.onnx", GROW, [("x", "float32", few)], [("y", "float32", fixed)], {"ones": ONES})
    ends = {"encoder__file": "small.onnx", "decoder__file": "big.onnx"}
    path = card_of(folder, **ends, multiple=None, tile=[16, 24], power="none")
    for shape in ((40, 56), (16, 24), (33, 97)):
        sent = picture(*shape)
        payload, back = round_trip(path, sent)
        tiles = -(-shape[0] // 16) * -(-shape[1] // 24)
        assert payload.symbols.size == tiles * 3 * 4 * 6 // 2
        whole, expected = round_trip(card_of(folder, "whole.yml", power="none"), sent)
        np.testing.assert_array_equal(back.data, expected.data)
    with pytest.raises(
        ValueError, match=r"encoder.input: expected what small.onnx has, float32 \[1, 3, 16, 24\]; found"
    ):
        registry.get(str(card_of(folder, "free.yml", **ends))).prepare(Request())
    with pytest.raises(ValueError, match="encoder.input: expected what small.onnx has"):
        registry.get(str(card_of(folder, "wrong.yml", **ends, multiple=None, tile=[24, 16]))).prepare(Request())


@pytest.mark.parametrize("axes", ["H, W, 3", "1, W, H, 3", "3, H, W", "1, H, 3, W, 1"])
def test_axes_may_stand_in_any_order(folder, axes):
    order = axes.split(", ")
    sizes = [int(a) if a.isdigit() else a.lower() for a in order]
    for name in ("in.onnx", "out.onnx"):
        network(folder / name, [node("Identity", "x")], [("x", "float32", sizes)], [("y", "float32", sizes)])
    kind = f"float32 [{axes}]"
    path = card_of(
        folder, encoder={"file": "in.onnx", "input": kind, "output": kind},
        decoder={"file": "out.onnx", "input": kind, "output": kind}, power="none",
    )  # fmt: skip
    sent = picture(8, 16)
    payload, back = round_trip(path, sent)
    np.testing.assert_array_equal(back.data, sent.data)
    own = {"H": 8, "W": 16, "3": 3}
    first = payload.symbols[0].real
    assert first == pytest.approx(sent.data[0, 0, 0] / 127.5 - 1, abs=1e-6)
    assert payload.symbols.size * 2 == np.prod([own.get(a, 1) for a in order])


def test_pictures_may_be_bytes(folder):
    sizes = [1, "h", "w", 3]
    up = [node("Cast", "x", "a", to=kinds.FLOAT), node("Sub", "a half", "y")]
    down = [node("Add", "x half", "a"), node("Clip", "a zero top", "b"), node("Cast", "b", to=kinds.UINT8)]
    constants = {"half": np.float32(128), "zero": np.float32(0), "top": np.float32(255)}
    network(folder / "in.onnx", up, [("x", "uint8", sizes)], [("y", "float32", sizes)], {"half": np.float32(128)})
    network(folder / "out.onnx", down, [("x", "float32", sizes)], [("y", "uint8", sizes)], constants)
    raw, real = "uint8 [1, H, W, 3]", "float32 [1, H, W, 3]"
    path = card_of(
        folder, range=None, power="none", encoder={"file": "in.onnx", "input": raw, "output": real},
        decoder={"file": "out.onnx", "input": real, "output": raw},
    )  # fmt: skip
    system, sent = registry.get(str(path)), picture()
    payload = system.encode(sent, Request())
    # the receiver limits what a symbol can be, so the model must not send numbers far from 1
    assert np.abs(payload.symbols).max() > convert.LARGEST_SYMBOL / 2
    message, _ = system.decode(received(system, payload), meta_of(sent))
    assert message.data.dtype == np.uint8 and message.data.shape == sent.data.shape


@pytest.mark.parametrize("power", ["unit", "none"])
def test_speech_goes_through(folder, power):
    sizes = [1, 1, "n"]
    network(folder / "in.onnx", [node("Identity", "x")], [("x", "float32", sizes)], [("y", "float32", sizes)])
    kind = "float32 [1, 1, N]"
    end = {"file": "in.onnx", "input": kind, "output": kind}
    path = card_of(folder, message="speech", range=None, multiple=7, power=power, encoder=end, decoder=dict(end))
    speech = np.random.default_rng(4).uniform(-1, 1, 1001).astype(np.float32)
    payload, back = round_trip(path, Message("speech", speech))
    assert payload.symbols.size == 1001 // 2 + 1  # 143 times 7 values and one of padding: the number is odd
    assert back.data.dtype == np.float32 and back.data.shape == (1001,)
    if power == "none":
        np.testing.assert_allclose(back.data, speech, atol=1e-6)
    ports = [stages.Encoder(str(path)).inputs[0].dtype, stages.Decoder(str(path)).outputs[0].dtype]
    assert ports == [np.float32] * 2


def test_text_goes_through_and_stays_text(folder):
    sizes = [1, "n"]
    network(folder / "in.onnx", [node("Identity", "x")], [("x", "int64", sizes)], [("y", "int64", sizes)])
    kind = "int64 [1, N]"
    end = {"file": "in.onnx", "input": kind, "output": kind}
    changes = {**BITS, "code": "indices", "levels": 256, "range": None, "multiple": 4}
    path = card_of(folder, message="text", encoder=end, decoder=dict(end), **changes)
    text = "Zürich, 10 °C: «grüezi»"
    message = Message("text", np.frombuffer(text.encode(), np.uint8))
    payload, back = round_trip(path, message)
    assert payload.bits.size == 8 * 28 and back.data.tobytes().decode() == text
    system = registry.get(str(path))
    broken = payload.bits.copy()
    broken[8] ^= 1
    broken[16 : 16 + 80] = np.random.default_rng(0).integers(0, 2, 80)
    arrived, _ = system.decode(Received(broken, np.zeros(broken.size, bool)), meta_of(message))
    assert arrived.data.size == message.data.size and "?" in arrived.data.tobytes().decode()


def test_the_network_may_decide_how_much_it_sends(folder):
    """`K`: each half of a second is sent as its loudest values, as many as there are blocks of 100 samples."""
    kind = [1, "n"]
    shape = {"blocks": np.int64([1, 1, -1, 100]), "flat": np.int64([1, -1])}
    keep = [
        node("Reshape", "x blocks", "a"), node("MaxPool", "a", "b", kernel_shape=[1, 50], strides=[1, 50]),
        node("Reshape", "b flat", "y"),
    ]  # fmt: skip
    fill = [
        node("Reshape", "x wide", "a"), node("Expand", "a fifty", "b"), node("Reshape", "b flat", "y"),
    ]  # fmt: skip
    constants = {"wide": np.int64([-1, 1]), "fifty": np.int64([1, 50]), "flat": np.int64([1, -1])}
    network(folder / "in.onnx", keep, [("x", "float32", kind)], [("y", "float32", kind)], shape)
    network(folder / "out.onnx", fill, [("x", "float32", kind)], [("y", "float32", kind)], constants)
    ends = {"encoder": {"file": "in.onnx", "input": "float32 [1, N]", "output": "float32 [1, 2*K]"},
            "decoder": {"file": "out.onnx", "input": "float32 [1, 2*K]", "output": "float32 [1, N]"}}  # fmt: skip
    changes = {"message": "speech", "range": None, "multiple": 100, "power": "none"}
    speech = np.repeat(np.random.default_rng(2).uniform(0, 1, 30).astype(np.float32), 50)[:1490]
    payload, back = round_trip(card_of(folder, **ends, **changes), Message("speech", speech))
    assert payload.symbols.size == 15
    np.testing.assert_allclose(back.data, speech, atol=1e-6)
    with pytest.raises(ValueError, match="encoder.output: expected no K together with tile"):
        read_card(card_of(folder, "tile.yml", **ends, **{**changes, "multiple": None, "tile": 100}))
    odd = json.loads(json.dumps(ends).replace("2*K", "K"))
    with pytest.raises(ValueError, match="encoder.output: expected an even number of values for each K"):
        read_card(card_of(folder, "odd.yml", **odd, **changes))
    assert Tensor.parse("float32 [1, 2*K]").free_size({}, 100) == 50
    with pytest.raises(ValueError, match="do not fill"):
        Tensor.parse("float32 [1, 2*K]").free_size({}, 101)


def test_models_that_take_the_snr_are_told_it(folder):
    """The encoder sends what it was told, the decoder adds what it was told: both come back as a picture."""
    big = [1, 3, "h", "w"]
    level = [node("Div", "e hundred", "a"), node("Mul", "x zero", "b"), node("Add", "b a", "y")]
    constants = {"hundred": np.float32(100), "zero": np.float32(0)}
    sum_up = [node("Div", "e hundred", "a"), node("Add", "x a", "y")]
    snr = ("e", "float32", [1, 1, 1, 1])
    network(folder / "in.onnx", level, [("x", "float32", big), snr], [("y", "float32", big)], constants)
    network(
        folder / "out.onnx", sum_up, [("x", "float32", big), snr], [("y", "float32", big)], {"hundred": np.float32(100)}
    )
    kind = "float32 [1, 3, H, W]"
    ends = {name: {"file": f"{'in' if name == 'encoder' else 'out'}.onnx", "input": kind, "output": kind,
                   "esn0_db": "float32 [1, 1, 1, 1]"} for name in ("encoder", "decoder")}  # fmt: skip
    path = card_of(folder, **ends, range=[0, 1], power="none")
    system, sent = registry.get(str(path)), picture(8, 8)
    assert system.snr_aware and not registry.get(str(card_of(folder, "blind.yml"))).snr_aware
    payload = system.encode(sent, Request(esn0_db=12.0))
    np.testing.assert_allclose(payload.symbols, 0.12 + 0.12j, atol=1e-6)
    arrived = received(system, payload)
    message, _ = system.decode(arrived, {**meta_of(sent), "esn0_db": 20.0})
    assert (message.data == round(255 * 0.32)).all()
    without = {key: value for key, value in meta_of(sent).items() if key != "esn0_db"}
    message, _ = system.decode(arrived, without)  # ten dB, from the noise variances
    assert (message.data == round(255 * 0.22)).all()
    with pytest.raises(ValueError, match="needs esn0_db"):
        system.encode(sent, Request())
    ((_, record),) = Link(str(path), esn0_db=60.0, assumed_esn0_db=10.0).run([sent])
    assert record["delivered"]


WRONG_CARDS = {
    "no name": ({"name": None}, "name: expected a short text; found nothing"),
    "two lines": ({"name": "a\nb"}, "name: expected a text of one line"),
    "unknown field": ({"playload": "bits"}, r"playload: expected payload\?"),
    "unknown field of an end": ({"encoder__shape": "x"}, r"encoder.shape: expected"),
    "message": ({"message": "video"}, "message: expected image or speech or text; found video"),
    "payload": ({"payload": "both"}, "payload: expected bits or symbols; found both"),
    "payload of a kind": ({"payload": ["bits"]}, "payload: expected bits or symbols; found"),
    "code": ({**BITS, "code": "words"}, "code: expected logits or indices; found words"),
    "no code": ({**BITS}, "code: expected logits or indices; found nothing"),
    "power": ({"power": 1}, "power: expected unit or none; found 1"),
    "power of bits": (
        {**BITS, "code": "logits", "power": "unit"},
        "power: expected this field only with payload: symb",
    ),
    "levels of symbols": ({"levels": 2}, "levels: expected this field only with code: indices"),
    "levels": ({**INDICES, "levels": 1}, "levels: expected a whole number from 2 to 65536; found 1"),
    "levels that are text": ({**INDICES, "levels": "many"}, "levels: expected a whole number"),
    "threshold": ({**BITS, "code": "logits", "threshold": "low"}, "threshold: expected a number; found low"),
    "values": ({**BITS, "code": "logits", "bit_values": [1, 1]}, "bit_values: expected two different numbers"),
    "range": ({"range": [1]}, r"range: expected 2 numbers, as \[0, 1\]; found \[1\]"),
    "empty range": ({"range": [1, 1]}, "range: expected two different numbers"),
    "endless range": ({"range": [0, float("inf")]}, "range: expected 2 numbers"),
    "no number": ({"range": [0, float("nan")]}, "range: expected 2 numbers"),
    "multiple": ({"multiple": 0}, "multiple: expected a whole number from 1"),
    "multiple that is true": ({"multiple": True}, "multiple: expected a whole number from 1"),
    "multiple too small": ({"multiple": 2}, r"encoder.output: expected a multiple \(now 2\) that makes H/4 a whole"),
    "tile and multiple": ({"tile": [8, 8]}, "multiple: expected this field only with free sizes"),
    "tile": ({"multiple": None, "tile": 8}, "tile: expected height and width"),
    "odd tile": ({"multiple": None, "tile": [8, 6]}, "encoder.output: expected a tile that makes W/4 a whole number"),
    "size bound": ({"largest_mib": 513}, "largest_mib: expected a whole number from 1 to 512; found 513"),
    "no encoder": ({"encoder": None}, "encoder: expected file, input and output of the network; found nothing"),
    "encoder of text": ({"encoder": "encoder.onnx"}, "encoder: expected file, input and output"),
    "folder": ({"encoder__file": "../encoder.onnx"}, "encoder.file: expected the name of a file beside the card, w"),
    "root": ({"encoder__file": "/etc/passwd"}, "encoder.file: expected the name of a file beside the card, without"),
    "missing file": ({"encoder__file": "nothing.onnx"}, "encoder.file: expected a file beside the card; found no "),
    "pickle": ({"decoder__file": "model.pth"}, "decoder.file: expected a name that ends in .onnx, .pt2, .pt; a pickle"),
    "other kind": ({"decoder__file": "model.tflite"}, "decoder.file: expected a name that ends in .onnx, .pt2, .pt;"),
    "hash": ({"encoder__sha256": "12ab"}, "encoder.sha256: expected 64 hexadecimal digits, what `sha256sum"),
    "type": ({"encoder__input": "float99 [1, 3, H, W]"}, "encoder.input: expected a type .float32, float16"),
    "no shape": ({"encoder__input": "float32"}, "encoder.input: expected a type"),
    "list as shape": ({"encoder__input": [1, 3]}, "encoder.input: expected a type"),
    "size": ({"encoder__output": "float32 [1, h/4]"}, "encoder.output: expected sizes such as 3, H, H/8 or H"),
    "zero": ({"encoder__output": "float32 [1, 0]"}, "encoder.output: expected sizes such as"),
    "half": ({"encoder__output": "float32 [1, 3/2]"}, "encoder.output: expected sizes such as"),
    "negative": ({"encoder__output": "float32 [-1, H]"}, "encoder.output: expected sizes such as"),
    "code in it": ({"encoder__output": "float32 [__import__('os')]"}, "encoder.output: expected sizes such as"),
    "huge": ({"encoder__output": "float32 [99999999999]"}, "encoder.output: expected sizes such as"),
    "symbol": ({"encoder__output": "float32 [1, Q]"}, "encoder.output: expected the symbols H, W, K"),
    "grey": ({"encoder__input": "float32 [1, 1, H, W]"}, "encoder.input: expected the axes 3, H and W in any order"),
    "two heights": ({"decoder__output": "float32 [1, 3, H, H]"}, "decoder.output: expected the axes 3, H and W"),
    "picture of integers": ({"encoder__input": "int64 [1, 3, H, W]"}, "encoder.input: expected float32, float16 or, f"),
    "symbols of integers": ({"encoder__output": "int64 [1, 3, H/4, W/4]"}, "encoder.output: expected a type of float"),
    "indices of floats": ({**INDICES, "encoder__output": "float32 [1, H]"}, "encoder.output: expected a type of uint8"),
    "too many levels": ({**INDICES, "levels": 300, "encoder__output": "uint8 [1, 3, H/4, W/4]"}, "holds 300 levels"),
    "other length": ({"decoder__input": "float32 [1, 6, H/4, W/4]"}, "decoder.input: expected as many values as enc"),
    "other symbols": ({"decoder__input": "float32 [1, 3, H/4, H/4]"}, "decoder.input: expected as many values as enc"),
    "snr of many": ({"encoder__esn0_db": "float32 [2]"}, "encoder.esn0_db: expected one number"),
}


@pytest.mark.parametrize(("changes", "words"), WRONG_CARDS.values(), ids=WRONG_CARDS)
def test_a_wrong_card_is_one_line_with_file_field_expected_and_found(folder, changes, words):
    (folder / "model.pth").write_bytes(b"x")
    path = card_of(folder, **changes)
    with pytest.raises(ValueError, match=words) as caught:
        registry.get(str(path))
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "; found " in text and "\n" not in text and len(text) < 700


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0\1\2\xff", b"- a\n- b\n", b"name: [", b"a: 1\na: 2\n", b"name: &x a\nmessage: *x\n",
        b"!!python/object/apply:os.system ['true']", b"a: !!python/name:os.system\n", b"[" * 3000,
        b"name: x\n" * 20_000, b"a: &a [x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n", b"? [1, 2]\n: 3\n",
        b"name: !!binary xx\n", b"\xfe\xff",
    ],
)  # fmt: skip
def test_what_is_no_card_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "card.yml"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        registry.get(str(path))
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.yml", "", "\0.yml", "/.yml"])
def test_a_card_that_is_not_there_is_refused(tmp_path, name):
    (tmp_path / "folder.yml").mkdir()
    for path in (str(tmp_path / name) + ("" if name else "folder.yml"), str(tmp_path / "folder.yml")):
        with pytest.raises(ValueError, match="expected"):
            registry.get(path)


def test_every_field_of_a_card_may_be_any_nonsense(folder):
    random = np.random.default_rng(7)
    values = [
        None,
        0,
        -1,
        1e300,
        "",
        "x" * 5000,
        [],
        {},
        [[[]]],
        {"a": {"b": 1}},
        True,
        "*",
        "float32 [H*W/3]",
        "../..",
    ]
    names = [*fields(), "levels", "code", "threshold", "bit_values", "tile", "about"]
    for _ in range(300):
        card = fields()
        for _ in range(int(random.integers(1, 4))):
            target = (
                card[end]
                if (end := random.choice(["encoder", "decoder", ""])) and isinstance(card[end], dict)
                else card
            )
            key = random.choice(names if target is card else ["file", "sha256", "input", "output", "esn0_db"])
            target[str(key)] = values[random.integers(len(values))]
        path = folder / "fuzz.yml"
        path.write_text(yaml.safe_dump(card))
        try:
            read_card(path)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


LIES = {
    "shape": ({"encoder__output": "float32 [1, 3, H/4, W/4, 1]", "decoder__input": "float32 [1, 3, H/4, W/4, 1]"},
              r"encoder.output: expected what encoder.onnx has, float32 \[1, 3, \?, \?\]; found float32 \[1, 3, H/4"),
    "type": ({"encoder__input": "float16 [1, 3, H, W]"}, "encoder.input: expected what encoder.onnx has, float32"),
    "channels": ({"decoder__output": "float32 [3, 1, H, W]"}, "decoder.output: expected what decoder.onnx has, fl"),
    "sizes": ({"encoder__output": "float32 [1, 3, H/2, W/8]", "decoder__input": "float32 [1, 3, H/2, W/8]"},
              r"encoder \(encoder.onnx\) gave float32 \[1, 3, 8, 8\]; expected float32 \[1, 3, 16, 4\]"),
    "swapped": ({"encoder__input": "float32 [1, 3, W, H]"},
                r"gave float32 \[1, 3, 10, 8\]; expected float32 \[1, 3, 8, 10\]"),
    "snr": ({"decoder__esn0_db": "float32 [1]"}, r"decoder.input: expected the 1 that decoder.onnx has \(x\); found 2"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), LIES.values(), ids=LIES)
def test_a_card_that_lies_about_its_model_is_refused_before_the_start(folder, changes, words):
    path = card_of(folder, **changes)
    with pytest.raises(ValueError, match=words) as caught:
        registry.get(str(path)).prepare(Request())
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def bad_encoder(folder, nodes, constants=None, gives=SMALL):
    big = [1, 3, "h", "w"]
    network(folder / "bad.onnx", nodes, [("x", "float32", big)], [("y", "float32", gives)], constants)
    return card_of(folder, encoder__file="bad.onnx")


def test_a_model_that_gives_nan_or_another_length_is_refused_before_the_start(folder):
    pool = node("AveragePool", "x", "a", kernel_shape=[4, 4], strides=[4, 4])
    minus = {"minus": np.float32(-1e9)}
    for nodes, constants, words in (
        ([pool, node("Add", "a minus", "b"), node("Sqrt", "b")], minus, "encoder .bad.onnx. gave NaN or infinity"),
        ([node("AveragePool", "x", kernel_shape=[2, 2], strides=[2, 2])], None, "gave float32 .* expected float32"),
        ([node("RandomNormalLike", "x", "y")], None, "random operator RandomNormalLike"),
        (
            [pool, node("Gather", "a far", axis=2)],
            {"far": np.int64([999] * 8)},
            "encoder .bad.onnx. failed: ONNX Runti",
        ),
    ):
        path = bad_encoder(folder, nodes, constants)
        with pytest.raises(ValueError, match=words) as caught:
            registry.get(str(path)).prepare(Request())
        assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_nan_at_run_time_is_a_fault_that_names_model_and_message(folder):
    """Divided by the brightest value: a black picture has none."""
    pool = node("AveragePool", "x", "a", kernel_shape=[4, 4], strides=[4, 4])
    nodes = [pool, node("ReduceMax", "a", "m", keepdims=1), node("Div", "a m", "y")]
    path = bad_encoder(folder, nodes)
    path = card_of(folder, encoder__file="bad.onnx", range=[0, 1])
    black = Message("image", np.zeros((16, 16, 3), np.uint8), {"name": "black.png"})
    words = r"card.yml: encoder \(bad.onnx\) gave NaN or infinity, for message 'black.png'"
    with pytest.raises(ModelFault, match=words):
        list(Link(str(path)).run([picture(), black]))
    with pytest.raises(RuntimeError, match=words):
        list(Link(str(path)).run_flowgraph([picture(), black], timeout_s=60))


def test_a_decoder_fault_names_the_message_too(folder):
    big = [1, 3, "h", "w"]
    nodes = [
        node("ConvTranspose", "x ones", "a", group=3, strides=[4, 4]),
        node("ReduceMin", "x", "m", keepdims=1),
        node("Add", "m limit", "b"),
        node("Sqrt", "b", "c"),
        node("Mul", "c zero", "d"),
        node("Add", "a d", "y"),
    ]
    constants = {"ones": ONES, "limit": np.float32(50), "zero": np.float32(0)}
    network(folder / "bad.onnx", nodes, [("x", "float32", SMALL)], [("y", "float32", big)], constants)
    system = registry.get(str(card_of(folder, decoder__file="bad.onnx")))
    sent = picture()
    payload = system.encode(sent, Request())
    assert system.decode(received(system, payload), meta_of(sent))
    low = Received(symbols=np.full(payload.symbols.size, -90 - 90j, np.complex64))
    with pytest.raises(ModelFault, match=r"decoder \(bad.onnx\) gave NaN or infinity, for message 'm'"):
        system.decode(low, meta_of(sent))
    with pytest.raises(ModelFault, match="decoder .* cannot take what came"):
        system.decode(Received(symbols=payload.symbols[:-1]), meta_of(sent))


def test_an_index_past_the_last_is_the_encoders_fault(folder):
    path = card_of(folder, **{**INDICES, "levels": 20}, encoder__file="quantise.onnx", decoder__file="restore.onnx")
    bright = Message("image", np.full((16, 16, 3), 250, np.uint8), {"name": "bright.png"})
    with pytest.raises(ModelFault, match="gave index 39; levels: 20 allows 0 to 19, for message 'bright.png'"):
        registry.get(str(path)).encode(bright, Request())


@pytest.fixture
def torch_files(folder):
    """The averaging model, and one that cuts bright pictures short, as PyTorch saves them."""
    torch = pytest.importorskip("torch")

    class Bright(torch.nn.Module):
        def forward(self, x):
            y = torch.nn.functional.avg_pool2d(x, 4)
            if bool(x.max() > 0.9):
                y = y[:, :2]
            return y

    free = [torch.export.Dim(name, min=1, max=999) for name in ("h", "w")]
    ends = (("encoder", torch.nn.AvgPool2d(4), 32, 4), ("decoder", torch.nn.Upsample(scale_factor=4.0), 8, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, module, size, step in ends:
            example = (torch.rand(1, 3, size, size + 8),)
            made = torch.export.export(module, example, dynamic_shapes=({2: step * free[0], 3: step * free[1]},))
            torch.export.save(made, folder / f"{name}.pt2")
            torch.jit.save(torch.jit.script(module), str(folder / f"{name}.pt"))
        torch.jit.save(torch.jit.script(Bright()), str(folder / "bright.pt"))
    return folder


@pytest.mark.parametrize("kinds", [("pt2", "pt2"), ("pt", "pt"), ("pt2", "onnx"), ("onnx", "pt")])
def test_every_kind_of_file_is_the_same_system(torch_files, kinds):
    sent = [picture(40 + 3 * k, 56, k) for k in range(2)]
    changes = {f"{end}__file": f"{end}.{kind}" for end, kind in zip(("encoder", "decoder"), kinds, strict=True)}
    path = str(card_of(torch_files, **changes))
    other = str(card_of(torch_files, "onnx.yml"))
    runs = [list(Link(name, esn0_db=15.0, seed=2).run_flowgraph(sent, timeout_s=60)) for name in (path, other)]
    for (left, first), (right, second) in zip(*runs, strict=True):
        assert np.abs(left.data.astype(int) - right.data).max() <= 1  # rounding
        assert first["symbols_total"] == second["symbols_total"]
    providers = {"onnx": "CPUExecutionProvider", "pt": "torch cpu", "pt2": "torch cpu"}
    expected = ", ".join(dict.fromkeys(providers[kind] for kind in kinds))
    assert registry.get(path).provider(device="cpu") == expected


def test_another_length_at_run_time_is_a_fault_that_names_model_and_message(torch_files):
    path = str(card_of(torch_files, encoder__file="bright.pt"))
    bright = Message("image", np.full((16, 16, 3), 255, np.uint8), {"name": "bright.png"})
    words = r"encoder \(bright.pt\) gave float32 \[1, 2, 4, 4\]; expected float32 \[1, 3, 4, 4\], .* 'bright.png'"
    with pytest.raises(ModelFault, match=words):
        list(Link(path).run([picture(), bright]))


def test_the_card_of_the_documentation_is_right():
    page = (Path(__file__).resolve().parents[2] / "docs" / "own_model.md").read_text()
    card = yaml.safe_load(page.split("```yaml")[1].split("```")[0])
    shipped = yaml.safe_load(shipped_card().read_text())
    assert card == {key: value for key, value in shipped.items() if key != "about"}
    fields_told = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert {*shipped, "code", "levels", "threshold", "bit_values", "tile", "largest_mib", "esn0_db"} <= fields_told | {
        "decoder"
    }


def test_changed_large_and_unreadable_files_are_refused_by_name(folder):
    good = hashlib.sha256((folder / "encoder.onnx").read_bytes()).hexdigest()
    registry.get(str(card_of(folder, encoder__sha256=good))).prepare(Request())
    path = card_of(folder, encoder__sha256="0" * 64)
    with pytest.raises(
        ValueError, match=r"encoder.file: .*encoder.onnx: sha256 .* `sha256sum .*encoder.onnx` prints it"
    ):
        registry.get(str(path)).prepare(Request())
    with (folder / "encoder.onnx").open("ab") as file:
        file.truncate(1 << 20 | 1)
    path = card_of(folder, largest_mib=1)
    with pytest.raises(ValueError, match="encoder.onnx: larger than 1048576 bytes"):
        registry.get(str(path)).prepare(Request())
    (folder / "encoder.onnx").write_bytes(b"no model at all")
    with pytest.raises(ValueError, match="encoder.file: encoder.onnx: not an ONNX file"):
        registry.get(str(card_of(folder))).prepare(Request())


def test_a_card_or_model_that_changed_is_read_again(folder):
    path = card_of(folder)
    first = from_card(str(path))
    assert from_card(str(path)) is first
    big = [1, 3, "h", "w"]
    network(folder / "decoder.onnx", GROW, [("x", "float32", SMALL)], [("y", "float32", big)], {"ones": 0.9 * ONES})
    assert from_card(str(path)) is not first
    sent = picture()
    ((before, _),) = Link(str(path), esn0_db=40.0).run([sent])
    network(
        folder / "encoder.onnx",
        [*SHRINK[:1], node("Neg", "y", "z")],
        [("x", "float32", big)],
        [("z", "float32", SMALL)],
    )
    ((after, _),) = Link(str(path), esn0_db=40.0).run([sent])
    assert np.abs(before.data.astype(int) + after.data - 255).max() < 20
    card_of(folder, **BITS, code="logits")
    assert from_card(str(path)).payload == "bits"


def test_symbols_without_unit_energy_are_a_warning(folder, caplog):
    system = registry.get(str(card_of(folder, power="none")))
    for k in range(3):
        system.encode(picture(seed=k), Request())
    (text,) = caplog.messages
    assert "mean energy" in text and "power: unit" in text


def test_what_a_system_must_refuse_is_refused(folder):
    system = registry.get(str(card_of(folder)))
    for request, words in ((Request(quality=3), "no quality"), (Request(model="mse"), "unknown model")):
        with pytest.raises(ValueError, match=words):
            system.check(request)
    with pytest.raises(ValueError, match="takes image messages, not text"):
        system.encode(Message("text", np.zeros(4, np.uint8)), Request())
    with pytest.raises(ValueError, match=r"or the path of a card.yml"):
        registry.get("nothing")


def test_the_blocks_are_static_light_and_ask_for_their_ports():
    program = """
import json, sys
from gnuradio.semcom.blocks.model_decoder import model_decoder
from gnuradio.semcom.blocks.model_encoder import model_encoder
asked = [[cls.knows(*a) for a in (("", "symbols", "byte"), ("", "bits", "byte"), ("", "symbols", "float"),
         ("missing.yml", "symbols", "byte"), ("ncsc", "bits", "byte"))] for cls in (model_encoder, model_decoder)]
made = [[port.port.name for port in model_decoder()._readers], model_encoder().output_count]
print(json.dumps([asked, made, sorted(m for m in ("torch", "onnxruntime", "onnx", "PIL") if m in sys.modules)]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    asked, made, heavy = json.loads(done.stdout.splitlines()[-1])
    assert asked == [[True, False, False, False, False]] * 2
    assert made == [["symbols", "noise_var"], 1] and heavy == []


def test_a_block_may_change_its_card_but_not_its_ports(folder):
    from gnuradio.semcom.blocks.model_encoder import model_encoder

    block = model_encoder(str(card_of(folder)))
    block.set_card(str(card_of(folder, "other.yml", power="none")))
    block.set_card("")
    bits = str(card_of(folder, "bits.yml", **BITS, code="logits"))
    with pytest.raises(ValueError, match="decides its ports"):
        block.set_card(bits)
    with pytest.raises(ValueError, match="payload is bits, not symbols"):
        model_encoder(bits)
    with pytest.raises(ValueError, match="item_type"):
        model_encoder(bits, "bits", "float")


def test_the_command_takes_a_card(folder, tmp_path):
    write_png(tmp_path / "photo.png", picture().data)
    path = card_of(folder)

    def run(card, *more):
        command = [sys.executable, "-m", "gnuradio.semcom", "run", card, "--input", "photo.png", "--json", *more]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)

    done = run("card.yml", "--esn0-db", "20", "--direct")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["system"] == "card.yml" and result["provider"] == "CPUExecutionProvider"
    assert result["messages"][0]["delivered"] and result["summary"]["psnr_db"] > 15
    path.write_text(path.read_text().replace("H/4", "H/2"))
    done = run("card.yml")
    assert done.returncode == 2 and done.stdout == "" and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "card.yml: " in done.stderr and "Traceback" not in done.stderr


def test_the_shipped_example_is_what_its_card_says(folder):
    card = read_card(shipped_card())
    files = [card.path.parent / end.file for end in (card.encoder, card.decoder)]
    assert sum(file.stat().st_size for file in files) < 210_000
    for end, file in zip((card.encoder, card.decoder), files, strict=True):
        assert hashlib.sha256(file.read_bytes()).hexdigest() == end.sha256
    from gnuradio.semcom.media.images import read_image
    from gnuradio.semcom.media.photographs import packaged_photograph

    photograph = read_image(packaged_photograph("coffee"))
    found = []
    for esn0_db in (20.0, 10.0, 0.0, -10.0):
        ((_, record),) = Link(str(card.path), esn0_db=esn0_db).run([photograph])
        assert record["delivered"] and record["metrics"]["bandwidth_ratio"] == pytest.approx(1 / 12)
        found.append(record["metrics"]["psnr_db"])
    assert found == sorted(found, reverse=True) and found[1] > 25 and found[2] > 22


@pytest.mark.slow
def test_the_example_trains_and_makes_a_card_that_runs(tmp_path):
    pytest.importorskip("torch")
    script = Path(__file__).resolve().parents[2] / "examples" / "own_model.py"
    command = [sys.executable, str(script), "--output", str(tmp_path / "mine"), "--steps", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"semcom run {tmp_path / 'mine' / 'card.yml'}" in done.stdout
    system = registry.get(str(tmp_path / "mine" / "card.yml"))
    system.prepare(Request())
    payload = system.encode(picture(), Request())
    assert payload.symbols.size == 16 * 5 * 7

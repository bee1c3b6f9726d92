# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver opens the decoder that a header names, and believes no description."""

import json

import numpy as np
import pytest

from gnuradio.semcom.packets import encode_meta
from gnuradio.semcom.phy import mcs
from gnuradio.semcom.phy.burst import Burst, Header
from gnuradio.semcom.phy.burst_stages import description_of, received_meta
from gnuradio.semcom.phy.channel import noise
from gnuradio.semcom.phy.header import name_id
from gnuradio.semcom.phy.segmentation import layout
from gnuradio.semcom.phy.stages import Deframer
from gnuradio.semcom.radio.opener import Lie, Opener, Unknown, checked, checked_description, checked_shape
from gnuradio.semcom.radio.sender import Terse, Transmission, numbers
from gnuradio.semcom.radio.writer import Writer
from gnuradio.semcom.systems import registry


def test_no_two_systems_and_no_two_models_of_one_share_an_id():
    systems = registry.systems()
    assert len({name_id(name) for name in systems}) == len(systems)
    for system in systems.values():
        models = system.models()
        assert len({name_id(model) for model in ["", *models]}) == len(models) + 1


def test_every_model_is_found_by_its_ids():
    opener = Opener()
    for name, system in registry.systems().items():
        for model in system.models()[:2] or [""]:
            opened = opener.open({"system_id": name_id(name), "model_id": name_id(model)})
            assert (opened.name, opened.model) == (name, model)


def test_unknown_ones_are_named():
    used = {name_id(name) for name in registry.systems()}
    free = next(n for n in range(4096) if n not in used)
    with pytest.raises(Unknown, match=f"unknown system, id {free}: skipped"):
        Opener().open({"system_id": free, "model_id": 0})
    known = {name_id(model) for model in ["", *registry.get("ncsc").models()]}
    free = next(n for n in range(4096) if n not in known)
    with pytest.raises(Unknown, match=f"unknown model of ncsc, id {free}"):
        Opener().open({"system_id": name_id("ncsc"), "model_id": free})
    with pytest.raises(Unknown):
        Opener(["ncsc"]).open({"system_id": name_id("webp"), "model_id": name_id("")})


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1]", b"\xff", b'{"a":NaN}', b'{"a":1e999}', b"[" * 255, b'"x"', b"{\"a\":-Infinity}"]
)  # fmt: skip
def test_a_description_that_is_no_json_object_says_nothing(text):
    assert not checked_description(text)


def test_a_description_cannot_speak_for_the_receiver():
    hostile = {"blocks_ok": [1], "empty": True, "name": "../../etc", "reason": None, "llr": "x", "shape": [8, 8, 3]}
    assert json.loads(checked_description(json.dumps(hostile).encode())) == {"shape": [8, 8, 3]}
    assert checked_description(None) is None


@pytest.mark.parametrize(
    "shape", [None, [], [8, 8], [8, 8, 4], [0, 8, 3], [-1, -1, 3], [True, True, 3], [8.0, 8, 3], ["8", 8, 3],
              [1 << 20, 1 << 20, 3], "8x8x3", {"a": 1}, [[8], 8, 3]]
)  # fmt: skip
def test_shapes_are_bounded_before_anything_is_allocated(shape):
    with pytest.raises(Lie):
        checked_shape(shape)


def test_a_few_bits_are_no_large_picture():
    assert checked_shape([512, 768, 3], 200) == [512, 768, 3]
    with pytest.raises(Lie):
        checked_shape([8000, 8000, 3], 200)


def meta(shape=(16, 16, 3), bits=0, analog=0, system="ncsc"):
    return {
        "id": 1, "system_id": name_id(system), "model_id": name_id(""), "mcs": "qpsk-1/3", "code": "ldpc", "bits": bits,
        "blocks": 0, "block_bits": 0, "block_coded": 0, "interleave": False, "digital": 0, "analog": analog,
        "described": True, "shape": list(shape),
    }  # fmt: skip


def nothing():
    return tuple(np.zeros(0, dtype) for dtype in (np.complex64, np.float32, np.complex64, np.float32))


def test_a_payload_of_nothing_is_a_message_all_the_same():
    message, after = Opener().decode(nothing(), meta())
    assert message.data.shape == (16, 16, 3) and not after["delivered"]


@pytest.mark.parametrize("count", [60, pytest.param(10_000, marks=pytest.mark.slow)])
def test_random_headers_descriptions_and_payloads_break_no_receiver(count, tmp_path):
    """Systems that are here, with whatever may follow: each burst is one record."""
    rng = np.random.default_rng(6)
    ids = [(name, [name_id(model) for model in ["", *system.models()]]) for name, system in registry.systems().items()]
    cheap = [entry for entry in ids if entry[0] in ("jpeg", "webp", "raw", "deepjscc", "ncsc", "speech_transceiver")]
    words = [b'{"shape":[%d,%d,3]}' % (h, w) for h, w in ((8, 8), (64, 48), (1, 1), (9999, 9999), (0, 5))]
    words += [b"", b"{", b'{"shape":[8,8,3],"layout":{"words":99999}}', b'{"layout":7,"codebook":[]}', b'{"a":1e999}']
    lines = []
    with Writer(tmp_path, Opener(), None, lines.append) as writer:
        for number in range(count):
            name, models = cheap[int(rng.integers(len(cheap)))]
            model = models[int(rng.integers(len(models)))] if rng.uniform() < 0.9 else int(rng.integers(4096))
            text = words[int(rng.integers(len(words)))] if rng.uniform() < 0.7 else rng.bytes(int(rng.integers(1, 255)))
            scheme = mcs.names()[int(rng.integers(len(mcs.names())))]
            bits, analog = (int(n) * int(rng.integers(2)) for n in rng.integers(0, 3000, 2))
            head = Header(name_id(name), model, number % 65536, bits, analog, scheme, description=len(text))
            size = head.payload_symbols
            burst = Burst(
                head, noise(size, 1.0, rng), np.full(size, 0.5, np.float32), "short", 0.0, 1, 0.0, 0.0, 3.0, 0.5,
                text if rng.uniform() < 0.9 else None,
            )  # fmt: skip
            described = received_meta(checked(burst))
            arrays, described = Deframer("both").run((burst.symbols, burst.noise_var), described)
            writer.take(arrays, json.loads(encode_meta(described)))
    assert len((tmp_path / "received.jsonl").read_text().splitlines()) == count


def test_without_its_description_a_message_is_not_decoded():
    with pytest.raises(Lie, match="did not arrive"):
        Opener().decode(nothing(), {**meta(), "described": False})


def test_a_burst_describes_no_more_than_it_must():
    for system, kind in (("ncsc", "image"), ("speech_to_text", "speech")):
        stage = Transmission(system).stages()[-1]
        assert isinstance(stage, Terse)
        shape = [16, 16, 3] if kind == "image" else [16_000]
        sent = {"id": 1, "kind": kind, "shape": shape, "sample_rate": 16_000, "system": system, "model": "m"}
        sent |= {"mcs": "qpsk-1/3", "bits": 20, "blocks": int(kind == "image")}
        symbols = np.ones(layout(20, "qpsk-1/3").symbols if kind == "image" else 10, np.complex64)
        _, after = stage.run((symbols,), sent)
        assert after["octets"] == (len(b'{"shape":[16,16,3]}') if kind == "image" else 0)
        assert len(description_of(sent)) > after["octets"]


def test_numbers_tell_the_place_in_a_round():
    found = [number for number, _ in zip(numbers(24 * 2729, 24), range(48), strict=False)]
    assert [n % 24 for n in found] == 2 * list(range(24)) and max(found) < 65536
    with pytest.raises(ValueError, match="0 to 65535"):
        next(numbers(65536, 1))


@pytest.mark.parametrize(
    ("change", "says"),
    [({"system": "nothing"}, "unknown system"), ({"model": "none"}, "unknown model"), ({"mcs": "bpsk"}, "mcs|MCS"),
     ({"header": "weak"}, "strength"), ({"airtime": -1}, "airtime"), ({"code": "turbo"}, "code")],
)  # fmt: skip
def test_what_a_system_does_not_know_is_refused_before_anything_runs(change, says):
    with pytest.raises(ValueError, match=says):
        Transmission(**{"system": "ncsc"} | change)

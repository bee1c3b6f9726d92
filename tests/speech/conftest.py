# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognisers that every machine has: one that knows the packaged utterances, and a network of random weights."""

import hashlib

import numpy as np
import pytest
import yaml

from gnuradio.semcom.media.inputs import list_inputs
from gnuradio.semcom.media.messages import read_messages
from gnuradio.semcom.media.recordings import packaged_recordings
from gnuradio.semcom.speech import recognisers
from gnuradio.semcom.speech.features import features
from gnuradio.semcom.systems.stages import forget_payloads
from gnuradio.semcom.text.alphabet import normalise

BANDS = 40


@pytest.fixture(scope="session")
def utterances():
    items = list_inputs(packaged_recordings(), kind="speech")
    return [message for item in items for message in read_messages(item, "speech")]


class Listener(recognisers.Recogniser):
    """Knows the packaged utterances by their features, as far as they came through."""

    name = "whisper"

    def __init__(self, utterances):
        self.known = [(features(m.data, BANDS), normalise(m.meta["transcript"])) for m in utterances]
        self.heard = 0

    def recognise(self, speech):
        self.heard += 1
        if not speech.size or not speech.any():
            return ""
        found = features(speech, BANDS)
        alike = []
        for frames, _ in self.known:
            length = min(len(frames), len(found))
            alike.append(np.corrcoef(frames[:length].ravel(), found[:length].ravel())[0, 1])
        best = int(np.argmax(alike))
        words = self.known[best][1].split()
        return " ".join(words[: round(max(0.0, min(1.0, 1.3 * alike[best])) * len(words))])


@pytest.fixture
def listener(utterances, monkeypatch):
    """Stands in for Whisper."""
    made = Listener(utterances)
    real = recognisers.get
    monkeypatch.setattr(recognisers, "get", lambda name, *device: made if name == "whisper" else real(name, *device))
    monkeypatch.setattr(recognisers, "_texts", recognisers._texts.__class__())
    forget_payloads()
    yield made
    forget_payloads()


@pytest.fixture
def own_model(tmp_path, monkeypatch):
    """The folder of models with one recogniser of random weights, called `random`, in it."""
    onnx = pytest.importorskip("onnx")
    rng = np.random.default_rng(5)
    weights = {"w": rng.normal(0, 0.4, (BANDS, 16)), "v": rng.normal(0, 0.8, (16, 29))}
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Slice", ["frames", "zero", "end", "axis", "four"], ["some"]),
        helper.make_node("MatMul", ["some", "w"], ["x"]), helper.make_node("Tanh", ["x"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "v"], ["logits"]),
    ]  # fmt: skip
    numbers = {"zero": 0, "end": 1 << 30, "axis": 1, "four": 4}
    constants = [onnx.numpy_helper.from_array(np.array([v], np.int64), k) for k, v in numbers.items()]
    constants += [onnx.numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    graph = helper.make_graph(
        nodes, "random", [helper.make_tensor_value_info("frames", kind, [1, "T", BANDS])],
        [helper.make_tensor_value_info("logits", kind, [1, "L", 29]),
         helper.make_tensor_value_info("hidden", kind, [1, "L", 16])],
        constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder = tmp_path / "models" / "deepsc_st" / "random"
    folder.mkdir(parents=True)
    content = model.SerializeToString()
    (folder / "recogniser.onnx").write_bytes(content)
    card = {"name": "random", "bands": BANDS, "files": {"recogniser.onnx": hashlib.sha256(content).hexdigest()}}
    (folder / "card.yml").write_text(yaml.safe_dump(card))
    monkeypatch.setenv("SEMCOM_MODELS", str(tmp_path / "models"))
    recognisers.get.cache_clear()
    forget_payloads()
    yield folder
    recognisers.get.cache_clear()

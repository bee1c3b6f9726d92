# SPDX-License-Identifier: GPL-3.0-or-later
"""One network in every kind of file gives the same numbers; pickles and hostile programs are refused, not run."""

from __future__ import annotations

import io
import json
import logging
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gnuradio.semcom.zoo import open_network, read_verified
from gnuradio.semcom.zoo.network import SUFFIXES

torch = pytest.importorskip("torch")
nn = torch.nn
SIZE = (1, 3, 32, 48)


class Mixed(nn.Module):
    """Convolutions, normalisation, attention, a recurrent layer, sizes from the data, constants, a number beside."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, 16, 3, padding=1), nn.BatchNorm2d(16))
        self.act = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.3)
        self.norm = nn.GroupNorm(4, 16)
        self.walk = nn.GRU(16, 8, batch_first=True, bidirectional=True)
        self.register_buffer("shift", torch.linspace(-1, 1, 16), persistent=False)
        self.register_buffer("book", torch.randn(32, 16))

    def forward(self, x, esn0_db):
        y = self.drop(self.norm(self.act(self.first(x))))
        y = y * (1 + esn0_db.reshape(1, 1, 1, 1) / 10)
        tokens = y[:, :, :4, :4].flatten(2).transpose(1, 2)
        tokens = nn.functional.scaled_dot_product_attention(tokens, tokens, tokens) + self.shift
        tokens = tokens + self.walk(tokens)[0]
        index = torch.cdist(tokens[0], self.book).argmin(1)
        low, high = torch.chunk(tokens + self.book[index], 2, 2)
        joined = torch.cat([torch.where(low > 0, low, 0.1 * low), high.clamp(-1, 1)], 2)
        height, width = y.shape[2], y.shape[3]
        y = y * joined.mean(1).reshape(1, 16, 1, 1)
        return y.reshape(1, 2, 8 * height * width)


class Plain(nn.Module):
    def forward(self, x):
        return torch.tanh(x) + 1


class Chance(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


class Writes(nn.Module):
    def forward(self, x):
        torch.save(x, "out.pt")
        return x


class Prints(nn.Module):
    def forward(self, x):
        print("here")
        return x


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.count += 1
        return x + self.count


class Payload:
    """A pickle that writes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (Path(self.path), "unpickled")


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def mixed():
    torch.manual_seed(3)
    module = Mixed().eval()
    module(torch.rand(SIZE), torch.ones(1))
    return module


def program(module, examples, shapes=None):
    stream = io.BytesIO()
    torch.export.save(torch.export.export(module.eval(), examples, dynamic_shapes=shapes), stream)
    return stream.getvalue()


def script(module, traced=None):
    stream = io.BytesIO()
    made = torch.jit.trace(module.eval(), traced, check_trace=False) if traced else torch.jit.script(module.eval())
    torch.jit.save(made, stream)
    return stream.getvalue()


def rewritten(content, change):
    """A copy of an archive, each file as `change(path, content)` gives it, left out where that is None."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for entry in old.infolist():
            data = change(entry.filename.partition("/")[2], old.read(entry))
            if data is not None:
                new.writestr(entry.filename, data)
    return stream.getvalue()


def changed_graph(content, change):
    def apply(path, data):
        if path != "models/model.json":
            return data
        graph = json.loads(data)
        change(graph)
        return json.dumps(graph).encode()

    return rewritten(content, apply)


def files_of(module, height, width):
    examples = (torch.rand(SIZE), torch.ones(1))
    sizes = [torch.export.Dim(name, min=1, max=500) for name in ("h", "w")]
    yield "a.pt2", program(module, examples, ({2: 8 * sizes[0], 3: 8 * sizes[1]}, None))
    yield "a.pt", script(module)
    yield "b.pt", script(module, (torch.rand(1, 3, height, width), torch.ones(1)))
    stream = io.BytesIO()
    axes = {"x": {2: "h", 3: "w"}, "y": {2: "n"}}
    torch.onnx.export(
        module, examples, stream, dynamo=False, opset_version=17, input_names=["x", "e"], output_names=["y"],
        dynamic_axes=axes,
    )  # fmt: skip
    yield "a.onnx", stream.getvalue()


@pytest.fixture(scope="module")
def files(mixed):
    pytest.importorskip("onnx")
    return list(files_of(mixed, 40, 72))


def test_every_kind_of_file_gives_the_numbers_of_the_module(mixed, files):
    random = np.random.default_rng(1)
    x, esn0_db = random.random((1, 3, 40, 72), np.float32), np.float32([7])
    with torch.inference_mode():
        expected = mixed(torch.from_numpy(x), torch.from_numpy(esn0_db)).numpy()
    seen = set()
    for name, content in files:
        network = open_network(name, content, "cpu")
        threads, given = torch.get_num_threads(), x.copy()
        (y,) = network.run(x, esn0_db)
        assert torch.get_num_threads() == threads
        np.testing.assert_array_equal(x, given)
        np.testing.assert_allclose(y, expected, atol=2e-5)
        np.testing.assert_array_equal(network.run(x, esn0_db)[0], y)
        if network.inputs:
            assert [item.shape for item in network.inputs] == [(1, 3, None, None), (1,)]
            assert [item.dtype for item in (*network.inputs, *network.outputs)] == ["float32"] * 3
        assert network.provider == ("CPUExecutionProvider" if name.endswith("onnx") else "torch cpu")
        seen.add(name.rpartition(".")[2])
    assert seen == {suffix[1:] for suffix in SUFFIXES}


def test_wrong_inputs_at_run_time_are_one_kind_of_error(files):
    for name, content in files:
        network = open_network(name, content, "cpu")
        for wrong in ((np.zeros(SIZE, np.float32), np.ones(3, np.float32)), (np.zeros((1, 3, 31, 7)), np.float32([1]))):
            with pytest.raises(RuntimeError) as caught:
                network.run(*wrong)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.pt", "model.pt2"])
def test_pickles_are_refused_unread(tmp_path, name):
    marker = tmp_path / "marker"
    stream = io.BytesIO()
    torch.save({"model": Payload(marker)}, stream)
    for content in (pickle.dumps(Payload(marker)), stream.getvalue()):
        with pytest.raises(ValueError, match="pickle|not an exported program") as caught:
            open_network(name, content)
        assert str(caught.value).startswith(name) and not marker.exists()
    assert pickle.loads(pickle.dumps(Payload(marker))) and marker.exists()  # it would have


def test_nothing_in_an_exported_program_is_unpickled_evaluated_or_executed(tmp_path):
    marker = tmp_path / "marker"
    code = f"__import__('pathlib').Path({str(marker)!r}).write_text('')"
    good = program(Plain(), (torch.rand(2, 3),), ({0: torch.export.Dim("n", min=1, max=9)},))

    def poison(graph):
        graph["guards_code"] = [code]
        for table in ("tensor_values", "sym_int_values"):
            for value in graph["graph_module"]["graph"][table].values():
                for size in value.get("sizes", []):
                    size.get("as_expr", {})["expr_str"] = code
        graph["range_constraints"] = {code: {"min_val": 1, "max_val": 2}}

    poisoned = changed_graph(good, poison)
    pickled = rewritten(poisoned, lambda path, data: pickle.dumps(Payload(marker)) if path.endswith(".pt") else data)
    assert pickled != good
    (out,) = open_network("a.pt2", pickled).run(np.zeros((4, 3), np.float32))
    np.testing.assert_array_equal(out, np.ones((4, 3)))
    assert not marker.exists()


def target(name):
    def change(graph):
        graph["graph_module"]["graph"]["nodes"][0]["target"] = name

    return change


def argument(kind, value):
    def change(graph):
        graph["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = {kind: value}

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (target("torch.ops.aten.from_file.default"), "from_file, which reaches outside"),
        (target("torch.load"), "custom operator torch.load"),
        (target("_operator.methodcaller"), "custom operator _operator"),
        (target("torch.ops.mine.thing.default"), "custom operator torch.ops.mine"),
        (target("torch.ops.aten.bernoulli.default"), "random operator bernoulli"),
        (target("torch.ops.aten.nothing.default"), "unknown operator nothing"),
        (target("torch.ops.higher_order.cond"), "custom operator"),
        (argument("as_graph", {}), "kind as_graph"),
        (argument("as_operator", "x"), "kind as_operator"),
        (lambda graph: graph["schema_version"].update(major=99), "schema version 99"),
        (lambda graph: graph.pop("graph_module"), "cannot|can be read"),
        (lambda graph: graph["graph_module"]["graph"].update(nodes=7), "can be read"),
    ],
)
def test_programs_of_more_than_pure_operators_are_refused(change, words):
    content = changed_graph(program(Plain(), (torch.rand(2, 3),)), change)
    with pytest.raises(ValueError, match=words) as caught:
        open_network("a.pt2", content)
    assert str(caught.value).startswith("a.pt2: ") and "\n" not in str(caught.value)


def test_an_exported_program_without_plain_weights_is_refused():
    content = program(nn.Linear(3, 3), (torch.rand(2, 3),))
    old = rewritten(content, lambda path, data: None if path.endswith("weights_config.json") else data)
    with pytest.raises(ValueError, match="tensors are pickled, as an older torch did"):
        open_network("a.pt2", old)


def test_pickled_weights_of_an_exported_program_are_refused(tmp_path):
    marker = tmp_path / "marker"
    config = "data/weights/model_weights_config.json"

    def change(path, data):
        if path == config:
            entries = json.loads(data)
            for entry in entries["config"].values():
                entry["use_pickle"] = True
            return json.dumps(entries).encode()
        return pickle.dumps(Payload(marker)) if path == "data/weights/weight_0" else data

    content = rewritten(program(nn.Linear(3, 3), (torch.rand(2, 3),)), change)
    with pytest.raises(ValueError, match="weight is a pickled object"):
        open_network("a.pt2", content)
    assert not marker.exists()


def test_a_program_with_a_memory_is_stopped():
    network = open_network("a.pt2", program(Counts(), (torch.rand(2, 3),)))
    with pytest.raises(RuntimeError, match="changes its own weights"):
        network.run(np.zeros((2, 3), np.float32))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Chance(), "random operator randn_like"),
        (nn.Dropout(0.5), "random operator dropout, in training mode"),
    ],
)
def test_exported_programs_with_chance_are_refused(module, words):
    training = isinstance(module, nn.Dropout)
    stream = io.BytesIO()
    torch.export.save(torch.export.export(module.train(training), (torch.rand(2, 3),)), stream)
    with pytest.raises(ValueError, match=words):
        open_network("a.pt2", stream.getvalue())


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Chance(), "random operator randn_like"),
        (Writes(), "save, which reaches outside"),
        (Prints(), "reaches outside"),
    ],
)
def test_scripts_of_more_than_pure_operators_are_refused(module, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=words):
        open_network("a.pt", script(module))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("  def __setstate__(self, x: Tensor) -> NoneType:\n    return None\n", "__setstate__, which runs while"),
        ("  def other(self, x: Tensor) -> Tensor:\n    return ops.mine.thing(x)\n", "custom operator mine.thing"),
        ("  def other(self, x: Tensor) -> Tensor:\n    return ops.prim.rpc_sync(x)\n", "rpc_sync"),
        ("  def other(self, x: __torch__.torch.classes.mine.Thing) -> Tensor:\n    return x\n", "custom class"),
        ("  def other(self, x: Tensor) -> Tensor:\n    return fork(x)\n", r"fork\(\)"),
        ("  this is no program\n", "cannot be read"),
    ],
)
def test_a_script_is_read_before_it_is_loaded(line, words):
    def change(path, data):
        return data + line.encode() if path.endswith(".py") else data

    with pytest.raises(ValueError, match=words) as caught:
        open_network("a.pt", rewritten(script(Plain()), change))
    assert str(caught.value).startswith("a.pt: ") and "\n" not in str(caught.value)


def test_damaged_archives_are_refused_or_run_but_never_worse():
    random = np.random.default_rng(2)
    content = program(nn.Linear(3, 3), (torch.rand(2, 3),))
    x = np.ones((2, 3), np.float32)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        length = len(next(file.read(name) for name in file.namelist() if name.endswith("models/model.json")))
    for _ in range(150):
        places = random.integers(length, size=int(random.integers(1, 4)))
        values = random.integers(32, 127, size=len(places))

        def change(path, data, places=places, values=values):
            if path != "models/model.json":
                return data
            damaged = bytearray(data)
            for at, value in zip(places, values, strict=True):
                damaged[at] = value
            return bytes(damaged)

        try:
            open_network("a.pt2", rewritten(content, change)).run(x)
        except (ValueError, RuntimeError):
            continue
    for end in range(0, len(content), len(content) // 40):
        with pytest.raises(ValueError):
            open_network("a.pt2", content[:end])


def test_an_archive_that_unpacks_to_too_much_is_refused(monkeypatch):
    from gnuradio.semcom.zoo import torch_run

    monkeypatch.setattr(torch_run, "LARGEST_FILE", 100)
    for name, content in (("a.pt", script(Plain())), ("a.pt2", program(Plain(), (torch.rand(2, 3),)))):
        with pytest.raises(ValueError, match="unpacks to more than 100 bytes"):
            open_network(name, content)


def test_asking_for_cuda_and_getting_the_processor_is_a_warning(files, caplog):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    for name, content in files:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            network = open_network(name, content, "cuda")
        assert "cuda" not in network.provider.lower() and any(name in text for text in caplog.messages)
        with pytest.raises(ValueError, match="auto, cpu or cuda"):
            open_network(name, content, "gpu")


def test_unknown_kinds_of_files_and_wrong_hashes_are_refused(tmp_path):
    for name in ("model.pth", "model.h5", "model", "model.ONNX"):
        with pytest.raises(ValueError, match="expected one of .onnx"):
            open_network(name, b"")
    (tmp_path / "model.onnx").write_bytes(b"12345")
    digest = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"
    assert read_verified(tmp_path, "model.onnx", digest) == b"12345"
    for arguments, words in (
        (("model.onnx", "0" * 64), "sha256 5994471abb01... does not match"),
        (("model.onnx", None, 4), "larger than 4 bytes"),
        (("../model.onnx",), "must not contain a folder"),
        (("other.onnx",), "missing"),
    ):
        with pytest.raises(ValueError, match=words):
            read_verified(tmp_path, *arguments)

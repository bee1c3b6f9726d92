# SPDX-License-Identifier: GPL-3.0-or-later
"""An ONNX file is read and judged before any runtime sees it; the onnx package is the witness."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from gnuradio.semcom import zoo
from gnuradio.semcom.zoo.network import open_network
from gnuradio.semcom.zoo.onnx_file import MOST_FIELDS, read_onnx

onnx = pytest.importorskip("onnx")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT
MODELS = sorted(path for root in zoo.model.roots() for path in root.glob("*/*/*.onnx"))


def model(nodes, initializers=(), inputs=("x",), outputs=("y",), shape=(1, 3, "h", "w"), **keywords):
    def info(name):
        return helper.make_tensor_value_info(name, FLOAT, shape)

    graph = helper.make_graph(nodes, "g", [info(n) for n in inputs], [info(n) for n in outputs], list(initializers))
    keywords.setdefault("opset_imports", [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)])
    return helper.make_model(graph, ir_version=9, **keywords)


def relu():
    return model([helper.make_node("Relu", ["x"], ["y"])])


@pytest.mark.parametrize("path", MODELS, ids=lambda path: "/".join(path.parts[-3:]))
def test_the_reader_sees_what_the_onnx_package_sees(path):
    content = path.read_bytes()
    found, graph = read_onnx(content), onnx.load_from_string(content).graph
    own = {tensor.name for tensor in graph.initializer}
    for declared, expected in ((found.inputs, graph.input), (found.outputs, graph.output)):
        expected = [item for item in expected if item.name not in own]
        assert [item.name for item in declared] == [item.name for item in expected]
        for item, value in zip(declared, expected, strict=True):
            tensor = value.type.tensor_type
            assert item.dtype == np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
            sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
            assert list(item.shape) == sizes
    assert found.operators == {(node.domain, node.op_type) for node in graph.node}
    found.check()


def inside(node):
    """The node within a branch of an If within the body of a Loop."""
    true = helper.make_tensor("c", onnx.TensorProto.BOOL, [], [True])
    other = helper.make_node("Relu", ["x"], ["y"])
    branches = {
        key: helper.make_graph([part], key, [], [helper.make_tensor_value_info("y", FLOAT, None)])
        for key, part in (("then_branch", node), ("else_branch", other))
    }
    choose = helper.make_node("If", ["c"], ["y"], **branches)
    body = helper.make_graph(
        [choose, helper.make_node("Identity", ["condition"], ["go"])],
        "body",
        [
            helper.make_tensor_value_info("n", onnx.TensorProto.INT64, []),
            helper.make_tensor_value_info("condition", onnx.TensorProto.BOOL, []),
        ],
        [
            helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", FLOAT, None),
        ],
    )
    many = helper.make_tensor("many", onnx.TensorProto.INT64, [], [2])
    return model([helper.make_node("Loop", ["many", ""], ["ys"], body=body)], [true, many], outputs=("ys",))


HOSTILE = {
    "random": (helper.make_node("RandomNormalLike", ["x"], ["y"]), "random operator RandomNormalLike"),
    "multinomial": (helper.make_node("Multinomial", ["x"], ["y"]), "random operator Multinomial"),
    "dropout": (helper.make_node("Dropout", ["x", "", "t"], ["y"]), "Dropout in training mode"),
    "custom": (helper.make_node("Read", ["x"], ["y"], domain="mine"), r"custom operator mine\.Read"),
    "runtime's own": (helper.make_node("FusedConv", ["x"], ["y"], domain="com.microsoft"), "com.microsoft.FusedConv"),
}


@pytest.mark.parametrize("place", [lambda node: model([node]), inside], ids=["graph", "graph in a graph"])
@pytest.mark.parametrize(("node", "words"), HOSTILE.values(), ids=HOSTILE)
def test_random_and_custom_operators_are_refused_wherever_they_are(node, words, place):
    with pytest.raises(ValueError, match=words) as caught:
        open_network("encoder.onnx", place(node).SerializeToString())
    assert str(caught.value).startswith("encoder.onnx: ") and "\n" not in str(caught.value)


def outside(tensor, location="../../etc/passwd"):
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("length", "4")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


@pytest.mark.parametrize("location", ["../../etc/passwd", "weights.data", "*/_ORT_MEM_ADDR_/*"])
@pytest.mark.parametrize("where", ["initializer", "constant", "sparse", "branch"])
def test_tensors_in_other_files_are_refused(where, location):
    tensor = outside(onnx.numpy_helper.from_array(np.ones(1, np.float32), "w"), location)
    add = helper.make_node("Add", ["x", "w"], ["y"])
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    if where == "sparse":
        made = relu()
        values = onnx.SparseTensorProto()
        values.values.CopyFrom(tensor)
        made.graph.sparse_initializer.append(values)
    else:
        made = {
            "initializer": lambda: model([add], [tensor]),
            "constant": lambda: model([constant, add]),
            "branch": lambda: inside(constant),
        }[where]()
    with pytest.raises(ValueError, match="weights lie in another file"):
        open_network("a.onnx", made.SerializeToString())


def test_what_is_not_plain_onnx_is_refused():
    function = helper.make_function(
        "mine", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    made = model([helper.make_node("F", ["x"], ["y"], domain="mine")], functions=[function])
    for content, words in (
        (made.SerializeToString(), "functions of its own"),
        (b"", "no graph"),
        (b"\x08\x07", "no graph"),
        (b"....ORTM" + relu().SerializeToString(), "ONNX Runtime's own format"),
        (b"\x0b\x0c", "wire type 3"),
        (b"\x80" * 20, "endless number"),
        (b"\x00\x00", "bad field number"),
        (b"\x3a\x05ab", "ends inside a field"),
        (b"\x08\x01" * (MOST_FIELDS + 1), "more than"),
    ):
        with pytest.raises(ValueError, match=words):
            open_network("a.onnx", content)


def field(number, content):
    """A field as it stands in a file: an integer, or bytes with their length."""
    value, out = (content, b"") if isinstance(content, int) else (len(content), content)
    head = b""
    for n in (number << 3 | (0 if isinstance(content, int) else 2), value):
        while n > 127:
            head, n = head + bytes([n & 127 | 128]), n >> 7
        head += bytes([n])
    return head + out


def test_fields_that_protocol_buffers_merge_or_cut_all_count():
    """Two graphs in one file are one, the last of two names counts, a number is cut to 32 bits: all must be seen."""
    relu, random = (field(1, b"x") + field(2, b"y") + field(4, name) for name in (b"Relu", b"RandomNormalLike"))
    graphs = field(7, field(1, relu)) + field(7, field(1, random))
    assert [node.op_type for node in onnx.load_from_string(graphs).graph.node] == ["Relu", "RandomNormalLike"]
    with pytest.raises(ValueError, match="random"):
        open_network("a.onnx", graphs)
    twice = field(7, field(1, relu + field(4, b"RandomNormalLike")))
    assert onnx.load_from_string(twice).graph.node[0].op_type == "RandomNormalLike"
    with pytest.raises(ValueError, match="exactly one operator name"):
        open_network("a.onnx", twice)
    far = field(14, (1 << 32) + 1)
    assert onnx.TensorProto.FromString(far).data_location == onnx.TensorProto.EXTERNAL
    with pytest.raises(ValueError, match="another file"):
        open_network("a.onnx", field(7, field(5, far) + field(1, relu)))


def test_a_graph_nested_without_end_is_refused():
    made = relu()
    for _ in range(20):
        branch = made.graph
        made = model([helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=relu().graph)])
    with pytest.raises(ValueError, match="nested"):
        read_onnx(made.SerializeToString())


def test_damaged_files_are_refused_or_read_but_never_worse():
    content = inside(helper.make_node("Relu", ["x"], ["y"])).SerializeToString()
    random = np.random.default_rng(5)
    for end in range(len(content)):
        try:
            read_onnx(content[:end])
        except ValueError:
            continue
    for _ in range(4000):
        mutated = bytearray(content)
        for _ in range(int(random.integers(1, 6))):
            mutated[random.integers(len(mutated))] = random.integers(256)
        if random.random() < 0.3:
            at = int(random.integers(len(mutated)))
            mutated[at:at] = struct.pack("<Q", int(random.integers(1 << 62)))
        try:
            read_onnx(bytes(mutated))
        except ValueError:
            continue


def test_a_model_whose_loop_does_not_end_is_stopped(monkeypatch):
    from gnuradio.semcom.zoo import onnx_network

    monkeypatch.setattr(onnx_network, "LONGEST_RUN_S", 0.2)
    kinds = (("n", onnx.TensorProto.INT64, []), ("go", onnx.TensorProto.BOOL, []), ("before", FLOAT, [4]))
    infos = [helper.make_tensor_value_info(*kind) for kind in kinds]
    after = [
        helper.make_tensor_value_info(name, *kind[1:]) for name, kind in zip(("on", "after"), kinds[1:], strict=True)
    ]
    nodes = [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Sin", ["before"], ["after"])]
    body = helper.make_graph(nodes, "body", infos, after)
    many = helper.make_tensor("many", onnx.TensorProto.INT64, [], [1 << 50])
    network = open_network(
        "a.onnx",
        model([helper.make_node("Loop", ["many", "", "x"], ["y"], body=body)], [many], shape=(4,)).SerializeToString(),
    )
    with pytest.raises(RuntimeError, match="stopped after"):
        network.run(np.ones(4, np.float32))

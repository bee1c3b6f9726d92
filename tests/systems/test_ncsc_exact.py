# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that choose coding tables give the same bits however they are run."""

import numpy as np
import pytest

from gnuradio.semcom.systems.ncsc.codec import codec


def _integer_conv(x, weight, bias):
    """3x3 or 1x1 convolution in Python-independent integer arithmetic, zero padding."""
    outputs, _, size, _ = weight.shape
    reach = size // 2
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach)))
    height, width = x.shape[1:]
    out = np.zeros((outputs, height, width), np.int64) + bias[:, None, None]
    for r in range(size):
        for c in range(size):
            out += np.einsum("oi,ihw->ohw", weight[:, :, r, c], padded[:, r : r + height, c : c + width])
    return out


def test_convolutions_of_the_shipped_entropy_networks_are_integer_sums_below_2_to_24():
    onnx = pytest.importorskip("onnx")
    model = codec().model
    checked = 0
    for part in ("entropy_first", "entropy_second"):
        graph = onnx.load(str(model.folder / f"{part}.onnx")).graph
        arrays = {t.name.removesuffix(".half"): onnx.numpy_helper.to_array(t) for t in graph.initializer}
        for node in graph.node:
            if node.op_type != "Conv":
                continue
            weight, bias = (arrays[name].astype(np.float64) for name in node.input[1:3])
            for w, b in zip(weight, bias, strict=True):
                bound = 31.0 if (part == "entropy_first" and weight.shape[1] == 32) else 255 / 16
                unit = 2.0**-14
                while not ((w / unit) % 1 == 0).all() or (b / (unit / 16)) % 1:
                    unit /= 2
                    assert unit > 2.0**-30
                # the coarsest grid that still holds the weights decides how large the sums are
                while ((w / (2 * unit)) % 1 == 0).all() and (b / (2 * unit / 16)) % 1 == 0 and unit < 1:
                    unit *= 2
                assert (np.abs(w).sum() * bound + abs(b)) / (unit / 16) < 2**24
                checked += 1
    assert checked > 500


def test_table_indices_do_not_depend_on_graph_optimisation_or_threads():
    import onnxruntime as ort

    model = codec().model
    random = np.random.default_rng(3)
    z = random.integers(-31, 32, (2, 32, 4, 4)).astype(np.float32)
    known = (random.integers(-255, 256, (2, 128, 16, 16)) / 16).astype(np.float32)
    results = []
    for threads, level in (
        (1, ort.GraphOptimizationLevel.ORT_ENABLE_ALL),
        (2, ort.GraphOptimizationLevel.ORT_DISABLE_ALL),
    ):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = level
        first = ort.InferenceSession(str(model.folder / "entropy_first.onnx"), options, ["CPUExecutionProvider"])
        second = ort.InferenceSession(str(model.folder / "entropy_second.onnx"), options, ["CPUExecutionProvider"])
        hyper, mean, index = first.run(None, {"z": z})
        results.append((hyper, mean, index, *second.run(None, {"hyper": hyper, "known": known})))
    for left, right in zip(*results, strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_first_layer_equals_integer_arithmetic():
    onnx = pytest.importorskip("onnx")
    import onnxruntime as ort

    path = codec().model.folder / "entropy_second.onnx"
    graph = onnx.load(str(path))
    arrays = {t.name.removesuffix(".half"): onnx.numpy_helper.to_array(t) for t in graph.graph.initializer}
    node = next(n for n in graph.graph.node if n.op_type == "Conv")
    weight, bias = (arrays[name].astype(np.float64) for name in node.input[1:3])
    graph.graph.output.append(onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None))
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(4)
    known = random.integers(-255, 256, (128, 8, 8))
    feed = {"hyper": np.zeros((1, 128, 8, 8), np.float32), "known": (known[None] / 16).astype(np.float32)}
    found = session.run([node.output[0]], feed)[0][0]
    scale = 2**14
    exact = _integer_conv(
        known, np.round(weight * scale).astype(np.int64), np.round(bias * scale * 16).astype(np.int64)
    )
    np.testing.assert_array_equal(found, (exact / (scale * 16)).astype(np.float32))

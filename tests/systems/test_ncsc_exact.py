# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that choose coding tables give the same bits however they are run.

Decoders in other arithmetic: ONNX Runtime with one and two threads, with and without graph optimisation; Torch with
and without oneDNN, and held to the plain kernels (by `PLAIN`, variables that are read when a process starts). ONNX
Runtime cannot be told which instructions to use: it asks the processor. Where the emulator `qemu-x86_64` is installed
a process is shown other processors.

    python tests/systems/test_ncsc_exact.py STREAMS.npz onnx|torch

prints what another process makes of streams.
"""

import hashlib
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from gnuradio.semcom.systems.ncsc.codec import Codec, codec
from gnuradio.semcom.zoo import available, find

MODELS = sorted(available("ncsc"), key=lambda name: (name != "mse", name))

CODING = ("entropy_first", "entropy_second")
PLAIN = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}

PROCESSORS = ("Nehalem", "SandyBridge", "Haswell")  # no AVX; AVX alone; AVX2 and fused multiply-add, not AVX-512


class OnnxParts:
    """The coding networks in ONNX Runtime."""

    def __init__(self, folder, threads=1, optimise=True):
        import onnxruntime as ort

        level = ort.GraphOptimizationLevel
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.sessions = {
            part: ort.InferenceSession(str(folder / f"{part}.onnx"), options, ["CPUExecutionProvider"])
            for part in CODING
        }

    def __call__(self, part, inputs):
        session = self.sessions[part]
        return session.run(None, {node.name: x for node, x in zip(session.get_inputs(), inputs, strict=True)})


class TorchParts:
    """The coding networks in Torch, from the same files."""

    def __init__(self, folder, threads=1, onednn=True):
        import torch

        from gnuradio.semcom.systems.ncsc.export import restore
        from gnuradio.semcom.systems.ncsc.network import ExactConv, Small

        self.torch, self.threads, self.onednn = torch, threads, onednn
        self.model = Small().eval()
        self.model.load_state_dict(restore(folder))
        self.model.set_exact(True)
        for module in self.model.modules():
            if isinstance(module, ExactConv):
                module.freeze()

    def __call__(self, part, inputs):
        torch, model = self.torch, self.model
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        x = [torch.from_numpy(np.ascontiguousarray(value)) for value in inputs]
        with torch.no_grad(), torch.backends.mkldnn.flags(enabled=self.onednn, allow_tf32=False):
            if part == "entropy_first":
                hyper = model.hyper_synthesis(x[0])
                found = (hyper, *model.split(model.first(hyper)))
            else:
                found = model.split(model.second(torch.cat([x[0], model.context(x[1])], 1)))
        torch.set_num_threads(before)
        return [value.numpy() for value in found]


class Decoded:
    """Stands for a codec's model: coding networks as given, and instead of a synthesis a note of its input, the
    decoded latents. A single wrong table index makes all that follows it in a stream another number."""

    def __init__(self, parts):
        self.parts, self.latents = parts, []

    def run(self, part, *inputs, cpu_only=False):
        if part in CODING:
            return self.parts(part, inputs)
        assert part == "synthesis"
        self.latents.append(inputs[0].copy())
        height, width = inputs[0].shape[2:]
        return [np.zeros((1, 3, 16 * height, 16 * width), np.float32)]


def decode_with(parts, model, streams, shapes):
    """Latents of each stream; nothing may have been concealed."""
    decoder = Codec(model)
    decoder.model = Decoded(parts)
    for stream, shape in zip(streams, shapes, strict=True):
        decoded = decoder.decode(stream, np.ones(len(stream), bool), shape)
        assert decoded.concealed == 0
    return decoder.model.latents


def digest(latents):
    """Of all latents, bit for bit."""
    found = hashlib.sha256()
    for values in latents:
        found.update(np.ascontiguousarray(values, np.float32).tobytes())
    return found.hexdigest()


def encoded_messages(count, model):
    """Streams of crops of a photograph, enlarged, mirrored, noisy or flat, at qualities over the whole scale."""
    from PIL import Image

    from gnuradio.semcom.media.images import read_image
    from gnuradio.semcom.media.photographs import packaged_photograph

    whole = Image.fromarray(read_image(packaged_photograph()).data)
    random = np.random.default_rng(2026)
    streams, shapes = [], []
    for number in range(count):
        shape = ((64, 64), (64, 64), (64, 128), (100, 70))[number % 4]
        scale = random.uniform(0.6, 2.0)
        sides = [max(1, round(side / scale)) for side in shape]
        top, left = (random.integers(0, whole.size[1 - k] - sides[k]) for k in (0, 1))
        box = (left, top, left + sides[1], top + sides[0])
        crop = np.asarray(whole.resize(shape[::-1], Image.Resampling.BICUBIC, box)).astype(np.float64)
        if number % 5 == 4:
            crop = crop * random.uniform(0, 1.5) + random.normal(0, random.uniform(0, 80), crop.shape)
        picture = np.clip(crop[:, :: random.choice([-1, 1])], 0, 255).astype(np.uint8)
        streams.append(codec(model).encode(picture, quality=int(random.integers(256))))
        shapes.append(shape)
    return streams, shapes


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """12 streams with what the codec itself decodes, and the file that tells other processes of them."""
    return prepared(12, tmp_path_factory.mktemp("exact"), MODELS[0])


def prepared(count, folder, model):
    streams, shapes = encoded_messages(count, model)
    lengths = [len(stream) for stream in streams]
    np.savez(folder / "streams.npz", model=model, shapes=shapes, lengths=lengths, data=list(b"".join(streams)))
    expected = decode_with(OnnxParts(find("ncsc", model)), model, streams, shapes)
    assert len(expected) == count and len({values.tobytes() for values in expected}) == count
    return streams, shapes, expected, folder / "streams.npz"


def other_decoders(model):
    """Name and parts of each decoder that this process can be."""
    folder = find("ncsc", model)
    yield "two threads", OnnxParts(folder, threads=2)
    yield "no optimisation", OnnxParts(folder, optimise=False)
    yield "two threads, no optimisation", OnnxParts(folder, threads=2, optimise=False)
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        return
    yield "Torch", TorchParts(folder)
    yield "Torch, two threads, without oneDNN", TorchParts(folder, threads=2, onednn=False)


def in_another_process(file, kind, environment, command=()):
    """The digest of what a process of its own decodes; its standard error where it fails."""
    command = [*command, sys.executable, __file__, str(file), kind]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()[-1]


def on_processor(name, file):
    """The digest of what ONNX Runtime decodes on an emulated processor; numpy's library knows too few of them."""
    command = ["qemu-x86_64", "-cpu", name]
    return in_another_process(file, "onnx", {"OPENBLAS_CORETYPE": "Nehalem"}, command)


@pytest.mark.filterwarnings("ignore:TF32")
def test_any_decoder_decodes_the_same_latents(messages):
    streams, shapes, expected, _ = messages
    for name, parts in other_decoders(MODELS[0]):
        for left, right in zip(decode_with(parts, MODELS[0], streams, shapes), expected, strict=True):
            np.testing.assert_array_equal(left, right, err_msg=name)


def test_a_decoder_with_plain_kernels_decodes_the_same_latents(messages):
    pytest.importorskip("torch")
    *_, expected, file = messages
    assert in_another_process(file, "torch", PLAIN) == digest(expected)


def test_a_wrong_table_index_would_be_noticed(messages):
    """The check can fail: one index of one latent moved by one."""
    streams, shapes, expected, _ = messages
    right = OnnxParts(find("ncsc", MODELS[0]))

    def wrong(part, inputs):
        *first, index = right(part, inputs)
        index = index.copy()
        index[0, 0, 0, 0] = index[0, 0, 0, 0] + 1 if index[0, 0, 0, 0] < 63 else 62
        return [*first, index]

    decoder = Codec(MODELS[0])
    decoder.model = Decoded(wrong)
    damaged = 0
    for number, (stream, shape) in enumerate(zip(streams, shapes, strict=True)):
        decoded = decoder.decode(stream, np.ones(len(stream), bool), shape)
        same = not decoded.concealed and np.array_equal(decoder.model.latents[-1], expected[number])
        damaged += not same
    assert damaged >= len(streams) - 1


@pytest.mark.filterwarnings("ignore:TF32")
@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("model", MODELS)
def test_two_thousand_messages_are_decoded_alike_everywhere(tmp_path, model):
    streams, shapes, expected, file = prepared(2000, tmp_path, model)
    for name, parts in other_decoders(model):
        found = decode_with(parts, model, streams, shapes)
        different = sum(not np.array_equal(left, right) for left, right in zip(found, expected, strict=True))
        print(f"{name}: {different} of {len(streams)} messages differ")
        assert different == 0, name
    if "torch" in sys.modules:
        assert in_another_process(file, "torch", PLAIN) == digest(expected)


@pytest.mark.slow
@pytest.mark.timeout(1600)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_onnx_runtime_on_another_processor_decodes_the_same_latents(tmp_path, processor):
    if shutil.which("qemu-x86_64") is None:
        pytest.skip("qemu-x86_64 is not installed (Debian: qemu-user): no other processor to try")
    *_, expected, file = prepared(200, tmp_path, MODELS[0])  # an emulator takes a quarter of a second for each
    assert on_processor(processor, file) == digest(expected)


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


@pytest.mark.parametrize("model", MODELS)
def test_convolutions_of_the_shipped_entropy_networks_are_integer_sums_below_2_to_24(model):
    onnx = pytest.importorskip("onnx")
    checked = 0
    for part in ("entropy_first", "entropy_second"):
        graph = onnx.load(str(find("ncsc", model) / f"{part}.onnx")).graph
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


def main(file, kind):
    """Print the digest of what this process decodes of a file of streams."""
    with np.load(file) as content:
        ends = np.cumsum(content["lengths"])
        data = content["data"].astype(np.uint8).tobytes()
        streams = [data[end - length : end] for end, length in zip(ends, content["lengths"], strict=True)]
        shapes = [tuple(map(int, shape)) for shape in content["shapes"]]
        model = str(content["model"])
    parts = {"onnx": OnnxParts, "torch": TorchParts}[kind](find("ncsc", model))
    print(digest(decode_with(parts, model, streams, shapes)))


if __name__ == "__main__":
    main(*sys.argv[1:])

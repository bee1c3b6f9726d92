# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads an ONNX file far enough to say what it would do, before any runtime sees it.

ONNX is a protocol-buffer message (onnx.proto of the ONNX project; the field numbers below are its own). Only what
decides is read: operators, where tensors lie, and the types and shapes of inputs and outputs. A message may repeat or
merge fields, so every occurrence counts and the strictest reading wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .network import Declared

RANDOM = frozenset("RandomNormal RandomNormalLike RandomUniform RandomUniformLike Multinomial Bernoulli".split())
ITERATING = frozenset("Loop Scan SequenceMap".split())
DOMAINS = ("", "ai.onnx")
MOST_FIELDS = 2_000_000
DEEPEST = 16  # graphs within graphs
TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
}  # fmt: skip

# Message: {field number: message}, as far as we walk
_FIELDS: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 25: "Function"},
    "Graph": {1: "Node", 5: "Tensor", 11: "Input", 12: "Output", 15: "SparseTensor"},
    "Node": {4: "op_type", 5: "Attribute", 7: "domain", 1: "node_input"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {8: "name", 13: "external", 14: "location"},
}


@dataclass
class OnnxFile:
    """What an ONNX file holds: `inputs` without those that are initializers, `operators` with their domains."""

    inputs: tuple[Declared, ...] = ()
    outputs: tuple[Declared, ...] = ()
    operators: set[tuple[str, str]] = field(default_factory=set)
    external: bool = False
    functions: bool = False
    trains: bool = False  # a Dropout that may be in training mode

    @property
    def iterates(self) -> bool:
        """Whether the data decide how long a run takes."""
        return any(name in ITERATING for _, name in self.operators)

    def check(self) -> None:
        """ValueError for what we do not run."""
        if self.external:
            raise ValueError(
                "its weights lie in another file, which a model may not open; save it as one file, "
                "torch.onnx.export(..., external_data=False) or onnx.save(model, path)"
            )
        if self.functions:
            raise ValueError("it defines functions of its own; expected standard ONNX operators only: inline them")
        custom = sorted({f"{domain}.{name}" for domain, name in self.operators if domain not in DOMAINS})
        if custom:
            raise ValueError(f"custom operator {custom[0]}; expected standard ONNX operators (domain ai.onnx) only")
        random = sorted(name for _, name in self.operators if name in RANDOM)
        if self.trains:
            random.append("Dropout in training mode")
        if random:
            raise ValueError(f"random operator {random[0]}; expected a model that gives the same output each time")


def read_onnx(content: bytes) -> OnnxFile:
    """What the file holds; ValueError if it is not an ONNX file."""
    if content[4:8] == b"ORTM":
        raise ValueError("ONNX Runtime's own format under the name of ONNX; expected an ONNX file")
    try:
        return _Walk().model(memoryview(content))
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"not an ONNX file, or a damaged one: {error}") from error


class _Walk:
    def __init__(self) -> None:
        self.left = MOST_FIELDS
        self.found = OnnxFile()

    def model(self, data: memoryview) -> OnnxFile:
        graphs = 0
        inputs: list[Declared] = []
        outputs: list[Declared] = []
        own: set[str] = set()
        for number, value in self.fields(data):
            kind = _FIELDS["Model"].get(number)
            if kind == "Function":
                self.found.functions = True
            elif kind == "Graph":
                graphs += 1
                self.graph(_bytes(value), 0, inputs, outputs, own)
        if not graphs:
            raise ValueError("not an ONNX file: it holds no graph")
        self.found.inputs = tuple(item for item in inputs if item.name not in own)
        self.found.outputs = tuple(outputs)
        return self.found

    def graph(
        self, data: memoryview, depth: int, inputs: list[Declared], outputs: list[Declared], own: set[str]
    ) -> None:
        if depth > DEEPEST:
            raise ValueError(f"graphs nested more than {DEEPEST} deep")
        for number, value in self.fields(data):
            kind = _FIELDS["Graph"].get(number)
            if kind == "Node":
                self.node(_bytes(value), depth)
            elif kind == "Tensor":
                own.add(self.tensor(_bytes(value)))
            elif kind == "SparseTensor":
                self.sparse(_bytes(value))
            elif kind == "Input":
                inputs.append(self.declared(_bytes(value)))
            elif kind == "Output":
                outputs.append(self.declared(_bytes(value)))

    def node(self, data: memoryview, depth: int) -> None:
        names: dict[str, list[str]] = {"op_type": [], "domain": [], "node_input": []}
        for number, value in self.fields(data):
            kind = _FIELDS["Node"].get(number)
            if kind == "Attribute":
                self.attribute(_bytes(value), depth)
            elif kind is not None:
                names[kind].append(_text(value))
        if len(names["op_type"]) != 1 or len(names["domain"]) > 1:
            raise ValueError("a node without exactly one operator name and at most one domain")
        name = names["op_type"][0]
        self.found.operators.add((names["domain"][0] if names["domain"] else "", name))
        if name == "Dropout" and any(names["node_input"][2:]):
            self.found.trains = True

    def attribute(self, data: memoryview, depth: int) -> None:
        for number, value in self.fields(data):
            kind = _FIELDS["Attribute"].get(number)
            if kind == "Graph":
                self.graph(_bytes(value), depth + 1, [], [], set())
            elif kind == "Tensor":
                self.tensor(_bytes(value))
            elif kind == "SparseTensor":
                self.sparse(_bytes(value))

    def sparse(self, data: memoryview) -> None:
        for number, value in self.fields(data):
            if number in _FIELDS["SparseTensor"]:
                self.tensor(_bytes(value))

    def tensor(self, data: memoryview) -> str:
        """Its name; notes whether its data lie elsewhere."""
        name = ""
        for number, value in self.fields(data):
            kind = _FIELDS["Tensor"].get(number)
            if kind == "name":
                name = _text(value)
            elif kind == "external" or (kind == "location" and value != 0):
                self.found.external = True
        return name

    def declared(self, data: memoryview) -> Declared:
        """A ValueInfoProto: name 1, type 2 {tensor 1 {elem_type 1, shape 2 {dim 1 {value 1, parameter 2}}}}."""
        name, dtype, shape = "", None, None
        for number, value in self.fields(data):
            if number == 1:
                name = _text(value)
            for inner, tensor in self.fields(_bytes(value)) if number == 2 else ():
                if inner != 1:
                    raise ValueError(f"input or output {name!r} is not a tensor")
                for part, content in self.fields(_bytes(tensor)):
                    if part == 1:
                        dtype = TYPES.get(_number(content), f"type {_number(content)}")
                    elif part == 2:
                        shape = tuple(self.size(_bytes(dim)) for key, dim in self.fields(_bytes(content)) if key == 1)
        return Declared(name, dtype, shape)

    def size(self, data: memoryview) -> int | None:
        for number, value in self.fields(data):
            if number == 1:
                return _number(value)
        return None

    def fields(self, data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """Number and value of each field of a message: an integer, or the bytes of what has a length."""
        at = 0
        while at < len(data):
            self.left -= 1
            if self.left < 0:
                raise ValueError(f"more than {MOST_FIELDS} fields")
            tag, at = _varint(data, at, 5)
            number, wire = tag >> 3, tag & 7
            if number == 0 or tag >= 1 << 32:
                raise ValueError("not an ONNX file, or a damaged one: bad field number")
            if wire == 0:
                value, at = _varint(data, at, 10)
                yield number, value
                continue
            length = {1: 8, 5: 4}.get(wire, 0)
            if wire == 2:
                length, at = _varint(data, at, 10)
            elif not length:
                raise ValueError(f"not an ONNX file, or a damaged one: wire type {wire}")
            if length > len(data) - at:
                raise ValueError("not an ONNX file, or a damaged one: it ends inside a field")
            yield number, data[at : at + length]
            at += length


def _varint(data: memoryview, at: int, longest: int) -> tuple[int, int]:
    value = 0
    for k in range(longest):
        byte = data[at + k]
        value |= (byte & 127) << 7 * k
        if byte < 128:
            return value, at + k + 1
    raise ValueError("not an ONNX file, or a damaged one: endless number")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("not an ONNX file, or a damaged one: a number where a message belongs")
    return value


def _number(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise ValueError("not an ONNX file, or a damaged one: bytes where a number belongs")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_bytes(value)).decode()

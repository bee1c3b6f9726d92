# SPDX-License-Identifier: GPL-3.0-or-later
"""Exported programs of PyTorch (`.pt2`, torch.export.save), read and run by us.

torch.export.load unpickles, evaluates expressions and executes guards that the file holds, so it is never called.
The archive keeps the graph as JSON and the weights as plain bytes: both are read here, and the graph's operators, one
after another, are called by their names, which must be those of PyTorch's own operators (`aten`) or of a little
arithmetic on sizes. What else an archive may hold is refused by name.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from .aten import SWITCHED, refusal
from .network import Declared, Network
from .torch_run import archive, one_thread, to_arrays, to_tensors, torch_device, torch_module

SCHEMA = 8  # major version of torch._export.serde.schema
DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64", 12: "bool",
    13: "bfloat16", 28: "uint16", 34: "uint32", 35: "uint64",
}  # fmt: skip
MEMORY_FORMATS = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}
STRIDED = 7
SIZES: dict[str, Callable[..., Any]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in
       "add sub mul floordiv truediv mod neg pow eq ne lt le gt ge and_ or_ not_ getitem".split()},
    **{f"math.{name}": getattr(math, name) for name in ("ceil", "floor", "trunc", "sqrt")},
    "torch.sym_max": max, "torch.sym_min": min, "torch.sym_float": float, "torch.sym_int": int,
    "torch.sym_not": operator.not_,
}  # fmt: skip
_ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")
_Values = dict[str, Any]


class ExportedProgram(Network):
    """A `.pt2` archive as a list of operator calls."""

    def __init__(self, name: str, content: bytes, device: str = "auto") -> None:
        self.name = name
        torch_module(name)
        self.device = torch_device(device, name)
        self.provider = f"torch {self.device}"
        _, files = archive(name, content, "an exported program")
        if files.get("archive_format") != b"pt2":
            raise self._refuse("not an exported program, or one of an older torch: save it again with a newer one")
        models = [path for path in files if path.startswith("models/") and path.endswith(".json")]
        if len(models) != 1 or files.get("byteorder", b"little") != b"little":
            raise ValueError(f"{name}: expected one little-endian program in the archive, found {len(models)}")
        try:
            with one_thread(name):
                self._read(files, models[0])
        except (KeyError, TypeError, AttributeError, IndexError, ValueError, RuntimeError, RecursionError) as error:
            if isinstance(error, ValueError) and str(error).startswith(f"{name}:"):
                raise
            text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise ValueError(f"{name}: not an exported program that can be read: {text}") from error

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Call the operators in order; values are dropped after their last use."""
        if len(inputs) != len(self._inputs):
            raise RuntimeError(f"Torch: {self.name} takes {len(self._inputs)} inputs, not {len(inputs)}")
        with one_thread(self.name) as torch:
            values = dict(self._constants)
            values.update(zip(self._inputs, to_tensors(torch, inputs, self.device), strict=True))
            try:
                for call in self._calls:
                    call(values)
            except Exception as error:  # operators raise all kinds
                raise RuntimeError(f"Torch: {' '.join(str(error).split())[:300]}") from error
            if any(tensor._version for tensor in self._constants.values()):
                raise RuntimeError(f"Torch: {self.name} changes its own weights as it runs")
            return to_arrays(self.name, [values[output] for output in self._outputs], torch)

    def _refuse(self, what: str) -> ValueError:
        return ValueError(f"{self.name}: {what}")

    def _read(self, files: dict[str, bytes], path: str) -> None:
        program = json.loads(files[path])
        version = program["schema_version"]["major"]
        if version != SCHEMA:
            raise self._refuse(f"schema version {version} of torch.export; expected {SCHEMA}: export it again")
        module = program["graph_module"]
        graph, signature = module["graph"], module["signature"]
        model = path.removeprefix("models/").removesuffix(".json")
        weights = self._tensors(files, "data/weights/", f"{model}_weights_config.json")
        constants = self._tensors(files, "data/constants/", f"{model}_constants_config.json")
        self._inputs: list[str] = []
        self._constants: _Values = {}
        for spec in signature["input_specs"]:
            ((kind, entry),) = spec.items()
            if kind == "user_input":
                self._inputs.append(self._tensor_name(entry["arg"]))
            elif kind == "parameter":
                self._constants[entry["arg"]["name"]] = weights[entry["parameter_name"]]
            elif kind == "buffer":
                source = weights if entry["persistent"] else constants
                self._constants[entry["arg"]["name"]] = source[entry["buffer_name"]]
            elif kind == "tensor_constant":
                self._constants[entry["arg"]["name"]] = constants[entry["tensor_constant_name"]]
            else:
                raise self._refuse(f"an input of kind {kind}; expected tensors only")
        self._outputs: list[str] = []
        for spec in signature["output_specs"]:
            ((kind, entry),) = spec.items()
            if kind != "user_output":
                raise self._refuse(f"it changes its own state ({kind}); expected a model in eval() mode without memory")
            self._outputs.append(self._tensor_name(entry["arg"]))
        declared = graph["tensor_values"]
        self.inputs = tuple(self._declared(name, declared[name]) for name in self._inputs)
        self.outputs = tuple(self._declared(name, declared[name]) for name in self._outputs)
        last: dict[str, int] = {}
        for number, node in enumerate(graph["nodes"]):
            for name in _names([entry["arg"] for entry in node["inputs"]]) + _names(node["outputs"]):
                last[name] = number
        kept = {*self._constants, *self._outputs}
        dead: dict[int, list[str]] = {}
        for name, number in last.items():
            if name not in kept:
                dead.setdefault(number, []).append(name)
        self._calls = [self._call(node, dead.get(number, [])) for number, node in enumerate(graph["nodes"])]

    def _tensor_name(self, argument: dict[str, Any]) -> str:
        if set(argument) != {"as_tensor"}:
            raise self._refuse(f"an input or output of kind {next(iter(argument), '')}; expected tensors only")
        return argument["as_tensor"]["name"]

    def _declared(self, name: str, meta: dict[str, Any]) -> Declared:
        sizes = tuple(size["as_int"] if "as_int" in size else None for size in meta["sizes"])
        return Declared(name, DTYPES.get(meta["dtype"], f"type {meta['dtype']}"), sizes)

    def _tensors(self, files: dict[str, bytes], folder: str, config: str) -> _Values:
        """Tensors from plain bytes."""
        import torch

        if folder + config not in files:
            raise self._refuse("its tensors are pickled, as an older torch did: save it again with a newer one")
        found: _Values = {}
        for name, entry in json.loads(files[folder + config])["config"].items():
            meta = entry["tensor_meta"]
            if entry["use_pickle"] or meta is None:
                raise self._refuse(f"{name} is a pickled object; expected plain tensors only")
            if meta["layout"] != STRIDED or meta["dtype"] not in DTYPES:
                raise self._refuse(f"{name} has a layout or type that is not supported")
            dtype = getattr(torch, DTYPES[meta["dtype"]])
            content = files[folder + entry["path_name"]]
            flat = torch.frombuffer(bytearray(content), dtype=dtype) if content else torch.zeros(0, dtype=dtype)
            sizes, strides = ([size["as_int"] for size in meta[key]] for key in ("sizes", "strides"))
            tensor = torch.as_strided(flat, sizes, strides, meta["storage_offset"]["as_int"])
            found[name] = tensor.clone().to(self.device)
        return found

    def _call(self, node: dict[str, Any], dead: list[str]) -> Callable[[_Values], None]:
        """One operator with its arguments as a function of the values so far."""
        target = node["target"]
        function = self._function(target, {entry["name"]: entry["arg"] for entry in node["inputs"]})
        keywords = target not in SIZES
        arguments = [(entry["name"], self._argument(entry["arg"], target)) for entry in node["inputs"]]
        store = [_stored(output, self.name) for output in node["outputs"]]

        def call(values: _Values) -> None:
            given = {name: argument(values) for name, argument in arguments}
            result = function(**given) if keywords else function(*given.values())
            for put, value in zip(store, (result,) if len(store) == 1 else result or (), strict=True):
                put(values, value)
            for name in dead:
                values.pop(name, None)

        return call

    def _function(self, target: str, given: dict[str, Any]) -> Callable[..., Any]:
        import torch

        if target in SIZES:
            return SIZES[target]
        found = _ATEN.fullmatch(target)
        if found is None:
            raise self._refuse(f"custom operator {target}; expected PyTorch's own (torch.ops.aten) only")
        name, overload = found.groups()
        why = refusal(name)
        training = any(given.get(key, {}).get("as_bool") for key in ("train", "training"))
        if name in SWITCHED and (training or given.get("dropout_p", {}).get("as_float", 0)):
            why = f"random operator {name}, in training mode"
        if why:
            raise self._refuse(f"{why}; expected a model in eval() mode that gives the same output each time")
        return getattr(getattr(torch.ops.aten, name), overload)

    def _argument(self, argument: dict[str, Any], target: str) -> Callable[[_Values], Any]:
        """An argument as a function of the values so far."""
        import torch

        ((kind, value),) = argument.items()
        if kind == "as_none":
            return lambda values: None
        if kind in ("as_tensor", "as_tensors", "as_optional_tensor", "as_optional_tensors"):
            return _looked_up(value)
        if kind in ("as_sym_int", "as_sym_ints", "as_sym_float", "as_sym_floats", "as_sym_bool", "as_sym_bools"):
            return _looked_up(value)
        if kind == "as_scalar_type":
            dtype = getattr(torch, DTYPES[value])
            return lambda values: dtype
        if kind == "as_memory_format":
            form = getattr(torch, MEMORY_FORMATS[value])
            return lambda values: form
        if kind == "as_layout" and value == STRIDED:
            return lambda values: torch.strided
        if kind == "as_device":
            device = torch.device(self.device)
            return lambda values: device
        if kind in ("as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_bools", "as_string"):
            return lambda values: value
        raise self._refuse(f"operator {target} with an argument of kind {kind}, which is not supported")


def _looked_up(value: Any) -> Callable[[_Values], Any]:
    """{"name": ...}, {"as_name": ...} or {"as_int": ...}, or a list of them, as a function of the values so far."""
    if isinstance(value, list):
        parts = [_looked_up(part) for part in value]
        return lambda values: [part(values) for part in parts]
    ((kind, content),) = value.items()
    if kind in ("name", "as_name"):
        return lambda values: values[content]
    if kind in ("as_tensor", "as_optional_tensor"):
        return _looked_up(content)
    if kind == "as_none":
        return lambda values: None
    if kind in ("as_int", "as_float", "as_bool"):
        return lambda values: content
    raise ValueError(f"a value of kind {kind}")


def _stored(output: dict[str, Any], name: str) -> Callable[[_Values, Any], None]:
    """What puts an operator's result among the values."""
    names = _names([output])
    ((kind, _),) = output.items()
    if kind in ("as_tensors", "as_sym_ints"):

        def put_several(values: _Values, result: Any) -> None:
            values.update(zip(names, result, strict=True))

        return put_several
    if kind not in ("as_tensor", "as_sym_int", "as_sym_bool", "as_sym_float", "as_none", "as_optional_tensor"):
        raise ValueError(f"{name}: an operator's output of kind {kind}, which is not supported")
    return lambda values, result: values.update(dict.fromkeys(names, result))


def _names(arguments: Any) -> list[str]:
    """All names of values in arguments, whatever their kind."""
    if isinstance(arguments, dict):
        own = [value for key, value in arguments.items() if key in ("name", "as_name") and isinstance(value, str)]
        return own + [name for value in arguments.values() for name in _names(value)]
    if isinstance(arguments, list):
        return [name for value in arguments for name in _names(value)]
    return []

# SPDX-License-Identifier: GPL-3.0-or-later
"""TorchScript archives (`.pt`, torch.jit.save): a program with weights. Scanned first, then run by torch.jit.

torch.jit.load runs what the program says in PyTorch's own interpreter, not in Python; its operators can write files.
So the program, which the archive keeps as text in Python's grammar, is read before it is loaded, and one that names
anything but PyTorch's pure operators is refused. The reader of the archive's tensors is PyTorch's own and was not made
for hostile files: use ONNX for models whose origin you do not know.
"""

from __future__ import annotations

import ast
import warnings
from typing import Any

from numpy.typing import NDArray

from .aten import refusal
from .network import Network
from .torch_run import archive, one_thread, packed, to_arrays, to_tensors, torch_device, torch_module

PRIM = frozenset(
    "NumToTensor RaiseException unchecked_cast unchecked_unwrap_optional min max abs device dtype layout data is_cuda"
    " is_cpu is_nested is_sparse is_quantized requires_grad type tolist TupleIndex TupleUnpack StringIndex rangelist"
    " itemsize nbytes".split()
)
FORBIDDEN_NAMES = frozenset("print fork awaitable rpc_async rpc_sync rpc_remote".split())


class TorchScript(Network):
    """A scripted or traced module. Its types and shapes are known only by running it."""

    inputs = None
    outputs = None

    def __init__(self, name: str, content: bytes, device: str = "auto") -> None:
        self.name = name
        torch = torch_module(name)
        self.device = torch_device(device, name)
        self.provider = f"torch {self.device}"
        top, files = archive(name, content, "TorchScript (torch.jit.save)")
        programs = {path: text for path, text in files.items() if path.startswith("code/") and path.endswith(".py")}
        if not programs or "constants.pkl" not in files:
            raise ValueError(
                f"{name}: a pickle (torch.save), which can run any code when it is loaded; expected TorchScript: "
                "torch.jit.save(torch.jit.script(model.eval()), path), or export to ONNX"
            )
        try:
            for source in programs.values():
                _check(ast.parse(source.decode()))
        except (SyntaxError, UnicodeDecodeError, RecursionError, MemoryError) as error:
            raise ValueError(f"{name}: its program cannot be read: {' '.join(str(error).split())}") from error
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that TorchScript is no longer the newest format
                self._module = torch.jit.load(packed(top, files), map_location=self.device).eval()
        except Exception as error:
            text = " ".join(str(error).split())[:300]
            raise ValueError(f"{name}: torch.jit.load refuses it: {text}") from error

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Call the module's `forward`."""
        with one_thread(self.name) as torch:
            # the first runs would be profiled and later ones optimised: other sums, other last digits
            with torch.jit.optimized_execution(False):
                try:
                    result = self._module(*to_tensors(torch, inputs, self.device))
                except Exception as error:
                    raise RuntimeError(f"Torch: {_last_line(error)}") from error
            return to_arrays(self.name, result, torch)


def _check(program: ast.AST) -> None:
    """ValueError for a program that names what we do not run."""
    for node in ast.walk(program):
        if isinstance(node, ast.Attribute):
            why = _refusal(_chain(node))
        elif isinstance(node, ast.FunctionDef):
            why = f"{node.name}, which runs while it is loaded" if node.name == "__setstate__" else None
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
            why = f"{name}(), which reaches outside the model" if name in FORBIDDEN_NAMES else None
        else:
            continue
        if why:
            raise ValueError(f"{why}; expected PyTorch's own pure operators only")


def _chain(node: ast.expr) -> list[str]:
    """`torch.nn.relu` as its names; [] for an attribute of something else than a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else []


def _refusal(names: list[str]) -> str | None:
    if names[:3] == ["__torch__", "torch", "classes"]:
        return f"custom class {'.'.join(names[1:])}"
    if names[:2] == ["ops", "prim"] and len(names) == 3:
        return None if names[2] in PRIM else f"operator {names[2]}, which reaches outside the model"
    if names[:2] == ["ops", "aten"] and len(names) == 3:
        return refusal(names[2])
    if names[:1] == ["ops"]:
        return f"custom operator {'.'.join(names[1:])}" if len(names) != 2 else None
    if names[:1] == ["torch"]:
        return refusal(names[1])
    return None


def _last_line(error: Exception) -> str:
    """What the program's own error says at its end, without the trace of its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]

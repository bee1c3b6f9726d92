# SPDX-License-Identifier: GPL-3.0-or-later
"""ONNX files of somebody's own in ONNX Runtime."""

from __future__ import annotations

import threading
from typing import Any

from numpy.typing import NDArray

from .network import Network
from .onnx_file import read_onnx
from .session import onnx_session

LONGEST_RUN_S = 60.0  # of a model with loops, which may run for ever


class OnnxNetwork(Network):
    """An ONNX file, read and checked by us before ONNX Runtime sees it."""

    def __init__(self, name: str, content: bytes, device: str = "auto") -> None:
        try:
            file = read_onnx(content)
            file.check()
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        self.inputs, self.outputs = file.inputs, file.outputs
        self._iterates = file.iterates
        try:
            self._session, self.provider = onnx_session(content, device, name)
        except Exception as error:  # ONNX Runtime has a dozen classes of its own
            raise ValueError(f"{name}: ONNX Runtime refuses it: {_line(error)}") from error

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Run the graph; stopped after `LONGEST_RUN_S` if it has loops."""
        import onnxruntime as ort

        feed = {node.name: value for node, value in zip(self._session.get_inputs(), inputs, strict=True)}
        options = ort.RunOptions()
        options.log_severity_level = 4  # what it would print comes as an exception, too
        timer = threading.Timer(LONGEST_RUN_S, setattr, (options, "terminate", True))
        if self._iterates:
            timer.start()
        try:
            return self._session.run(None, feed, options)
        except Exception as error:
            stopped = f" (stopped after {LONGEST_RUN_S:.0f} s)" if options.terminate else ""
            raise RuntimeError(f"ONNX Runtime: {_line(error)}{stopped}") from error
        finally:
            timer.cancel()


def _line(error: Exception) -> str:
    """An error's text on one line, not too long."""
    return " ".join(str(error).split())[:300]

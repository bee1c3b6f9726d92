# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program that GRC made, for a benchmark: python -m gnuradio.semcom.bench.launch DESCRIPTOR PROGRAM [OPTION...]

The names of the meters go to the open file descriptor, then their lines, each as [name, record]. What the meters' own
`output` says is not used: points that run at once would write the same file. The program ends when its flowgraph does,
also where it would wait for a key or a window.
"""

from __future__ import annotations

import builtins
import importlib.util
import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> int:
    """Entry point."""
    descriptor, program = int(arguments[0]), Path(arguments[1])
    sys.argv = [str(program), *arguments[2:]]
    sys.path.insert(0, str(program.parent))
    _end_with_parent()
    spec = importlib.util.spec_from_file_location("semcom_flowgraph", program)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    results = _Results(descriptor)
    top_block = module.main.__defaults__[0]
    made: list[Any] = []

    class Measured(top_block):  # type: ignore[misc, valid-type]
        """The flowgraph, with its meters writing to us."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            results.connect(self)
            made.append(self)

        def show(self) -> None:
            """A window that nobody sees, and that goes when the flowgraph has ended."""
            _leave_when_done(self)
            super().show()

    Measured.__name__ = top_block.__name__
    builtins.input = lambda *_: made[-1].wait() if made else ""  # "press Enter to quit"
    module.main(Measured)
    results.close()
    return 0


def _end_with_parent() -> None:
    """Leave as soon as the other end of stdin is gone: whoever started us was killed."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Results:
    """Each meter writes to a named pipe of its own; a thread for each hands the lines on."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.lock = threading.Lock()
        self.folder = tempfile.TemporaryDirectory(prefix="semcom-meter-")
        self.threads: list[threading.Thread] = []

    def connect(self, flowgraph: Any) -> None:
        import gc

        from gnuradio.semcom.blocks.link_meter import link_meter

        attributes = {id(value): name for name, value in vars(flowgraph).items()}
        meters = [item for item in gc.get_objects() if isinstance(item, link_meter)]
        meters.sort(key=lambda meter: meter.gateway.unique_id())
        named = [(attributes.get(id(meter), f"link_meter_{number}"), meter) for number, meter in enumerate(meters)]
        named.sort(key=lambda pair: pair[0])
        self.write([name for name, _ in named])
        for number, (name, meter) in enumerate(named):
            path = Path(self.folder.name) / str(number)
            os.mkfifo(path)
            meter.output = str(path)
            self.threads.append(threading.Thread(target=self.hand_on, args=(path, name), daemon=True))
            self.threads[-1].start()

    def hand_on(self, path: Path, name: str) -> None:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                self.write([name, json.loads(line)])

    def write(self, content: Any) -> None:
        text = (json.dumps(content) + "\n").encode()
        with self.lock:
            while text:
                text = text[os.write(self.descriptor, text) :]

    def close(self) -> None:
        """Wait until the last line is through."""
        for thread in self.threads:
            thread.join(10)
        self.folder.cleanup()


def _leave_when_done(flowgraph: Any) -> None:
    from PyQt5 import Qt

    done = threading.Event()

    def wait() -> None:
        flowgraph.wait()
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    timer = Qt.QTimer(flowgraph)
    timer.timeout.connect(lambda: Qt.QApplication.quit() if done.is_set() else None)
    timer.start(20)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

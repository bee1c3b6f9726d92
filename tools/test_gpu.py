# SPDX-License-Identifier: GPL-3.0-or-later
"""Every codec with networks on CUDA against the CPU, without GNU Radio: `make test-gpu`.

    python tools/test_gpu.py [--side PIXELS] [--device cuda|cpu] [--json FILE]

For each installed model: payloads made on either device are decoded on the other, and each part of its networks that
may run on the GPU is timed there and on the CPU, one item at a time and 32 at once. Ends with status 1 where anything
differs by more than rounding or CUDA was there and did not run, and with "skipped" and status 0 where there is no CUDA.
`--device cpu` compares the CPU with itself: a try of this program.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.message import Message, Received
from gnuradio.semcom.output import versions
from gnuradio.semcom.report import table
from gnuradio.semcom.systems import registry
from gnuradio.semcom.systems.base import Request, System
from gnuradio.semcom.zoo import Model
from gnuradio.semcom.zoo.session import CUDA

BATCHES = (1, 32)
LEVELS = 3.0  # of 255, by which a pixel may differ: convolutions on the GPU take TF32
SHARE = 1e-2  # of its range, by which a network's output may
REPEATS = 5
NOISE_VAR = 0.1  # that decoders of analog symbols are told


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=256, help="of the square picture (default 256)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    arguments = parser.parse_args()
    import onnxruntime

    if arguments.device == "cuda" and CUDA not in onnxruntime.get_available_providers():
        print(
            f"skipped: this ONNX Runtime {onnxruntime.__version__} has no CUDA provider; with an NVIDIA driver "
            "`make setup` installs onnxruntime-gpu"
        )
        return 0
    if not 64 <= arguments.side <= 4096:
        parser.error(f"--side must be 64 to 4096, not {arguments.side}")
    message = photograph(arguments.side)
    rows: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    problems: list[str] = []
    for system, model in models():
        name = f"{system.name} {model}"
        found, calls = compare(system, model, message, arguments.device)
        rows.append({"model": name, **found})
        parts += [{"model": name, **row} for row in measure_parts(calls, arguments.device)]
        problems += [f"{name}: {text}" for text in faults(found, arguments.device)]
    problems += [f"{p['model']} {p['part']}: outputs differ by {p['difference']:.1e} of their range"
                 for p in parts if p["difference"] > SHARE]  # fmt: skip
    for some in (rows, parts):
        if some:
            print(table(list(some[0]), [[show(value) for value in row.values()] for row in some]) + "\n")
    if not rows:
        problems.append("no model is installed")
    if "gnuradio.gr" in sys.modules:
        problems.append("GNU Radio was imported")
    if arguments.json:
        content = {"versions": versions(), "device": arguments.device, "codecs": rows, "parts": parts}
        arguments.json.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    for problem in problems:
        print(f"FAILED {problem}", file=sys.stderr)
    print(f"{len(rows)} models on {arguments.device} against the CPU: {len(problems)} problems")
    return int(bool(problems))


def models() -> list[tuple[System, str]]:
    """Every installed model of every system that takes pictures."""
    return [
        (s, m) for s in registry.systems().values() if s.kind == "image" for m in s.models() if s.provider(m, "cpu")
    ]


def photograph(side: int) -> Message:
    """A real picture of that size, mirrored where the file is smaller."""
    data = read_image(packaged_photograph()).data
    missing = [(0, max(0, side - length)) for length in data.shape[:2]]
    return Message("image", np.ascontiguousarray(np.pad(data, [*missing, (0, 0)], mode="symmetric")[:side, :side]))


def compare(system: System, model: str, message: Message, device: str) -> tuple[dict[str, Any], list[Any]]:
    """Encode and decode across devices; the figures, and the calls of networks that decoding and encoding made."""
    meta = {"kind": "image", "shape": list(message.data.shape), "esn0_db": -10 * float(np.log10(NOISE_VAR))}
    payloads, seconds = {}, {}
    for where in ("cpu", device):
        request = Request(model=model, device=where)
        system.check(request)
        system.prepare(request)
        with recorded() as calls:
            payloads[where] = system.encode(message, request)
            system.decode(received(payloads[where]), meta | payloads[where].header, model, where)
        seconds[where] = (
            median(system.encode, message, request),
            median(system.decode, received(payloads[where]), meta | payloads[where].header, model, where),
        )
    here, there = payloads["cpu"], payloads[device]
    pictures = {
        (made, shown): system.decode(received(payloads[made]), meta | payloads[made].header, model, shown)
        for made in payloads
        for shown in payloads
    }
    difference = max(
        float(np.abs(pictures[made, device][0].data.astype(float) - pictures[made, "cpu"][0].data).max())
        for made in payloads
    )
    same = here.bits.size == there.bits.size and bool((here.bits == there.bits).all())
    alike = here.symbols.size == there.symbols.size
    distance = float(np.abs(here.symbols - there.symbols).max(initial=0)) if alike else None
    found = {
        "provider": system.provider(model, device),
        "same bits": same,
        "symbols differ by": distance,
        "pixels differ by": difference,
        "concealed": sum(concealed for _, concealed in pictures.values()),
        "encode ms, cpu": 1e3 * seconds["cpu"][0],
        "encode ms, device": 1e3 * seconds[device][0],
        "decode ms, cpu": 1e3 * seconds["cpu"][1],
        "decode ms, device": 1e3 * seconds[device][1],
    }
    return found, calls


def faults(found: dict[str, Any], device: str) -> list[str]:
    """What is wrong with the figures of a codec. Other bits alone are not: rounding decides near ties."""
    wrong = []
    if device == "cuda" and "cuda" not in found["provider"].lower():
        wrong.append(f"CUDA was asked for, but it ran on {found['provider']}")
    if found["concealed"]:
        wrong.append(f"{found['concealed']} parts of intact payloads could not be decoded on the other device")
    if found["pixels differ by"] > LEVELS:
        wrong.append(f"pixels differ by {found['pixels differ by']:.0f} of 255")
    if found["symbols differ by"] is None or found["symbols differ by"] > 10 * SHARE:
        wrong.append(f"symbols differ by {found['symbols differ by'] or 'their number'}")
    return wrong


def measure_parts(calls: list[Any], device: str) -> list[dict[str, Any]]:
    """Time of each recorded part on both devices, an item, for batches of its recorded input."""
    rows = []
    for model, part, inputs in calls:
        on_cpu = Model(model.folder, "cpu")
        other = Model(model.folder, device)
        for batch in BATCHES:
            many = [np.repeat(x, batch // len(x), axis=0) if len(x) < batch else x[:batch] for x in inputs]
            try:
                left, right = on_cpu.run(part, *many), other.run(part, *many)
            except Exception as error:  # a part may be made for one item at a time
                print(f"{part}: no batches of {batch}: {' '.join(str(error).split())[:120]}")
                continue
            range_of = [max(1e-6, float(np.abs(x).max())) for x in left]
            difference = max(float(np.abs(a - b).max()) / r for a, b, r in zip(left, right, range_of, strict=True))
            times = [median(one.run, part, *many) * 1e3 / batch for one in (on_cpu, other)]
            rows.append({"part": part, "input": "x".join(map(str, many[0].shape[1:])), "batch": batch,
                         "ms an item, cpu": times[0], "ms an item, device": times[1],
                         "difference": difference})  # fmt: skip
    return rows


class recorded:
    """While it is entered, notes the first call of each part that may run on the GPU: model, part, inputs."""

    def __enter__(self) -> list[Any]:
        self.run, calls, seen = Model.run, [], set()

        def run(model: Model, part: str, *inputs: Any, cpu_only: bool = False) -> Any:
            if not cpu_only and part not in seen:
                seen.add(part)
                calls.append((model, part, inputs))
            return self.run(model, part, *inputs, cpu_only=cpu_only)

        Model.run = run  # type: ignore[method-assign]
        return calls

    def __exit__(self, *_: object) -> None:
        Model.run = self.run  # type: ignore[method-assign]


def received(payload: Any) -> Received:
    """The payload as it arrives where nothing is lost."""
    noise_var = np.full(payload.symbols.size, NOISE_VAR, np.float32)
    return Received(payload.bits, np.ones(payload.bits.size, bool), payload.symbols, noise_var)


def median(function: Callable[..., object], *arguments: Any) -> float:
    """Seconds of a call, after one that counts for nothing."""
    function(*arguments)
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def show(value: Any) -> str:
    """A cell."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())

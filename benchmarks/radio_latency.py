# SPDX-License-Identifier: GPL-3.0-or-later
"""Latency of messages over two programs: message in to message out, median and 99 %, for picture, speech and text.

The receiver is `semcom rx` in a process of its own; the sender is here. Between them is ZeroMQ at the sample rate of a
radio (1 Msample/s), so airtime counts, and simulated air at Es/N0 10 dB. The next message goes in when the one before
it has come out, so no queue is measured. Both ends' clocks are one: they write when a message went in (`read`), its
burst was made (`ready`), its first sample handed on (`sent`), its last one received and equalised (`found`), and the
message written to a file (`written`). A message encoded before is encoded again. The first one, which loads the
models, does not count.

Writes `radio_latency.json` beside this file. Run: SEMCOM_DATA=folder python benchmarks/radio_latency.py [--messages N]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gnuradio.semcom.media.inputs import list_inputs
from gnuradio.semcom.media.messages import read_messages
from gnuradio.semcom.output import processor
from gnuradio.semcom.radio.pipe_blocks import pipe_sink
from gnuradio.semcom.radio.pipes import Ending, ZmqOutlet
from gnuradio.semcom.radio.sender import Sender, Transmission, numbers
from gnuradio.semcom.radio.simulated_air import Impairments
from gnuradio.semcom.systems import registry
from gnuradio.semcom.systems.stages import forget_payloads

OUT = Path(__file__).with_name("radio_latency.json")
RATE = 1e6
LIMIT_S = 120.0
CASES = {  # what goes in, the system, its options, the folder of SEMCOM_DATA
    "picture": ("ncsc", {"mcs": "16qam-1/3", "header": "short"}, "kodak"),
    "picture, analog": ("deepjscc", {"header": "short"}, "kodak"),
    "speech to text": ("deepsc_st", {"header": "short"}, "librispeech"),
    "speech to speech": ("speech_transceiver", {"mcs": "qpsk-1/3", "code": "ldpc", "header": "short"}, "librispeech"),
}
STEPS = {
    "encode": ("read_at", "ready_at"), "wait": ("ready_at", "sent_at"), "air": ("sent_at", "found_at"),
    "decode": ("found_at", "written_at"), "all": ("read_at", "written_at"),
}  # fmt: skip


class RadioOutlet(ZmqOutlet):
    """ZeroMQ at the rate of a radio."""

    piece = 1024
    due = 0.0

    def send(self, samples: Any, timeout_s: float) -> bool:
        now = time.monotonic()
        if self.due > now:
            time.sleep(self.due - now)
        if not super().send(samples, timeout_s):
            return False
        self.due = max(self.due, now - 0.005) + samples.size / RATE
        return True


def lines(path: Path, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """The records of the receiver as they come."""
    begun, stream = time.monotonic(), None
    while stream is None:
        stream = path.open() if path.exists() else time.sleep(0.01)  # type: ignore[func-returns-value]
        assert process.poll() is None and time.monotonic() < begun + LIMIT_S
    while True:
        text, begun = "", time.monotonic()
        while not text.endswith("\n"):
            text += stream.readline()
            assert process.poll() is None and time.monotonic() < begun + LIMIT_S, "no message came"
            if not text.endswith("\n"):
                time.sleep(0.002)
        yield json.loads(text)


def measure(system: str, options: dict[str, Any], folder: Path, count: int) -> dict[str, Any]:
    kind = registry.get(system).kind
    inputs = list_inputs(folder, kind=kind)[:40]
    with tempfile.TemporaryDirectory() as name:
        place = f"ipc://{name}/pipe"
        command = [sys.executable, "-m", "gnuradio.semcom", "rx", "--from", f"zmq:{place}", "--output", f"{name}/out"]
        with open(f"{name}/log", "wb") as log:
            receiver = subprocess.Popen([*command, "--no-judges"], stderr=log)
        try:
            arrived = lines(Path(name, "out", "received.jsonl"), receiver)
            got: list[dict[str, Any]] = []
            sent: list[dict[str, Any]] = []

            def messages() -> Iterator[Any]:
                endless = (m for _ in itertools.count() for item in inputs for m in read_messages(item, kind))
                for number, message in enumerate(itertools.islice(endless, count + 1)):
                    if number:
                        got.append(next(arrived))
                    forget_payloads()
                    yield message
                got.append(next(arrived))

            ending = Ending()
            sender = Sender(
                messages(), Transmission(system, **options), numbers(0, len(inputs)),
                pipe_sink(RadioOutlet(place), ending), air=Impairments(esn0_db=10.0, carrier_offset=1e-3),
                report=sent.append, ending=ending, sample_rate_hz=RATE,
            )  # fmt: skip
            sender.execute()
        finally:
            receiver.terminate()
            receiver.wait()
    pairs = [{**ours, **theirs} for ours, theirs in zip(sent, got, strict=True)][1:]
    assert all(ours["id"] == theirs["id"] for ours, theirs in zip(sent, got, strict=True))
    result: dict[str, Any] = {
        "system": system, **options, "messages": len(pairs), "delivered": sum(bool(p["delivered"]) for p in pairs),
        "load_average": round(os.getloadavg()[1], 1), "nice": os.nice(0),
        "airtime_s": round(float(np.median([p["sample_count"] for p in pairs])) / RATE, 4),
    }  # fmt: skip
    for step, (begin, end) in STEPS.items():
        spent = [pair[end] - pair[begin] for pair in pairs]
        median, p99 = (round(float(np.quantile(spent, share)), 4) for share in (0.5, 0.99))
        result[f"{step}_s"] = {"median": median, "p99": p99}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100, help="of each case (default 100)")
    arguments = parser.parse_args()
    data = Path(os.environ["SEMCOM_DATA"])
    result: dict[str, Any] = {"sample_rate_hz": RATE, "esn0_db": 10.0, "processor": processor(), "cases": {}}
    for name, (system, options, folder) in CASES.items():
        result["cases"][name] = measure(system, options, data / folder, arguments.messages)
        print(name, json.dumps(result["cases"][name]), flush=True)
        OUT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""How many samples a second two flowgraphs in two programs bear: bursts of NCSC payloads in QPSK 1/3 over ZeroMQ.

The sender is `Sender`: message, NCSC (encoded once, then remembered), LDPC, mapper, burst transmitter. The receiver, a
process of its own, is `Receiver`: burst receiver, demapper, LDPC; the picture is not decoded. First the sender's own
speed is measured into a file, then sender and receiver together, then the receiver alone from that file with noise at
Es/N0 6 dB. Nothing may be lost. Seconds are those of the clock, which a busy machine makes long, and for the ends alone
also those of processors.

Writes `radio_speed.json` beside this file. Run: python benchmarks/radio_speed.py [--bursts N]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from gnuradio import blocks

from gnuradio.semcom.blocks.message_source import message_source
from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.photographs import packaged_photograph
from gnuradio.semcom.message import Message
from gnuradio.semcom.output import processor
from gnuradio.semcom.phy.channel import noise
from gnuradio.semcom.phy.ofdm import SAMPLES_PER_SYMBOL
from gnuradio.semcom.phy.snr import noise_var
from gnuradio.semcom.phy.stages import ChannelDecoder, SoftDemapper
from gnuradio.semcom.radio.pipe_blocks import pipe_sink, pipe_source
from gnuradio.semcom.radio.pipes import Ending, ZmqInlet, ZmqOutlet
from gnuradio.semcom.radio.receiver import Receiver
from gnuradio.semcom.radio.sender import Sender, Transmission, numbers

OUT = Path(__file__).with_name("radio_speed.json")


def receive(source: Any, ending: Ending, count: int) -> tuple[int, float, float]:
    """Messages of which every code block is good, and the seconds from the first one to the last, times n / (n - 1):
    on the clock, and of processors."""
    demapper, decoder, good, taken, first, busy = SoftDemapper(), ChannelDecoder(), 0, 0, 0.0, 0.0
    run = Receiver(source, ending=ending).messages()
    for item in run:
        if item is None:
            continue
        arrays, meta = item
        llr, meta = demapper.run(arrays[:2], meta)
        good += decoder.run(llr, meta)[1]["blocks_failed"] == 0
        taken += 1
        if not first:
            first, busy = time.perf_counter(), time.process_time()
        if taken == count:
            break
    spent, busy = time.perf_counter() - first, time.process_time() - busy
    run.close()
    more = taken / max(taken - 1, 1)
    return good, spent * more, busy * more


def send(picture: Message, count: int, sink: Any, ending: Ending) -> tuple[int, float, float]:
    """Samples, and the seconds since the first burst, times n / (n - 1): on the clock, and of processors."""
    sent: list[dict[str, Any]] = []
    begun: list[float] = []

    def report(record: dict[str, Any]) -> None:
        sent.append(record)
        begun.append(time.process_time())

    transmission = Transmission("ncsc", mcs="qpsk-1/3", header="short")
    sender = Sender(
        repeat(picture, count), transmission, numbers(0, 1), sink, gap=500, report=report, ending=ending
    )
    sender.execute()
    spent, busy = time.time() - sent[0]["sent_at"], time.process_time() - begun[0]
    more = count / (count - 1)
    return sent[-1]["sample_start"] + sent[-1]["sample_count"], spent * more, busy * more


def pieces(samples: Any) -> Iterator[Any]:
    for begin in range(0, samples.size, 65_536):
        yield samples[begin : begin + 65_536], {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bursts", type=int, default=40)
    parser.add_argument("--receive", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    count = arguments.bursts
    if arguments.receive:
        ending = Ending()
        print(json.dumps(receive(pipe_source(ZmqInlet(arguments.receive), ending), ending, count)))
        return
    data = read_image(packaged_photograph()).data
    picture = Message("image", np.ascontiguousarray(data[:512, :512]), {"name": "photograph"})
    with tempfile.TemporaryDirectory() as name:
        file = f"{name}/samples"
        total, alone_s, alone_busy_s = send(picture, count, blocks.file_sink(8, file), Ending())
        samples = np.fromfile(file, np.complex64)
        samples += noise(samples.size, SAMPLES_PER_SYMBOL * noise_var(6.0), np.random.default_rng(0))
        place, command = f"ipc://{name}/pipe", [sys.executable, __file__, "--bursts", str(count)]
        child = subprocess.Popen([*command, "--receive", f"ipc://{name}/pipe"], stdout=subprocess.PIPE, text=True)
        ending = Ending()
        send(picture, count, pipe_sink(ZmqOutlet(place), ending), ending)
        good, both_s, _ = json.loads(child.communicate(timeout=600)[0].splitlines()[-1])
    source = message_source(pieces(samples), np.complex64)
    good_alone, receiver_s, receiver_busy_s = receive(source, Ending(), count)
    result = {
        "bursts": count, "samples": total, "whole": {"over_zmq": good, "from_noise": good_alone},
        "send_msample_s": round(total / alone_s / 1e6, 2), "both_msample_s": round(total / both_s / 1e6, 2),
        "receive_msample_s": round(total / receiver_s / 1e6, 2),
        "send_msample_per_processor_s": round(total / alone_busy_s / 1e6, 2),
        "receive_msample_per_processor_s": round(total / receiver_busy_s / 1e6, 2),
        "load_average": round(os.getloadavg()[0], 1), "nice": os.nice(0), "processor": processor(),
    }  # fmt: skip
    OUT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

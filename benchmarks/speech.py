# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed of DeepSC-ST, of the conventional speech systems, of recognisers and voices, in multiples of real time.

    .venv/bin/python benchmarks/speech.py [--seconds 60] [--output benchmarks/speech.json]

`deepsc_st` is the whole link, features, networks and decoder in the flowgraph over AWGN at 8 dB, on one core: seconds
of speech for each second of the processor, all threads together; it must be at least 10. All others count seconds of
the clock, on a machine that may be busy. `chain` is the speech transceiver without its recogniser: AMR-WB, polar codes
of 512 bits with lists of 4, 64-QAM, AWGN at Es/N0 14 dB, through GNU Radio; it must be at least 5. Every utterance is
another one, so nothing comes from a cache. What is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gnuradio.semcom.links import Link
from gnuradio.semcom.media.recordings import RECORDINGS, packaged_recordings
from gnuradio.semcom.media.speech import read_speech
from gnuradio.semcom.message import SAMPLE_RATE, Message
from gnuradio.semcom.output import processor, versions
from gnuradio.semcom.speech import recognisers
from gnuradio.semcom.speech.synthesis import users, voice_of
from gnuradio.semcom.systems import registry

LEAST_LINK = 10.0
LEAST_CHAIN = 5.0
SENTENCE = "the weather report says light rain this evening and a clear sky tomorrow"


def utterances(seconds: float) -> Iterator[Message]:
    """The packaged utterances at ever other levels."""
    speech = [read_speech(packaged_recordings(name)).data for name in RECORDINGS]
    number, sent = 0, 0.0
    while sent < seconds:
        data = speech[number % len(speech)] * (1 - 0.002 * number)
        yield Message("speech", data, {"name": str(number)})
        number, sent = number + 1, sent + data.size / SAMPLE_RATE


def link_speed(link: Link, seconds: float, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of speech a second of that clock through the flowgraph."""
    for stage in link.stages():
        stage.prepare()
    messages = list(utterances(seconds))
    begun = clock()
    records = [record for _, record in link.run_flowgraph(iter(messages), timeout_s=600)]
    elapsed = clock() - begun
    assert len(records) == len(messages) and all(record["delivered"] for record in records)
    return round(sum(message.data.size for message in messages) / SAMPLE_RATE / elapsed, 1)


def main() -> int:
    """Entry point; status 1 where the chain or DeepSC-ST is too slow."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--output", type=Path)
    arguments = options.parse_args()
    found: dict[str, Any] = {}
    for model in registry.get("deepsc_st").models():
        link = Link("deepsc_st", model, esn0_db=8.0, judges=False)
        found[f"deepsc_st, {model}"] = link_speed(link, arguments.seconds, time.process_time)
    system: Any = registry.get("speech_transceiver")
    heard, system.recognise = system.recognise, lambda *_: ""
    prepared, system.prepare = system.prepare, lambda *_: None
    try:
        link = Link("speech_transceiver", "whisper", esn0_db=14.0, judges=False)
        found["chain"] = link_speed(link, arguments.seconds)
    except ValueError as error:
        print(f"left out: {error}", file=sys.stderr)
    system.recognise, system.prepare = heard, prepared
    for name in recognisers.names():
        try:
            recognisers.get(name).check_installed()
        except ValueError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        link = Link("text_transceiver", name, esn0_db=14.0, judges=False)
        found[f"text_transceiver, {name}"] = link_speed(link, arguments.seconds / 4)
    for user in users():
        try:
            voice = voice_of(user)
            voice.speak(SENTENCE)
        except ValueError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        begun = time.perf_counter()
        length = sum(voice.speak(f"{SENTENCE} {word}").size for word in ("today", "again", "soon")) / SAMPLE_RATE
        found[f"voice of {user}"] = round(length / (time.perf_counter() - begun), 1)
    for name, speed in found.items():
        print(f"{name:32} {speed:8.1f} times real time")
    if arguments.output:
        about = {"processor": processor(), "cores": len(os.sched_getaffinity(0)), "versions": versions()}
        arguments.output.write_text(json.dumps({"times_real_time": found, **about}, indent=1) + "\n")
    slow = [found.get("chain", LEAST_CHAIN) < LEAST_CHAIN, found.get("deepsc_st, open", LEAST_LINK) < LEAST_LINK]
    return int(any(slow))


if __name__ == "__main__":
    sys.exit(main())

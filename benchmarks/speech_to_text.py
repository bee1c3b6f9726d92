# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of speech to text with redundancy removal: time a sentence, size, symbols a sentence, shares removed.

    .venv/bin/python benchmarks/speech_to_text.py speed [--model domain] [--output benchmarks/speech_to_text.json]
    .venv/bin/python benchmarks/speech_to_text.py tables --data folder [--model domain] [--count 160]
    .venv/bin/python benchmarks/speech_to_text.py live --data folder [--model domain] [--count 40]

`speed`, one thread: a sentence of 5 s from samples to words with the shipped model (limit 0.3 s) and each rival that is
installed, and the untrained network of preset `paper` on 10 s of speech and 32 words in Torch (limit 1.2 times 0.91 s).
`tables` sends the sentences of a folder without noise to speak of: symbols in reals and complex, the shares removed
(padded to the longest of 16 as in the paper), and what DeepSC-SR sends for the same speech. `live` pushes the sentences
one after the other into the live encoder in pieces of 20 ms: words a second, delay, and word error rate beside that of
whole sentences.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from gnuradio.semcom.bench.speech import summarised
from gnuradio.semcom.links import Link
from gnuradio.semcom.media.inputs import list_inputs
from gnuradio.semcom.media.messages import read_messages
from gnuradio.semcom.media.recordings import RECORDINGS, packaged_recordings
from gnuradio.semcom.media.speech import read_speech
from gnuradio.semcom.message import SAMPLE_RATE, Message
from gnuradio.semcom.output import processor, versions
from gnuradio.semcom.speech.features import symbol_count
from gnuradio.semcom.systems import registry
from gnuradio.semcom.systems.base import Request

LIMIT_S, PAPER_LIMIT_S = 0.3, 1.2 * 0.91
SYSTEMS = ("speech_to_text", "se_deepsc", "deepsc_sr")
PAPER_WORDS = 32


def sentence(seconds: float) -> np.ndarray:
    """Packaged speech of that length."""
    parts = [read_speech(packaged_recordings(name)).data for name in RECORDINGS]
    speech = np.concatenate(parts * (1 + int(seconds * SAMPLE_RATE) // sum(p.size for p in parts)))
    return speech[: int(seconds * SAMPLE_RATE)]


def link_time(name: str, model: str, rounds: int = 5) -> float | None:
    """Seconds from samples to words, the best of some rounds; None where the system has no model here."""
    try:
        registry.get(name).check(Request(model=model))
    except ValueError as error:
        print(f"{name} is left out: {error}", file=sys.stderr)
        return None
    link = Link(name, model, esn0_db=10.0, judges=False)
    for stage in link.stages():
        stage.prepare()
    messages = [Message("speech", sentence(5.0) * (1 - 0.01 * k)) for k in range(rounds)]  # nothing from a cache
    return min(record["elapsed_s"] for _, record in link.run(messages))


def paper_time(rounds: int = 3) -> float:
    """Seconds of the untrained network of the paper for 10 s of speech and 32 words."""
    import torch

    from gnuradio.semcom.speech.filterbanks import filterbanks
    from gnuradio.semcom.systems.speech_to_text.network import make

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = make("paper", 15_000).eval()
    frames = torch.from_numpy(filterbanks(sentence(10.0))[None])
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        with torch.inference_mode():
            states, _, _ = model.states(frames)
            lengths = torch.tensor([states.shape[1]])
            _, vectors, _ = model.teach(states, lengths, torch.full((1, PAPER_WORDS), 5))
            whole = torch.ones(1, PAPER_WORDS, model.size.symbols)
            model.receive(model.send(vectors, whole), 0.1 * whole)
        times.append(time.perf_counter() - begun)
    return min(times)


def speed(model: str) -> dict[str, Any]:
    """The table of run times."""
    found: dict[str, Any] = {name: link_time(name, model) for name in SYSTEMS}
    return {"sentence_s": 5.0, **found, "paper_untrained_10_s": paper_time()}


def tables(data: Path, model: str, count: int) -> dict[str, Any]:
    """Symbols and shares of the sentences of a folder."""
    inputs = list_inputs(data, kind="speech")[:count]
    messages = [message for item in inputs for message in read_messages(item, "speech")]
    link = Link("speech_to_text", model, esn0_db=40.0)
    records = [record for _, record in link.run(messages)]
    symbols = float(np.mean([record["symbols_total"] for record in records]))
    rival = float(np.mean([symbol_count(message.data.size) for message in messages]))
    sent = float(np.mean([record["removal"]["sent"] for record in records]))
    return {
        "sentences": len(records), **summarised(records), "words_sent": sent, "complex_symbols": symbols,
        "reals": 2 * symbols, "complex_symbols_at_128_a_word": 128 * sent, "deepsc_sr_complex_symbols": rival,
        "fewer_than_deepsc_sr": 1 - symbols / rival, "fewer_than_deepsc_sr_at_128_a_word": 1 - 128 * sent / rival,
    }  # fmt: skip


def live(data: Path, model: str, count: int) -> dict[str, Any]:
    """Delay and errors of words that are sent while the speaker talks."""
    from gnuradio.semcom.metrics.text import edit_distance
    from gnuradio.semcom.systems.speech_to_text.codec import codec
    from gnuradio.semcom.systems.speech_to_text.live import LiveEncoder
    from gnuradio.semcom.text.alphabet import normalise

    found = codec(model or registry.get("speech_to_text").models()[0])
    delays: list[float] = []
    errors = offline = words = said = 0
    seconds = begun = busy = 0.0
    for item in list_inputs(data, kind="speech")[:count]:
        (message,) = read_messages(item, "speech")
        reference = normalise(message.meta["transcript"]).split()
        stream = LiveEncoder(found)
        begun = time.perf_counter()
        committed = [w for k in range(0, message.data.size, 320) for w in stream.push(message.data[k : k + 320])]
        committed += stream.flush()
        busy += time.perf_counter() - begun
        text = " ".join(w.text for w in committed).split()
        delays += [delay for w in committed for delay in w.delays_s]
        errors += edit_distance(reference, text)
        offline += edit_distance(reference, found.semantic.text(found.semantic.hear(message.data)).split())
        words, said, seconds = words + len(reference), said + len(text), seconds + message.data.size / SAMPLE_RATE
    return {
        "wer": errors / words, "wer_whole_sentences": offline / words, "words_per_second": said / seconds,
        "delay_median_s": float(np.median(delays)), "delay_99_percent_s": float(np.quantile(delays, 0.99)),
        "processor_s_per_second": busy / seconds,
    }  # fmt: skip


def main() -> int:
    """Entry point; status 1 where a limit is missed."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("what", nargs="?", default="speed", choices=("speed", "tables", "live"))
    options.add_argument("--data", type=Path)
    options.add_argument("--model", default="")
    options.add_argument("--count", type=int, default=160)
    options.add_argument("--output", type=Path)
    arguments = options.parse_args()
    if arguments.what != "speed" and arguments.data is None:
        options.error(f"{arguments.what} needs --data, a folder of speech with a MANIFEST.tsv")
    good = True
    if arguments.what == "speed":
        found = speed(arguments.model)
        time_s = found["speech_to_text"]
        good = (time_s is None or time_s <= LIMIT_S) and found["paper_untrained_10_s"] <= PAPER_LIMIT_S
    else:
        found = {"tables": tables, "live": live}[arguments.what](arguments.data, arguments.model, arguments.count)
    print(json.dumps(found, indent=1))
    if arguments.output:
        kept = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
        about = {"processor": processor(), "versions": versions()}
        arguments.output.write_text(json.dumps({**kept, arguments.what: {**found, **about}}, indent=1) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

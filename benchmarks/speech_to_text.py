# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of speech to text with redundancy removal: time a sentence, size, symbols a sentence, shares removed.

    .venv/bin/python benchmarks/speech_to_text.py speed [--model domain] [--output benchmarks/speech_to_text.json]
    .venv/bin/python benchmarks/speech_to_text.py tables --data folder [--model domain] [--count 160]
    .venv/bin/python benchmarks/speech_to_text.py words --data folder [--data folder] [--model domain] [--count 400]
    .venv/bin/python benchmarks/speech_to_text.py live --data folder [--model domain] [--count 40]
    .venv/bin/python benchmarks/speech_to_text.py real_time --data folder [--model domain] [--count 20]
    .venv/bin/python benchmarks/speech_to_text.py training --data run --data one_go

`speed`, seconds of one core (processor time, so that other programs do not count): a sentence of 5 s from samples to
words with the shipped model (limit 0.3 s) and each rival that is installed, and the untrained network of preset `paper`
on 10 s of speech and 32 words in Torch (limit 1.2 times 0.91 s). `tables` sends the sentences of a folder without noise
to speak of: symbols in reals and complex, the shares removed (padded to the longest of 16 as in the paper), and what
DeepSC-SR sends for the same speech. `words` gives word error rate and similarity without a channel and over AWGN at 4
dB, with and without the search of the model's card. `live` pushes the sentences one after the other, a second of
silence after each, into the live encoder in pieces of 20 ms: words a second, delay in the speech's own time, and word
error rate beside that of whole sentences. `real_time` runs examples/speech_to_text_live.grc on them as fast as they are
spoken; its delays are those of the clock. `training` collects the logs of training runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
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
from gnuradio.semcom.speech.attention import semantic_encoder
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
    semantic_encoder.cache_clear()  # it remembers what it heard for another system
    link = Link(name, model, esn0_db=10.0, judges=False)
    for stage in link.stages():
        stage.prepare()
    messages = [Message("speech", sentence(5.0) * (1 - 0.01 * k)) for k in range(rounds)]  # nothing from a cache
    times, begun = [], time.process_time()
    for _ in link.run(messages):
        times.append(time.process_time() - begun)
        begun = time.process_time()
    return min(times)


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
        begun = time.process_time()
        with torch.inference_mode():
            states, _, _ = model.states(frames)
            lengths = torch.tensor([states.shape[1]])
            _, vectors, _ = model.teach(states, lengths, torch.full((1, PAPER_WORDS), 5))
            whole = torch.ones(1, PAPER_WORDS, model.size.symbols)
            model.receive(model.send(vectors, whole), 0.1 * whole)
        times.append(time.process_time() - begun)
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


def words(data: Path, model: str, count: int) -> dict[str, Any]:
    """Errors without a channel and at 4 dB, by the card's search and by the most likely word at each step."""
    from gnuradio.semcom.metrics.similarity import similarity
    from gnuradio.semcom.metrics.text import edit_distance
    from gnuradio.semcom.systems.speech_to_text.codec import Codec
    from gnuradio.semcom.text.alphabet import normalise

    variant = model or registry.get("speech_to_text").models()[0]
    inputs = list_inputs(data, kind="speech")
    inputs = inputs[:: max(1, len(inputs) // count)][:count]
    messages = [message for item in inputs for message in read_messages(item, "speech")]
    references = [normalise(message.meta["transcript"]) for message in messages]
    found: dict[str, Any] = {"sentences": len(messages), "words": sum(len(text.split()) for text in references)}
    noise_var = 10 ** (-0.4)
    for search in ("card", "greedy"):
        semantic_encoder.cache_clear()  # it remembers what it heard
        codec = Codec(variant)
        if search == "greedy":
            codec.semantic.beam, codec.semantic.letters = 1, 0.0
        random = np.random.default_rng(1)
        texts: dict[str, list[str]] = {"no_channel": [], "awgn_4_db": []}
        for message in messages:
            texts["no_channel"].append(codec.semantic.text(codec.semantic.hear(message.data)))
            symbols, header = codec.encode(message.data, 0)
            noise = random.standard_normal((2, symbols.size)) * (noise_var / 2) ** 0.5
            received = (symbols + noise[0] + 1j * noise[1]).astype(np.complex64)
            variances = np.full(symbols.size, noise_var, np.float32)
            texts["awgn_4_db"].append(codec.decode(received, variances, header["layout"]))
        for name, heard in texts.items():
            errors = [edit_distance(a.split(), b.split()) for a, b in zip(references, heard, strict=True)]
            alike = [similarity(a, b) for a, b in zip(references, heard, strict=True)]
            known = [value for value in alike if value is not None]
            found[f"{search}_{name}"] = {
                "wer": sum(errors) / found["words"], "similarity": float(np.mean(known)) if known else None,
                "sentences_right": float(np.mean([e == 0 for e in errors])),
            }  # fmt: skip
    return found


def joined(data: Path, count: int) -> tuple[np.ndarray, list[str], list[np.ndarray]]:
    """Sentences of a folder with a second of silence after each, the words that are said, the sentences."""
    from gnuradio.semcom.text.alphabet import normalise

    inputs = list_inputs(data, kind="speech")
    inputs = inputs[:: max(1, len(inputs) // count)][:count]
    messages = [message for item in inputs for message in read_messages(item, "speech")]
    pause = np.zeros(SAMPLE_RATE, np.float32)
    said = [word for message in messages for word in normalise(message.meta["transcript"]).split()]
    return np.concatenate([part for m in messages for part in (m.data, pause)]), said, [m.data for m in messages]


def live(data: Path, model: str, count: int) -> dict[str, Any]:
    """Delay and errors of words that are sent while the speaker talks."""
    from gnuradio.semcom.metrics.text import edit_distance
    from gnuradio.semcom.systems.speech_to_text.codec import codec
    from gnuradio.semcom.systems.speech_to_text.live import LiveEncoder

    found = codec(model or registry.get("speech_to_text").models()[0])
    speech, said, sentences = joined(data, count)
    offline = [word for part in sentences for word in found.semantic.text(found.semantic.hear(part)).split()]
    stream = LiveEncoder(found)
    begun = time.process_time()
    committed = [w for k in range(0, speech.size, 320) for w in stream.push(speech[k : k + 320])] + stream.flush()
    busy = time.process_time() - begun
    heard = [word for w in committed for word in w.text.split()]
    delays = [delay for w in committed for delay in w.delays_s]
    seconds = speech.size / SAMPLE_RATE
    return {
        "sentences": len(sentences), "words": len(said), "seconds": seconds, "messages": len(committed),
        "wer": edit_distance(said, heard) / len(said), "words_per_second": len(heard) / seconds,
        "wer_whole_sentences": edit_distance(said, offline) / len(said), "delay_median_s": float(np.median(delays)),
        "delay_99_percent_s": float(np.quantile(delays, 0.99)), "processor_s_per_second": busy / seconds,
    }  # fmt: skip


REAL_TIME = """
import sys, time
from PyQt5 import QtWidgets
application = QtWidgets.QApplication(sys.argv)
import speech_to_text_live
from gnuradio.semcom import packets
graph = speech_to_text_live.speech_to_text_live(input_path=sys.argv[1], model=sys.argv[2])
begun = time.process_time()
packets.run(graph)
print("processor", time.process_time() - begun, file=sys.stderr)
"""


def real_time(data: Path, model: str, count: int) -> dict[str, Any]:
    """The live example on one recording, as fast as it is spoken: delays by the clock, all blocks in one process."""
    from gnuradio.semcom.media.speech import write_wav
    from gnuradio.semcom.metrics.text import edit_distance
    from gnuradio.semcom.paths import grc_environment

    example = Path(__file__).resolve().parents[1] / "examples/speech_to_text_live.grc"
    _, said, sentences = joined(data, count)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**grc_environment(), "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": name}
        subprocess.run(["grcc", "-o", name, str(example)], env=environment, check=True, stdout=subprocess.DEVNULL)
        (folder / "said").mkdir()
        for number, part in enumerate(sentences):
            write_wav(folder / f"said/{number:03d}.wav", part)
        done = subprocess.run(
            [sys.executable, "-c", REAL_TIME, str(folder / "said"), model],
            env=environment, cwd=name, capture_output=True, text=True, check=True,
        )  # fmt: skip
    figures = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
    used = float(done.stderr.split("processor ")[-1].split()[0])
    seconds = sum(part.size / SAMPLE_RATE + 1 for part in sentences)
    errors = edit_distance(said, figures.pop("text").split())
    return {"seconds": seconds, **figures, "wer": errors / len(said), "processor_s_per_second": used / seconds}


def training(data: Path, model: str, count: int) -> dict[str, Any]:
    """The log of a training run, the output folder of `semcom train`."""
    rows = [json.loads(line) for line in (data / "log.jsonl").read_text().splitlines()]
    return {"rows": [{key: value for key, value in row.items() if key != "final"} for row in rows]}


MEASURES = {"training": training, "tables": tables, "words": words, "live": live, "real_time": real_time}


def main() -> int:
    """Entry point; status 1 where a limit is missed."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("what", nargs="?", default="speed", choices=("speed", *MEASURES))
    options.add_argument("--data", type=Path, action="append")
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
        measure = MEASURES[arguments.what]
        each = {folder.name: measure(folder, arguments.model, arguments.count) for folder in arguments.data}
        found = each if len(each) > 1 else next(iter(each.values()))
    print(json.dumps(found, indent=1))
    if arguments.output:
        kept = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
        about = {"processor": processor(), "versions": versions()}
        arguments.output.write_text(json.dumps({**kept, arguments.what: {**found, **about}}, indent=1) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

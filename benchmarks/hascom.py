# SPDX-License-Identifier: GPL-3.0-or-later
r"""What listeners and machines would say of HASCom and its rivals, with intervals.

    .venv/bin/python benchmarks/hascom.py quality --data folder [--count 20] [--systems hascom,opus] [--output FILE]
    .venv/bin/python benchmarks/hascom.py phonemes --data folder [--count 40]
    .venv/bin/python benchmarks/hascom.py noisy --data folder [--count 6]
    .venv/bin/python benchmarks/hascom.py speed [--seconds 20]
    .venv/bin/python benchmarks/hascom.py listen [--data folder] [--folder out/hascom_ab] [--count 3]
    .venv/bin/python benchmarks/hascom.py figures --results benchmarks/hascom_figure3.json --ablation \
        benchmarks/hascom_ablation.json --folder docs/images

`quality`: each system at 30 dB Es/N0, where only its own losses are left, on utterances of the folder's split `test`.
Word errors by Moonshine (or Whisper) of what is heard, for every system alike; predicted MOS of DistillMOS; cosines of
the voice probe, mean removed, and beside them those of mismatched speakers; phoneme errors of received from written
words by espeak-ng. `phonemes`: errors of received from *sent* phonemes and cosine of the style that arrives, over Es/N0
and MCS, without speaking. `noisy`: speech with white noise at 5 dB through deepsc_s and enhancement before and behind
it, at 10 dB Es/N0; STOI against the clean speech. `speed`: the real-time factor of the receiver, one thread; limits:
0.3 for 4 steps, 0.6 with HiFi-GAN, 1.0 for 50 steps. `listen`: a folder of WAV files to compare by ear, by default of
the utterances that come with the module. `figures` draws the points of the two sweeps of examples/sweeps.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from gnuradio.semcom.bench.intervals import Metric, mean, ratio
from gnuradio.semcom.links import Link
from gnuradio.semcom.media.inputs import list_inputs
from gnuradio.semcom.media.messages import read_messages, write_message
from gnuradio.semcom.media.recordings import RECORDINGS, packaged_recordings
from gnuradio.semcom.media.speech import read_speech, write_wav
from gnuradio.semcom.message import SAMPLE_RATE, Message, Received
from gnuradio.semcom.metrics.audio import predicted_mos, stoi
from gnuradio.semcom.metrics.text import edit_distance
from gnuradio.semcom.metrics.voice import feature_mse, rtf, speaker_cosine, style_cosine
from gnuradio.semcom.output import processor, versions
from gnuradio.semcom.speech import phonemes as sounds
from gnuradio.semcom.speech import recognisers
from gnuradio.semcom.speech.measure import judge
from gnuradio.semcom.speech.voice_probe import probe
from gnuradio.semcom.systems import registry
from gnuradio.semcom.systems.base import Request
from gnuradio.semcom.text.alphabet import normalise

SYSTEMS: dict[str, dict[str, Any]] = {
    "hascom": {"system": "hascom", "model": "small"},
    "hascom, 50 steps": {"system": "hascom", "model": "small-50"},
    "hascom, HiFi-GAN": {"system": "hascom", "model": "small-hifi_gan"},
    "deepsc_s, 125 symbols/s": {"system": "deepsc_s", "quality": 0},
    "deepsc_s, 1000 symbols/s": {"system": "deepsc_s", "quality": 2},
    "enhance_deepsc_s, 125 symbols/s": {"system": "enhance_deepsc_s", "quality": 0},
    "deepsc_s_enhance, 125 symbols/s": {"system": "deepsc_s_enhance", "quality": 0},
    "sc_hest": {"system": "sc_hest", "model": "moonshine"},
    "codec2 450 bit/s": {"system": "codec2", "quality": 0, "mcs": "64qam-2/3"},
    "codec2 1.3 kbit/s": {"system": "codec2", "quality": 3, "mcs": "64qam-2/3"},
    "opus 6 kbit/s": {"system": "opus", "quality": 0, "mcs": "64qam-2/3"},
    "amr_wb 6.6 kbit/s": {"system": "amr_wb", "quality": 0, "mcs": "64qam-2/3"},
}
LIMITS = {"hascom": 0.3, "hascom, HiFi-GAN": 0.6, "hascom, 50 steps": 1.0}
COPIES = ("predicted_mos", "stoi", "speaker_cosine", "emotion_cosine", "emotion_accuracy", "symbols_per_second")
COMMANDS = ("quality", "phonemes", "noisy", "speed", "listen", "figures")
NOISY_DB = 5.0
STREAMS = {"small": "words digital, voice analog", "small-digital": "all digital", "small-analog": "all analog"}
PHONEME_POINTS = (
    ("qpsk-1/12", -5.0), ("qpsk-1/6", -3.0), ("qpsk-1/2", 0.0), ("qpsk-1/2", 2.0), ("qpsk-1/2", 5.0),
    ("16qam-1/3", 5.0), ("qpsk-1/2", 10.0), ("qpsk-1/2", 15.0),
)  # fmt: skip


def usable(settings: dict[str, Any]) -> bool:
    """Whether what the system needs is installed; says so where not."""
    try:
        registry.get(settings["system"]).check(Request(model=settings.get("model", "")))
        registry.get(settings["system"]).prepare(Request(model=settings.get("model", "")))
    except ValueError as error:
        print(f"left out: {settings['system']} {settings.get('model', '')}: {error}", file=sys.stderr)
        return False
    return True


def utterances(data: Path, count: int) -> list[Message]:
    """As many messages of the split `test`, spread over it, in its order."""
    items = [item for item in list_inputs(data, kind="speech") if item.split in ("", "test")]
    step = max(1, len(items) // count)
    return [m for item in items[::step][:count] for m in read_messages(item, "speech")]


def word_errors(sent: list[Message], heard: list[Message]) -> dict[str, Metric]:
    """`wer` of what the judge reads, and `phoneme_error_rate` of these words from the written ones."""
    words, lengths, wrong, counts = [], [], [], []
    for message, received in zip(sent, heard, strict=True):
        reference = normalise(message.meta["transcript"])
        text = recognisers.recognise(judge(), received.data)
        words.append(edit_distance(reference.split(), text.split()))
        lengths.append(len(reference.split()))
        first, second = (list(map(int, sounds.phonemes(line))) if line else [] for line in (reference, text))
        wrong.append(edit_distance(first, second))
        counts.append(len(first))
    return {"wer": ratio(words, lengths, 0), "phoneme_error_rate": ratio(wrong, counts, 1)}


def mismatched(sent: list[Message]) -> Metric:
    """Cosine of the speaker embeddings of utterances of different speakers; of the same one where there is no other."""
    judge_of_voices = probe()
    assert judge_of_voices is not None
    voices = [judge_of_voices.listen(message.data) for message in sent]
    mine, others = [], []
    for a in range(len(sent)):
        for b in range(a + 1, len(sent)):
            first, second = voices[a], voices[b]
            if first is None or second is None:
                continue
            same = speaker(sent[a]) == speaker(sent[b])
            cosine = speaker_cosine(first.speaker, second.speaker, judge_of_voices.speaker_mean)
            (mine if same else others).append(cosine)
    return mean(others or mine)


def speaker(message: Message) -> str:
    """Who speaks, of the file names of LibriSpeech and RAVDESS."""
    name = Path(message.meta["name"]).stem
    return name.split("-")[-1] if name.count("-") == 6 else name.split("-")[0].split("_")[0]


def quality(data: Path, count: int, names: list[str]) -> dict[str, Any]:
    """The table of qualities."""
    sent = utterances(data, count)
    found: dict[str, Any] = {"utterances": len(sent), "set": data.name, "judge": judge()}
    found["speaker_cosine_mismatched"] = mismatched(sent)
    found["without_channel"] = word_errors(sent, sent)
    for name in names:
        settings = SYSTEMS[name]
        if not usable(settings):
            continue
        run = list(Link(**settings, esn0_db=30.0, seed=1).run(sent))
        records = [record for _, record in run]
        row: dict[str, Any] = {
            key: mean([r["metrics"].get(key) for r in records]) for key in (*COPIES, "feature_mse", "style_cosine")
        }
        row |= word_errors(sent, [m for m, _ in run])
        row["bits"] = mean([r["bits"] for r in records])
        found[name] = row
        shown = {k: None if v["value"] is None else round(v["value"], 3) for k, v in row.items()}
        print(name, json.dumps(shown), flush=True)
    return found


def arrivals(data: Path, count: int) -> dict[str, Any]:
    """Phoneme errors and style over Es/N0: the link alone, nothing is spoken."""
    from gnuradio.semcom.links.chain import run_chain
    from gnuradio.semcom.links.link import source_meta
    from gnuradio.semcom.phy import segmentation
    from gnuradio.semcom.systems.hascom import modes
    from gnuradio.semcom.systems.hascom.content import from_bits

    system: Any = registry.get("hascom")
    mode = modes.parse("small")
    codec = system._codec(mode, "auto")
    sent = utterances(data, count)
    found: dict[str, Any] = {"utterances": len(sent), "set": data.name}
    for mcs, esn0_db in PHONEME_POINTS:
        link = Link("hascom", "small", mcs=mcs, esn0_db=esn0_db, seed=3, judges=False)
        stages = link.stages()[:-1]
        wrong, lengths, cosines, errors = [], [], [], []
        for number, message in enumerate(sent):
            arrays, meta = run_chain(stages, (message.data,), source_meta(number, message))
            bits, symbols, noise_var = arrays
            payload = stages[0].payload(system, message)  # type: ignore[attr-defined]
            good = segmentation.bits_ok(len(bits), meta.get("blocks_ok", [1]))
            phonemes, style = system.arrived(Received(bits, good, symbols, noise_var), mode, codec)
            original = from_bits(payload.bits, np.ones(len(payload.bits), np.bool_))
            wrong.append(edit_distance(list(map(int, original)), list(map(int, phonemes))))
            lengths.append(len(original))
            before = codec.style(message.data)
            after = codec.style_encoder.neutral if style is None else style
            cosines.append(style_cosine(before, after, codec.style_encoder.mean))
            errors.append(feature_mse(before, after))
        row = {
            "mcs": mcs, "esn0_db": esn0_db, "phoneme_error_rate": ratio(wrong, lengths, 0),
            "style_cosine": mean(cosines), "feature_mse": mean(errors),
        }  # fmt: skip
        print(mcs, esn0_db, row["phoneme_error_rate"]["value"], row["style_cosine"]["value"], flush=True)
        found.setdefault("points", []).append(row)
    styles = [codec.style(message.data) for message in sent]
    others = [
        style_cosine(a, b, codec.style_encoder.mean)
        for k, a in enumerate(styles)
        for m, b in zip(sent[k + 1 :], styles[k + 1 :], strict=True)
        if speaker(sent[k]) != speaker(m)
    ]
    found["style_cosine_of_other_speakers"] = mean(others)
    return found


def noisy(data: Path, count: int) -> dict[str, Any]:
    """What enhancement is good for."""
    clean = utterances(data, count)
    random = np.random.default_rng(0)
    sent = []
    for message in clean:
        noise = random.normal(0, message.data.std() * 10 ** (-NOISY_DB / 20), message.data.size)
        sent.append(Message("speech", (message.data + noise).astype(np.float32), message.meta))
    found: dict[str, Any] = {"utterances": len(sent), "set": data.name, "snr_db": NOISY_DB, "esn0_db": 10.0}
    for name in ("deepsc_s", "enhance_deepsc_s", "deepsc_s_enhance"):
        heard = [m for m, _ in Link(name, quality=2, esn0_db=10.0, seed=1, judges=False).run(sent)]
        found[name] = word_errors(clean, heard) | {
            "stoi": mean([stoi(a.data, b.data) for a, b in zip(clean, heard, strict=True)]),
            "predicted_mos": mean([predicted_mos(b.data) for b in heard]),
        }
        print(name, {k: v["value"] for k, v in found[name].items()}, flush=True)
    return found


def speed(seconds: float) -> dict[str, Any]:
    """Real-time factors of the receivers: processor time over the length of the speech that comes out."""
    found: dict[str, Any] = {}
    parts = [read_speech(packaged_recordings(name)).data for name in RECORDINGS]
    for name, settings in SYSTEMS.items():
        if not usable(settings):
            continue
        system = registry.get(settings["system"])
        model, request = settings.get("model", ""), Request(settings.get("model", ""), settings.get("quality"))
        busy = length = wall = 0.0
        for number in range(1 + int(seconds / 5)):
            speech = np.concatenate(parts[number % 3 :] + parts[: number % 3])[: 5 * SAMPLE_RATE] * (1 - 0.01 * number)
            payload = system.encode(Message("speech", speech), request)
            assert payload is not None
            good = np.ones(len(payload.bits), np.bool_)
            noise_var = np.full(len(payload.symbols), 0.1, np.float32)
            received = Received(payload.bits, good, payload.symbols, noise_var)
            begun, process = time.perf_counter(), time.process_time()
            out, _ = system.decode(received, {"kind": "speech", "shape": [speech.size], **payload.header}, model)
            if number:  # the first one loads and warms up
                busy += time.process_time() - process
                wall += time.perf_counter() - begun
                length += out.data.size / SAMPLE_RATE
        factor = rtf(busy, length)
        walls = rtf(wall, length)
        found[name] = {"rtf": factor, "rtf_wall": walls, "speech_s": round(length, 2), "limit": LIMITS.get(name)}
        print(f"{name:34} {factor:8.3f} processor, {walls:8.3f} wall", flush=True)
    return found


def listen(data: Path, folder: Path, count: int) -> dict[str, Any]:
    """WAV files: what was sent, and what each system gives at 0, 5 and 10 dB; returns their number."""
    sent = utterances(data, count)
    written = 0
    for message in sent:
        write_wav(folder / f"{Path(message.meta['name']).stem}_0_sent.wav", message.data)
    for name, settings in SYSTEMS.items():
        if not usable(settings):
            continue
        for esn0_db in (0.0, 5.0, 10.0):
            chosen = {**settings, "mcs": "qpsk-1/2"} if registry.get(settings["system"]).payload == "bits" else settings
            label = "_".join(name.replace(",", "").replace("/", "").split())
            run = Link(**chosen, esn0_db=esn0_db, judges=False).run(sent)
            for message, (received, _) in zip(sent, run, strict=True):
                write_message(folder / f"{Path(message.meta['name']).stem}_{label}_{esn0_db:g}dB", received)
                written += 1
    return {"files": written + len(sent), "folder": folder.name}


def figures(results: Path, ablation: Path, folder: Path) -> dict[str, Any]:
    """Figures 3 and 4 of the paper as panels of channel and measure, and the ablation."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    points = json.loads(results.read_text())["points"]
    measures = ("emotion_cosine", "speaker_cosine", "predicted_mos")
    canvas, axes = pyplot.subplots(2, 3, figsize=(14, 8), sharex=True, sharey="col")
    for row, channel in zip(axes, ("awgn", "rayleigh"), strict=True):
        for axis, measure in zip(row, measures, strict=True):
            panel(axis, [p for p in points if p["settings"]["channel"] == channel], measure, named)
            axis.set_title(f"{channel}: {measure}")
    axes[0, 0].legend(fontsize=7)
    finish(canvas, axes, folder / "hascom_figure3.png")
    points = json.loads(ablation.read_text())["points"]
    measures = ("style_cosine", "phoneme_error_rate", "speaker_cosine", "predicted_mos")
    canvas, axes = pyplot.subplots(1, 4, figsize=(16, 4.2), sharex=True)
    for axis, measure in zip(axes, measures, strict=True):
        panel(axis, points, measure, lambda s: STREAMS[s["model"]])
        axis.set_title(measure)
    axes[0].legend(fontsize=8)
    finish(canvas, axes[None], folder / "hascom_ablation.png")
    return {}


def named(settings: dict[str, Any]) -> str:
    """The legend of a point of Figure 3."""
    system = settings["system"]
    coded = registry.get(system).payload != "symbols"
    return f"{system}, {settings['mcs']}" if coded else system


def panel(axis: Any, points: list[dict[str, Any]], measure: str, label: Callable[[dict[str, Any]], str]) -> None:
    """One measure over Es/N0, a line a label, with the thresholds of the digital parts."""
    for number, name in enumerate(dict.fromkeys(label(p["settings"]) for p in points)):
        mine = sorted((p for p in points if label(p["settings"]) == name), key=lambda p: p["settings"]["esn0_db"])
        x = [p["settings"]["esn0_db"] for p in mine]
        values = [p["metrics"][measure] for p in mine]
        y = [v["value"] for v in values]
        colour = f"C{number}"
        axis.plot(x, y, "o-", ms=4, label=name, color=colour)
        if all(v["low"] is not None for v in values):
            axis.fill_between(x, [v["low"] for v in values], [v["high"] for v in values], color=colour, alpha=0.07)
        bound = mine[0]["resolved"]["limits"]["normal_approximation_esn0_db"]
        if bound is not None:
            axis.axvline(bound, color=colour, ls="--", lw=1)
    low, high = (1, 4) if measure == "predicted_mos" else (-0.05, 1.05) if "rate" in measure else (-0.35, 1.05)
    axis.set_ylim(low, high)
    axis.grid(alpha=0.3)


def finish(canvas: Any, axes: Any, path: Path) -> None:
    """Labels, and the file."""
    for axis in axes[-1]:
        axis.set_xlabel("Es/N0 (dB); dashed: normal approximation of the code")
    canvas.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=80)
    print(path)


def main() -> int:
    """Entry point; status 1 where a limit of speed is missed."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("what", choices=COMMANDS)
    options.add_argument("--data", type=Path)
    options.add_argument("--count", type=int, default=20)
    options.add_argument("--seconds", type=float, default=20.0)
    options.add_argument("--systems", default=";".join(SYSTEMS), help="names, separated by ;")
    options.add_argument("--folder", type=Path, default=Path("out/hascom_ab"))
    options.add_argument("--results", type=Path, default=Path("benchmarks/hascom_figure3.json"))
    options.add_argument("--ablation", type=Path, default=Path("benchmarks/hascom_ablation.json"))
    options.add_argument("--output", type=Path)
    arguments = options.parse_args()
    if arguments.what in ("quality", "phonemes", "noisy") and arguments.data is None:
        options.error(f"{arguments.what} needs --data, a folder of speech with a MANIFEST.tsv")
    key = arguments.what
    if arguments.what == "quality":
        names = arguments.systems.split(";")
        unknown = [name for name in names if name not in SYSTEMS]
        if unknown:
            options.error(f"unknown system {unknown[0]!r}: expected some of {'; '.join(SYSTEMS)}")
        found = quality(arguments.data, arguments.count, names)
        key = f"quality_{arguments.data.name}"
    elif arguments.what == "phonemes":
        found = arrivals(arguments.data, arguments.count)
        key = f"phonemes_{arguments.data.name}"
    elif arguments.what == "noisy":
        found = noisy(arguments.data, arguments.count)
    elif arguments.what == "speed":
        found = speed(arguments.seconds)
    elif arguments.what == "listen":
        found = listen(arguments.data or packaged_recordings(), arguments.folder, arguments.count)
    else:
        found = figures(arguments.results, arguments.ablation, arguments.folder)
    if arguments.output:
        kept = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
        about = {"processor": processor(), "versions": versions()}
        kept[key] = {**kept.get(key, {}), **found, **about}
        arguments.output.write_text(json.dumps(kept, indent=1) + "\n")
    limits = [row for row in found.values() if isinstance(row, dict) and row.get("limit")]
    return int(any(row["rtf"] > row["limit"] for row in limits))


if __name__ == "__main__":
    sys.exit(main())

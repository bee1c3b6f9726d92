# SPDX-License-Identifier: GPL-3.0-or-later
r"""What listeners and machines would say of HASCom and its rivals, with intervals.

    .venv/bin/python benchmarks/hascom.py quality --data folder [--count 20] [--systems hascom,opus] [--output FILE]
    .venv/bin/python benchmarks/hascom.py phonemes --data folder [--count 40]
    .venv/bin/python benchmarks/hascom.py code
    .venv/bin/python benchmarks/hascom.py noisy --data folder [--count 6]
    .venv/bin/python benchmarks/hascom.py speed [--seconds 20]
    .venv/bin/python benchmarks/hascom.py listen [--data folder] [--folder out/hascom_ab] [--count 3]
    .venv/bin/python benchmarks/hascom.py training --log run/log.jsonl --folder docs/images
    .venv/bin/python benchmarks/hascom.py mels --data folder --folder docs/images
    .venv/bin/python benchmarks/hascom.py figures --results benchmarks/hascom_figure3.json --ablation \
        benchmarks/hascom_ablation.json --folder docs/images

`quality`: each system at 30 dB Es/N0, where only its own losses are left, on utterances of the folder's split `test`.
Word errors by Moonshine (or Whisper) of what is heard, for every system alike; predicted MOS of DistillMOS; cosines of
the voice probe, mean removed, and beside them those of mismatched utterances; phoneme errors of received from written
words by espeak-ng. `phonemes`: errors of received from *sent* phonemes and cosine of the style that arrives, over Es/N0
and MCS, without speaking. `code`: block errors of the digital parts alone, as long as an utterance's, their thresholds
and bounds; no phoneme of a block that arrives is wrong. `noisy`: speech with white noise at 5 dB through deepsc_s and
enhancement before and behind it, at 10 dB Es/N0; STOI against the clean speech. `speed`: the real-time factor of the
receiver, one thread; limits: 0.3 for 4 steps, 0.6 with HiFi-GAN, 1.0 for 50 steps. `listen`: a folder of WAV files to
compare by ear, by default of the utterances that come with the module. `training` and `mels` draw the paper's Figures 2
and 5 to 8, `figures` its Figures 3 and 4 and the ablation from the two sweeps of examples/sweeps.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from PIL import Image

from gnuradio.semcom.bench.intervals import Metric, mean, ratio
from gnuradio.semcom.links import Link
from gnuradio.semcom.media.inputs import list_inputs
from gnuradio.semcom.media.messages import read_messages
from gnuradio.semcom.media.recordings import RECORDINGS, packaged_recordings
from gnuradio.semcom.media.speech import read_speech, write_wav
from gnuradio.semcom.message import SAMPLE_RATE, Message, Received
from gnuradio.semcom.metrics.audio import predicted_mos, stoi
from gnuradio.semcom.metrics.text import edit_distance
from gnuradio.semcom.metrics.voice import emotion_cosine, feature_mse, rtf, speaker_cosine, style_cosine
from gnuradio.semcom.output import processor, versions
from gnuradio.semcom.speech import phonemes as sounds
from gnuradio.semcom.speech import recognisers
from gnuradio.semcom.speech.measure import judge
from gnuradio.semcom.speech.voice_probe import probe, voice_metrics
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
HEARD = {**SYSTEMS, "hascom, robust": {"system": "hascom", "model": "small", "mcs": "qpsk-1/6"}}  # by `listen`
LIMITS = {"hascom": 0.3, "hascom, HiFi-GAN": 0.6, "hascom, 50 steps": 1.0}
COPIES = ("predicted_mos", "stoi", "speaker_cosine", "emotion_cosine", "emotion_accuracy", "symbols_per_second")
COMMANDS = ("quality", "phonemes", "code", "noisy", "speed", "listen", "training", "mels", "figures")
NOISY_DB = 5.0
ALIGNED = 240  # training utterances that the aligner of `mels` hears
TARGET = 5e-3  # block errors at the threshold
# Schemes of the sweeps, the information bits of a block with its CRC (phonemes of 1.5 s, these and a style as bits,
# half an utterance of Codec 2, a full block) and where to look for the threshold in dB; then what the limit asks for.
BLOCKS = (
    ("qpsk-1/2", 132, (0.0, 3.5)), ("qpsk-2/3", 276, (2.0, 5.0)), ("64qam-2/3", 856, (12.5, 15.0)),
    ("16qam-1/3", 1536, (2.5, 4.5)), ("qpsk-1/6", 132, (-6.0, -1.0)), ("qpsk-1/12", 132, (-9.0, -5.0)),
)  # fmt: skip
PROMISED = (("qpsk-1/12", 132, -5.0), ("qpsk-1/2", 132, 5.0), ("16qam-1/3", 132, 5.0))
CHANNELS = {"awgn": "AWGN", "rayleigh": "Rayleigh"}
MEASURES = {
    "emotion_cosine": "cosine of the heard emotion", "speaker_cosine": "cosine of the heard voice",
    "predicted_mos": "predicted MOS (DistillMOS)", "phoneme_error_rate": "phoneme error rate",
    "style_cosine": "cosine of the received style",
}  # fmt: skip
STREAMS = {"small": "words digital, voice analog", "small-digital": "all digital", "small-analog": "all analog"}
PHONEME_POINTS = (
    ("qpsk-1/12", -5.0), ("qpsk-1/6", -3.0), ("qpsk-1/2", 0.0), ("qpsk-1/2", 2.0), ("qpsk-1/2", 5.0),
    ("16qam-1/3", 5.0), ("qpsk-1/2", 10.0), ("qpsk-1/2", 15.0), ("qpsk-1/2", 18.0),
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


def mismatched(sent: list[Message]) -> dict[str, Metric]:
    """Cosines of the embeddings of utterances that do not belong together: other speakers, other emotions where a
    manifest names them; where it does not, any two utterances."""
    judge_of_voices = probe()
    assert judge_of_voices is not None
    voices = [judge_of_voices.listen(message.data) for message in sent]
    found: dict[str, list[tuple[float, bool]]] = {"speaker": [], "emotion": []}
    for a in range(len(sent)):
        for b in range(a + 1, len(sent)):
            first, second = voices[a], voices[b]
            if first is None or second is None:
                continue
            alike = speaker(sent[a]) == speaker(sent[b])
            cosine = speaker_cosine(first.speaker, second.speaker, judge_of_voices.speaker_mean)
            found["speaker"].append((cosine, alike))
            alike = sent[a].meta.get("emotion") == sent[b].meta.get("emotion")
            cosine = emotion_cosine(first.emotion, second.emotion, judge_of_voices.emotion_mean)
            found["emotion"].append((cosine, alike))
    return {
        f"{name}_cosine_mismatched": mean([c for c, same in pairs if not same] or [c for c, _ in pairs])
        for name, pairs in found.items()
    }


def speaker(message: Message) -> str:
    """Who speaks, of the file names of LibriSpeech and RAVDESS."""
    name = Path(message.meta["name"]).stem
    return name.split("-")[-1] if name.count("-") == 6 else name.split("-")[0].split("_")[0]


def quality(data: Path, count: int, names: list[str]) -> dict[str, Any]:
    """The table of qualities."""
    sent = utterances(data, count)
    found: dict[str, Any] = {"set": data.name, "judge": judge()}
    found |= mismatched(sent)
    found["without_channel"] = word_errors(sent, sent) | {
        "predicted_mos": mean([predicted_mos(message.data) for message in sent]),
        "emotion_accuracy": mean([voice_metrics(message, message)["emotion_accuracy"] for message in sent]),
    }
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
        row["utterances"] = len(sent)
        row["bits"] = mean([r["bits"] for r in records])
        found[name] = row
        shown = {k: v["value"] and round(v["value"], 3) for k, v in row.items() if isinstance(v, dict)}
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
            payload = stages[0].payload(system, message)
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
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # of all so far, transmitters too
        found[name] = {"rtf": factor, "rtf_wall": walls, "speech_s": round(length, 2), "limit": LIMITS.get(name)}
        found[name]["peak_memory_gb"] = round(peak, 2)
        print(f"{name:34} {factor:8.3f} processor, {walls:8.3f} wall, {peak:.2f} GB", flush=True)
    return found


def listen(data: Path, folder: Path, count: int) -> dict[str, Any]:
    """WAV files: what was sent, and what each system gives at 0, 5 and 10 dB; returns their number."""
    sent = utterances(data, count)
    written = 0
    for message in sent:
        write_wav(folder / f"{Path(message.meta['name']).stem}_0_sent.wav", message.data)
    for name, settings in HEARD.items():
        if not usable(settings):
            continue
        for esn0_db in (0.0, 5.0, 10.0):
            chosen = {**settings, "mcs": "qpsk-1/2"} if registry.get(settings["system"]).payload == "bits" else settings
            label = "_".join(name.replace(",", "").replace("/", "").split())
            run = Link(**chosen, esn0_db=esn0_db, judges=False).run(sent)
            for message, (received, _) in zip(sent, run, strict=True):
                write_wav(folder / f"{Path(message.meta['name']).stem}_{label}_{esn0_db:g}dB.wav", received.data)
                written += 1
    return {"files": written + len(sent), "folder": folder.name}


def code() -> dict[str, Any]:
    """Block errors of the digital parts over AWGN: as the limits want them, and where each scheme's threshold is."""
    from gnuradio.semcom.bench import code as blocks
    from gnuradio.semcom.bench.stopping import Stop
    from gnuradio.semcom.phy.bounds import normal_approximation_esn0_db

    found: dict[str, Any] = {"target": TARGET, "promised": [], "thresholds": {}}
    for mcs, k, esn0_db in PROMISED:
        settings = blocks.resolve({"mcs": mcs, "k": k, "esn0_db": esn0_db})
        metrics = blocks.measure(settings, 1, Stop(messages=20_000, metric="bler"))["metrics"]
        found["promised"].append({"mcs": mcs, "k": k, "esn0_db": esn0_db, "bler": metrics["bler"]})
        print(found["promised"][-1], flush=True)
    for mcs, k, (low, high) in BLOCKS:
        curve = []
        for esn0_db in np.arange(low, high + 0.01, 0.25):
            settings = blocks.resolve({"mcs": mcs, "k": k, "esn0_db": float(esn0_db)})
            metrics = blocks.measure(settings, 1, Stop(errors=60, cap=6_000, metric="bler", clean=1))["metrics"]
            curve.append((float(esn0_db), metrics["bler"]["value"]))
            if curve[-1][1] < TARGET / 3:
                break
        x, bler = np.array(curve).T
        logs = np.log(np.maximum(bler, 1e-5))
        threshold = float(np.interp(-np.log(TARGET), -logs, x)) if bler[-1] < TARGET else None
        symbols = settings["n"] // {"qpsk": 2, "16qam": 4, "64qam": 6}[settings["modulation"]]
        bound = normal_approximation_esn0_db(k / symbols, symbols, TARGET, settings["modulation"])
        found["thresholds"][mcs] = {
            "k": k, "symbols": symbols, "threshold_esn0_db": threshold, "bound_esn0_db": round(bound, 2), "bler": curve
        }  # fmt: skip
        print(mcs, k, symbols, "threshold", threshold, "normal approximation", bound, flush=True)
    return found


def training(log: Path, folder: Path) -> dict[str, Any]:
    """The paper's Figure 2, and the losses of stage II on utterances kept back."""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    errors = next(row["mean_squared_error"] for row in rows if row["stage"] == "I")
    later = [row for row in rows if row["stage"].startswith("II")]
    pyplot = plotter()
    canvas, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    left.semilogy(100 * np.arange(1, len(errors) + 1), errors, "o-", ms=3, label="ours: at the end of each 100 steps")
    for value, text in ((1.0e-3, "paper, begin"), (7.9e-5, "paper, after 100 epochs")):
        left.axhline(value, color="C3", ls=":", lw=1)
        left.annotate(text, (0.98, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", color="C3")
    left.set(xlabel="step", ylabel="mean squared error of an element", title="stage I: JSCC of styles, 0 to 20 dB")
    left.legend()
    for number, name in enumerate(("prior", "diffusion", "coarse", "frames")):
        right.plot([r["step"] for r in later], [r[name] for r in later], "o-", ms=3, color=f"C{number}", label=name)
    begun = next((row["step"] for row in later if row["stage"] == "IIb"), None)
    if begun is not None:
        right.axvline(begun, color="0.5", ls=":", lw=1)
        right.annotate("IIb", (begun, 0.02), xycoords=("data", "axes fraction"), color="0.3")
    right.set(xlabel="step", ylabel="loss on utterances kept back", title="stage II: prior and diffusion")
    right.set_ylim(0)
    right.legend()
    save(canvas, folder / "hascom_figure2.png")
    keys = ("stage", "step", "prior", "coarse", "frames", "diffusion")
    return {"jscc_steps": 100, "jscc_mean_squared_error": errors, "stage_2": [{k: r[k] for k in keys} for r in later]}


def mels(data: Path, folder: Path) -> dict[str, Any]:
    """The paper's Figures 5 to 8: sent frames, prior, what comes out after 4 and 50 steps, and the alignment."""
    from gnuradio.semcom.speech.mel import log_mel
    from gnuradio.semcom.systems.hascom import data as corpus
    from gnuradio.semcom.systems.hascom.alignment import fit
    from gnuradio.semcom.systems.hascom.codec import codec, with_edges
    from gnuradio.semcom.systems.hascom.level import levelled

    def prepared(path: Path) -> np.ndarray:
        return log_mel(levelled(corpus.trimmed(read_speech(path).data)))

    message = utterances(data, 10)[4]
    rows = corpus.read_rows(data)[:ALIGNED]
    texts = [corpus.with_optional_pauses(row["transcript"]) for row in rows]
    aligner = fit([prepared(data / r["file"]) for r in rows], [t for t, _ in texts], [f for _, f in texts], 60)
    sent = log_mel(levelled(corpus.trimmed(message.data)))
    said, optional = corpus.with_optional_pauses(message.meta["transcript"])
    found = aligner.align(sent, said, optional)
    coder = codec("small")
    style = coder.style(message.data)
    spoken = with_edges(sounds.phonemes(message.meta["transcript"]))
    few, many = coder.speak(spoken, style, 4), coder.speak(spoken, style, 50)
    pyplot = plotter()
    canvas, axes = pyplot.subplots(5, 1, figsize=(9, 13), height_ratios=(1, 1, 1, 1, 1.6))
    pictures = (
        (sent, "Figure 5: sent"), (few.mu, "Figure 6: prior of the phonemes, as the text encoder has it"),
        (few.mel, "Figure 7: after 4 steps"), (many.mel, "after 50 steps"),
    )  # fmt: skip
    for axis, (frames, title) in zip(axes, pictures, strict=False):
        axis.imshow(frames.T, origin="lower", aspect="auto", vmin=-9, vmax=0, cmap="magma")
        axis.set(title=title, ylabel="mel band")
    last = axes[4]
    for counts, name in ((found, "sent: found by the search"), (few.frames, "predicted by the receiver")):
        ends = np.cumsum(counts[counts > 0])
        last.step([0, *ends], range(len(ends) + 1), where="pre", label=name)
    last.set(title="Figure 8: alignment", ylabel="number of the phoneme", xlabel="frame of 16 ms")
    last.legend()
    save(canvas, folder / "hascom_figures5_8.png", 200)
    return {}


def figures(results: Path, ablation: Path, measured: Path, folder: Path) -> dict[str, Any]:
    """Figures 3 and 4 of the paper as panels of channel and measure, and the ablation."""
    pyplot = plotter()
    thresholds = json.loads(measured.read_text())["code"]["thresholds"]
    points = json.loads(results.read_text())["points"]
    for name, measures in (("3", ("emotion_cosine", "speaker_cosine")), ("4", ("predicted_mos",))):
        size = (6.4 * len(measures) + 0.6, 8.4) if len(measures) > 1 else (13, 4.8)
        shape = (2, len(measures)) if len(measures) > 1 else (1, 2)
        canvas, axes = pyplot.subplots(*shape, figsize=size, sharex=True, sharey="col" if len(measures) > 1 else "row")
        places = [(c, m) for c in ("awgn", "rayleigh") for m in measures]
        for axis, (channel, measure) in zip(axes.flat, places, strict=True):
            panel(axis, [p for p in points if p["settings"]["channel"] == channel], measure, named, thresholds)
            axis.set_title(f"{CHANNELS[channel]}: {MEASURES[measure]}")
            axis.set_xlabel("Es/N0 (dB)")
        finish(canvas, axes.flat[0], folder / f"hascom_figure{name}.png")
    points = json.loads(ablation.read_text())["points"]
    four = ("phoneme_error_rate", "style_cosine", "speaker_cosine", "predicted_mos")
    canvas, axes = pyplot.subplots(2, 2, figsize=(13, 8), sharex=True)
    for axis, measure in zip(axes.flat, four, strict=True):
        panel(axis, points, measure, lambda s: STREAMS[s["model"]], thresholds)
        axis.set(title=MEASURES[measure], xlabel="Es/N0 (dB)")
    finish(canvas, axes.flat[0], folder / "hascom_ablation.png")
    return {}


def named(settings: dict[str, Any]) -> str:
    """The legend of a point of Figure 3."""
    system = settings["system"]
    coded = registry.get(system).payload != "symbols"
    return f"{system}, {settings['mcs']}" if coded else system


def panel(
    axis: Any, points: list[dict[str, Any]], measure: str, label: Callable[[dict[str, Any]], str],
    thresholds: dict[str, Any],
) -> None:  # fmt: skip
    """One measure over Es/N0, a line a label. Over AWGN the digital parts' thresholds and their bounds stand there."""
    drawn: set[str] = set()
    for number, name in enumerate(dict.fromkeys(label(p["settings"]) for p in points)):
        mine = sorted((p for p in points if label(p["settings"]) == name), key=lambda p: p["settings"]["esn0_db"])
        x = np.array([p["settings"]["esn0_db"] for p in mine])
        values = [p["metrics"][measure] for p in mine]
        y = np.array([v["value"] for v in values], float)
        silent = np.array([p["metrics"]["delivered"]["value"] < 0.5 for p in mine])
        settings, first = mine[0]["settings"], number == 0
        colour = f"C{number}"
        axis.plot(x, y, "-", color=colour, lw=2.2 if first or name.startswith("hascom") else 1.2)
        axis.plot(x[~silent], y[~silent], "o", color=colour, ms=5)
        axis.plot(x[silent], y[silent], "o", color=colour, ms=6, mfc="white")
        axis.plot([], [], "o-", color=colour, ms=5, label=name)
        if first and all(v["low"] is not None for v in values):
            low, high = ([v[end] for v in values] for end in ("low", "high"))
            axis.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
        coded = registry.get(settings["system"]).payload != "symbols" and not settings["model"].endswith("analog")
        found = thresholds.get(settings["mcs"])
        if settings["channel"] == "awgn" and coded and found is not None and settings["mcs"] not in drawn:
            drawn.add(settings["mcs"])
            axis.axvline(found["threshold_esn0_db"], color=colour, lw=1)
            axis.axvline(found["bound_esn0_db"], color=colour, ls="--", lw=1)
    axis.set_ylim((1, 4) if measure == "predicted_mos" else (-0.05, 1.05) if "rate" in measure else (-0.35, 1.05))
    axis.grid(alpha=0.3)


def plotter() -> Any:
    """Matplotlib's pyplot without a window."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def finish(canvas: Any, axis: Any, path: Path) -> None:
    """The legend below, and the file."""
    axis.plot([], [], "k-", lw=1, label=f"digital threshold, {TARGET:.1%} of the blocks lost (AWGN)")
    axis.plot([], [], "k--", lw=1, label="its bound, normal approximation at that block length")
    axis.plot([], [], "ko", ms=6, mfc="white", label="less than half of the utterances delivered")
    canvas.tight_layout(rect=(0, 0.09 if canvas.get_figheight() > 6 else 0.15, 1, 1))
    canvas.legend(*axis.get_legend_handles_labels(), loc="lower center", ncols=4, fontsize=8)
    save(canvas, path)


def save(canvas: Any, path: Path, colours: int = 0) -> None:
    """The file, with few colours where they are many."""
    if not canvas.legends:
        canvas.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=80)
    if colours:
        with Image.open(path) as picture:
            picture.convert("RGB").quantize(colours).save(path, optimize=True)
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
    options.add_argument("--measured", type=Path, default=Path("benchmarks/hascom.json"))
    options.add_argument("--log", type=Path, help="log.jsonl of a training")
    options.add_argument("--output", type=Path)
    arguments = options.parse_args()
    if arguments.what in ("quality", "phonemes", "noisy", "mels") and arguments.data is None:
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
    elif arguments.what == "code":
        found = code()
    elif arguments.what == "training":
        if arguments.log is None:
            options.error("training needs --log, the log.jsonl of a run")
        found = training(arguments.log, arguments.folder)
    elif arguments.what == "mels":
        found = mels(arguments.data, arguments.folder)
    elif arguments.what == "noisy":
        found = noisy(arguments.data, arguments.count)
    elif arguments.what == "speed":
        found = speed(arguments.seconds)
    elif arguments.what == "listen":
        found = listen(arguments.data or packaged_recordings(), arguments.folder, arguments.count)
    else:
        found = figures(arguments.results, arguments.ablation, arguments.measured, arguments.folder)
    if arguments.output:
        kept = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
        about = {"processor": processor(), "versions": versions()}
        kept[key] = {**kept.get(key, {}), **found, **about}
        arguments.output.write_text(json.dumps(kept, indent=1) + "\n")
    limits = [row for row in found.values() if isinstance(row, dict) and row.get("limit")]
    return int(any(row["rtf"] > row["limit"] for row in limits))


if __name__ == "__main__":
    sys.exit(main())

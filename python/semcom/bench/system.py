# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of kind `system`: messages through a link by the plain call chain, which equals the flowgraph bit for bit."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..links.link import Link, phy_defaults
from ..media.inputs import Input, list_inputs
from ..media.messages import read_messages
from ..media.photographs import PHOTOGRAPHS, packaged_photograph
from ..media.recordings import packaged_recordings
from ..media.speech import wav_bytes
from ..message import Message
from ..phy import mcs as mcs_table
from ..phy import segmentation
from ..speech.attention import SYSTEM as ATTENTION_SYSTEM
from ..speech.distances import SpeechSets
from ..speech.recognisers.attention import PREFIX
from ..speech.recognisers.own import SYSTEM as OWN_SYSTEM
from ..speech.recognisers.own import model_of, own_names
from ..speech.synthesis import Synthesiser
from ..stage import Stage
from ..systems import registry
from ..systems.stages import Decoder, Encoder, forget_payloads
from .cache import Remembered, remembered_metrics
from .intervals import Metric, mean, metric
from .records import record_metrics
from .settings import digest, typed
from .stopping import Stop

_TYPES = {"str": str, "int": int, "float": float, "bool": bool}
_LINK: dict[str, Any] = {field.name: field for field in fields(Link) if field.name != "seed"}
FIELDS: dict[str, Any] = {name: _TYPES.get(str(field.type), object) for name, field in _LINK.items()} | {
    "inputs": str, "files": list, "split": str, "mismatch_db": float, "pictures": int, "records": bool, "cached": bool,
}  # fmt: skip
SOURCES = (
    "message.py", "stage.py", "kernels.py", "links/*.py", "systems/**/*.py", "systems/**/*.npz", "codecs/**/*.py",
    "speech/**/*.py", "text/*.py", "bench/speech.py",
    "media/*.py", "metrics/*.py", "zoo/*.py", "phy/*.py", "phy/data/*", "bench/system.py", "bench/cache.py",
    "bench/intervals.py", "bench/records.py", "bench/stopping.py",
)  # fmt: skip
VERSIONS = ("numpy", "scipy", "onnxruntime", "pillow", "av", "soundfile", "faster-whisper", "moonshine-voice")
DEFAULT_STOP = Stop(metric="message_error_rate")
PACKAGED = "packaged"
# What does not decide what a message meets on the channel, and so is no part of its seed.
_NOT_SEEDED = ("inputs", "files", "split", "pictures", "records", "cached", "device", "base", "profile")


def resolve(given: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of a point, from those that are given; ValueError where one is wrong.

    `inputs` is a file or a folder, `$NAME` in it an environment variable; "packaged" stands for the photographs inside
    installed packages, or the utterances that come with the module, "packaged:coffee" for one of them. `files` names
    some of the folder. `mismatch_db` is assumed minus true Es/N0: MCS and rate are chosen for the assumed one.
    `pictures` keeps that many received messages as files beside the result; `cached` off measures the speed of encoder
    and decoder, each message afresh.
    """
    s: dict[str, Any] = {name: typed(name, value, FIELDS[name]) for name, value in given.items() if name != "files"}
    if "system" not in s:
        raise ValueError("system is missing: name one of `semcom list`")
    for name, field in _LINK.items():
        if name not in s:
            assert field.default is not MISSING
            s[name] = field.default
    s |= {name: s[name] or value for name, value in phy_defaults(s["system"]).items()}
    if s.get("mismatch_db") and s["assumed_esn0_db"] is not None:
        raise ValueError("mismatch_db and assumed_esn0_db say the same thing: give one of the two")
    own: dict[str, Any] = {"inputs": PACKAGED, "split": "", "mismatch_db": 0.0, "pictures": 0}
    s = own | {"records": False, "cached": True} | s
    files: Any = given.get("files", [])
    if isinstance(files, str):
        files = [files]
    if not isinstance(files, list) or not all(isinstance(name, str) for name in files):
        raise ValueError(f"files must be a list of names, not {files!r}")
    s["files"] = list(files)
    if s["pictures"] < 0:
        raise ValueError(f"pictures must be at least 0, not {s['pictures']}")
    if not s["model"]:
        s["model"] = next(iter(registry.get(s["system"]).models()), "")
    link_of(s, 0)
    return dict(sorted(s.items()))


def link_of(settings: Mapping[str, Any], seed: int) -> Link:
    """The link of a point."""
    values = {name: settings[name] for name in _LINK}
    if settings["mismatch_db"]:
        values["assumed_esn0_db"] = settings["esn0_db"] + settings["mismatch_db"]
    return Link(**values, seed=seed)


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What else decides a result: the content of the inputs and of the model."""
    from ..zoo import model as zoo

    files = [(item.name, item.split, file_digest(item.path)) for item in inputs_of(settings)]
    if settings["system"].endswith(registry.CARDS):
        card = registry.get(settings["system"]).card  # type: ignore[attr-defined]
        beside = [card.path, *(card.path.parent / end.file for end in (card.encoder, card.decoder))]
        return {"inputs": digest(files), "model": digest([file_digest(path) for path in beside])}
    system = registry.get(settings["system"])
    recogniser = system.recogniser(settings["model"])
    if recogniser in own_names() and system.name != OWN_SYSTEM:
        own = zoo.find(OWN_SYSTEM, model_of(recogniser)) / "card.yml"
        return {"inputs": digest(files), "recogniser": file_digest(own)}
    if recogniser.startswith(PREFIX) and system.name != ATTENTION_SYSTEM:
        variant = recogniser.removeprefix(PREFIX)
        return {"inputs": digest(files), "recogniser": file_digest(zoo.find(ATTENTION_SYSTEM, variant) / "card.yml")}
    if not system.models() or not zoo.available(settings["system"]):
        return {"inputs": digest(files)}
    cards = [zoo.find(settings["system"], name) / "card.yml" for name in system.variants(settings["model"])]
    digests = [file_digest(card) for card in cards]
    return {"inputs": digest(files), "model": digests[0] if len(digests) == 1 else digest(digests)}


def unseeded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a seed is derived from."""
    return {name: value for name, value in settings.items() if name not in _NOT_SEEDED}


def label(settings: Mapping[str, Any]) -> str:
    """What a curve is called where the sweep does not name it."""
    return f"{settings['system']}, {settings['mcs']}, {settings['channel']}"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal, read once unless it changes."""
    status = path.stat()
    return _file_digest(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=10_000)
def _file_digest(path: Path, changed: int, size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def inputs_of(settings: Mapping[str, Any]) -> list[Input]:
    """The files that are sent, in order. ValueError where there are none."""
    given, base = settings["inputs"], settings.get("base", "")
    kind = registry.get(settings["system"]).kind
    if given == PACKAGED or given.startswith(f"{PACKAGED}:"):
        name = given.partition(":")[2]
        found = _packaged(name) if kind == "image" else list_inputs(packaged_recordings(name), kind=kind)
    else:
        for name in re.findall(r"\$\{?(\w+)\}?", given):
            if not os.environ.get(name):
                raise ValueError(f"inputs is {given}, but {name} is not set: set it, or give --set inputs=FOLDER")
        path = Path(os.path.expandvars(given)).expanduser()
        found = list_inputs(Path(base) / path, split=settings["split"] or None, kind=kind)
    if settings["files"]:
        by_name = {item.name: item for item in found}
        missing = [name for name in settings["files"] if name not in by_name]
        if missing:
            raise ValueError(f"files: {given} has no {missing[0]!r}; it has {', '.join(list(by_name)[:5])} ...")
        found = [by_name[name] for name in settings["files"]]
    return found


def _packaged(name: str) -> list[Input]:
    if name:
        path = packaged_photograph(name)
        return [Input(path, path.name)]
    found = []
    for known in PHOTOGRAPHS:
        with contextlib.suppress(ValueError):
            path = packaged_photograph(known)
            found.append(Input(path, path.name))
    if not found:
        packaged_photograph()  # says what to install
    return found


@lru_cache(maxsize=64)
def _read(path: Path, kind: str, changed: int, name: str, columns: tuple[tuple[str, str], ...]) -> list[Message]:
    return list(read_messages(Input(path, name, columns=dict(columns)), kind))


def _messages(item: Input, kind: str) -> list[Message]:
    """The messages of an input; those of the last inputs are kept."""
    told = tuple((name, item.columns[name]) for name in ("transcript", "emotion") if item.columns.get(name))
    return _read(item.path, kind, item.path.stat().st_mtime_ns, item.name, told)


class _RememberingLink(Link):
    """A link whose two ends do no work twice."""

    def stages(self) -> list[Stage]:
        ends = (Encoder, Decoder, Synthesiser)
        return [Remembered(stage) if isinstance(stage, ends) else stage for stage in super().stages()]

    def measure(self, sent: Message, received: Message) -> dict[str, float | None]:
        return remembered_metrics(sent, received, super().measure)


def extra(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker needs besides the settings: how to know that it has the same inputs and model."""
    return {"expected": digest(identity(settings))}


def measure(settings: Mapping[str, Any], seed: int, stop: Stop, expected: str) -> dict[str, Any]:
    """All inputs once, or as many messages as the rule asks for, the inputs in turns.

    ValueError where inputs or model are not those that were asked for.
    """
    found = identity(settings)
    if digest(found) != expected:
        raise ValueError(f"the inputs ({settings['inputs']}) or the model are not what they were when the run began")
    inputs = inputs_of(settings)
    link = link_of(settings, seed)
    chosen, model = link.mode
    link = replace(link, mcs=chosen, model=model)
    if settings["cached"]:
        link = _RememberingLink(**{field.name: getattr(link, field.name) for field in fields(Link)})
    if not stop.limit and not (stop.errors or stop.width or stop.relative_width or stop.seconds):
        stop = replace(stop, messages=len(inputs))
    records: list[dict[str, Any]] = []
    times: list[float] = []
    pixels: list[int] = []
    files: dict[str, str] = {}

    kind = registry.get(link.system).kind
    sent: list[tuple[Input, Message]] = []  # on their way
    sets = SpeechSets() if link.delivers == "speech" else None

    def messages() -> Iterator[Message]:
        for item in itertools.cycle(inputs):
            for message in _messages(item, kind):
                if not settings["cached"]:
                    forget_payloads()
                sent.append((item, message))
                yield message

    def metrics() -> dict[str, Metric]:
        return metrics_of(records, settings, chosen, pixels)

    for stage in link.stages():
        stage.prepare()
    stopped = None
    begun = time.perf_counter()
    run = link.run(messages())
    while stopped is None:
        received, record = next(run)
        item, message = sent.pop(0)
        if sets is not None and link.judges:
            sets.add(message, received)
        if item.split:
            record["split"] = item.split
        times.append(record.pop("elapsed_s"))
        pixels.append(received.data.size // 3 if received.kind == "image" else 0)
        records.append(record)
        if len(files) < settings["pictures"]:
            suffix, content = _as_file(received)
            files[f"{len(files)}.{suffix}"] = base64.b64encode(content).decode()
        stopped = stop.reason(len(records), metrics, time.perf_counter() - begun)
    elapsed = time.perf_counter() - begun
    distances = sets.metrics() if sets is not None and link.judges else {}
    result: dict[str, Any] = {
        "messages": len(records),
        "metrics": metrics() | {name: metric(value, count=len(records)) for name, value in distances.items()},
        "stopped": stopped,
        "timings": {} if settings["cached"] else speeds(records, times, elapsed),
        "resolved": {
            "chosen_mcs": chosen, "limits": link.limits(), "inputs_count": len(inputs),
            "inputs_sha256": found["inputs"],
            "provider": registry.get(link.system).provider(link.model, link.device),
        },
        "files": files,
    }  # fmt: skip
    return result | ({"records": records} if settings["records"] else {})


def _as_file(message: Message) -> tuple[str, bytes]:
    """Ending and content of the file that holds a received message."""
    import io

    from PIL import Image

    if message.kind == "image":
        stream = io.BytesIO()
        Image.fromarray(message.data).save(stream, "PNG")
        return "png", stream.getvalue()
    return ("wav", wav_bytes(message.data)) if message.kind == "speech" else ("txt", message.data.tobytes())


def metrics_of(
    records: list[dict[str, Any]], settings: Mapping[str, Any], mcs: str, pixels: list[int]
) -> dict[str, Metric]:
    """Of the records of a link, and two compression ratios of pictures: of bits, and of symbols of the same scheme."""
    # over AWGN blocks fail independently of each other; over fading those of a message fail together
    found = record_metrics(records, settings["channel"] == "awgn")
    if all(pixels):
        raw = [segmentation.symbols_payload(24 * size, mcs_table.get(mcs)) for size in pixels]
        found["compression_ratio"] = mean([r["bits"] / (24 * size) for r, size in zip(records, pixels, strict=True)])
        found["airtime_ratio"] = mean([r["symbols_total"] / all_of for r, all_of in zip(records, raw, strict=True)])
    return found


def speeds(records: list[dict[str, Any]], times: list[float], elapsed_s: float) -> dict[str, Metric]:
    """Throughput of one core, and latency of a message from picture to picture."""
    count = len(records)
    p50, p99 = np.quantile(times, [0.5, 0.99])
    return {
        "messages_s": metric(count / elapsed_s, count=count),
        "msymbol_s": metric(sum(r["symbols_total"] for r in records) / elapsed_s / 1e6, count=count),
        "latency_p50_s": metric(float(p50), count=count),
        "latency_p99_s": metric(float(p99), count=count),
    }

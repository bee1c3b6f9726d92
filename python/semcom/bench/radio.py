# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of kind `on_air`: messages through a radio, at a gain of its transmitter; `semcom bench --radio FILE`.

Es/N0 is not known on air, it is what the receiver estimates, and a metric like any other: curves are drawn against it.
A file under examples/radio says which radio, and in `bench` what to sweep:

    bench: {gain_db: 0:60:5, system: ncsc, mcs: [qpsk-1/3, 16qam-1/3]}

`radio: simulated` computes the radio. Its `air` has what `--impair` takes, `esn0_db` being Es/N0 at a gain of 0 dB,
and `saturation_db`, the gain at which the amplifier cuts everything above the mean power of a burst.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .intervals import Metric, mean, metric
from .records import record_metrics
from .settings import digest, typed
from .stopping import Stop

if TYPE_CHECKING:
    from ..message import Message, Meta
    from ..radio.settings import RadioSettings
    from .sweep import Sweep

FIELDS: dict[str, Any] = {
    "radio": str, "gain_db": float, "frequency_hz": float, "system": str, "model": str, "mcs": str, "code": str,
    "header": str, "quality": int, "airtime": int, "peak_db": float, "inputs": str, "files": list, "split": str,
    "device": str,
}  # fmt: skip
DEFAULTS: dict[str, Any] = {
    "frequency_hz": 0.0, "system": "ncsc", "model": "", "mcs": "", "code": "", "header": "robust", "quality": -1,
    "airtime": 0, "peak_db": 0.0, "inputs": "packaged", "split": "", "device": "auto",
}  # fmt: skip
SOURCES = (
    "*.py", "radio/*.py", "systems/**/*.py", "systems/**/*.npz", "codecs/**/*.py", "media/*.py", "metrics/*.py",
    "speech/**/*.py", "text/*.py", "zoo/*.py", "phy/*.py", "phy/data/*", "blocks/*.py", "bench/radio.py",
    "bench/intervals.py", "bench/records.py", "bench/stopping.py",
)  # fmt: skip
VERSIONS = ("gnuradio", "numpy", "scipy", "onnxruntime", "pillow", "av")
DEFAULT_STOP = Stop(metric="message_error_rate")
SIMULATED = "simulated"
PERMIT = "SEMCOM_MAY_TRANSMIT"  # said by `--transmit` to the processes of one run; never part of a result
_GAP = 12_000  # samples of silence around a simulated burst
_TAIL = 60_000
_LAST_S = 3.0  # that a radio's last burst may take to arrive


def radio_of(path: str, direction: str) -> RadioSettings:
    """The settings of the file; ValueError where they name no radio."""
    from ..radio.settings import load

    settings = load(os.path.expandvars(path), direction)
    if not settings.radio:
        raise ValueError(f"{path}: radio is missing: uhd:type=b200, soapy:driver=hackrf, simulated ...")
    return settings


def resolve(given: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of a point, from those that are given; ValueError where one is wrong."""
    for name in ("radio", "gain_db"):
        if name not in given:
            raise ValueError(f"{name} is missing: --set {name}=..., or `bench: {{{name}: ...}}` in the radio's file")
    unknown = sorted(set(given) - set(FIELDS))
    if unknown:
        raise ValueError(f"{unknown[0]} is no setting of a radio: expected {', '.join(FIELDS)}")
    s = {name: typed(name, value, FIELDS[name]) for name, value in (DEFAULTS | dict(given)).items() if name != "files"}
    files: Any = given.get("files", [])
    s["files"] = [files] if isinstance(files, str) else list(files)
    for direction in ("tx", "rx"):
        replace(radio_of(s["radio"], direction), gain_db=s["gain_db"], frequency_hz=s["frequency_hz"] or None)
    transmission = transmission_of(s)
    s |= {name: getattr(transmission, name) for name in ("model", "mcs", "code")}
    if radio_of(s["radio"], "tx").radio == SIMULATED:
        air_of(s, 0)
    return dict(sorted(s.items()))


def transmission_of(settings: Mapping[str, Any]) -> Any:
    """How messages are sent."""
    from ..radio.sender import Transmission

    names = ("system", "model", "mcs", "code", "quality", "airtime", "header", "peak_db", "device")
    return Transmission(**{name: settings[name] for name in names})


def air_of(settings: Mapping[str, Any], seed: int) -> Any:
    """What lies between simulated radios at that gain."""
    from ..radio.simulated_air import Impairments

    given = dict(radio_of(settings["radio"], "tx").air)
    at_zero, saturation = (typed(name, given.pop(name, value), float) for name, value in
                           (("esn0_db", 0.0), ("saturation_db", 200.0)))  # fmt: skip
    try:
        air = Impairments(**given)
    except TypeError:
        raise ValueError(f"{settings['radio']}: air has something that is unknown: {', '.join(given)}") from None
    gain = settings["gain_db"]
    clip = min(max(saturation - gain, -20.0), air.clip_db)
    return replace(air, clip_db=clip, esn0_db=at_zero + gain, seed=seed)


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What else decides a result: the content of inputs, radio's file and model."""
    from .system import file_digest
    from .system import identity as of_system

    found = of_system({**settings, "base": ""})
    return {**found, "radio": file_digest(Path(os.path.expandvars(settings["radio"])))}


def label(settings: Mapping[str, Any]) -> str:
    """What a curve is called where the sweep does not name it."""
    return f"{settings['system']}, {settings['mcs']}"


def measure(settings: Mapping[str, Any], seed: int, stop: Stop) -> dict[str, Any]:
    """All inputs once, or as many messages as `messages` or `cap` of the rule say, the inputs in turns.

    ValueError where a real radio is to send and nobody has said so; RadioError where it is not there.
    """
    from ..media.messages import read_messages
    from ..systems import registry
    from .system import inputs_of

    kind = registry.get(settings["system"]).kind
    inputs = inputs_of({**settings, "base": ""})
    every = [message for item in inputs for message in read_messages(item, kind)]
    sent = list(islice(cycle(every), stop.limit or len(every)))
    bursts = list(encoded(sent, settings))
    radio = radio_of(settings["radio"], "tx")
    about: dict[str, Any] = {}
    if radio.radio == SIMULATED:
        arrived = simulated(bursts, settings, seed)
    else:
        arrived, about = on_air(bursts, settings)
    records = list(recorded(sent, bursts, arrived, settings))
    found = record_metrics(records, True) | estimates(records)
    found |= {name: metric(value, count=len(records)) for name, value in about.items()}
    whole = bool(stop.limit) and len(sent) >= (stop.limit or 0)
    return {
        "messages": len(records), "metrics": found, "timings": {},
        "stopped": ("messages" if stop.messages == len(sent) else "cap") if whole else "messages",
        "resolved": {"inputs_count": len(inputs), "inputs_sha256": identity(settings)["inputs"]},
    }  # fmt: skip


def encoded(messages: list[Message], settings: Mapping[str, Any]) -> Iterator[tuple[NDArray[np.complex64], Meta]]:
    """The samples and the meta of each message's burst; the same message is encoded once."""
    from ..links.chain import run_chain

    stages = transmission_of(settings).stages()
    for stage in stages:
        stage.prepare()
    for number, message in enumerate(messages):
        meta: Meta = {"id": number, "name": "", "kind": message.kind, "shape": list(message.data.shape)}
        (samples,), meta = run_chain(stages, (np.ascontiguousarray(message.data).ravel(),), meta)
        yield samples, meta


def simulated(
    bursts: list[tuple[NDArray[np.complex64], Meta]], settings: Mapping[str, Any], seed: int
) -> dict[int, tuple[Any, Meta]]:
    """What comes of the bursts through computed radios, by number: the parts of the payload and the meta."""
    from ..blocks.message_source import message_source
    from ..radio.receiver import Receiver

    rng = np.random.default_rng([seed, 1])

    def pieces() -> Iterator[tuple[NDArray[np.complex64], Meta]]:
        for samples, _ in bursts:
            yield np.zeros(_GAP + int(rng.integers(0, _GAP)), np.complex64), {}
            if samples.size:
                yield samples, {}
        yield np.zeros(_TAIL, np.complex64), {}

    received = Receiver(message_source(pieces(), np.complex64), air_of(settings, seed)).messages()
    return {item[1]["id"]: item for item in received if item is not None}


def on_air(
    bursts: list[tuple[NDArray[np.complex64], Meta]], settings: Mapping[str, Any]
) -> tuple[dict[int, tuple[Any, Meta]], dict[str, float]]:
    """What comes of the bursts through real radios, by number, and how the transmitter did."""
    from gnuradio import gr

    from .. import packets
    from ..blocks.message_source import message_source
    from ..radio import places
    from ..radio.receiver import Receiver

    if not os.environ.get(PERMIT):
        raise ValueError("nothing is sent through a radio without --transmit and --frequency HZ: see docs/radio.md")
    ends = {
        direction: replace(radio_of(settings["radio"], direction), frequency_hz=settings["frequency_hz"] or None)
        for direction in ("tx", "rx")
    }
    source = places.radio_block(places.parse(ends["rx"].radio), ends["rx"], "source")
    told = replace(ends["tx"], gain_db=settings["gain_db"], transmit=True)
    sink = places.radio_block(places.parse(told.radio), told, "sink")
    sending = gr.top_block("semcom bench")
    feed = message_source([(samples, {"id": meta["id"]}) for samples, meta in bursts if samples.size], np.complex64)
    sending.connect(feed, sink)
    fault: list[BaseException] = []

    def send() -> None:
        try:
            packets.run(sending)
        except BaseException as error:  # raised by the thread that waits
            fault.append(error)

    arrived: dict[int, tuple[Any, Meta]] = {}
    thread = threading.Thread(target=send, name="semcom bench", daemon=True)
    run = Receiver(source).messages()
    last = math.inf
    try:
        for item in run:
            if not thread.ident:
                thread.start()  # now that the receiver listens
            if item is not None and item[1]["id"] < len(bursts):
                arrived.setdefault(item[1]["id"], item)
            if thread.is_alive():
                last = time.monotonic()
            elif fault or len(arrived) == len(bursts) or time.monotonic() - last > _LAST_S:
                break
    finally:
        run.close()
        sending.stop()
        thread.join(10)
    if fault:
        raise fault[0]
    counts = {name: float(count) for name, count in getattr(sink, "counts", {}).items() if name != "on_air"}
    return arrived, counts | {"sent_peak_dbfs": sink.power.peak_dbfs}


def recorded(
    sent: list[Message],
    bursts: list[tuple[NDArray[np.complex64], Meta]],
    arrived: Mapping[int, tuple[Any, Meta]],
    settings: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """A record for each message; one that never came counts its metrics' worst."""
    from ..radio.opener import Opener

    opener = Opener([settings["system"]], settings["device"])
    for message, (_, meta) in zip(sent, bursts, strict=True):
        reason = meta.get("reason") or "lost"
        record = {
            "id": meta["id"], "delivered": False, "reason": reason, "bits": meta["bits"],
            "symbols_total": meta.get("symbols_total", 0), "blocks": meta.get("blocks", 0),
            "blocks_failed": meta.get("blocks", 0), "radio": None,
        }  # fmt: skip
        received = None
        if meta["id"] in arrived:
            arrays, came = arrived[meta["id"]]
            record["radio"] = came.get("radio")
            try:
                received, came = opener.decode(arrays, came)
                record |= {"delivered": bool(came["delivered"]), "reason": came["reason"]}
                record["blocks_failed"] = came.get("blocks_failed", 0)
            except ValueError as error:
                record["reason"] = str(error)
        yield {**record, "metrics": measured(message, received)}


def measured(sent: Message, received: Message | None) -> dict[str, float | None]:
    """How good a message is; None for one that never came: mid-grey, silence, no text."""
    from ..message import Message, text_message
    from ..metrics import image_metrics
    from ..speech.measure import speech_metrics

    if sent.kind == "image":
        if received is not None and received.data.shape == sent.data.shape:
            return image_metrics(sent.data, received.data)
        worst = image_metrics(sent.data, np.full_like(sent.data, 128))
        return {name: value if name == "psnr_db" or value is None else 0.0 for name, value in worst.items()}
    if received is None:
        received = text_message("") if sent.kind == "text" else Message("speech", np.zeros(1, np.float32), {"text": ""})
    return speech_metrics(sent, received, False)


def estimates(records: list[dict[str, Any]]) -> dict[str, Metric]:
    """Means of what the receiver estimated of the bursts that it found."""
    found = {}
    for name in ("esn0_db", "carrier_offset", "sampling_offset_ppm"):
        values = [record["radio"][name] for record in records if record["radio"]]
        found[name] = mean(values) if values else metric(None, count=0)
    return found


def radio_sweep(path: Path, changes: Mapping[str, list[Any]], stop: Stop, frequency_hz: float | None) -> Sweep:
    """The sweep of a radio's file: its `bench`, and `changes` over it. ValueError where one is wrong."""
    import yaml

    from . import axes
    from .sweep import Sweep, _expand, _finish, slug

    settings = radio_of(str(path), "tx")
    given = (yaml.safe_load(path.read_text()) or {}).get("bench") or {}
    if not isinstance(given, dict):
        raise ValueError(f"{path}: bench must have names and values, not {given!r}")
    frequency = frequency_hz or settings.frequency_hz or 0.0
    try:
        every = {name: axes.values(value) for name, value in given.items()} | dict(changes)
    except ValueError as error:
        raise ValueError(f"{path}: bench: {error}") from None
    every |= {"radio": [str(path)], "frequency_hz": [frequency]}
    if "gain_db" not in every:
        raise ValueError(f"{path}: gain_db is missing: --set gain_db=0:60:5, or `bench: {{gain_db: 0:60:5}}` in it")
    jobs = _expand(slug(path.stem), "on_air", None, every, "gain_db", [0], stop, 0, ["gain_db"])
    title = f"{settings.radio}, {frequency / 1e6:g} MHz" if frequency else f"{settings.radio} radio"
    title += ", Es/N0 as the receiver estimates it"
    return _finish(Sweep(slug(path.stem), title, tuple(jobs), "esn0_db", stop.metric))


def permit(settings: RadioSettings, frequency_hz: float | None, transmit: bool) -> None:
    """Takes the user's word for this run; ValueError where a real radio is to send and it is missing."""
    if settings.radio == SIMULATED:
        return
    frequency = frequency_hz or settings.frequency_hz
    replace(settings, frequency_hz=frequency, transmit=transmit).need_transmit()
    os.environ[PERMIT] = digest([settings.radio, frequency])[:8]

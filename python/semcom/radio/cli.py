# SPDX-License-Identifier: GPL-3.0-or-later
"""`semcom tx` and `semcom rx`: the two ends of a radio link, of a pipe between programs, or of a recording."""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from . import settings as radio_settings
from .settings import RadioError

TX_EXAMPLES = """examples:
  semcom rx --from zmq:tcp://127.0.0.1:5555 --output out --messages 1        (in another terminal)
  semcom tx ncsc --input photo.png --to zmq:tcp://127.0.0.1:5555 --mcs qpsk-1/12 --esn0-db -5
  semcom tx deepsc_st --input speech/ --to file:air.sigmf-meta --impair examples/radio/air.yml --esn0-db 10
  semcom tx ncsc --input photo.png --to uhd:type=b200 --frequency 2450M --gain 40 --transmit --repeat 10
"""
RX_EXAMPLES = """examples:
  semcom rx --from zmq:tcp://127.0.0.1:5555 --output out --messages 24 --originals photos/
  semcom rx --from file:air.sigmf-meta --output out
  semcom rx --from soapy:driver=hackrf --frequency 2450M --output out --timeout 60
"""
DEFAULT_GAP_S = 0.04


def add_commands(commands: Any) -> None:
    """Add the subcommands to those of `semcom`."""
    raw = argparse.RawDescriptionHelpFormatter
    sub = commands.add_parser("tx", help="send messages to a radio, a pipe or a file", epilog=TX_EXAMPLES,
                              formatter_class=raw)  # fmt: skip
    sub.add_argument("system", metavar="SYSTEM", help="ncsc, deepsc_st ... (see `semcom list`), or a card.yml")
    sub.add_argument("--input", required=True, type=Path, metavar="PATH", help="a file, or a folder")
    where = "zmq:tcp://HOST:PORT, udp:HOST:PORT, file:NAME.sigmf-meta, uhd:ARGS or soapy:driver=NAME"
    sub.add_argument("--to", metavar="TARGET", help=f"{where} (default: the radio of --radio FILE)")
    sub.add_argument("--model", default="", help="variant of the system")
    sub.add_argument("--mcs", default="", help="MCS name (default 16qam-1/3, or the system's); qpsk-1/12 for -5 dB")
    sub.add_argument("--code", default="", help="channel code: ldpc, polar-128 ... (default ldpc, or the system's)")
    sub.add_argument("--interleave", action="store_true", help="send code blocks in turns: each meets every fade")
    sub.add_argument("--quality", type=int, default=-1, metavar="Q", help="the codec's own quality number")
    sub.add_argument("--airtime", type=int, default=0, metavar="N", help="at most N symbols in all for each message")
    header = "robust reaches Es/N0 -8 dB (default), short 0 dB"
    sub.add_argument("--header", choices=("robust", "short"), default="robust", help=header)
    peak = "hold 99.9 %% of the samples below so many dB over the mean, 4 to 20 (default: no limit)"
    sub.add_argument("--peak-db", type=float, default=0.0, metavar="X", help=peak)
    sub.add_argument("--repeat", type=int, default=1, metavar="N", help="send all N times, 0: until Ctrl-C (default 1)")
    gap = f"seconds of silence behind each burst (default {DEFAULT_GAP_S})"
    sub.add_argument("--gap", type=float, default=DEFAULT_GAP_S, metavar="S", help=gap)
    first = "number of the first message, 0 to 65535 (default: 0 into a file, else random)"
    sub.add_argument("--first", type=int, metavar="N", help=first)
    _add_air(sub)
    sub.add_argument("--split", default="", help="only inputs of this split of MANIFEST.tsv")
    sub.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the networks run")
    sub.add_argument("--log", type=Path, metavar="FILE.jsonl", help="write what was sent, and when")
    radio_settings.add_options(sub, "tx")
    sub.set_defaults(function=command_tx)

    sub = commands.add_parser("rx", help="receive messages from a radio, a pipe or a file", epilog=RX_EXAMPLES,
                              formatter_class=raw)  # fmt: skip
    sub.add_argument("--from", dest="source", metavar="SOURCE", help=f"{where} (default: the radio of --radio FILE)")
    sub.add_argument("--output", required=True, type=Path, metavar="DIR", help="for messages and received.jsonl")
    sub.add_argument("--messages", type=int, default=0, metavar="N", help="end after N, those known to be lost too")
    timeout = "end when nothing has come for S seconds"
    sub.add_argument("--timeout", type=float, default=math.inf, metavar="S", help=timeout)
    sub.add_argument("--originals", type=Path, metavar="DIR", help="what tx sends (its --input): adds metrics")
    sub.add_argument("--split", default="", help="only originals of this split of MANIFEST.tsv, as tx")
    only = "only bursts of this system, or of this card.yml (may be repeated; default: all that are installed)"
    sub.add_argument("--system", action="append", default=[], metavar="NAME", help=only)
    _add_air(sub)
    sub.add_argument("--record", type=Path, metavar="NAME.sigmf-meta", help="also record the samples")
    judges = "leave out what takes long of speech: predicted MOS, STOI, similarity"
    sub.add_argument("--no-judges", dest="judges", action="store_false", help=judges)
    sub.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the networks run")
    radio_settings.add_options(sub, "rx")
    sub.set_defaults(function=command_rx)


def _add_air(sub: argparse.ArgumentParser) -> None:
    impair = "simulated air: carrier and sampling offset, multipath ... (see docs/radio.md)"
    sub.add_argument("--impair", type=Path, metavar="FILE.yml", help=impair)
    sub.add_argument("--esn0-db", type=float, metavar="X", help="simulated noise: Es/N0 a complex symbol, dB")
    sub.add_argument("--seed", type=int, metavar="N", help="of the simulated air (default 0)")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _place(arguments: argparse.Namespace, text: str | None, settings: Any, option: str) -> Any:
    from . import places

    if not (text or settings.radio):
        raise ValueError(f"{option} is missing: {', '.join(places.KINDS.values())}")
    place = places.parse(text or settings.radio)
    if place.on_air and (arguments.impair or arguments.esn0_db is not None) and option == "--to":
        raise ValueError("--impair and --esn0-db are for simulated air, not for a radio that sends")
    return place


def command_tx(arguments: argparse.Namespace) -> int:
    """`semcom tx`: status 1 where a radio is missing or busy."""
    try:
        return _send(arguments)
    except RadioError as error:
        _say(f"semcom tx: {error}")
        return 1


def command_rx(arguments: argparse.Namespace) -> int:
    """`semcom rx`: status 1 where a radio is missing or busy, or fewer messages came than were asked for."""
    try:
        return _receive(arguments)
    except RadioError as error:
        _say(f"semcom rx: {error}")
        return 1


def _send(arguments: argparse.Namespace) -> int:
    from ..media.inputs import list_inputs
    from ..media.messages import read_messages
    from ..phy.sequence import NUMBERS
    from ..systems import registry
    from . import sigmf, simulated_air
    from .sender import Ending, Sender, Transmission, numbers

    settings = radio_settings.from_arguments(arguments, "tx")
    place = _place(arguments, arguments.to, settings, "--to")
    if arguments.repeat < 0:
        raise ValueError(f"--repeat must be at least 0, not {arguments.repeat}")
    if not 0 <= arguments.gap <= 3600:
        raise ValueError(f"--gap must be from 0 to 3600 seconds, not {arguments.gap}")
    if place.on_air:
        settings.need_transmit()
    air = simulated_air.load(arguments.impair, arguments.esn0_db, arguments.seed)
    transmission = Transmission(
        arguments.system, arguments.model, arguments.mcs, arguments.code, arguments.interleave, arguments.quality,
        arguments.airtime, arguments.header, arguments.peak_db, air.esn0_db if air else None, arguments.device,
    )  # fmt: skip
    kind = registry.get(arguments.system).kind
    inputs = list_inputs(arguments.input, arguments.split or None, kind)
    count = len(inputs) if kind == "image" else sum(1 for item in inputs for _ in read_messages(item, kind))
    first = arguments.first
    if first is None:
        rounds = max(1, NUMBERS // max(count, 1))
        first = 0 if place.kind == "file" else random.randrange(rounds) * count % NUMBERS
    sequence = numbers(first, count)
    refused: list[ValueError] = []

    def messages() -> Iterator[Any]:
        rounds = 0
        while not arguments.repeat or rounds < arguments.repeat:
            rounds += 1
            try:
                for item in inputs:
                    yield from read_messages(item, kind)
            except ValueError as error:  # ends the run; the user gets one line, not a block's traceback
                refused.append(error)
                return

    for stage in transmission.stages():
        stage.prepare()
    with ExitStack() as stack:
        log = stack.enter_context(arguments.log.open("w", encoding="utf-8")) if arguments.log else None
        ending, begun = Ending(), time.time()
        sink = _sink(place, settings, ending)
        notes: list[dict[str, Any]] = []
        totals: dict[str, float] = {"sent": 0, "left_out": 0, "symbols_total": 0, "peak_db": 0.0}

        def report(record: dict[str, Any]) -> None:
            _note_sent(record, totals, log)
            if place.kind == "file" and record["sample_count"]:
                about = {key: record[key] for key in ("id", "model", "input", "kind", "mcs", "header", "bits")}
                when = sigmf.timestamp(record["sent_at"])
                notes.append(
                    sigmf.annotation(
                        record["sample_start"], record["sample_count"], record["system"], sent_at=when, **about
                    )
                )

        gap = round(arguments.gap * settings.sample_rate_hz)
        sender = Sender(
            messages(), transmission, sequence, sink, gap, air, place.on_air, report, ending, settings.sample_rate_hz
        )
        try:
            sender.execute()
        finally:
            if place.kind == "file":
                meta = Path(place.arguments)
                text = f"semcom tx {arguments.system}"
                sigmf.write_meta(meta, settings.sample_rate_hz, notes, begun, settings.frequency_hz, text)
            _say(_sent_line(totals, settings.sample_rate_hz))
    if refused:
        raise refused[0]
    return 0


def _sink(place: Any, settings: Any, ending: Any) -> Any:
    """The block that takes samples."""
    from . import pipes, places, sigmf
    from .pipe_blocks import pipe_sink

    if place.on_air:
        return places.radio_block(place, settings, "sink")
    if place.kind == "zmq":
        return pipe_sink(pipes.ZmqOutlet(place.arguments), ending)
    if place.kind == "udp":
        return pipe_sink(pipes.UdpOutlet(place.arguments, settings.sample_rate_hz), ending)
    return _file_sink(sigmf.data_path(Path(place.arguments)))


def _file_sink(path: Path) -> Any:
    """GNU Radio's own, for a file that can be written."""
    from gnuradio import blocks

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("wb").close()
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from error
    return blocks.file_sink(8, str(path))


def _note_sent(record: dict[str, Any], totals: dict[str, float], log: TextIO | None) -> None:
    if log is not None:
        print(json.dumps(record, allow_nan=False), file=log, flush=True)
    if record["reason"] is not None:
        totals["left_out"] += 1
        _say(f"{record['input']}: {record['reason']}")
        return
    totals["sent"] += 1
    totals["symbols_total"] += record["symbols_total"]
    totals["peak_db"] = max(totals["peak_db"], record["peak_db"])
    _say(
        f"{record['input']}: number {record['id']}, {record['bits']} bits, {record['symbols_total']} symbols in all, "
        f"peaks {record['peak_db']:.1f} dB over the mean power"
    )


def _sent_line(totals: dict[str, float], rate: float) -> str:
    seconds = totals["symbols_total"] * 256 / 208 / rate
    line = f"sent {totals['sent']:.0f} messages, {totals['symbols_total']:.0f} symbols, {seconds:.3f} s on air"
    if totals["left_out"]:
        line += f"; {totals['left_out']:.0f} left out"
    return line


def _receive(arguments: argparse.Namespace) -> int:
    from ..output import prepare_output, return_large_blocks
    from . import simulated_air
    from .opener import Opener
    from .originals import OriginalMessages
    from .receiver import Ending, Receiver
    from .writer import Writer

    return_large_blocks()
    settings = radio_settings.from_arguments(arguments, "rx")
    place = _place(arguments, arguments.source, settings, "--from")
    if arguments.messages < 0:
        raise ValueError(f"--messages must be at least 0, not {arguments.messages}")
    if not arguments.timeout > 0:
        raise ValueError(f"--timeout must be above 0 seconds, not {arguments.timeout}")
    if place.on_air:
        settings.need_frequency()
    record = arguments.record
    if record is not None and not record.name.endswith(".sigmf-meta"):
        raise ValueError(f"--record must be NAME.sigmf-meta, not {record}")
    air = simulated_air.load(arguments.impair, arguments.esn0_db, arguments.seed)
    originals = None
    if arguments.originals:
        originals = OriginalMessages(arguments.originals, arguments.judges, arguments.split)
    opener = Opener(arguments.system, arguments.device)
    prepare_output(arguments.output)
    ending, begun = Ending(), time.time()
    source, rate = _source(place, settings, ending)
    data = None
    if record is not None:
        from . import sigmf

        data = sigmf.data_path(record)
        _file_sink(data)
    receiver = Receiver(source, air, data, ending=ending)
    with Writer(arguments.output, opener, originals, _say, record is not None) as writer:
        run = receiver.messages()
        last, wanted, interrupted = time.monotonic(), arguments.messages, False
        try:
            for item in run:
                if item is not None:
                    writer.take(*item)
                    last = time.monotonic()
                if (wanted and writer.taken >= wanted) or time.monotonic() - last > arguments.timeout:
                    break
        except KeyboardInterrupt:
            interrupted = True
        finally:
            run.close()
            if record is not None:
                sigmf.write_meta(record, rate, writer.notes, begun, settings.frequency_hz, f"semcom rx from {place}")
        if not (wanted and writer.taken >= wanted):
            writer.finish(receiver.missing())
        counts = {name: value for name, value in receiver.counts.items() if value and name != "samples"}
        if getattr(source, "overflows", 0):
            counts["overflows"] = source.overflows
        _say(f"received {writer.received} messages, {writer.delivered} of them whole; {_counted(counts)}")
        for reason in dict.fromkeys(receiver.receiver.reasons):
            _say(f"refused: {reason}")
    if interrupted:
        return 130 if wanted else 0
    if wanted and writer.taken < wanted:
        _say(f"semcom rx: {writer.taken} of {wanted} messages came")
        return 1
    return 0


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in counts.items()) or "nothing found"


def _source(place: Any, settings: Any, ending: Any) -> tuple[Any, float]:
    """The block that gives samples, and their rate in Hz."""
    from . import pipes, places
    from .pipe_blocks import pipe_source

    if place.on_air:
        return places.radio_block(place, settings, "source"), settings.sample_rate_hz
    if place.kind == "zmq":
        return pipe_source(pipes.ZmqInlet(place.arguments), ending), settings.sample_rate_hz
    if place.kind == "udp":
        return pipe_source(pipes.UdpInlet(place.arguments), ending), settings.sample_rate_hz
    return _recording(Path(place.arguments), ending, settings)


def _recording(path: Path, ending: Any, settings: Any) -> tuple[Any, float]:
    """A recording, and so much silence behind it that the longest burst comes out, cut short or not."""
    import numpy as np

    from ..blocks.message_source import message_source
    from ..phy.burst import burst_samples
    from ..phy.header import MAX_SYMBOLS
    from . import sigmf

    found = sigmf.read(path)
    if found.missing:
        _say(f"{sigmf.data_path(path)} was cut short: {found.missing} samples are missing behind its {found.samples}")

    def pieces() -> Iterator[Any]:
        for piece in found.pieces():
            if ending.over.is_set():
                return
            yield piece, {}
        left = burst_samples(MAX_SYMBOLS, "robust", 255) + 65_536
        while left > 0 and not ending.over.is_set():
            yield np.zeros(65_536, np.complex64), {}
            left -= 65_536

    return message_source(pieces(), np.complex64), found.sample_rate_hz or settings.sample_rate_hz

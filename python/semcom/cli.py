# SPDX-License-Identifier: GPL-3.0-or-later
"""The `semcom` command. Bad input ends with status 2 and one line; Ctrl-C with status 130."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

from .bench.cli import add_commands
from .output import prepare_output, progress_bar, return_large_blocks, safe_name, versions, write_text
from .radio.cli import add_commands as add_radio_commands

RUN_EXAMPLES = """examples:
  semcom run ncsc --input photo.png --esn0-db 6 --output out
  semcom run webp --input photos/ --max-bpp 0.125 --json
  semcom run ncsc --input photo.png --channel rayleigh --esn0-db 4.25 --mcs auto --airtime 30000
  semcom run text_transceiver --model whisper --input speech/ --esn0-db 14 --user anna --output out
"""
TRAIN_EXAMPLES = """example:
  semcom train ncsc --data photos/ --data more/ --output run1 --time-budget 7200 --resume
"""


class OneLineParser(argparse.ArgumentParser):
    """Tells what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def parser() -> argparse.ArgumentParser:
    """The command line of every subcommand."""
    top = OneLineParser(prog="semcom", description="Semantic communication over GNU Radio.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    raw = argparse.RawDescriptionHelpFormatter

    sub = commands.add_parser("list", help="systems, models, channels and MCS names")
    sub.add_argument("--json", action="store_true", help="as one JSON object")
    sub.set_defaults(function=command_list)

    sub = commands.add_parser("run", help="send messages through a link", epilog=RUN_EXAMPLES, formatter_class=raw)
    sub.add_argument("system", metavar="SYSTEM", help="ncsc, jpeg, webp ... (see `semcom list`), or a card.yml")
    sub.add_argument("--input", required=True, type=Path, metavar="PATH", help="a picture or recording, or a folder")
    sub.add_argument("--model", default="", help="variant of the system: mse; standard or optimized for jpeg")
    sub.add_argument("--channel", default="awgn", help="awgn, rayleigh or rician (default awgn)")
    sub.add_argument("--esn0-db", type=float, default=6.0, metavar="X", help="Es/N0 a complex symbol, dB (default 6)")
    sub.add_argument("--mcs", default="", help="MCS name or auto (default 16qam-1/3, or the system's)")
    fading = "a coefficient each symbol, each packet, every N symbols (default 128), or doppler: varying in time"
    sub.add_argument("--fading", default="128", help=fading)
    doppler = "maximum Doppler shift, cycles a symbol, with --fading doppler (default 0.01)"
    sub.add_argument("--doppler", type=float, default=0.01, metavar="F", help=doppler)
    sub.add_argument("--rician-k", type=float, default=1.0, metavar="K", help="line-of-sight power over the rest")
    assume = "what --mcs auto takes Es/N0 to be: a number in dB, or `estimated` from a burst (default: the true one)"
    sub.add_argument("--assumed-esn0-db", type=number_or_estimated, metavar="X", help=assume)
    sub.add_argument("--outage", type=float, default=0.1, metavar="P", help="share of messages that auto may lose")
    limits = sub.add_mutually_exclusive_group()
    limits.add_argument("--max-bpp", type=float, default=0.0, metavar="R", help="at most R bit/pixel a picture")
    limits.add_argument("--airtime", type=int, default=0, metavar="N", help="at most N symbols in all for each message")
    over = "what fits no budget is a message marked does_not_fit (default), or is sent at the lowest quality"
    sub.add_argument("--over-budget", choices=("refuse", "lowest"), default="refuse", help=over)
    sub.add_argument("--quality", type=int, default=-1, metavar="Q", help="the codec's own quality number")
    sub.add_argument("--max-iterations", type=int, default=50, metavar="N", help="LDPC iterations (default 50)")
    sub.add_argument("--interleave", action="store_true", help="send code blocks in turns: each meets every fade")
    code = "channel code: ldpc, polar-128 ... polar-1024 (default ldpc, or the system's)"
    sub.add_argument("--code", default="", help=code)
    list_size = "paths that the polar decoder keeps, 1 to 32 (default 8, or the system's)"
    sub.add_argument("--list-size", type=int, default=0, metavar="N", help=list_size)
    harq = "transmissions of a message at most, with other redundancy each time (hybrid ARQ; default 1, at most 4)"
    sub.add_argument("--harq", type=int, default=1, metavar="N", help=harq)
    sub.add_argument("--demapper", choices=("exact", "maxlog"), default="exact")
    profile = "ideal: perfect timing and channel knowledge; burst: preamble, header, pilots, all is estimated"
    sub.add_argument("--profile", choices=("ideal", "burst"), default="ideal", help=profile)
    known = "what the receiver knows of the channel: perfect in profile ideal, estimated in profile burst"
    sub.add_argument("--csi", choices=("perfect", "estimated"), help=known)
    sub.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the networks run")
    sub.add_argument("--seed", type=int, default=0, help="same seed, same result (default 0)")
    user = "have received text spoken by the voice registered for this user's id"
    sub.add_argument("--user", default="", metavar="ID", help=user)
    judges = "leave out what takes long of speech: predicted MOS, STOI, FDSD, KDSD, recognition without a channel"
    sub.add_argument("--no-judges", dest="judges", action="store_false", help=judges)
    sub.add_argument("--split", default="", help="only inputs of this split of MANIFEST.tsv")
    sub.add_argument("--output", type=Path, metavar="DIR", help="write what is received and results.json here")
    sub.add_argument("--figure", metavar="NAME", help="also write a comparison figure of that name into --output")
    sub.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else")
    sub.add_argument("--direct", action="store_true", help="run the stages without GNU Radio (same result)")
    sub.add_argument("--buffer-items", type=int, default=0, metavar="N", help="size of the flowgraph's buffers")
    sub.set_defaults(function=command_run)

    add_commands(commands)  # bench, plot
    add_radio_commands(commands)  # tx, rx

    sub = commands.add_parser(
        "demo", help="image: a photograph through NCSC and its rivals; speech: a page in the browser"
    )
    sub.add_argument("name", nargs="?", default="image", choices=("image", "speech"))
    sub.add_argument("--input", type=Path, help="your own picture or recording instead of the packaged ones")
    sub.add_argument("--port", type=int, default=8090, help="speech: of the page at 127.0.0.1 (default 8090)")
    sub.add_argument("--no-browser", action="store_true", help="speech: do not open the page")
    sub.add_argument("--output", type=Path, default=Path("out/demo"), metavar="DIR", help="default out/demo")
    sub.add_argument("--seed", type=int, default=0)
    sub.set_defaults(function=command_demo)

    sub = commands.add_parser("doctor", help="what is installed and what is missing")
    sub.set_defaults(function=command_doctor)

    sub = commands.add_parser("grc", help="open GNU Radio Companion with our blocks")
    sub.add_argument("flowgraph", nargs="?", type=Path, help="a .grc file")
    sub.set_defaults(function=command_grc)

    sub = commands.add_parser("train", help="train a model", epilog=TRAIN_EXAMPLES, formatter_class=raw)
    sub.add_argument("system", choices=trainable())
    sub.add_argument("--data", type=Path, action="append", required=True, help="folder of photographs; may be repeated")
    sub.add_argument("--output", type=Path, required=True, help="folder for checkpoint, weights and log")
    preset = "small (default, the one a link runs); also paper, for ncsc paper-192: for research, no link runs them"
    sub.add_argument("--preset", default="small", metavar="NAME", help=preset)
    rate_lambda = "the rate point of preset paper: weight of the distortion (default 0.0018; 2.4 for ms_ssim)"
    sub.add_argument("--lambda", dest="rate_lambda", type=float, metavar="X", help=rate_lambda)
    sub.add_argument("--loss", choices=("mse", "ms_ssim"), default="mse")
    sub.add_argument("--optimiser", default="", help="of speech_to_text: adam or adadelta (default: the preset's)")
    one_go = "of speech_to_text: all of it over the channel from the beginning, instead of in two stages"
    sub.add_argument("--one-go", action="store_true", help=one_go)
    sub.add_argument("--time-budget", type=float, default=3600.0, metavar="S", help="seconds, all runs together")
    sub.add_argument("--resume", action="store_true", help="go on from the checkpoint in --output")
    sub.add_argument("--start", type=Path, help="weights of another run, or a model folder, to begin with")
    sub.add_argument("--threads", type=int, default=0)
    sub.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    sub.add_argument("--seed", type=int, default=1)
    sub.add_argument("--max-steps", type=int, metavar="N", help="vq_deepsc: end after so many steps")
    sub.add_argument("--scales", metavar="NAME", help="vq_deepsc: four_scales (default) or three_scales")
    sub.add_argument("--unquantised", action="store_true", help="vq_deepsc: the twin without codebooks")
    gan_from = "vq_deepsc: epoch from which the discriminator takes part (default: 0 in preset paper, else never)"
    sub.add_argument("--gan-from", type=int, metavar="EPOCH", help=gan_from)
    sub.set_defaults(function=command_train)

    sub = commands.add_parser("export", help="trained weights to a model folder with a card")
    sub.add_argument("system", choices=trainable())
    sub.add_argument("--weights", type=Path, required=True, help="weights.pt of `semcom train`")
    sub.add_argument("--card", type=Path, required=True, help="YAML file with the card's descriptive fields")
    sub.add_argument("--output", type=Path, required=True, metavar="DIR", help="models/<system>/<variant>")
    sub.set_defaults(function=command_export)
    return top


def trainable() -> list[str]:
    """Systems that can be trained here: those with a module `train`, and `export` beside it."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("systems/*/train.py"))


def presets(system: str) -> tuple[str, ...]:
    """Networks that training a system may make."""
    return getattr(importlib.import_module(f"{__package__}.systems.{system}"), "PRESETS", ("small",))


def number_or_estimated(text: str) -> float | str:
    """The type of --assumed-esn0-db."""
    try:
        return text if text == "estimated" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number in dB or estimated, not {text!r}") from None


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    arguments = parser().parse_args(argv)
    try:
        return arguments.function(arguments)
    except BrokenPipeError:  # `semcom list | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        message = " ".join(str(error).split())
        print(f"semcom {arguments.command}: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"semcom {arguments.command}: interrupted", file=sys.stderr)
        return 130


@contextlib.contextmanager
def result_stream(quiet: bool) -> Iterator[TextIO]:
    """Stdout for the result; with `quiet`, whatever else writes to descriptor 1 goes to stderr.

    GNU Radio's logger writes to stdout, so this must be entered before gnuradio is imported.
    """
    if not quiet:
        yield sys.stdout
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w") as stream:
            yield stream
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def command_list(arguments: argparse.Namespace) -> int:
    """Names that other commands take."""
    from .links.link import CHANNELS
    from .phy import mcs
    from .systems.registry import systems

    content: dict[str, Any] = {
        "systems": {
            name: {"title": system.title, "kind": system.kind, "payload": system.payload, "models": system.models()}
            for name, system in systems().items()
        },
        "channels": list(CHANNELS),
        "mcs": list(mcs.names()),
        "presets": {name: list(presets(name)) for name in trainable()},
    }
    if arguments.json:
        print(json.dumps(content, indent=2))
        return 0
    print("systems")
    width = max(map(len, content["systems"]))
    for name, entry in content["systems"].items():
        models = f"  (models: {', '.join(entry['models'])})" if entry["models"] else ""
        print(f"  {name:{width}} {entry['title']}{models}")
    print(f"channels\n  {' '.join(content['channels'])}\nmcs\n  auto {' '.join(content['mcs'])}")
    return 0


def command_run(arguments: argparse.Namespace) -> int:
    """`semcom run`."""
    return_large_blocks()
    with result_stream(arguments.json) as out:
        from .links import Link
        from .media.inputs import list_inputs
        from .media.messages import read_messages
        from .systems import registry

        link = Link(
            system=arguments.system,
            model=arguments.model,
            channel=arguments.channel,
            esn0_db=arguments.esn0_db,
            mcs=arguments.mcs,
            fading=arguments.fading,
            rician_k=arguments.rician_k,
            doppler=arguments.doppler,
            seed=arguments.seed,
            quality=arguments.quality,
            max_bpp=arguments.max_bpp,
            airtime=arguments.airtime,
            over_budget=arguments.over_budget,
            interleave=arguments.interleave,
            code=arguments.code,
            list_size=arguments.list_size,
            harq=arguments.harq,
            outage=arguments.outage,
            assumed_esn0_db=arguments.assumed_esn0_db,
            max_iterations=arguments.max_iterations,
            demapper=arguments.demapper,
            device=arguments.device,
            user=arguments.user,
            judges=arguments.judges,
            profile=arguments.profile,
        )
        knows = "estimated" if link.profile == "burst" else "perfect"
        if arguments.csi not in (None, knows):
            raise ValueError(f"--csi must be {knows} in profile {link.profile}, not {arguments.csi}")
        if arguments.figure and not arguments.output:
            raise ValueError("--figure needs --output DIR to write into")
        kind = registry.get(link.system).kind
        figures = registry.get(link.system).figures
        if arguments.figure and kind != "image" and Path(arguments.figure).stem not in figures:
            expected = f"one of {', '.join(figures)}" if figures else "none: --figure is for pictures"
            name = arguments.figure
            raise ValueError(f"no figure {name!r} of {link.system}, which takes {kind}: expected {expected}")
        inputs = list_inputs(arguments.input, split=arguments.split or None, kind=kind)
        next(read_messages(inputs[0], kind))  # a wrong input is told before anything starts
        if arguments.output:
            prepare_output(arguments.output)
        for stage in link.stages():
            stage.prepare()
        return run_link(link, arguments, inputs, out)


def run_link(link: Any, arguments: argparse.Namespace, inputs: list[Any], out: TextIO) -> int:
    """Send the inputs through the link and report."""
    from .bench.speech import summarised
    from .links.link import summary
    from .media.messages import read_messages, write_message
    from .message import SAMPLE_RATE
    from .metrics.voice import rtf
    from .speech.distances import SpeechSets
    from .systems import registry
    from .systems.stages import decoding_seconds

    kind = registry.get(link.system).kind
    sets = SpeechSets() if link.delivers == "speech" and link.judges else None
    refused: list[ValueError] = []
    sent: list[tuple[Any, Any]] = []  # on their way

    def messages() -> Iterator[Any]:
        for item in inputs:
            try:
                for message in read_messages(item, kind):
                    sent.append((item, message))
                    yield message
            except ValueError as error:  # ends the run; the user gets one line, not a block's traceback
                refused.append(error)
                return

    begun, decoding = time.perf_counter(), decoding_seconds()
    spoken_s = 0.0
    run = link.run(messages()) if arguments.direct else link.run_flowgraph(messages(), arguments.buffer_items)
    records: list[dict[str, Any]] = []
    pairs: list[tuple[Any, Any, dict[str, Any]]] = []
    drawn: list[Any] = []
    progress = progress_bar(len(inputs), "messages")
    try:
        for received, record in run:
            item, message = sent.pop(0)
            if item.split:
                record["split"] = item.split
            records.append(record)
            if arguments.output:
                number = f"_{message.meta['piece'][0]}" if "piece" in message.meta else ""
                write_message(arguments.output / f"{safe_name(item.name)}{number}", received)
            if arguments.figure and len(pairs) < 8:
                pairs.append((item, received, record))
                drawn.append(message)
            if sets is not None:
                sets.add(message, received)
            spoken_s += received.data.size / SAMPLE_RATE if received.kind == "speech" else 0.0
            progress.update(message.meta.get("piece", [1, 1])[0] == message.meta.get("piece", [1, 1])[1])
    finally:
        progress.close()
        run.close()
    if refused:
        raise refused[0]
    result = {
        "system": link.system,
        "model": link.mode[1] or default_model(link.system),
        "channel": link.channel,
        "esn0_db": link.esn0_db,
        "profile": link.profile,
        "seed": link.seed,
        "mcs": link.chosen_mcs if link.coded else None,
        "code": link.code if link.coded else None,
        **({"list_size": link.list_size} if link.coded and link.code.startswith("polar") else {}),
        **({"user": link.user} if link.user else {}),
        **({"features": sets.name} if sets is not None else {}),
        "harq": link.harq,
        "assumed_esn0_db": link.known_esn0_db if link.mcs == "auto" else None,
        "fading": link.fading if link.channel != "awgn" else None,
        "doppler": link.doppler if link.channel != "awgn" and link.fading == "doppler" else None,
        "limits": link.limits(),
        "messages": records,
        "summary": summary(records)
        | summarised(records)
        | (sets.metrics() if sets is not None else {})
        | ({"rtf": rtf(decoding_seconds() - decoding, spoken_s)} if link.delivers == "speech" else {}),
        "versions": versions(),
        "provider": provider(link),
        "elapsed_s": round(time.perf_counter() - begun, 3),
    }
    text = json.dumps(result, indent=None if arguments.json else 1, allow_nan=False)
    if arguments.output:
        write_text(arguments.output / "results.json", text + "\n")
        if arguments.figure and kind == "image":
            from .figures import pairs_figure

            pairs_figure(arguments.output / arguments.figure, pairs, f"{link.system}, {link.channel}")
        elif arguments.figure:
            figure = arguments.output / arguments.figure
            registry.get(link.system).draw(figure.stem, figure, drawn, link.mode[1], link.device)
    if arguments.json:
        print(text, file=out)
    else:
        from .report import messages_table

        print(messages_table(result), file=out)
    return 0


def command_demo(arguments: argparse.Namespace) -> int:
    """`semcom demo image`, what `make demo` runs, and `semcom demo speech`."""
    if arguments.name == "speech":
        from .speech_demo import serve

        if not 1 <= arguments.port <= 65535:
            raise ValueError(f"port must be from 1 to 65535, not {arguments.port}")
        serve(arguments.port, not arguments.no_browser, arguments.input)
        return 0
    from .demo import image_demo

    prepare_output(arguments.output)
    return image_demo(arguments.output, arguments.input, arguments.seed)


def command_doctor(arguments: argparse.Namespace) -> int:
    """`semcom doctor`: status 1 where something that a link needs is missing."""
    from .doctor import report

    rows = report()
    for name, text, good in rows:
        print(f"{'ok' if good else '--':3} {name:22} {text}")
    return int(not all(good for *_, good in rows))


def command_grc(arguments: argparse.Namespace) -> int:
    """Replace this process by GNU Radio Companion, with our blocks on its path."""
    import shutil

    program = shutil.which("gnuradio-companion")
    if program is None:
        raise ValueError("gnuradio-companion is not installed: apt install gnuradio")
    if arguments.flowgraph and not arguments.flowgraph.is_file():
        raise ValueError(f"{arguments.flowgraph}: no such flowgraph")
    from .paths import grc_environment

    command = [program, *([str(arguments.flowgraph)] if arguments.flowgraph else [])]
    os.execvpe(program, command, grc_environment())


def command_train(arguments: argparse.Namespace) -> int:
    """`semcom train`; needs torch."""
    known = presets(arguments.system)
    if arguments.preset not in known:
        raise ValueError(f"preset of {arguments.system} must be {', '.join(known)}, not {arguments.preset!r}")
    options: dict[str, Any] = {}
    if len(known) > 1:
        options = {"preset": arguments.preset, "rate_lambda": arguments.rate_lambda}
    if arguments.rate_lambda is not None and not options:
        raise ValueError(f"--lambda is for the paper's network, which {arguments.system} has not")
    try:
        train = importlib.import_module(f"{__package__}.systems.{arguments.system}.train").train
    except ModuleNotFoundError as error:
        raise ValueError(f"training needs {error.name}: run `make setup`") from error
    known_options = inspect.signature(train).parameters
    for name in ("optimiser", "one_go", "scales", "unquantised", "gan_from", "max_steps"):
        value = getattr(arguments, name)
        if value is None or value is False or value == "":
            continue
        if name not in known_options:
            raise ValueError(f"--{name.replace('_', '-')} is not for {arguments.system}: leave it out")
        options[name] = value
    signal.signal(signal.SIGINT, signal.default_int_handler)
    train(
        arguments.data,
        arguments.output,
        time_budget_s=arguments.time_budget,
        loss=arguments.loss,
        threads=arguments.threads,
        resume=arguments.resume,
        start=arguments.start,
        device=arguments.device,
        seed=arguments.seed,
        **options,
    )
    return 0


def command_export(arguments: argparse.Namespace) -> int:
    """`semcom export`; needs torch and onnx."""
    import yaml

    for path in (arguments.weights, arguments.card):
        if not path.is_file():
            raise ValueError(f"{path}: no such file")
    try:
        export = importlib.import_module(f"{__package__}.systems.{arguments.system}.export").export
    except ModuleNotFoundError as error:
        raise ValueError(f"export needs {error.name}: run `make setup`") from error
    card = yaml.safe_load(arguments.card.read_text())
    if not isinstance(card, dict):
        raise ValueError(f"{arguments.card}: expected a mapping of card fields")
    export(arguments.weights, arguments.output, card)
    print(f"wrote {arguments.output}")
    return 0


def default_model(system: str) -> str | None:
    """The model that an empty name means."""
    from .systems.registry import get

    return next(iter(get(system).models()), None)


def provider(link: Any) -> str | None:
    """The ONNX Runtime provider that ran, None for systems without networks."""
    from .systems.registry import get

    return get(link.system).provider(link.model, link.device)

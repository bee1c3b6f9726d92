# SPDX-License-Identifier: GPL-3.0-or-later
"""`semcom bench` and `semcom plot`. What they need is imported when they run: other commands stay quick."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .runner import Outcome, Runner
    from .stopping import Stop
    from .sweep import Sweep

BENCH_EXAMPLES = """examples:
  semcom bench examples/sweeps/ldpc.yml --output out/ldpc
  semcom bench examples/ncsc.grc --set esn0_db=0:12:1 --set seed=1:5 --workers 2
  semcom bench sweep.yml --cluster tcp://scheduler:8786
  semcom bench --radio examples/radio/simulated.yml --set gain_db=0:40:5
  semcom bench out/new --compare out/old
  semcom bench --check
"""
# Options that say where and how fast a sweep runs, not what it measures: no part of the command in the results.
# Nor is the word to transmit, which is given once.
PLACES = {
    "--output": 1, "--workers": 1, "--cluster": 1, "--save": 1, "--report": 0, "--fresh": 0, "--any-version": 0,
    "--transmit": 0,
}  # fmt: skip


def add_commands(commands: Any) -> None:
    """Add the subcommands to those of `semcom`."""
    raw = argparse.RawDescriptionHelpFormatter
    text = "measure a sweep or a flowgraph; compare and check results"
    sub = commands.add_parser("bench", help=text, epilog=BENCH_EXAMPLES, formatter_class=raw)
    sub.add_argument("target", nargs="*", type=Path, metavar="SWEEP.yml|FLOWGRAPH.grc|RESULT")
    sub.add_argument("--set", action="append", default=[], metavar="NAME=A:B:STEP", help="values of a setting")
    sub.add_argument("--stop", action="append", default=[], metavar="RULE=N", help="errors, messages, cap, width ...")
    sub.add_argument("--output", type=Path, metavar="DIR", help="folder of the results (default out/bench/NAME)")
    where = sub.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, default=0, metavar="N", help="local processes (default: one a core)")
    where.add_argument("--cluster", metavar="ADDRESS", help="scheduler of a Dask cluster: tcp://host:8786")
    sub.add_argument("--timeout", type=float, default=600.0, metavar="S", help="of one run of a flowgraph (600 s)")
    sub.add_argument("--save", type=Path, metavar="FILE.json", help="all points in one file, to be committed")
    sub.add_argument("--report", action="store_true", help="write report.html beside the results")
    sub.add_argument("--fresh", action="store_true", help="measure every point, whatever the folder has")
    sub.add_argument("--any-version", action="store_true", help="keep points that other versions measured")
    sub.add_argument("--compare", type=Path, metavar="OTHER", help="compare RESULT with older results; status 1: worse")
    radio = "sweep a radio's transmit gain against the Es/N0 that its receiver estimates (see docs/radio.md)"
    sub.add_argument("--radio", type=Path, metavar="FILE.yml", help=radio)
    sub.add_argument("--frequency", type=hertz, metavar="HZ", help="carrier of --radio: 868.3e6, 868.3M")
    sub.add_argument("--transmit", action="store_true", help="yes, --radio may send: without this nothing goes on air")
    sub.add_argument("--check", action="store_true", help="measure a point of each committed curve again")
    sub.set_defaults(function=command_bench)

    sub = commands.add_parser("plot", help="draw results of `semcom bench`")
    sub.add_argument("results", nargs="+", type=Path, metavar="RESULT", help="folder, point or collection")
    sub.add_argument("--output", type=Path, required=True, metavar="FIGURE", help="FIGURE.png or FIGURE.svg")
    sub.add_argument("--metric", default="", metavar="NAME", help="bler, psnr_db, messages_s ...")
    sub.add_argument("--axis", default="", metavar="NAME", help="esn0_db, airtime, symbols_total ...")
    sub.add_argument("--title", default="", help="instead of the results' own")
    sub.set_defaults(function=command_plot)


def hertz(text: str) -> float:
    """A frequency as people write it."""
    from ..radio.settings import number

    try:
        return number(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def command_plot(arguments: argparse.Namespace) -> int:
    """`semcom plot`."""
    from .plot import plot_command

    return plot_command(arguments)


def command_bench(arguments: argparse.Namespace) -> int:
    """`semcom bench`: a sweep, a comparison or a check."""
    if arguments.check or arguments.compare:
        from . import compare

        if not arguments.check and len(arguments.target) != 1:
            raise ValueError("--compare needs one result before it: semcom bench NEW --compare OLD")
        return compare.check_command(arguments) if arguments.check else compare.compare_command(arguments)
    if arguments.radio is not None:
        if arguments.target or arguments.cluster:
            raise ValueError("--radio stands for the sweep, and a radio is where it is: no other target, no --cluster")
        arguments.target, arguments.workers = [arguments.radio], 1
    if len(arguments.target) != 1:
        raise ValueError("expected one sweep: a .yml or a .grc file")
    if arguments.workers < 0:
        raise ValueError(f"--workers must be at least 1, not {arguments.workers}")
    sweep = read_target(arguments)
    return measure(sweep, arguments)


def read_target(arguments: argparse.Namespace) -> Sweep:
    """The sweep that the command line asks for."""
    from dataclasses import replace

    from .settings import kind_module
    from .sweep import flowgraph_sweep, read_sweep, setting

    path = arguments.target[0]
    if not path.is_file():
        raise ValueError(f"no such file: {path}; expected a sweep (.yml) or a flowgraph (.grc)")
    changes: dict[str, list[Any]] = {}
    for text in arguments.set:
        name, values = setting(text)
        if name in changes:
            raise ValueError(f"--set {name} is given twice: write its values with commas")
        changes[name] = values
    if arguments.radio is not None:
        from .radio import DEFAULT_STOP, permit, radio_of, radio_sweep

        permit(radio_of(str(path), "tx"), arguments.frequency, arguments.transmit)
        return radio_sweep(path, changes, changed_stop(DEFAULT_STOP, arguments.stop), arguments.frequency)
    if path.suffix == ".grc":
        stop = changed_stop(kind_module("flowgraph").DEFAULT_STOP, arguments.stop)
        return flowgraph_sweep(path, changes, stop, arguments.timeout)
    if path.suffix not in (".yml", ".yaml"):
        raise ValueError(f"{path}: expected a sweep (.yml) or a flowgraph (.grc)")
    sweep = read_sweep(path, changes)
    jobs = tuple(replace(job, stop=changed_stop(job.stop, arguments.stop)) for job in sweep.jobs)
    return replace(sweep, jobs=jobs)


def changed_stop(stop: Stop, texts: list[str]) -> Stop:
    """The rule with what `--stop RULE=N` changes."""
    from dataclasses import fields, replace

    from .axes import scalar

    names = [field.name for field in fields(stop)]
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in names:
            raise ValueError(f"--stop needs RULE=N with a rule out of {', '.join(names)}, not {text!r}")
        stop = replace(stop, **{name: scalar(value)})
    return stop


def command_line(target: Path) -> tuple[str, str]:
    """The command without what only says where it runs, and as it was typed."""
    typed = ["semcom", *sys.argv[1:]]
    kept, skip = [], 0
    for word in typed:
        name, equals, _ = word.partition("=")
        if skip:
            skip -= 1
        elif name in PLACES:
            skip = 0 if equals else PLACES[name]
        else:
            kept.append(word)
    if str(target) not in kept:  # called from Python, not from a shell
        kept = typed = ["semcom", "bench", str(target)]
    return shlex.join(kept), shlex.join(typed)


def measure(sweep: Sweep, arguments: argparse.Namespace) -> int:
    """Run a sweep and show it; status 1 if a point failed."""
    from ..output import prepare_output, progress_bar
    from . import show
    from .runner import Runner

    folder = arguments.output or Path("out/bench") / sweep.name
    command, invocation = command_line(arguments.target[0])
    runner = Runner(sweep, folder, command, invocation, arguments.any_version)
    prepare_output(folder)
    if arguments.save is not None:
        prepare_output(arguments.save.parent)
    runner.resume(arguments.fresh)
    bar = progress_bar(sum(chain.end for chain in runner.chains), "points")
    bar.update(len(runner.points))

    def tell(point: dict[str, Any], done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        bar.set_postfix_str(f"{point['curve'][:30]} {point['axis'].get(sweep.axis, '')}")

    try:
        run(runner, arguments, tell)
    finally:  # also when interrupted: what is done is kept and shown
        bar.close()
        outcome = runner.finish()
        if outcome.points:
            print(show.points_table(sweep, outcome.points))
            print(summary(outcome, folder))
    write_results(sweep, outcome, arguments, folder, command)
    if outcome.failed:
        print(show.failures(outcome.failed), file=sys.stderr)
    return int(bool(outcome.failed))


def run(runner: Runner, arguments: argparse.Namespace, tell: Any) -> None:
    """Measure what is missing, here or on a cluster."""
    if not any(runner.needed(job) for job in runner.sweep.jobs):
        return
    if arguments.cluster:
        from .cluster import ClusterPool

        pool: Any = ClusterPool(arguments.cluster)
    else:
        from .pool import LocalPool

        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        pool = LocalPool(arguments.workers or cores or 1)
    try:
        runner.run(pool, tell, check_versions=bool(arguments.cluster))
    finally:
        pool.close()


def summary(outcome: Outcome, folder: Path) -> str:
    """One line on what was done."""
    left = sum(point["stopped"] == "clean" for point in outcome.points)
    parts = [f"{outcome.measured} points measured", f"{outcome.resumed} taken from {folder}" if outcome.resumed else ""]
    parts += [f"{left} left out, their curve is clean" if left else ""]
    parts += [f"{len(outcome.failed)} failed" if outcome.failed else ""]
    gone = len(outcome.set_aside)
    parts += [f"{gone} that the sweep no longer has set aside as *.json.old" if gone else ""]
    return "; ".join(part for part in parts if part) + ("" if outcome.complete else "; not complete") + f" ({folder})"


def write_results(
    sweep: Sweep, outcome: Outcome, arguments: argparse.Namespace, folder: Path, command: str
) -> None:
    """The table beside the paper's rows, the picture of all pictures, the collection and the report."""
    from . import show
    from .store import as_json, collection, write_aside

    text = show.results_table(sweep, outcome.points)
    if text:
        write_aside(folder / f"{sweep.name}.md", text.encode())
        print(f"\n{text}")
    if sweep.pictures:
        from .pictures import draw

        print(f"pictures side by side: {draw(sweep, outcome.points, folder)}")
    if arguments.save is not None:
        if outcome.failed or not outcome.complete:
            print(f"{arguments.save} was not written: points failed or are missing", file=sys.stderr)
        else:
            write_aside(arguments.save, as_json(collection(sweep, outcome.points, command)))
    if arguments.report:
        from .report import write_report

        write_report(folder, folder / "report.html")
        print(f"report: {folder / 'report.html'}")

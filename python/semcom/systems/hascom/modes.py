# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of models: a trained variant, how its parts are sent and how many steps the receiver takes.

`small`, `small-50` (steps), `small-hifi_gan` (vocoder), `small-digital` and `small-analog` (both streams one way, to
compare), and any of them read by another recogniser at the transmitter, as `small@moonshine`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...speech import recognisers
from ...zoo import available
from .forward import LARGEST_STEPS

NAME = "hascom"
FIRST = "small"
STEPS = 4
STREAMS = ("both", "digital", "analog")
VOCODERS = ("hifi_gan",)
READERS = ("whisper", "moonshine")


@dataclass(frozen=True)
class Mode:
    """What a name says. `reader` is the recogniser at the transmitter; empty: the first that is installed."""

    variant: str
    streams: str = "both"
    steps: int = STEPS
    vocoder: str = "griffin_lim"
    reader: str = ""


def variants() -> list[str]:
    """Installed variants, `small` first."""
    return sorted(available(NAME), key=lambda name: (name != FIRST, name))


def names() -> list[str]:
    """The usual names; numbers of steps and recognisers beside these can be asked for."""
    return [
        name + end for name in variants() for end in ("", "-50", "-hifi_gan", "-digital", "-analog")
    ]  # fmt: skip


def parse(name: str) -> Mode:
    """The mode of a name; an empty one is the first. ValueError says what is wrong with it."""
    known = variants()
    if not known:
        raise ValueError(f"no hascom model is installed: expected models/{NAME}/<variant>/card.yml")
    whole, _, reader = (name or known[0]).partition("@")
    variant = max((v for v in known if whole == v or whole.startswith(f"{v}-")), key=len, default="")
    if not variant:
        raise ValueError(f"unknown model {name!r} for hascom: expected one of {', '.join(names())}")
    found: dict[str, str | int] = {}
    for part in filter(None, whole[len(variant) :].split("-")):
        if part in STREAMS[1:]:
            key, value = "streams", part
        elif part in VOCODERS:
            key, value = "vocoder", part
        elif part.isdecimal() and 1 <= int(part) <= LARGEST_STEPS:
            key, value = "steps", part
        else:
            raise ValueError(
                f"unknown part {part!r} of model {name!r}: expected {', '.join((*STREAMS[1:], *VOCODERS))} or a "
                f"number of steps from 1 to {LARGEST_STEPS}"
            )
        if key in found:
            raise ValueError(f"model {name!r} says {key} twice")
        found[key] = int(value) if key == "steps" else value
    if reader and reader not in recognisers.names():
        raise ValueError(f"unknown recogniser {reader!r}: expected one of {', '.join(recognisers.names())}")
    return Mode(variant, reader=reader, **found)  # type: ignore[arg-type]


def reader_of(mode: Mode) -> str:
    """The recogniser that reads what is said at the transmitter: the named one, else the first of Whisper, Moonshine
    and our own that is installed. ValueError where there is none."""
    if mode.reader:
        recognisers.get(mode.reader).check_installed()
        return mode.reader
    for name in (*READERS, *recognisers.own_names()):
        try:
            recognisers.get(name).check_installed()
        except ValueError:
            continue
        return name
    raise ValueError("hascom needs a recogniser: pip install 'gr-semcom[whisper]' or 'gr-semcom[moonshine]'")

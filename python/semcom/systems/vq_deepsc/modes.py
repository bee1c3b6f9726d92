# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model's name means: a set of codebooks and how its indices become bits, or `auto`.

    four_scales           fixed length, labels chosen for the channel
    four_scales+natural   fixed length, labels are the codes' numbers
    four_scales+prior     entropy coded
    auto, auto_general    the best of these that fits, with the codebooks for cars or for any photograph
"""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from ...phy import adaptation, mcs, segmentation
from ...zoo import available, find
from .presets import get_geometry

NAME = "vq_deepsc"
SCALES = ("four_scales", "three_scales")  # the better first
CODINGS = ("", "natural", "prior")
AUTO = "auto"
TWIN = "unquantised"  # models of that ending are upper bounds that send nothing
USUAL = 1.05  # of the mean of entropy-coded tiles: what needs more is made to fit at little cost


class Mode(NamedTuple):
    """One way to send: the model folder `variant`, and `coding` "", "natural" or "prior"."""

    variant: str
    coding: str = ""

    @property
    def name(self) -> str:
        """As `--model` takes it."""
        return f"{self.variant}+{self.coding}" if self.coding else self.variant

    @property
    def labels(self) -> str:
        """The map of its indices to bits."""
        return self.coding if self.coding == "natural" else "aware"


def installed() -> list[str]:
    """Model folders with codebooks, the better first, those for any photograph last."""
    names = [name for name in available(NAME) if name.startswith(SCALES) and not name.endswith(TWIN)]
    return sorted(names, key=lambda name: ("general" in name, not name.startswith(SCALES[0]), name))


def names() -> list[str]:
    """All that `--model` takes; the first is the default."""
    folders = installed()
    autos = [AUTO + ending for ending in ("", "_general") if members(AUTO + ending)]
    ways = [Mode(name, coding) for name in folders for coding in CODINGS[1:] if coding != "prior" or has_prior(name)]
    return [*folders, *(mode.name for mode in ways), *autos]


def members(auto: str) -> list[str]:
    """The codebooks that `auto` or `auto_general` chooses from."""
    ending = auto.removeprefix(AUTO)
    return [name for name in installed() if name in {scales + ending for scales in SCALES}]


def variants(model: str) -> list[str]:
    """The model folders behind a name."""
    return members(model) if model.startswith(AUTO) else [parse(model).variant]


def parse(model: str) -> Mode:
    """The mode of a name other than `auto`."""
    variant, _, coding = model.partition("+")
    return Mode(variant, coding)


def has_prior(variant: str) -> bool:
    """Whether `fit.py` has been run on a model."""
    return "prior.npz" in card(variant)["files"]


def card(variant: str) -> dict[str, Any]:
    """What the card of a model says."""
    path = find(NAME, variant) / "card.yml"
    return _card(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _card(path: Path, changed: int) -> dict[str, Any]:
    import yaml

    return yaml.safe_load(path.read_text())


def candidates(model: str) -> list[Mode]:
    """The modes that a name may stand for, in the order in which they are wanted."""
    if not model.startswith(AUTO):
        return [parse(model)]
    return [Mode(name, way) for name in members(model) for way in ("", "prior") if not way or has_prior(name)]


def usual_bits(mode: Mode) -> int:
    """Bits of one tile: exact, or for an entropy-coded one a little more than the mean of photographs."""
    about = card(mode.variant)
    if mode.coding == "prior" and "prior" in about:
        return int(USUAL * about["prior"]["bits_mean"])
    return get_geometry(about["scales"]).bits


def choose(model: str, airtime: int, outage: float, **conditions: Any) -> tuple[str, str]:
    """MCS and mode for pictures of one tile within an airtime in symbols (0: not limited).

    The first of the modes that fits by any MCS that loses it with a probability of at most `outage`, over the most
    robust MCS that fits: a message of fixed length has no other use for symbols that are left. Without a limit the
    fastest safe MCS. Where none is safe, three scales without a code: what arrives is then bad, but something.
    """
    modes = candidates(model)
    coded = sorted((mcs.get(name) for name in mcs.names() if mcs.get(name).coded), key=lambda scheme: scheme.efficiency)
    for mode in modes:
        bits = usual_bits(mode)
        fitting = [s for s in coded if not airtime or segmentation.symbols_total(bits, s) <= airtime]
        risks = {s.name: partial(adaptation.message_risk, bits, s, **conditions) for s in fitting}
        if airtime and fitting:
            robust = min(list(risks)[:3], key=lambda name: risks[name]())
            risks = {robust: risks[robust]}
        for scheme in reversed(risks):
            if risks[scheme]() <= outage:
                return scheme, mode.name
    fixed = min((mode for mode in modes if mode.coding != "prior"), key=usual_bits, default=None)
    if fixed is None:  # an entropy-coded message is of no use without a code
        return coded[0].name, modes[0].name
    bits = usual_bits(fixed)
    bare = ("uncoded-bpsk", "uncoded-qpsk", "uncoded-16qam")
    fitting_bare = [name for name in bare if not airtime or segmentation.symbols_total(bits, name) <= airtime]
    return next(iter(fitting_bare), bare[-1]), fixed.name

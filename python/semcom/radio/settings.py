# SPDX-License-Identifier: GPL-3.0-or-later
"""How a radio is set: from a file under examples/radio, from options of the command, or both.

    frequency_hz: 868.3e6           for both ends
    tx: {gain_db: 40, antenna: TX/RX}    for the one that sends
    rx: {gain_db: 30, antenna: RX2}      for the one that receives
    bench: {gain_db: 0:60:5}             what `semcom bench --radio` sweeps

Options win over the file. No file can permit to transmit: that takes `--transmit`, each time.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

LIMITS = {  # of any radio; each radio has narrower ones of its own, which it is asked for when it is opened
    "frequency_hz": (1e3, 300e9, "Hz"),
    "sample_rate_hz": (1e3, 1e9, "Hz"),
    "bandwidth_hz": (1e3, 1e9, "Hz"),
    "gain_db": (-100.0, 120.0, "dB"),
    "correction_ppm": (-200.0, 200.0, "ppm"),
    "peak": (0.01, 1.0, "of full scale"),
    "lead_s": (0.0, 10.0, "s"),
}
_PREFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}


class RadioError(Exception):
    """A radio that is missing, busy, or refuses its settings: one line that says which and what to do."""


@dataclass(frozen=True)
class RadioSettings:
    """What a radio is told before it sends or receives.

    `frequency_hz` is that of the carrier, `sample_rate_hz` the rate of complex samples (the band of a burst is 0.8125
    of it), `bandwidth_hz` that of the analog filter (None: the radio chooses), `gain_db` the sum of all gain stages of
    this direction (None: the radio's own default), `antenna` a port's name ("" for the first one), `channel` its
    number, `correction_ppm` how much too fast the radio's oscillator runs, `clock` "internal", "external" or "gpsdo"
    ("" for the default). `transmit` is the user's word that this station may send. `peak` is the largest amplitude
    that is ever sent, as a part of full scale. `lead_s` is how long before its time on air a burst is given to a radio
    with a clock.
    `assist` has a receiver choose its gain before it begins (see `gain.py`).
    `radio` is where the radio is, as `--to` and `--from` take it; `air` what lies between simulated radios.
    ValueError for what is outside the limits.
    """

    frequency_hz: float | None = None
    sample_rate_hz: float = 1e6
    gain_db: float | None = None
    antenna: str = ""
    bandwidth_hz: float | None = None
    transmit: bool = False
    channel: int = 0
    correction_ppm: float = 0.0
    clock: str = ""
    peak: float = 0.8
    lead_s: float = 0.05
    assist: bool = False
    radio: str = ""
    air: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, (low, high, unit) in LIMITS.items():
            value = getattr(self, name)
            if value is None and name in ("frequency_hz", "bandwidth_hz", "gain_db"):
                continue
            ok = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
            if not ok:
                raise ValueError(f"{name} must be from {low:g} to {high:g} {unit}, not {value!r}")
        if not isinstance(self.channel, int) or isinstance(self.channel, bool) or not 0 <= self.channel <= 63:
            raise ValueError(f"channel must be from 0 to 63, not {self.channel!r}")
        for name in ("antenna", "radio"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a name, not {getattr(self, name)!r}")
        if self.clock not in ("", "internal", "external", "gpsdo"):
            raise ValueError(f"clock must be internal, external or gpsdo, not {self.clock!r}")
        for name in ("transmit", "assist"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, not {getattr(self, name)!r}")
        if not isinstance(self.air, Mapping):
            raise ValueError(f"air must have names and values, not {self.air!r}")

    @property
    def tuned_hz(self) -> float:
        """What the radio must be told, so that its carrier is where it should be."""
        return self.need_frequency() / (1.0 + 1e-6 * self.correction_ppm)

    def need_frequency(self) -> float:
        """The carrier frequency in Hz; ValueError where nobody has chosen one."""
        if self.frequency_hz is None:
            raise ValueError("a radio needs a frequency: give --frequency HZ, or frequency_hz in the --radio file")
        return self.frequency_hz

    def need_transmit(self) -> float:
        """The carrier frequency in Hz; ValueError unless the user has said that this station may send on it."""
        if not self.transmit or self.frequency_hz is None:
            lacks = " and ".join(
                option
                for option, there in (("--transmit", self.transmit), ("--frequency HZ", self.frequency_hz is not None))
                if not there
            )
            raise ValueError(f"nothing is sent through a radio without {lacks}: docs/radio.md says who may send where")
        return self.frequency_hz


_COMMON = {f.name for f in fields(RadioSettings)} - {"transmit"}
_EACH = (  # may differ between the two directions
    "radio", "gain_db", "antenna", "bandwidth_hz", "channel", "frequency_hz", "correction_ppm",
)  # fmt: skip


def number(text: Any) -> float:
    """A number as people write it: 868.3e6, "868.3e6" (text to YAML), "868.3M"; ValueError for anything else."""
    if isinstance(text, str):
        text = text.strip().removesuffix("Hz").strip()
        scale = _PREFIXES.get(text[-1:], 1.0)
        try:
            value = float(text[:-1] if scale != 1.0 else text) * scale
        except ValueError:
            raise ValueError(f"expected a number such as 868.3e6 or 868.3M, not {text!r}") from None
    elif isinstance(text, (int, float)) and not isinstance(text, bool):
        value = float(text)
    else:
        raise ValueError(f"expected a number such as 868.3e6 or 868.3M, not {text!r}")
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, not {text!r}")
    return value


def load(path: Path | str, direction: str = "rx") -> RadioSettings:
    """The settings in a YAML file for `direction` "tx" or "rx"; ValueError, with the file's name, where it is wrong."""
    import yaml

    if direction not in ("tx", "rx"):
        raise ValueError(f"direction must be tx or rx, not {direction!r}")
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise ValueError(f"{path}: expected the settings of a radio, as under examples/radio: {reason}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected the settings of a radio, as under examples/radio")
    chosen = {key: value for key, value in content.items() if key not in ("tx", "rx", "bench")}
    for name in ("tx", "rx"):
        section = content.get(name) or {}
        if not isinstance(section, dict) or set(section) - set(_EACH):
            raise ValueError(f"{path}: {name} may have {', '.join(_EACH)}, not {section!r}")
    chosen |= content.get(direction) or {}
    if "transmit" in chosen:
        raise ValueError(f"{path}: a file cannot permit to transmit: that takes --transmit, each time")
    unknown = sorted(map(str, set(chosen) - _COMMON))
    if unknown:
        raise ValueError(f"{path}: unknown {', '.join(unknown)}; known are {', '.join(sorted(_COMMON))}, tx, rx, bench")
    try:
        return RadioSettings(**{key: _value(key, value) for key, value in chosen.items()})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _value(key: str, value: Any) -> Any:
    """A value out of a file as the settings take it."""
    if value is None or key not in LIMITS:
        return value
    try:
        return number(value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _option(text: str) -> float:
    try:
        return number(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_options(parser: argparse.ArgumentParser, direction: str) -> None:
    """Adds a radio's options to a command that sends ("tx") or receives ("rx")."""
    group = parser.add_argument_group("radio", "for uhd: and soapy:")
    group.add_argument("--radio", type=Path, metavar="FILE.yml", help="settings of a radio, as under examples/radio")
    text = "of the carrier: 868.3e6, 868.3M or 2.45G"
    group.add_argument("--frequency", type=_option, metavar="HZ", help=text)
    group.add_argument("--rate", type=_option, metavar="HZ", help="complex samples a second (default 1e6)")
    group.add_argument("--gain", type=_option, metavar="DB", help="all gain stages together")
    group.add_argument("--antenna", metavar="NAME", help="the port: TX/RX, RX2 ...")
    group.add_argument("--bandwidth", type=_option, metavar="HZ", help="of the analog filter")
    group.add_argument("--correction", type=_option, metavar="PPM", help="how much too fast the oscillator runs")
    if direction == "tx":
        text = "yes, send: without this nothing goes on air"
        group.add_argument("--transmit", action="store_true", help=text)
    else:
        text = "listen first, and choose the gain by clipping, noise floor and DC offset"
        group.add_argument("--assist", action="store_true", help=text)


def from_arguments(arguments: argparse.Namespace, direction: str) -> RadioSettings:
    """The file of `--radio`, if any, and the options over it; ValueError as `load` and `RadioSettings`."""
    settings = load(arguments.radio, direction) if arguments.radio else RadioSettings()
    options = {
        "frequency_hz": arguments.frequency, "sample_rate_hz": arguments.rate, "gain_db": arguments.gain,
        "antenna": arguments.antenna, "bandwidth_hz": arguments.bandwidth, "correction_ppm": arguments.correction,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    assist = settings.assist or getattr(arguments, "assist", False)
    return replace(settings, **given, transmit=getattr(arguments, "transmit", False), assist=assist)

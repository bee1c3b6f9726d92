# SPDX-License-Identifier: GPL-3.0-or-later
"""HackRF, PlutoSDR, LimeSDR and whatever else SoapySDR has a driver for, by gr-soapy.

No burst mode: the sink sends zeros between bursts, and a second of them behind the last one. Underruns and overflows
are shown by gr-soapy itself (`sU`, `sO` on stderr); it counts none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..blocks.hier_block import HierBlock
from ..blocks.stuffed_bursts import stuffed_bursts
from ..stage import Port
from .amplitude import PowerReport
from .assistant import choose_gain
from .device import Range, check_antenna, check_range, check_rate, told
from .settings import RadioSettings

_SAMPLES = Port("samples", np.complex64)
_MISSING = ("no match", "device matches", "o devices found", "not found", "Only 0 channels")
_ADVICE = "is it plugged in, and its driver installed (apt install soapysdr-module-all)? `SoapySDRUtil --find` lists it"


def answer(kind: str, arguments: str) -> None:
    """RadioError unless there is such a radio, and it can be opened as "sink" or "source"."""
    with told(f"soapy:{arguments}", _MISSING, _ADVICE):
        _make(kind, arguments)


def _make(kind: str, arguments: str) -> Any:
    from gnuradio import soapy

    return (soapy.sink if kind == "sink" else soapy.source)(arguments, "fc32", 1, "", "", [""], [""])


def _open(kind: str, arguments: str, settings: RadioSettings) -> Any:
    """A gr-soapy block, set as asked for; RadioError in one line where that cannot be."""
    if settings.channel:
        raise ValueError(f"channel of a soapy: radio must be 0, not {settings.channel}")
    name = f"soapy:{arguments}"
    frequency, rate = settings.tuned_hz, settings.sample_rate_hz
    with told(name, _MISSING, _ADVICE):
        radio = _make(kind, arguments)
        check_range(name, "sample rate", rate, _limits(radio.get_sample_rate_range(0)), "MHz", 1e6)
        radio.set_sample_rate(0, rate)
        check_rate(name, rate, radio.get_sample_rate(0))
        check_antenna(name, settings.antenna, radio.list_antennas(0))
        if settings.antenna:
            radio.set_antenna(0, settings.antenna)
        if settings.clock:
            radio.set_clock_source(settings.clock)
        check_range(name, "frequency", frequency, _limits(radio.get_frequency_range(0)), "MHz", 1e6)
        radio.set_frequency(0, frequency)
        if settings.bandwidth_hz is not None:
            radio.set_bandwidth(0, settings.bandwidth_hz)
        if kind == "source" and radio.has_gain_mode(0):
            radio.set_gain_mode(0, False)  # a gain that moves within a burst spoils analog symbols
        if settings.gain_db is not None:
            check_range(name, "gain", settings.gain_db, _limits([radio.get_gain_range(0)]), "dB")
            radio.set_gain(0, settings.gain_db)
    return radio


def _limits(found: Any) -> list[Range]:
    return [(float(one.minimum()), float(one.maximum())) for one in found]


class _Gain:
    """Gain of an open radio."""

    radio: Any

    @property
    def gain_db(self) -> float:
        """All gain stages together."""
        return float(self.radio.get_gain(0))

    @property
    def gain_range_db(self) -> Range:
        """The least and the most."""
        return _limits([self.radio.get_gain_range(0)])[0]

    def set_gain_db(self, gain_db: float) -> None:
        """Change it while the radio runs."""
        self.radio.set_gain(0, gain_db)


class sink(_Gain, HierBlock):
    """Sends packets of samples, complex64, with zeros between them; `power` tells what was sent.

    ValueError without the user's word to transmit and a frequency; RadioError for a radio that is missing, busy or
    cannot do what the settings want.
    """

    def __init__(self, arguments: str, settings: RadioSettings) -> None:
        settings.need_transmit()
        super().__init__("soapy_sink", (_SAMPLES,), ())
        self.radio = _open("sink", arguments, settings)
        self.bursts = stuffed_bursts(settings.sample_rate_hz, settings.peak)
        self.connect(self, self.bursts, self.radio)

    @property
    def power(self) -> PowerReport:
        """What was sent."""
        return self.bursts.power


class source(_Gain, HierBlock):
    """Samples of a radio, complex64. Errors as `sink`."""

    def __init__(self, arguments: str, settings: RadioSettings) -> None:
        settings.need_frequency()
        super().__init__("soapy_source", (), (_SAMPLES,))
        self.radio = _open("source", arguments, settings)
        if settings.assist:
            choose_gain(f"soapy:{arguments}", self, settings.sample_rate_hz)
        self.connect(self.radio, self)

# SPDX-License-Identifier: GPL-3.0-or-later
"""USRPs by gr-uhd: a sink that sends bursts at their time, a source, and a search that ends.

    sink = uhd.sink("type=b200", settings)       settings.transmit and a frequency: there is no default on air
    sink.counts                                  late packets, underruns, lost packets: counted, never fatal
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from numpy.typing import NDArray

from ..blocks.hier_block import HierBlock
from ..blocks.timed_bursts import timed_bursts
from ..stage import Port
from .assistant import choose_gain
from .device import Range, check_antenna, check_range, check_rate, told
from .settings import RadioError, RadioSettings

_SAMPLES = Port("samples", np.complex64)
_MISSING = ("No devices found", "No UHD Devices Found")
_ADVICE = "is it plugged in and switched on? `uhd_find_devices` lists what there is"
_FIND = """
import json, sys
from gnuradio import uhd
found = uhd.find(uhd.device_addr(sys.argv[1]))
print(json.dumps([one.to_string() for one in found]))
"""
_FIND_S = 20.0  # a B200 without firmware takes some seconds


def find(arguments: str = "", timeout_s: float = _FIND_S) -> list[str]:
    """USRPs that answer, as arguments each. RadioError where the search fails or takes too long.

    It runs in a process of its own: UHD's search cannot be stopped.
    """
    command = [sys.executable, "-c", _FIND, arguments]
    environment = {**os.environ, "UHD_LOG_CONSOLE_LEVEL": os.environ.get("UHD_LOG_CONSOLE_LEVEL", "error")}
    name = f"uhd:{arguments}"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, env=environment, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise RadioError(f"no answer from {name} within {timeout_s:g} s: unplug it and plug it in again") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise RadioError(f"radios cannot be searched for at {name}: {lines[-1]}")
    return [str(one) for one in json.loads(done.stdout.splitlines()[-1])]


def answer(arguments: str) -> None:
    """RadioError unless there is such a USRP."""
    if not find(arguments):
        raise RadioError(f"no radio was found at uhd:{arguments}: {_ADVICE}")


def _open(kind: str, arguments: str, settings: RadioSettings) -> Any:
    """A gr-uhd block, set as asked for; RadioError in one line where that cannot be."""
    os.environ.setdefault("UHD_LOG_CONSOLE_LEVEL", "warning")  # read when the library is loaded
    name = f"uhd:{arguments}"
    frequency = settings.tuned_hz
    with told(name, _MISSING, _ADVICE):
        answer(arguments)
        from gnuradio import uhd

        make = uhd.usrp_sink if kind == "sink" else uhd.usrp_source
        radio = make(arguments, uhd.stream_args(cpu_format="fc32", channels=[settings.channel]))
        if settings.clock:
            radio.set_clock_source(settings.clock, 0)
        radio.set_samp_rate(settings.sample_rate_hz)
        check_rate(name, settings.sample_rate_hz, radio.get_samp_rate())
        check_antenna(name, settings.antenna, radio.get_antennas(0))
        if settings.antenna:
            radio.set_antenna(settings.antenna, 0)
        check_range(name, "frequency", frequency, [_limits(radio.get_freq_range(0))], "MHz", 1e6)
        radio.set_center_freq(uhd.tune_request(frequency), 0)
        if settings.bandwidth_hz is not None:
            radio.set_bandwidth(settings.bandwidth_hz, 0)
        if settings.gain_db is not None:
            check_range(name, "gain", settings.gain_db, [_limits(radio.get_gain_range(0))], "dB")
            radio.set_gain(settings.gain_db, 0)
    return radio


def _limits(found: Any) -> Range:
    return float(found.start()), float(found.stop())


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
        return _limits(self.radio.get_gain_range(0))

    def set_gain_db(self, gain_db: float) -> None:
        """Change it while the radio runs."""
        self.radio.set_gain(gain_db, 0)


class sink(_Gain, HierBlock):
    """Sends packets of samples, complex64, as bursts; `counts` and `power` tell how it went.

    ValueError without the user's word to transmit and a frequency; RadioError for a radio that is missing, busy or
    cannot do what the settings want.
    """

    def __init__(self, arguments: str, settings: RadioSettings) -> None:
        settings.need_transmit()
        super().__init__("uhd_sink", (_SAMPLES,), ())
        self.radio = _open("sink", arguments, settings)
        rate = settings.sample_rate_hz
        self.bursts = timed_bursts(rate, settings.peak, settings.lead_s, self.now)
        self.connect(self, self.bursts, self.radio)
        self.msg_connect(self.radio, "async_msgs", self.bursts, "events")

    def now(self) -> float:
        """The radio's time in seconds."""
        return float(self.radio.get_time_now().get_real_secs())

    @property
    def counts(self) -> dict[str, int]:
        """Late packets, underruns, lost packets, bursts that were acknowledged."""
        return self.bursts.counts

    @property
    def power(self) -> Any:
        """What was sent."""
        return self.bursts.power


class source(_Gain, HierBlock):
    """Samples of a USRP, complex64; `overflows` counts how often some were lost on their way. Errors as `sink`."""

    def __init__(self, arguments: str, settings: RadioSettings) -> None:
        settings.need_frequency()
        super().__init__("uhd_source", (), (_SAMPLES,))
        self.radio = _open("source", arguments, settings)
        if settings.assist:
            choose_gain(f"uhd:{arguments}", self, settings.sample_rate_hz)
        self.watch = overflow_watch()
        self.connect(self.radio, self)
        self.connect(self.radio, self.watch)

    @property
    def overflows(self) -> int:
        """Times that samples were lost because this computer was too slow."""
        return self.watch.overflows


class overflow_watch(gr.sync_block):
    """Counts the tags with which gr-uhd goes on after an overflow; the first one is the stream's beginning."""

    def __init__(self) -> None:
        super().__init__("overflow_watch", [np.complex64], [])
        self.key = pmt.intern("rx_time")
        self.tags = 0

    @property
    def overflows(self) -> int:
        """Times that the stream went on after samples were lost."""
        return max(0, self.tags - 1)

    def work(self, input_items: list[NDArray[Any]], output_items: list[NDArray[Any]]) -> int:
        """Look at the tags, not at the samples."""
        count = len(input_items[0])
        self.tags += len(self.get_tags_in_window(0, 0, count, self.key))
        return count

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a flowgraph of GNU Radio Companion asks before it opens a radio: may it send, and is the radio there?

Native blocks end in a traceback where a radio is missing. A snippet "Init - Before Blocks" with

    from gnuradio.semcom.radio import station
    station.ready("uhd", self.device, self.frequency, self.transmit)

ends the program with one line and status 1 instead.
"""

from __future__ import annotations

import sys
from typing import Any

from .settings import RadioError, RadioSettings


def ready(kind: str, arguments: str, frequency_hz: float, transmit: Any = None) -> None:
    """Ends the program unless the radio answers; with `transmit`, yes or no, unless that is yes and has a frequency.

    `kind` is "uhd" or "soapy", `arguments` what the radio is found by, a `frequency_hz` of 0 that there is none.
    """
    try:
        check(kind, arguments, frequency_hz, transmit)
    except (RadioError, ValueError) as error:
        sys.exit(str(error))


def check(kind: str, arguments: str, frequency_hz: float, transmit: Any = None) -> None:
    """The same, but raises: ValueError for what the user did not say, RadioError for a radio that is not there."""
    settings = RadioSettings(frequency_hz=frequency_hz or None, transmit=bool(transmit))
    if transmit is None:
        settings.need_frequency()
    else:
        settings.need_transmit()
    if kind == "uhd":
        from . import uhd

        uhd.answer(arguments)
    elif kind == "soapy":
        from . import soapy

        soapy.answer("source" if transmit is None else "sink", arguments)
    else:
        raise ValueError(f"kind must be uhd or soapy, not {kind!r}")

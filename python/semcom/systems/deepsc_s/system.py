# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepSC-S as a system of the registry: what one network for everything can do."""

from __future__ import annotations

from ..analog_speech import AnalogSpeech


class DeepScS(AnalogSpeech):
    """Mel frames to symbols and back."""

    name = "deepsc_s"
    title = "speech as analog symbols of one network (DeepSC-S)"


SYSTEM = DeepScS()

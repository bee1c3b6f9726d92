# SPDX-License-Identifier: GPL-3.0-or-later
"""HASCom's baseline SE-DeepSC: noise is taken off the speech before DeepSC-S sends it."""

from ...speech.enhance import Samples, enhanced
from ..analog_speech import AnalogSpeech


class EnhanceDeepScS(AnalogSpeech):
    """Denoise, then transmit."""

    name = "enhance_deepsc_s"
    title = "DeepSC-S behind speech enhancement at the transmitter"

    def before(self, speech: Samples) -> Samples:
        """With less noise."""
        return enhanced(speech)


SYSTEM = EnhanceDeepScS()

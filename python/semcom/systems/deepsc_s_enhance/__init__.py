# SPDX-License-Identifier: GPL-3.0-or-later
"""HASCom's baseline DeepSC-S-SE: noise is taken off what DeepSC-S delivers."""

from ...speech.enhance import Samples, enhanced
from ..analog_speech import AnalogSpeech


class DeepScSEnhance(AnalogSpeech):
    """Transmit, then denoise."""

    name = "deepsc_s_enhance"
    title = "DeepSC-S with speech enhancement at the receiver"

    def after(self, speech: Samples) -> Samples:
        """With less noise."""
        return enhanced(speech)


SYSTEM = DeepScSEnhance()

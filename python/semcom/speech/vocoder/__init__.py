# SPDX-License-Identifier: GPL-3.0-or-later
"""From the log-mel spectrogram of `speech/mel.py` back to speech: Griffin-Lim, or HiFi-GAN where it is installed."""

from __future__ import annotations

from functools import lru_cache

from .base import Vocoder

NAMES = ("griffin_lim", "hifi_gan")

__all__ = ["NAMES", "Vocoder", "open_vocoder"]


@lru_cache(maxsize=4)
def open_vocoder(name: str = "griffin_lim", device: str = "auto") -> Vocoder:
    """The vocoder of that name, made once a process; ValueError lists the names, or says what to install."""
    if name == "griffin_lim":
        from .griffin_lim import GriffinLim

        return GriffinLim()
    if name == "hifi_gan":
        from .hifi_gan import HifiGan

        return HifiGan(device)
    raise ValueError(f"unknown vocoder {name!r}: expected one of {', '.join(NAMES)}")

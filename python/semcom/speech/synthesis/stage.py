# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthesis as a stage of a link: text in, speech out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...message import SAMPLE_RATE, Meta
from ...stage import Arrays, Port, Stage
from .users import users, voice_of


@dataclass(frozen=True)
class Synthesiser(Stage):
    """UTF-8, uint8, to speech of the user's voice, float32 of 16 kHz; the text stays in the meta.

    ValueError for an id that nobody registered.
    """

    heavy: ClassVar = True

    user: str = "hibari"

    inputs = (Port("message", np.uint8),)
    outputs = (Port("message", np.float32),)

    def __post_init__(self) -> None:
        users(self.user)

    def prepare(self) -> None:
        """Load the voice; ValueError where its engine is not installed."""
        voice_of(self.user).prepare()

    def run(self, arrays: Arrays, meta: Meta) -> tuple[Arrays, Meta]:
        """One text."""
        text = arrays[0].tobytes().decode(errors="replace")
        speech = voice_of(self.user).speak(text)
        about = {"kind": "speech", "shape": [speech.size], "sample_rate": SAMPLE_RATE, "text": text, "user": self.user}
        return (speech,), {**meta, **about}

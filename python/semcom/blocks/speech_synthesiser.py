# SPDX-License-Identifier: GPL-3.0-or-later
"""Received text spoken by the voice of a user."""

from __future__ import annotations

from ..speech.synthesis import Synthesiser
from .stage_block import StageBlock


class speech_synthesiser(StageBlock):
    """Text, UTF-8, uint8, to speech, float32 of 16 kHz, with the voice that is registered for the id `user`."""

    def __init__(self, user: str = "hibari") -> None:
        super().__init__(Synthesiser(user), "speech_synthesiser")

    @classmethod
    def knows(cls, user: str) -> bool:
        """Whether the id is registered; for Companion: a wrong one turns red."""
        try:
            Synthesiser(user)
        except ValueError:
            return False
        return True

    def set_user(self, user: str) -> None:
        """Change the user."""
        self.set_parameter("user", user)

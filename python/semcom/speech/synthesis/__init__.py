# SPDX-License-Identifier: GPL-3.0-or-later
"""Text spoken at the receiver, with the voice that is registered for a user's id.

Voices stand in a small YAML file, `speech/data/voices.yml` or the one that `SEMCOM_VOICES` names.
"""

from .stage import Synthesiser
from .users import users, voice_of

__all__ = ["Synthesiser", "users", "voice_of"]

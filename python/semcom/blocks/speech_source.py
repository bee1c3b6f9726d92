# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech from files into a flowgraph."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .file_source import FileSource


class speech_source(FileSource):
    """Sends recordings as messages, float32 [N] of 16 kHz mono.

    `input` is a file or a folder, empty for utterances that come with the module. What lasts above 20 s goes in several
    utterances, cut at pauses. All are sent `repeat` times, for ever if 0, one every `interval_s` seconds at most. For a
    microphone put GNU Radio's Audio Source before a Speech Cutter instead.
    """

    kind = "speech"
    dtype = np.float32

    def packaged(self) -> Path:
        """Recordings of several voices."""
        from ..media.recordings import packaged_recordings

        return packaged_recordings()

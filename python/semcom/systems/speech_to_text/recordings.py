# SPDX-License-Identifier: GPL-3.0-or-later
"""Three utterances of the domain, for examples and tests: texts, and a voice (flite's rms), that no training had."""

from __future__ import annotations

from pathlib import Path


def spoken_commands() -> str:
    """Their folder, with transcripts in its MANIFEST.tsv."""
    return str(Path(__file__).resolve().parent / "spoken")

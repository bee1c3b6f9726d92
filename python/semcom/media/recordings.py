# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic utterances that come with the module, for examples and tests: our own sentences, spoken by hibari-tts and
flite, whose voices leave the rights in what they say alone."""

from __future__ import annotations

from pathlib import Path

RECORDINGS = ("weather", "kitchen", "station")
FOLDER = Path(__file__).resolve().parent / "data"


def packaged_recordings(name: str = "") -> Path:
    """The folder of the utterances, with transcripts in its MANIFEST.tsv, or one of them; ValueError names them."""
    if not name:
        return FOLDER
    if name not in RECORDINGS:
        raise ValueError(f"unknown recording {name!r}: expected one of {', '.join(RECORDINGS)}")
    return FOLDER / f"{name}.flac"

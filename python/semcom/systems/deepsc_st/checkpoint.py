# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a training run."""

from __future__ import annotations

import os
from pathlib import Path

import torch


def write_aside(path: Path, state: object) -> None:
    """Save so that a kill in the middle leaves the old file."""
    temporary = path.with_suffix(path.suffix + ".part")
    torch.save(state, temporary)
    os.replace(temporary, path)

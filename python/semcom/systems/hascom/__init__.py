# SPDX-License-Identifier: GPL-3.0-or-later
"""HASCom: what is said as protected bits, how it is said as analog symbols, spoken by a diffusion model."""

from .system import SYSTEM

PRESETS = ("small", "paper")

__all__ = ["PRESETS", "SYSTEM"]

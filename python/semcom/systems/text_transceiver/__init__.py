# SPDX-License-Identifier: GPL-3.0-or-later
"""The text transceiver, one of the conventional systems beside DeepSC-ST."""

from .system import SYSTEM

__all__ = ["SYSTEM"]

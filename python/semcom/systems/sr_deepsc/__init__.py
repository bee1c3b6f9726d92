# SPDX-License-Identifier: GPL-3.0-or-later
"""SR+DeepSC, a rival of DeepSC-ST: recognition at the sender, then DeepSC's text transformer over the channel."""

from .system import SYSTEM

__all__ = ["SYSTEM"]

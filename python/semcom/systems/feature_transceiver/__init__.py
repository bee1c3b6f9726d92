# SPDX-License-Identifier: GPL-3.0-or-later
"""The feature transceiver, one of the conventional systems beside DeepSC-ST."""

from .system import SYSTEM

__all__ = ["SYSTEM"]

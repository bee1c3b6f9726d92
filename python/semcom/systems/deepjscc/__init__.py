# SPDX-License-Identifier: GPL-3.0-or-later
"""DeepJSCC: pictures as analog channel symbols, without a source code and without a channel code."""

from .system import SYSTEM

__all__ = ["SYSTEM"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""NCSC: neural image compression whose stream travels over LDPC and QAM."""

from .system import SYSTEM

__all__ = ["SYSTEM"]

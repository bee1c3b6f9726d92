# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds, verifies and runs shipped models."""

from .model import Model, available, find, load

__all__ = ["Model", "available", "find", "load"]

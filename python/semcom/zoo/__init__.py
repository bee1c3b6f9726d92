# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds, verifies and runs models: those that come with the module, and files of somebody's own."""

from .files import read_verified
from .model import Model, available, find, load
from .network import Declared, Network, open_network

__all__ = ["Declared", "Model", "Network", "available", "find", "load", "open_network", "read_verified"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Radios: the two ends of a link between programs or machines."""

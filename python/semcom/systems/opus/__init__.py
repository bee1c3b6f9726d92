# SPDX-License-Identifier: GPL-3.0-or-later
"""Opus over a channel code: what a user would pick today."""

from ..speech_codecs import CodecSystem

SYSTEM = CodecSystem("opus")

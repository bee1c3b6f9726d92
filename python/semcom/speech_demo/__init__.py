# SPDX-License-Identifier: GPL-3.0-or-later
"""`semcom demo speech`: a page in the browser that sends an utterance through the real flowgraph."""

from .page import serve

__all__ = ["serve"]

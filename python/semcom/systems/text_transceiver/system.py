# SPDX-License-Identifier: GPL-3.0-or-later
"""The text transceiver: speech is recognised at the sender, its text goes in a Huffman code."""

from __future__ import annotations

from ...message import Message, Meta, Payload, Received, text_message
from ...text import huffman
from ..base import Request
from ..speech_base import RecognisingSystem


class TextTransceiver(RecognisingSystem):
    """Recognition, Huffman code, digital transmission; where code blocks fail, the text has gaps."""

    name = "text_transceiver"
    title = "recognised text in a Huffman code"

    def encode(self, message: Message, request: Request) -> Payload | None:
        """The bits of the text; None above `max_bits`."""
        bits = huffman.encode(self.text_of(message, request))
        return None if request.max_bits is not None and bits.size > request.max_bits else Payload(bits=bits)

    def decode(self, received: Received, meta: Meta, model: str = "", device: str = "auto") -> tuple[Message, int]:
        """The text, a space for each gap; and the number of gaps."""
        text, gaps = huffman.decode(received.bits, received.bits_ok)
        return text_message(text), gaps


SYSTEM = TextTransceiver()

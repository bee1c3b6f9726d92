# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sources of this process sent, kept for the meters of this process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ..message import Message, Meta

MAX_ENTRIES = 256
MAX_BYTES = 256_000_000


class Original(NamedTuple):
    """A message as it was sent; `meta` is that of the message, for example the transcript of speech."""

    name: str
    data: NDArray[Any]
    kind: str = "image"
    meta: Meta | None = None

    @property
    def message(self) -> Message:
        """The same as a message."""
        return Message(self.kind, self.data, dict(self.meta or {}))


class Originals:
    """A bounded store by source and message number: the oldest goes first. May be used from several threads."""

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self.max_entries, self.max_bytes = max_entries, max_bytes
        self._kept: OrderedDict[tuple[int, int], Original] = OrderedDict()
        self._bytes = 0
        self._sent: dict[int, int] = {}
        self._began: dict[int, int] = {}
        self.serial = 0  # how many times a source has begun
        self._lock = threading.Lock()

    def begin(self, source: int) -> None:
        """A source starts (again): forget what it sent before."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == source]:
                self._bytes -= self._kept.pop(key).data.nbytes
            self._sent[source] = 0
            self.serial += 1
            self._began[source] = self.serial

    def keep(self, source: int, number: int, original: Original) -> None:
        """Keep a message before it is sent."""
        with self._lock:
            self._sent[source] = number + 1
            self._kept[source, number] = original
            self._bytes += original.data.nbytes
            while len(self._kept) > 1 and (len(self._kept) > self.max_entries or self._bytes > self.max_bytes):
                self._bytes -= self._kept.popitem(last=False)[1].data.nbytes

    def find(self, source: int, number: int) -> Original | None:
        """The message, None if it is no longer or never was here."""
        with self._lock:
            return self._kept.get((source, number))

    def begun_since(self, serial: int) -> list[int]:
        """The sources that have begun since `serial` had that value."""
        with self._lock:
            return [source for source, began in self._began.items() if began > serial]

    def sent(self, source: int) -> int:
        """How many messages the source has sent; 0 if there is no such source in this process."""
        with self._lock:
            return self._sent.get(source, 0)


originals = Originals()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Every message once: which bursts are repetitions, which came late, which never came, by their sequence numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from .checks import integer

NUMBERS = 1 << 16


@dataclass(frozen=True)
class Arrival:
    """What a burst's number says: came before (`repeated`), came behind a later one (`late`), and the numbers that are
    given up now (`lost`)."""

    repeated: bool = False
    late: bool = False
    lost: tuple[int, ...] = ()


@dataclass
class SequenceWatch:
    """Numbers of one sender, modulo 2^16. A number that is missing is given up when one `patience` further has come.

    More than `most` numbers missed at once are a sender that began anew: nothing is lost, counting starts there.
    """

    patience: int = 8
    most: int = 1024
    _newest: int | None = None
    _next: int = 0  # numbers before it are settled
    _seen: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        integer("patience", self.patience, 1, 1024)
        integer("most", self.most, 1, NUMBERS // 4)

    def note(self, number: int) -> Arrival:
        """Take the number of a burst, 0 to 2^16 - 1."""
        integer("number", number, 0, NUMBERS - 1)
        if self._newest is None:
            self._begin(number)
            return Arrival()
        # the place on an endless count that is nearest to the newest
        ahead = (number - self._newest + NUMBERS // 2) % NUMBERS - NUMBERS // 2
        place = self._newest + ahead
        if abs(ahead) > self.most:
            self._begin(number)
            return Arrival()
        if place < self._next or place in self._seen:
            return Arrival(repeated=True)
        self._seen.add(place)
        late = place < self._newest
        self._newest = max(self._newest, place)
        lost = []
        while self._next < self._newest - self.patience or self._next in self._seen:
            if self._next not in self._seen:
                lost.append(self._next % NUMBERS)
            self._seen.discard(self._next)
            self._next += 1
        return Arrival(late=late, lost=tuple(lost))

    def finish(self) -> tuple[int, ...]:
        """The numbers still missing at the stream's end."""
        missing = () if self._newest is None else tuple(
            place % NUMBERS for place in range(self._next, self._newest) if place not in self._seen
        )
        self._newest = None
        self._seen.clear()
        return missing

    def _begin(self, number: int) -> None:
        self._newest, self._next = number, number + 1
        self._seen.clear()

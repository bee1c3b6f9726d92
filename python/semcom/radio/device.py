# SPDX-License-Identifier: GPL-3.0-or-later
"""What opening a radio has in common, whoever its driver is: errors in one line, and ranges that are asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

from .settings import RadioError

RATE_TOLERANCE = 1e-4  # more than the 100 ppm that a receiver can follow, and it would be the wrong rate
Range = tuple[float, float]


@contextlib.contextmanager
def told(name: str, missing: Sequence[str], advice: str) -> Iterator[None]:
    """Turns a driver's exception into a RadioError that names the radio; `missing` are words that mean "not there"."""
    try:
        yield
    except RadioError:
        raise
    except Exception as error:  # drivers throw whatever they like
        text = " ".join(str(error).split()) or type(error).__name__
        if any(word in text for word in missing):
            raise RadioError(f"no radio was found at {name}: {advice}") from error
        raise RadioError(f"the radio at {name} cannot be used: {text}") from error


def check_range(name: str, what: str, value: float, ranges: Iterable[Range], unit: str, scale: float = 1.0) -> None:
    """RadioError unless `value` lies in one of the radio's ranges; they are told in `unit`s of `scale`."""
    known = list(ranges)
    if known and not any(low <= value <= high for low, high in known):
        legal = ", ".join(f"{low / scale:g} to {high / scale:g}" for low, high in known)
        raise RadioError(f"{what} of {name} must be from {legal} {unit}, not {value / scale:g}")


def check_antenna(name: str, antenna: str, known: Sequence[str]) -> None:
    """RadioError unless the radio has such a port."""
    if antenna and antenna not in known:
        raise RadioError(f"antenna of {name} must be {' or '.join(known) or 'left out'}, not {antenna!r}")


def check_rate(name: str, wanted: float, got: float) -> None:
    """RadioError where the radio took another sample rate than it was told."""
    if abs(got / wanted - 1.0) > RATE_TOLERANCE:
        raise RadioError(f"{name} has no sample rate of {wanted:g} Hz: the nearest it has is {got:.10g} Hz")

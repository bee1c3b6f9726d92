# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers in figures as English words, as they are spoken."""

from __future__ import annotations

import re

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
LARGEST = 10**15  # from here on, and after a leading zero, figure by figure
ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_NUMBER = re.compile(r"(?<!\d)(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+)|(st|nd|rd|th)\b)?")


def cardinal(number: int) -> str:
    """The words of a number from 0 to 10**15 - 1: 342 is "three hundred forty two"."""
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return TENS[tens - 2] + (f" {ONES[rest]}" if rest else "")
    for scale, name in SCALES:
        if number >= scale:
            many, rest = divmod(number, scale)
            return f"{cardinal(many)} {name}" + (f" {cardinal(rest)}" if rest else "")
    raise AssertionError(number)


def ordinal(number: int) -> str:
    """The words of a place in a row: 21 is "twenty first"."""
    head, _, last = cardinal(number).rpartition(" ")
    last = ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
    return f"{head} {last}".strip()


def year(number: int) -> str:
    """A number of four figures from 1100 to 1999 as a year is spoken: 1905 is "nineteen oh five"."""
    century, rest = divmod(number, 100)
    if not rest:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def spell_numbers(text: str) -> str:
    """Every number in figures replaced by its words; what stands around it stays."""

    def words(match: re.Match[str]) -> str:
        figures, fraction, ending = match.groups()
        plain = figures.replace(",", "")
        number = int(plain) if len(plain) < 16 else LARGEST
        if number >= LARGEST or (plain != "0" and plain.startswith("0")):
            spoken = " ".join(ONES[int(figure)] for figure in plain)
        elif ending:
            spoken = ordinal(number)
        elif fraction is None and "," not in figures and 1100 <= number <= 1999:
            spoken = year(number)
        else:
            spoken = cardinal(number)
        if fraction:
            spoken += " point " + " ".join(ONES[int(figure)] for figure in fraction)
        return f" {spoken} "

    return _NUMBER.sub(words, text)

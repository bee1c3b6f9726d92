# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts of our own for synthetic speech: the domain of the model `domain`, and plain sentences. Free of rights."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from ...text.numbers import ONES, cardinal, ordinal

HELD_OUT = 8  # one in so many texts is for tests only, by its own checksum

LETTERS = (
    "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec romeo "
    "sierra tango uniform victor whiskey xray yankee zulu"
).split()
DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = "january february march april may june july august september october november december".split()
DIGITS = ONES[:10]
PLACES = (
    "kitchen,bedroom,bathroom,hall,garage,office,cellar,workshop,garden,living room,control room,engine room"
).split(",")
SWITCHED = "light,lamp,heater,fan,pump,radio,alarm,camera,siren,transmitter,receiver,antenna motor".split(",")
OPENED = "door,window,gate,valve,hatch,blinds,front door,back door".split(",")
LEVELS = "volume,temperature,brightness,speed,power,gain,frequency,channel".split(",")
STATIONS = "base,tower,control,station one,mobile two,rescue four,team leader,ground,camp,headquarters".split(",")
UNITS = "meters,feet,steps,kilometers,miles,degrees".split(",")
PROWORDS = (
    "roger that,say again,say again all after,stand by,wait one,go ahead,radio check,read you loud and clear,"
    "read you five by five,message received,negative,affirmative,correction,i spell,break break,out,over,"
    "over and out,will comply,cancel the last message,all stations,no contact,copy all,signal is weak,"
    "signal is good,you are breaking up,change channel,return to base,send help,position unknown,ready to copy,"
    "nothing heard,stay on this frequency,what is your position,mission complete"
).split(",")
PHRASES = (
    "yes,no,stop,go,help,hello,good morning,good evening,thank you,please repeat,cancel,continue,left,right,up,down,"
    "faster,slower,louder,quieter,next,previous,undo,save,delete,today,tomorrow,yesterday,what time is it,"
    "what is the weather,how far is it,read my messages,where am i,take a picture,lock the screen"
).split(",")

WHO = (
    "the captain,a young doctor,my brother,the old sailor,our teacher,the farmer,his sister,a tall woman,the boy,"
    "the little girl,their neighbor,an engineer,the driver,a stranger,the judge,the quiet man,a soldier,the cook,"
    "the queen,one of the workers,the pilot,her uncle,the hunter,a painter,nobody,everybody,the chief,that student"
).split(",")
DID = (
    "found,carried,forgot,bought,opened,watched,described,repaired,dropped,followed,painted,remembered,noticed,moved,"
    "brought back,pointed at,asked for,looked after,wrote about,thought of,wanted,took,broke,washed,knew,heard,lost"
).split(",")
WHAT = (
    "the heavy box,a broken chair,the yellow house,some fresh bread,the narrow bridge,a letter from home,the map,"
    "three large fish,the wooden boat,a pair of shoes,the whole story,the last question,two gray horses,the engine,"
    "a cup of coffee,the sound of rain,an empty bottle,the bright fire,those flowers,the northern road,a small knife,"
    "the edge of the forest,many strange things,the white dog,a bag of gold,his father's watch,the truth"
).split(",")
WHEN = (
    "before the storm,late in the evening,after breakfast,in the middle of the night,without a word,near the river,"
    "across the valley,at the end of the street,for the first time,with great care,behind the church,in his hands,"
    "on the way to town,under the old tree,again and again,because it was cold,until the sun went down,last year,"
    "as quickly as possible,while we were talking,in spite of everything,through the open window,from the top shelf"
).split(",")
ADDED = (
    "but it was too late,and then they went home,so we waited there,and nobody knew why,though he never said so,"
    "and she laughed,which surprised us all,and the others agreed,but i did not believe it,and that was enough"
).split(",")


def held_out(text: str) -> bool:
    """Whether a text is kept for tests: no training text is."""
    return zlib.crc32(text.encode()) % HELD_OUT == 0


def _pick(random: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(random.integers(len(words)))]


def _number(random: np.random.Generator) -> str:
    return cardinal(int(random.integers(0, (10, 100, 1000, 10_000)[int(random.integers(4))])))


def digits(random: np.random.Generator) -> str:
    """Two to eight figures one by one, some pilots' "niner" among them."""
    row = [_pick(random, DIGITS) for _ in range(int(random.integers(2, 9)))]
    return " ".join("niner" if word == "nine" and random.random() < 0.1 else word for word in row)


def date(random: np.random.Generator) -> str:
    """A day, with or without its weekday and year."""
    day, month = ordinal(int(random.integers(1, 32))), _pick(random, MONTHS)
    text = f"the {day} of {month}" if random.random() < 0.5 else f"{month} {day}"
    if random.random() < 0.4:
        text = f"{_pick(random, DAYS)} {text}"
    if random.random() < 0.3:
        text += f" two thousand {cardinal(int(random.integers(1, 40)))}"
    return text


def clock(random: np.random.Generator) -> str:
    """A time of the day."""
    hour, minute = cardinal(int(random.integers(1, 13))), cardinal(int(random.integers(10, 60)))
    half = _pick(random, ("a m", "p m", "in the morning", "in the evening"))
    forms = (
        f"{hour} {minute} {half}", f"{hour} o'clock", f"half past {hour}", f"quarter to {hour}", f"quarter past {hour}",
        f"{minute} minutes to {hour}", f"{_pick(random, ONES[10:])} hundred hours", f"at {hour} {minute}",
    )  # fmt: skip
    return _pick(random, forms)


def call_sign(random: np.random.Generator) -> str:
    """Two or three letters of the radio alphabet and one or two figures."""
    letters = [_pick(random, LETTERS) for _ in range(int(random.integers(2, 4)))]
    figures = [_pick(random, DIGITS) for _ in range(int(random.integers(1, 3)))]
    return " ".join([*letters, *figures])


def command(random: np.random.Generator) -> str:
    """Something to be done by a machine."""
    place, number = _pick(random, PLACES), _number(random)
    forms = (
        f"turn {_pick(random, ('on', 'off'))} the {place} {_pick(random, SWITCHED)}",
        f"switch {_pick(random, ('on', 'off'))} the {_pick(random, SWITCHED)}",
        f"{_pick(random, ('open', 'close', 'lock', 'unlock'))} the {_pick(random, OPENED)}",
        f"set the {_pick(random, LEVELS)} to {number}",
        f"{_pick(random, ('raise', 'lower'))} the {_pick(random, LEVELS)} by {number}",
        f"call {_pick(random, STATIONS)}", f"go to the {place}",
        f"move {_pick(random, ('forward', 'back', 'left', 'right'))} {number} {_pick(random, UNITS)}",
        f"{_pick(random, ('start', 'stop', 'check', 'reset'))} the {_pick(random, SWITCHED)}",
        f"wake me at {clock(random)}", f"remind me on {_pick(random, DAYS)}", f"play number {number}",
    )  # fmt: skip
    return _pick(random, forms)


def radio(random: np.random.Generator) -> str:
    """Radio talk."""
    sign, phrase, station = call_sign(random), _pick(random, PROWORDS), _pick(random, STATIONS)
    figures = " ".join(_pick(random, DIGITS) for _ in range(3))
    forms = (
        f"{station} this is {sign}", f"{station} this is {sign} over", f"{sign} {phrase}", phrase, f"{phrase} over",
        f"{station} {phrase}", f"frequency {figures} decimal {_pick(random, DIGITS)}", f"heading {figures}", sign,
        f"my position is {figures} north {figures} west", f"{sign} cleared to land", f"channel {_number(random)}",
    )  # fmt: skip
    return _pick(random, forms)


def number(random: np.random.Generator) -> str:
    """A number, or a place in a row."""
    return _number(random) if random.random() < 0.8 else ordinal(int(random.integers(1, 100)))


def phrase(random: np.random.Generator) -> str:
    """A word or two that machines are told."""
    return _pick(random, PHRASES)


KINDS: dict[str, tuple[Callable[[np.random.Generator], str], float]] = {
    "command": (command, 0.28), "radio": (radio, 0.27), "digits": (digits, 0.15), "date": (date, 0.1),
    "clock": (clock, 0.09), "number": (number, 0.06), "phrase": (phrase, 0.05),
}  # fmt: skip


def domain(random: np.random.Generator) -> str:
    """A text of the domain: commands, radio talk, digits, dates, times, numbers, phrases."""
    names = list(KINDS)
    name = names[int(random.choice(len(names), p=[KINDS[n][1] for n in names]))]
    return KINDS[name][0](random)


def sentence(random: np.random.Generator) -> str:
    """A plain sentence of about ten words."""
    parts = [_pick(random, WHO), _pick(random, DID), _pick(random, WHAT)]
    if random.random() < 0.75:
        parts.insert(0 if random.random() < 0.25 else 3, _pick(random, WHEN))
    if random.random() < 0.35:
        parts.append(_pick(random, ADDED))
    return " ".join(parts)


@lru_cache(maxsize=1)
def words() -> list[str]:
    """The words of the domain's texts, sorted."""
    random = np.random.default_rng(5)
    return sorted({word for _ in range(60_000) for word in domain(random).split()})


def row(random: np.random.Generator) -> str:
    """One to seven words of the domain in any order: what a recogniser cannot guess, it must hear."""
    figures = [*DIGITS, *LETTERS, "niner"]
    said: list[str] = []
    for _ in range(int(random.integers(1, 8))):
        again = said and random.random() < 0.06
        said.append(said[-1] if again else _pick(random, figures if random.random() < 0.25 else words()))
    return " ".join(said)

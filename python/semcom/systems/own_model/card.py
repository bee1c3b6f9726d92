# SPDX-License-Identifier: GPL-3.0-or-later
"""The card of somebody's own model: what it takes, what it gives, and how that becomes a payload.

The schema is docs/own_model.md's. Cards are checked without looking into the model files, so this is light enough for
Companion, which asks at every redraw. Every error is one line that names file, field, what was expected and found.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...zoo.files import LARGEST_FILE
from ...zoo.network import SUFFIXES
from .shapes import FREE, SYMBOLS, Tensor

LARGEST_CARD = 1 << 16  # bytes
MIB = 1 << 20
DEFAULT_LARGEST_MIB = 128
MOST_LEVELS = 1 << 16
FLOATS = ("float32", "float16")
INTEGERS = ("uint8", "int32", "int64")
PICKLES = (".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".h5", ".joblib")
_FIELDS = (
    "name message payload code power levels threshold bit_values range multiple tile largest_mib encoder decoder about"
).split()
_END_FIELDS = "file sha256 input output esn0_db".split()


@dataclass(frozen=True)
class End:
    """One of the two networks. `esn0_db` is the type of its second input, where it takes the Es/N0 in dB."""

    file: str
    sha256: str | None
    input: Tensor
    output: Tensor
    esn0_db: Tensor | None


@dataclass(frozen=True)
class Card:
    """A card that is right in itself. `tile` holds the fixed sizes of the symbols, empty where sizes are free."""

    path: Path
    name: str
    message: str
    payload: str
    code: str
    power: str
    levels: int
    threshold: float
    bit_values: tuple[float, float]
    range: tuple[float, float]
    multiple: int
    tile: dict[str, int]
    largest: int
    encoder: End
    decoder: End

    @property
    def bits_per_index(self) -> int:
        """Bits of one index."""
        return (self.levels - 1).bit_length()

    @property
    def grain(self) -> dict[str, int]:
        """Messages are padded to multiples of these sizes."""
        return self.tile or dict.fromkeys(SYMBOLS[self.message], self.multiple)

    def error(self, where: str, expected: str, found: object) -> ValueError:
        """The one line of a wrong field."""
        return _error(self.path, where, expected, found)


def shipped_card() -> Path:
    """The example that comes with the module; ValueError where it was not installed."""
    package = Path(__file__).resolve().parents[2]
    places = [package.parents[1] / "examples", *(p / "share/gr-semcom/examples" for p in package.parents)]
    for place in places:
        if (card := place / "own_model" / "card.yml").is_file():
            return card
    raise ValueError("the example card own_model/card.yml was not installed: give the path of a card")


def read_card(path: Path) -> Card:
    """The card in a file; ValueError for everything that is wrong with it or missing beside it."""
    fields = _load(path)
    check = _Check(path, fields)
    check.known(_FIELDS, fields, "")
    message = check.choice("message", ("image", "speech", "text"))
    payload = check.choice("payload", ("bits", "symbols"))
    code = check.choice("code", ("pairs",) if payload == "symbols" else ("logits", "indices"))
    check.only("power", payload == "symbols", "payload: symbols")
    check.only("levels", code == "indices", "code: indices")
    check.only("threshold", code == "logits", "code: logits")
    check.only("bit_values", code == "logits", "code: logits")
    check.only("multiple", "tile" not in fields, "free sizes, without tile")
    encoder, decoder = check.end("encoder"), check.end("decoder")
    scaled = message != "text" and any(t.dtype in FLOATS for t in (encoder.input, decoder.output))
    check.only("range", scaled, "pictures or speech as floats")
    symbols = SYMBOLS[message]
    card = Card(
        path,
        check.text("name"),
        message,
        payload,
        code,
        check.choice("power", ("unit", "none")) if payload == "symbols" else "none",
        check.whole("levels", 2, MOST_LEVELS) if code == "indices" else 2,
        check.numbers("threshold", 1, (0.0,))[0],
        check.numbers("bit_values", 2, (-1.0, 1.0)),
        check.numbers("range", 2, (0.0, 1.0) if message == "image" else (-1.0, 1.0)),
        check.whole("multiple", 1, 1 << 16, 1),
        dict(zip(symbols, check.sizes("tile", len(symbols)), strict=False)),
        check.whole("largest_mib", 1, LARGEST_FILE // MIB, DEFAULT_LARGEST_MIB) * MIB,
        encoder,
        decoder,
    )
    if card.range[0] == card.range[1]:
        raise card.error("range", "two different numbers", fields["range"])
    if card.bit_values[0] == card.bit_values[1]:
        raise card.error("bit_values", "two different numbers", fields["bit_values"])
    _check_message(card, "encoder.input", encoder.input)
    _check_message(card, "decoder.output", decoder.output)
    _check_code(card)
    return card


def _check_message(card: Card, where: str, tensor: Tensor) -> None:
    """The message's own tensor: each symbol once, 3 colours for pictures, every other axis 1."""
    symbols = list(SYMBOLS[card.message])
    plain = sorted(axis.text for axis in tensor.axes if axis.text != "1")
    wanted = sorted(symbols + (["3"] if card.message == "image" else []))
    if plain != wanted:
        expected = "the axes 3, H and W" if card.message == "image" else "the axis N"
        raise card.error(where, f"{expected} in any order, every other axis 1", tensor)
    if card.message == "text" and tensor.dtype not in INTEGERS:
        raise card.error(where, f"a type of {', '.join(INTEGERS)} for bytes of text", tensor)
    if card.message != "text" and tensor.dtype not in FLOATS + (("uint8",) if card.message == "image" else ()):
        raise card.error(where, "float32, float16 or, for pictures, uint8", tensor)


def _check_code(card: Card) -> None:
    """The payload's tensors: types that fit the code, known symbols, whole sizes, as many values at both ends."""
    sent, received = card.encoder.output, card.decoder.input
    types = INTEGERS if card.code == "indices" else FLOATS
    if sent.dtype not in types:
        raise card.error("encoder.output", f"a type of {', '.join(types)} for code: {card.code}", sent)
    if received.dtype not in (FLOATS + INTEGERS if card.code == "indices" else FLOATS):
        raise card.error("decoder.input", f"a type of {', '.join(types)} for code: {card.code}", received)
    exact = {"uint8": 1 << 8, "float16": 1 << 11}
    for where, tensor in (("encoder.output", sent), ("decoder.input", received)):
        if card.code == "indices" and card.levels > exact.get(tensor.dtype, MOST_LEVELS):
            raise card.error(where, f"a type that holds {card.levels} levels", tensor)
    known = (*SYMBOLS[card.message], FREE)
    for where, tensor in (("encoder.output", sent), ("decoder.input", received)):
        for axis in tensor.axes:
            unknown = [symbol for symbol in axis.symbols if symbol not in known]
            if unknown:
                raise card.error(where, f"the symbols {', '.join(known)}", tensor)
            if FREE in axis.symbols:
                if axis.symbols != (FREE,) or axis.factor.denominator != 1:
                    raise card.error(where, f"{FREE} alone or times a number", tensor)
                continue
            grains = math.prod(card.grain[symbol] for symbol in axis.symbols)
            if (axis.factor * grains).denominator != 1:
                fix = "a tile" if card.tile else f"a multiple (now {card.multiple})"
                raise card.error(where, f"{fix} that makes {axis.text} a whole number", tensor)
    if (sent.symbols, sent.factor) != (received.symbols, received.factor):
        raise card.error("decoder.input", f"as many values as encoder.output gives, {sent}", received)
    if sent.symbols.count(FREE) > 1:
        raise card.error("encoder.output", f"{FREE} once", sent)
    if FREE in sent.symbols and card.tile:
        raise card.error("encoder.output", f"no {FREE} together with tile: the receiver could not cut the tiles", sent)
    if FREE in sent.symbols and card.code == "pairs" and sent.factor % 2:
        raise card.error("encoder.output", f"an even number of values for each {FREE}: they are sent in pairs", sent)


class _Check:
    """Takes fields out of a card, each with its own error."""

    def __init__(self, path: Path, fields: dict[str, Any]) -> None:
        self.path, self.fields = path, fields

    def error(self, where: str, expected: str, found: object) -> ValueError:
        return _error(self.path, where, expected, found)

    def known(self, names: list[str], fields: dict[str, Any], prefix: str) -> None:
        for key in fields:
            if key not in names:
                near = difflib.get_close_matches(str(key), names, 1)
                hint = f"{near[0]}?" if near else f"one of {', '.join(names)}"
                raise self.error(f"{prefix}{key!s:.40}", hint, "a field that cards do not have")

    def needed(self, key: str, expected: str) -> Any:
        if key not in self.fields:
            raise self.error(key, expected, "nothing")
        return self.fields[key]

    def only(self, key: str, allowed: bool, where: str) -> None:
        if key in self.fields and not allowed:
            raise self.error(key, f"this field only with {where}", self.fields[key])

    def text(self, key: str) -> str:
        value = self.needed(key, "a short text")
        if not isinstance(value, str) or not value.strip() or len(value) > 200 or "\n" in value:
            raise self.error(key, "a text of one line", value)
        return value

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.fields.get(key, choices[0]) if len(choices) == 1 else self.needed(key, " or ".join(choices))
        if value not in choices:
            raise self.error(key, " or ".join(choices), value)
        return value

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        expected = f"a whole number from {low} to {high}"
        value = self.fields.get(key, default) if default is not None else self.needed(key, expected)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(key, expected, value)
        return value

    def numbers(self, key: str, count: int, default: tuple[float, ...]) -> Any:
        if key not in self.fields:
            return default
        value = self.fields[key]
        several = value if isinstance(value, list) else [value]
        good = all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= 1e6 for v in several)
        if len(several) != count or not good:
            raise self.error(key, "a number" if count == 1 else f"{count} numbers, as [0, 1]", value)
        return tuple(float(v) for v in several)

    def sizes(self, key: str, count: int) -> list[int]:
        if key not in self.fields:
            return []
        value = self.fields[key]
        several = value if isinstance(value, list) else [value]
        good = all(isinstance(v, int) and not isinstance(v, bool) and 1 <= v <= 1 << 16 for v in several)
        if len(several) != count or not good:
            raise self.error(key, "height and width, as [64, 64]" if count == 2 else "a whole number above 0", value)
        return several

    def end(self, key: str) -> End:
        fields = self.needed(key, "file, input and output of the network")
        if not isinstance(fields, dict):
            raise self.error(key, "file, input and output of the network", fields)
        self.known(_END_FIELDS, fields, f"{key}.")
        file = fields.get("file")
        if not isinstance(file, str) or Path(file).name != file or "\0" in file or not file:
            raise self.error(f"{key}.file", "the name of a file beside the card, without a folder", file)
        suffix = Path(file).suffix
        if suffix not in SUFFIXES:
            pickled = "; a pickle runs any code when it is loaded: export the model" if suffix in PICKLES else ""
            raise self.error(f"{key}.file", f"a name that ends in {', '.join(SUFFIXES)}{pickled}", file)
        path = self.path.parent / file
        if not path.is_file():
            raise self.error(f"{key}.file", "a file beside the card", f"no {path}")
        sha256 = fields.get("sha256")
        if sha256 is not None and not (isinstance(sha256, str) and re.fullmatch("[0-9a-f]{64}", sha256)):
            raise self.error(f"{key}.sha256", f"64 hexadecimal digits, what `sha256sum {path}` prints", sha256)
        esn0_db = self.tensor(f"{key}.esn0_db", fields["esn0_db"]) if "esn0_db" in fields else None
        if esn0_db is not None and (esn0_db.dtype not in FLOATS or esn0_db.symbols or esn0_db.factor != 1):
            raise self.error(f"{key}.esn0_db", "one number, such as float32 [1]", esn0_db)
        source, sink = (self.tensor(f"{key}.{name}", fields.get(name)) for name in ("input", "output"))
        return End(file, sha256, source, sink, esn0_db)

    def tensor(self, where: str, value: object) -> Tensor:
        try:
            return Tensor.parse(value)
        except ValueError as error:
            raise self.error(where, str(error).removeprefix("expected "), value) from None


def _load(path: Path) -> dict[str, Any]:
    """The fields of a YAML file, without aliases, repeated keys or tags of any kind."""
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("aliases (*name) are not allowed")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [key.value for key, _ in node.value]
            if len(set(map(str, keys))) != len(keys):
                raise ValueError("a field stands there twice")
            return super().construct_mapping(node, deep)

    try:
        if not path.is_file():
            raise FileNotFoundError(2, "there is no such file")
        with path.open("rb") as file:
            content = file.read(LARGEST_CARD + 1)
    except (OSError, ValueError) as error:
        raise _error(path, "card", "a file", getattr(error, "strerror", None) or error) from error
    if len(content) > LARGEST_CARD:
        raise _error(path, "card", f"at most {LARGEST_CARD} bytes", f"more than {LARGEST_CARD}")
    try:
        fields = yaml.load(content, Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        text = " ".join(str(error).split())[:200]
        raise _error(path, "card", "a YAML file with one field a line", text) from None
    if not isinstance(fields, dict):
        raise _error(path, "card", "a YAML file with one field a line", fields)
    return fields


def _error(path: Path, where: str, expected: str, found: object) -> ValueError:
    text = str(found) if isinstance(found, str | Tensor) else "nothing" if found is None else repr(found)
    return ValueError(f"{path}: {where}: expected {expected}; found {' '.join(text.split())[:200]}")

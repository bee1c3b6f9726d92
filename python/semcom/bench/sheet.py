# SPDX-License-Identifier: GPL-3.0-or-later
"""A YAML file whose errors can name the line, and with scalars as people mean them.

PyYAML reads `0:12:1` as a number in base sixty, `1e5` as a word and `no` as false; here only `true`, `false`, `null`
and decimal numbers are more than words.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1 << 20
MAX_VALUES = 100_000
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}

Path_ = tuple[str | int, ...]


class Sheet:
    """The content of a YAML file and the line of each of its keys and items."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: dict[Path_, int] = {(): 1}
        self._values = 0
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ValueError(f"{path}: larger than {MAX_BYTES >> 20} MiB, which no sweep is")
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not a text file in UTF-8: {error}") from error
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f", line {mark.line + 1}" if mark else ""
            problem = getattr(error, "problem", None) or str(error)
            raise ValueError(f"{path}{where}: not YAML: {' '.join(problem.split())}") from error
        self.content: Any = self._value(node, ()) if node is not None else None

    def _value(self, node: yaml.Node, where: Path_, depth: int = 0) -> Any:
        self._lines.setdefault(where, node.start_mark.line + 1)
        self._values += 1
        if depth > 20 or self._values > MAX_VALUES:  # aliases can make much of a small file
            raise self.error(where, "nested too deeply" if depth > 20 else f"more than {MAX_VALUES} values")
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = str(key_node.value)
                if not isinstance(key_node, yaml.ScalarNode):
                    raise self.error(where, "a key must be a word")
                if key in found:
                    self._lines[(*where, key)] = key_node.start_mark.line + 1
                    raise self.error((*where, key), f"{key} is given twice")
                self._lines[(*where, key)] = key_node.start_mark.line + 1
                found[key] = self._value(value_node, (*where, key), depth + 1)
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*where, k), depth + 1) for k, item in enumerate(node.value)]
        return _scalar(node)

    def line(self, where: Path_) -> int:
        """The line of a key or item, or of what holds it."""
        while where not in self._lines:
            where = where[:-1]
        return self._lines[where]

    def error(self, where: Path_, message: str) -> ValueError:
        """An error that points at the line."""
        return ValueError(f"{self.path}, line {self.line(where)}: {message}")

    def keys(self, where: Path_, found: Any, known: Any, what: str) -> dict[str, Any]:
        """`found` as a mapping with no key but the known ones."""
        if not isinstance(found, dict):
            raise self.error(where, f"{what} must be keys with values, not {found!r:.60}")
        known = list(known)
        for key in found:
            if key not in known:
                raise self.error((*where, key), unknown(key, known, what))
        return found


def unknown(key: str, known: Iterable[str], what: str) -> str:
    """The message for a key that nobody knows, with the likeliest one that was meant."""
    names = list(known)
    if key in ("snr_db", "snr", "ebn0_db", "ebno_db") and "esn0_db" in names:
        return f"unknown key {key!r} of {what}: SNR is esn0_db here, Es/N0 in dB a complex symbol"
    near = difflib.get_close_matches(key, names, 1, 0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown key {key!r} of {what}: {hint}expected one of {', '.join(names)}"


def _scalar(node: yaml.Node) -> Any:
    text = str(node.value)
    if getattr(node, "style", None) in ("'", '"', "|", ">"):
        return text
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        return text
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)

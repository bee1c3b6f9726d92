# SPDX-License-Identifier: GPL-3.0-or-later
"""The character n-gram of a model, learned from texts.

`python -m gnuradio.semcom.systems.deepsc_st.ngram --texts domain --output models/deepsc_st/mine/ngram.npz`
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from pathlib import Path

import numpy as np

from ...speech.beam import CharacterNgram
from ...text.alphabet import normalise
from .data import read_manifest
from .synthetic import texts


def training_texts(sources: list[Path]) -> list[str]:
    """Transcripts of the split train of folders, and the lines of text files."""
    found: list[str] = []
    for source in sources:
        if source.is_file():
            found += source.read_text(encoding="utf-8").splitlines()
        else:
            found += [row["transcript"] for row in read_manifest(source) if row.get("split", "train") == "train"]
    return [text for line in found if (text := normalise(line))]


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m gnuradio.semcom.systems.deepsc_st.ngram", description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--order", type=int, default=6)
    parser.add_argument("--texts", choices=("domain", "sentences"), help="training texts of our grammar")
    parser.add_argument("--count", type=int, default=40_000, help="how many of them")
    parser.add_argument("--from", dest="sources", type=Path, action="append", default=[], help="folder or text file")
    arguments = parser.parse_args(argv)
    try:
        found = training_texts(arguments.sources)
        if arguments.texts:
            found += islice(texts(arguments.texts, "train", np.random.default_rng(1), []), arguments.count)
        if not found:
            raise ValueError("no texts: name --texts or --from")
        CharacterNgram.learn(found, arguments.order).save(arguments.output)
    except (ValueError, OSError) as error:
        print(f"ngram: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""CTC decoders against hand-worked cases and against the sum over all paths."""

import itertools
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gnuradio.semcom.speech.beam import CharacterNgram, beam
from gnuradio.semcom.speech.ctc import ALPHABET, BLANK, INDEX, TOKENS, greedy

NEVER = -30.0


def logits(rows: list[dict[str, float]]) -> np.ndarray:
    """Log-probabilities from tables of probabilities; "-" is the blank."""
    out = np.full((len(rows), TOKENS), NEVER)
    for row, table in zip(out, rows, strict=True):
        for letter, probability in table.items():
            row[BLANK if letter == "-" else INDEX[letter]] = np.log(probability)
    return out


def test_alphabet_is_the_papers() -> None:
    assert len(ALPHABET) == 28 and TOKENS == 29 and BLANK == 28


@pytest.mark.parametrize(
    ("path", "text"),
    [("aab-b", "abb"), ("--", ""), ("", ""), ("a a", "a a"), (" -a- -", "a"), ("hh-ee-l-l-oo", "hello")],
)
def test_greedy_merges_repeats_and_drops_blanks(path: str, text: str) -> None:
    assert greedy(logits([{c: 1.0} for c in path]) if path else np.zeros((0, TOKENS))) == text


def best_by_all_paths(scores: np.ndarray, letters: str) -> str:
    """The most probable text, by adding up every path over a few letters."""
    total: dict[str, float] = {}
    for path in itertools.product([*letters, "-"], repeat=len(scores)):
        probability = float(np.exp(sum(s[BLANK if c == "-" else INDEX[c]] for s, c in zip(scores, path, strict=True))))
        merged = "".join(c for c, _ in itertools.groupby(path)).replace("-", "")
        total[merged] = total.get(merged, 0.0) + probability
    return max(total, key=lambda text: total[text])


def test_beam_adds_up_the_ways_to_say_a_text() -> None:
    scores = logits([{"a": 0.4, "-": 0.6}, {"a": 0.4, "-": 0.6}])
    assert greedy(scores) == ""  # 0.36 alone, but "a" has 0.64
    assert beam(scores) == "a" == best_by_all_paths(scores, "a")


def test_beam_agrees_with_the_sum_over_all_paths() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        scores = np.full((5, TOKENS), NEVER)
        tokens = [INDEX["a"], INDEX["b"], BLANK]
        scores[:, tokens] = np.log(random.dirichlet(np.ones(3), 5))
        assert beam(scores, width=64) == best_by_all_paths(scores, "ab")


def test_ngram_probabilities_are_those_of_witten_and_bell_by_hand() -> None:
    ngram = CharacterNgram.learn(["ab", "ac", "ab"], order=2)
    # single characters: a 3, b 2, c 1, space 3 of 9, 4 kinds; after "a": b 2, c 1, 2 kinds
    single = {"a": (3 + 4 / 28) / 13, "b": (2 + 4 / 28) / 13, "c": (1 + 4 / 28) / 13, "z": (4 / 28) / 13}
    after = np.exp(ngram.log_probabilities("a"))
    assert after[INDEX["b"]] == pytest.approx((2 + 2 * single["b"]) / 5)
    assert after[INDEX["c"]] == pytest.approx((1 + 2 * single["c"]) / 5)
    assert after[INDEX["z"]] == pytest.approx(2 * single["z"] / 5)
    assert after.sum() == pytest.approx(1) and np.exp(ngram.log_probabilities("zz")).sum() == pytest.approx(1)


def test_ngram_decides_between_texts_that_sound_alike() -> None:
    ngram = CharacterNgram.learn(["the red boat", "a red house", "read the letter"] * 3)
    scores = logits([{c: 1.0} for c in "the r"] + [{"e": 0.45, "a": 0.55}, {"d": 1.0}])
    assert greedy(scores) == "the rad" and beam(scores, ngram) == "the red"


def test_ngram_file_comes_back_and_a_bad_one_is_refused(tmp_path: Path) -> None:
    ngram = CharacterNgram.learn(["over and out", "roger that"], order=4)
    path = tmp_path / "ngram.npz"
    ngram.save(path)
    back = CharacterNgram.load(path)
    assert back.order == 4 and np.array_equal(back.log_probabilities("rog"), ngram.log_probabilities("rog"))
    for name, content in (("text", b"no archive"), ("empty", b"")):
        bad = tmp_path / name
        bad.write_bytes(content)
        with pytest.raises(ValueError, match="no character n-gram"):
            CharacterNgram.load(bad)
    np.savez(tmp_path / "order.npz", order=99, steps=np.ones(2, np.uint64), counts=np.ones(2, np.uint32))
    with pytest.raises(ValueError, match="order"):
        CharacterNgram.load(tmp_path / "order.npz")
    np.savez(tmp_path / "object.npz", order=2, steps=np.array([object()]), counts=np.ones(1, np.uint32))
    with pytest.raises(ValueError, match="no character n-gram"):
        CharacterNgram.load(tmp_path / "object.npz")
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("steps.npy", bytes(30_000_000))
    with pytest.raises(ValueError, match="too large"):
        CharacterNgram.load(tmp_path / "bomb.npz")


def test_beam_needs_a_width() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        beam(np.zeros((3, TOKENS)), width=0)
    assert beam(np.zeros((0, TOKENS))) == ""

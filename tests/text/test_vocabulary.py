# SPDX-License-Identifier: GPL-3.0-or-later
"""Words by number, and redundancy removal by hand."""

import numpy as np
import pytest

from gnuradio.semcom.text.vocabulary import EOS, PAD, UNK, build, kept, read


def test_the_most_frequent_words_come_first_and_others_are_unknown():
    found = build(["the cat the dog", "a dog the end"], 3)
    assert found.words == ("the", "dog", "a") and found.counts == (3, 2, 1) and len(found) == 6
    assert found.encode("the cat a").tolist() == [3, UNK, 5] and found.encode("").size == 0
    assert found.decode([3, UNK, EOS, 4, PAD, 99, -1]) == "the dog"
    assert found.information[3] == pytest.approx(1) and found.information[:3].tolist() == [0, 0, 0]


def test_a_vocabulary_survives_its_file(tmp_path):
    found = build(["it's a fine day", "a day"], 10)
    found.write(tmp_path / "words.txt")
    assert read((tmp_path / "words.txt").read_text()) == found


@pytest.mark.parametrize("content", ["", "word\n", "word\t0\n", "word\tx\n", "Word\t1\n", "a\t1\na\t2\n", "a b\t1\n"])
def test_what_is_no_vocabulary_is_refused_by_name(content):
    with pytest.raises(ValueError, match=r"^here\.txt"):
        read(content, "here.txt")


def test_a_vocabulary_needs_a_word():
    with pytest.raises(ValueError, match="at least one word"):
        build(["", " "], 5)


@pytest.mark.parametrize(
    ("ids", "places"),
    [
        ([], []), ([EOS], []), ([EOS, 7, 8], []), ([7, 8, EOS], [0, 1]), ([7, UNK, 8, PAD, 9, EOS, 10], [0, 2, 4]),
        ([UNK, UNK, EOS], []), ([7, 8], [0, 1]), ([PAD, PAD], []),
    ],
)  # fmt: skip
def test_what_is_kept_stands_before_the_first_end_and_is_a_word(ids, places):
    assert kept(ids) == places


def test_removal_of_the_papers_table_iii():
    """q = 34, c = 5: the loop ends after 5 words. q = 72, c = 39: 39 words among 3 unknown ones, then the end."""
    first = [10, 11, 12, 13, 14, EOS] + [EOS] * 28
    assert len(first) == 34 and kept(first) == [0, 1, 2, 3, 4]
    second = [20] * 13 + [UNK] + [21] * 13 + [UNK, UNK] + [22] * 13 + [EOS] + [PAD] * 29
    assert len(second) == 72 and len(kept(second)) == 39
    assert np.round(100 * (1 - np.array([len(kept(first)) / 34, len(kept(second)) / 72])), 1).tolist() == [85.3, 45.8]

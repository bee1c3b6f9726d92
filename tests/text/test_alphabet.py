# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts get into the alphabet as they are spoken."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnuradio.semcom.text import huffman
from gnuradio.semcom.text.alphabet import ALPHABET, encode_text, normalise
from gnuradio.semcom.text.numbers import cardinal, ordinal, spell_numbers, year


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("HE HOPED THERE WOULD BE STEW", "he hoped there would be stew"),
        ("Author of the danger trail, Philip Steels, etc.", "author of the danger trail philip steels etc"),
        ("Mr. O'Brien’s “dog” didn’t bark -- 'so' what?", "mister o'brien's dog didn't bark so what"),
        ("café, naïve & Ωmega", "cafe naive and mega"),
        ("In 1905 I paid 1,204.50; the 21st, 3rd and 12th of 40 %",
         "in nineteen oh five i paid one thousand two hundred four point five zero the twenty first third and twelfth "
         "of forty percent"),
        ("Agent 007, line 2000", "agent zero zero seven line two thousand"),
        ("", ""),
        (" \n\t ", ""),
        ("日本", ""),
    ],
)  # fmt: skip
def test_known_texts(written, spoken):
    assert normalise(written) == spoken


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_any_text_ends_in_the_alphabet_and_stays_there(text):
    once = normalise(text)
    assert set(once) <= set(ALPHABET) and normalise(once) == once
    assert "".join(ALPHABET[k] for k in encode_text(text)) == once


def test_numbers():
    assert [cardinal(n) for n in (0, 19, 20, 99, 100, 342, 1_000_001)] == [
        "zero", "nineteen", "twenty", "ninety nine", "one hundred", "three hundred forty two", "one million one",
    ]  # fmt: skip
    assert [ordinal(n) for n in (1, 2, 5, 20, 31)] == ["first", "second", "fifth", "twentieth", "thirty first"]
    assert (year(1900), year(1066 + 600)) == ("nineteen hundred", "sixteen sixty six")
    assert spell_numbers("9" * 20).split() == ["nine"] * 20


def test_the_huffman_code_is_optimal_for_a_known_case_and_complete():
    # Huffman's own kind of example: frequencies 1 1 2 4 give lengths 3 3 2 1
    assert huffman.code_lengths([1, 1, 2, 4]) == [3, 3, 2, 1]
    words = huffman.code_words()
    assert sum(2.0 ** -len(word) for word in words) == 1.0  # Kraft
    assert not any(a != b and b.startswith(a) for a in words for b in words)
    p = np.array(huffman.FREQUENCIES) / sum(huffman.FREQUENCIES)
    mean, entropy = float(p @ [len(w) for w in words]), float(-(p * np.log2(p)).sum())
    assert entropy <= mean < entropy + 0.1


@settings(max_examples=100, deadline=None)
@given(st.text(ALPHABET, max_size=60))
def test_a_text_comes_back_from_its_bits(text):
    text = " ".join(text.split())
    assert huffman.decode(huffman.encode(text)) == (text, 0)


def test_damage_leaves_a_gap_and_the_rest_is_in_step_again():
    text = "perhaps she had already met her fate a little deeper in the forest"
    bits = huffman.encode(text)
    ok = np.ones(bits.size, bool)
    ok[100:140] = False
    found, gaps = huffman.decode(bits, ok)
    assert gaps == 1 and found.startswith("perhaps she had already") and found.endswith("deeper in the forest")
    assert huffman.decode(bits, np.zeros(bits.size, bool)) == ("", 1)
    assert huffman.decode(np.zeros(0, np.uint8)) == ("", 0)
    with pytest.raises(ValueError, match="'7'"):
        huffman.encode("7")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Shares of what redundancy removal keeps off the air, by hand."""

import pytest

from gnuradio.semcom.bench.speech import corpus_metrics
from gnuradio.semcom.metrics.removal import counts, removed_shares, shares
from gnuradio.semcom.text.vocabulary import EOS, PAD, UNK


def test_counts_of_one_utterance():
    assert counts([7, UNK, 8, EOS], 20) == {"steps": 4, "sent": 2, "unknown": 1, "states": 20}
    assert counts([EOS], 9) == {"steps": 1, "sent": 0, "unknown": 0, "states": 9}
    assert counts([7, PAD, 8], 9) == {"steps": 3, "sent": 2, "unknown": 1, "states": 9}  # stopped by the bound


@pytest.mark.parametrize(("padded", "sent", "percent"), [(34, 5, 85.3), (72, 39, 45.8)])
def test_both_rows_of_the_papers_table_iii(padded, sent, percent):
    assert round(100 * shares(sent, 0, padded)["removed_share"], 1) == percent


def test_the_parts_add_up():
    found = shares(39, 3, 72)
    assert found["removed_share_eos"] == pytest.approx(30 / 72) and found["removed_share_unk"] == pytest.approx(3 / 72)
    assert found["removed_share"] == pytest.approx(found["removed_share_eos"] + found["removed_share_unk"])
    with pytest.raises(ValueError, match="cannot have"):
        shares(5, 1, 5)


def test_sentences_are_padded_to_the_longest_of_their_batch_of_16():
    short = {"steps": 5, "sent": 4, "unknown": 0, "states": 40}
    long = {"steps": 10, "sent": 8, "unknown": 1, "states": 40}
    found = removed_shares([short] * 15 + [long] + [short] * 2)
    assert found["removed_share"][:15] == pytest.approx([0.6] * 15) and found["removed_share"][15] == pytest.approx(0.2)
    assert found["removed_share"][16:] == pytest.approx([0.2, 0.2])
    assert found["removed_of_states"][0] == pytest.approx(0.9)
    assert removed_shares([]) == {}


def test_a_corpus_has_the_mean_shares():
    removal = {"steps": 4, "sent": 2, "unknown": 1, "states": 8}
    found = corpus_metrics([{"removal": removal}, {"removal": removal}])
    assert found["removed_share"]["value"] == pytest.approx(0.5) and found["removed_of_states"]["value"] == 0.75
    assert "removed_share" not in corpus_metrics([{"symbols_total": 3}])

# SPDX-License-Identifier: GPL-3.0-or-later
"""The live encoder's bookkeeping, with a listener of known words: one for each level of half a second."""

from types import SimpleNamespace

import numpy as np
import pytest

from gnuradio.semcom.speech.attention import Heard
from gnuradio.semcom.systems.speech_to_text.live import LiveEncoder
from gnuradio.semcom.text.vocabulary import EOS, Vocabulary

WORDS = Vocabulary(tuple("abcdefgh"), (1,) * 8)
SECOND = 16_000


class Listener:
    """Reads each loud stretch of one level as a word; one that lasts less than half a second so far is guessed, and the
    guess is another one at each hearing."""

    vocabulary = WORDS
    heard = 0

    def hear(self, audio):
        self.heard += 1
        levels = np.round(np.abs(audio) * 10).astype(int)
        edges = np.flatnonzero(np.diff(levels)) + 1
        states = max(1, audio.size // 160)
        ids, looks = [], []
        for start, end in zip([0, *edges], [*edges, audio.size], strict=True):
            if end - start < SECOND // 10 or not levels[start]:
                continue
            over = end < audio.size or end - start >= SECOND // 2
            ids.append(2 + int(levels[start]) if over else 3 + (int(levels[start]) + self.heard) % 8)
            looks.append(np.eye(states, dtype=np.float32)[min(states - 1, (start + end) // 320)])
        vectors = np.array([*ids, 0], np.float32)[:, None]
        weights = np.array([*looks, np.zeros(states, np.float32)])
        return Heard(np.array([*ids, EOS]), vectors, weights, np.ones(len(ids) + 1, np.float32), False)


def encoder(**settings):
    def send(vectors, ids, quality):
        assert vectors[:, 0].tolist() == ids.tolist()
        return np.ones(4 * len(ids), np.complex64), {"layout": {"words": len(ids)}}

    return LiveEncoder(SimpleNamespace(semantic=Listener(), send=send), **settings)


def spoken(text):
    levels = [0.0 if c == " " else (WORDS.words.index(c) + 1) / 10 for c in text]
    return np.repeat(np.array(levels, np.float32), SECOND // 2) * np.tile([1, -1], len(text) * SECOND // 4)


def said(stream, speech, step):
    found = [w for k in range(0, speech.size, step) for w in stream.push(speech[k : k + step])]
    return found + stream.flush()


@pytest.mark.parametrize("step", [160, 3000, 8000, 100_000])
def test_pieces_of_any_size_give_the_same_words(step):
    speech = spoken("abcd efgh")
    one, other = said(encoder(hop_s=0.25), speech, 320), said(encoder(hop_s=0.25), speech, step)
    assert [(w.text, w.delays_s) for w in one] == [(w.text, w.delays_s) for w in other]
    assert " ".join(w.text for w in one) == "a b c d e f g h"
    assert sum(w.symbols.size for w in one) == 32


def test_words_are_sent_before_the_speaker_ends_and_only_when_two_hearings_agree():
    stream = encoder(hop_s=0.25)
    found = []
    for k, piece in enumerate(np.split(spoken("abcdefgh"), 16)):
        found += [(k, w.text) for w in stream.push(piece)]
    assert found[0][0] <= 4 and "".join(text for _, text in found).replace(" ", "") == "abcdefgh"[: len(found)]
    assert len(found) >= 6


def test_speech_without_pauses_is_cut_behind_committed_words():
    text = "abcdefgh" * 5
    stream = encoder(hop_s=0.25, window_s=2.0)
    longest, found = 0, []
    for piece in np.split(spoken(text), len(text) * 2):
        found += stream.push(piece)
        longest = max(longest, stream.buffer.size)
    found += stream.flush()
    assert " ".join(w.text for w in found).split() == list(text) and longest <= 3 * SECOND


def test_delays_count_from_where_attention_looked():
    stream = encoder(hop_s=0.5, pause_s=0.5)
    found = said(stream, spoken("a"), 8000)
    assert [w.text for w in found] == ["a"] and found[0].delays_s == pytest.approx((0.25,), abs=0.01)


def test_nothing_said_is_nothing_sent():
    assert said(encoder(), np.zeros(40_000, np.float32), 1000) == [] and encoder().flush() == []


def test_impossible_windows_are_refused():
    with pytest.raises(ValueError, match="hop_s < window_s"):
        encoder(hop_s=3.0, window_s=2.0)
    with pytest.raises(ValueError, match="pause_s"):
        encoder(pause_s=9.0)

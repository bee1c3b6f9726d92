# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentence similarity against values that the embedder's own project publishes."""

from importlib.util import find_spec

import pytest

from gnuradio.semcom.metrics import similarity as module
from gnuradio.semcom.metrics.similarity import embedding, similarity

needs_embedder = pytest.mark.skipif(
    find_spec(module.PACKAGE) is None or find_spec("tokenizers") is None,
    reason=f"needs {module.PACKAGE} and tokenizers",
)


@needs_embedder
@pytest.mark.parametrize(
    ("left", "right", "cosine"),
    [
        ("The new movie is awesome", "The new movie is so great", 0.8939),
        ("The cat sits outside", "The cat plays in the garden", 0.6788),
        ("The cat sits outside", "A man is playing guitar", 0.0363),
    ],
)
def test_published_similarities(left, right, cosine):
    assert similarity(left, right) == pytest.approx(cosine, abs=2e-3)


@needs_embedder
def test_the_same_sentence_is_1_and_silence_0():
    assert similarity("turn on the light", "turn on the light") == pytest.approx(1, abs=1e-5)
    assert similarity("turn on the light", "") == 0 and similarity("", "turn on the light") is None
    assert embedding("a").shape == (384,)


def test_without_its_packages_there_is_no_value(monkeypatch):
    monkeypatch.setattr(module, "judge_installed", lambda *_: False)
    assert similarity("a", "b") is None

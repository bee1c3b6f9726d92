# SPDX-License-Identifier: GPL-3.0-or-later
"""The likelihood of texts by letters, against Torch's CTC loss and by hand."""

import numpy as np
import pytest

from gnuradio.semcom.speech.ctc_score import log_likelihoods
from gnuradio.semcom.text.alphabet import BLANK, encode_text

TEXTS = ["", "a", "aa", "hello", "a b", "bookkeeper", "this text has more letters than there are frames for it"]


def frames(steps: int) -> np.ndarray:
    logits = 3 * np.random.default_rng(steps).standard_normal((steps, 29))
    return (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)


@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_all_texts_at_once_are_torchs_loss_one_by_one(steps):
    torch = pytest.importorskip("torch")
    logs = frames(steps)
    found = log_likelihoods(logs, TEXTS)
    for text, value in zip(TEXTS, found, strict=True):
        letters = torch.from_numpy(encode_text(text).astype(np.int64))
        loss = torch.nn.functional.ctc_loss(
            torch.from_numpy(logs)[:, None].double(), letters[None], [steps], [len(letters)], BLANK, "sum"
        )
        if torch.isinf(loss):
            assert value < -1e20
        else:
            assert value == pytest.approx(-float(loss), rel=1e-6, abs=1e-6)


def test_two_frames_by_hand():
    shares = np.full((2, 29), 1e-12)
    shares[0, [0, BLANK]] = 0.6, 0.4
    shares[1, [0, BLANK]] = 0.3, 0.7
    # "a" is a a, a blank, blank a
    assert np.exp(log_likelihoods(np.log(shares), ["a", ""])) == pytest.approx([0.18 + 0.42 + 0.12, 0.28])
    assert log_likelihoods(np.log(shares), ["aa"])[0] < -20  # a a needs a blank between

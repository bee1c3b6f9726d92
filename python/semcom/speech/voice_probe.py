# SPDX-License-Identifier: GPL-3.0-or-later
"""A small network that hears who speaks and how: the judge of voices, not part of any system.

It is trained apart from every system's own style encoder (`speech/voice_probe_train.py`), on other weights and with
whole speakers held out, and hears samples, sent and received alike. One graph, `probe`: log-mel frames [1, 80, T] of
what is said to emotion [1, 64], speaker [1, 64] and emotion scores [1, 8].
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .. import zoo
from ..message import Message
from ..metrics.voice import emotion_accuracy, emotion_cosine, speaker_cosine
from .mel import log_mel
from .recognisers.base import silent

SYSTEM = "voice_probe"
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
SAID = 3.5  # natural log of a magnitude: frames within 30 dB of the loud ones are said
LEAST_FRAMES = 16
CACHED = 2048
NAMES = ("speaker_cosine", "emotion_cosine", "emotion_accuracy")

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Voice:
    """Embeddings float32 [64] each, and the most likely emotion."""

    emotion: Floats
    speaker: Floats
    named: str


_heard: OrderedDict[tuple[str, bytes], Voice] = OrderedDict()

def said(speech: NDArray[np.floating]) -> Floats:
    """Log-mel float32 [80, T] of the frames in which something is said, of mean 0 whatever the level; T at least 16."""
    frames = log_mel(np.asarray(speech, np.float32).reshape(-1))
    levels = np.logaddexp.reduce(frames, axis=1)
    frames = frames[levels > np.quantile(levels, 0.95) - SAID]
    frames = np.resize(frames, (max(len(frames), LEAST_FRAMES), frames.shape[1]))  # repeats what is short
    return np.ascontiguousarray((frames - frames.mean()).T)


class VoiceProbe:
    """The trained network. `speaker_mean` and `emotion_mean` are those of its training set."""

    def __init__(self, variant: str) -> None:
        self.model = zoo.load(SYSTEM, variant, "cpu")
        self.model.session("probe")
        means = self.model.arrays("means.npz")
        self.speaker_mean, self.emotion_mean = means["speaker"], means["emotion"]

    def listen(self, speech: NDArray[np.floating]) -> Voice | None:
        """The voice of 16 kHz speech [n]; None for silence. The last ones are remembered."""
        samples = np.nan_to_num(np.ascontiguousarray(speech, np.float32).reshape(-1))
        if silent(samples):
            return None
        key = (str(self.model.folder), hashlib.sha256(samples.tobytes()).digest())
        if key not in _heard:
            emotion, speaker, scores = self.model.run("probe", said(samples)[None])
            _heard[key] = Voice(emotion[0], speaker[0], EMOTIONS[int(scores[0].argmax())])
            while len(_heard) > CACHED:
                _heard.popitem(last=False)
        return _heard[key]


@lru_cache(maxsize=1)
def probe() -> VoiceProbe | None:
    """The probe, None where its model is not here."""
    variants = zoo.available(SYSTEM)
    return VoiceProbe(variants[0]) if variants else None


def voice_metrics(sent: Message, received: Message) -> dict[str, float | None]:
    """`speaker_cosine` and `emotion_cosine` of what the probe hears in two utterances, its training means removed, and
    `emotion_accuracy`, 1 or 0, where the sent one has an `emotion` that the probe knows.

    Silence that was received is the worst; None for silence that was sent, and without the probe.
    """
    nothing: dict[str, float | None] = dict.fromkeys(NAMES)
    judge = probe()
    first = judge.listen(sent.data) if judge is not None else None
    if judge is None or first is None:
        return nothing
    named = sent.meta.get("emotion")
    named = named if named in EMOTIONS else None
    second = judge.listen(received.data)
    if second is None:
        return {"speaker_cosine": 0.0, "emotion_cosine": 0.0, "emotion_accuracy": None if named is None else 0.0}
    return {
        "speaker_cosine": speaker_cosine(first.speaker, second.speaker, judge.speaker_mean),
        "emotion_cosine": emotion_cosine(first.emotion, second.emotion, judge.emotion_mean),
        "emotion_accuracy": emotion_accuracy([named], [second.named]),
    }

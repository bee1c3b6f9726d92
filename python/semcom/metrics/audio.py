# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures of speech by public packages; each is None, with one warning, where its package is not installed."""

from __future__ import annotations

import logging
import threading
import warnings
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger("semcom.metrics")
SAMPLE_RATE = 16_000
EXTRA = "judges"
SHORTEST_STOI = 16_000 // 2  # samples; STOI looks at 384 ms at a time
SILENCE = 1e-4  # RMS, -80 dB
_lock = threading.Lock()


@lru_cache(maxsize=8)
def judge_installed(package: str, metric: str) -> bool:
    """Whether a package is here; where it is not, says so once."""
    if find_spec(package) is not None:
        return True
    log.warning("%s is left out: it needs %s, pip install 'gr-semcom[%s]'", metric, package, EXTRA)
    return False


def stoi(sent: NDArray[np.float32], received: NDArray[np.float32]) -> float | None:
    """Short-time objective intelligibility (Taal et al. 2011), 16 kHz [N] and [M] in step; the shorter is padded.

    Silence instead of speech is 0. None for less than half a second, for silence that was sent and without `pystoi`.
    """
    if not judge_installed("pystoi", "stoi") or sent.size < SHORTEST_STOI or _rms(sent) < SILENCE:
        return None
    aligned = np.zeros(sent.size, np.float32)
    count = min(sent.size, received.size)
    aligned[:count] = received[:count]
    if _rms(aligned) < SILENCE:
        return 0.0
    from pystoi import stoi as measure

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pystoi warns, and returns a made-up number, where too little is not silent
        try:
            value = float(measure(sent.astype(np.float64), aligned.astype(np.float64), SAMPLE_RATE))
        except RuntimeWarning:
            return None
    return value if np.isfinite(value) else None


def predicted_mos(speech: NDArray[np.float32]) -> float | None:
    """Quality from 1 to 5 that listeners would give, as `distillmos` predicts it for 16 kHz speech [N].

    None for less than half a second and without the package.
    """
    if not judge_installed("distillmos", "predicted_mos") or speech.size < SHORTEST_STOI:
        return None
    network = _mos_network()
    if network is None:
        return None
    import torch

    with torch.inference_mode(), _lock:  # one at a time: blocks run in threads of their own
        return float(network(torch.from_numpy(np.ascontiguousarray(speech, np.float32))))


@lru_cache(maxsize=1)
def _mos_network() -> Any:
    spec = find_spec("distillmos")
    assert spec is not None and spec.origin is not None
    try:
        from .distill_mos import load

        return load(Path(spec.origin).parent)
    except (ImportError, OSError, RuntimeError, KeyError) as error:
        log.warning("predicted_mos is left out: the weights of distillmos cannot be used (%s)", error)
        return None


def _rms(x: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) if x.size else 0.0

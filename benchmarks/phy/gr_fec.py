# SPDX-License-Identifier: GPL-3.0-or-later
"""gr-fec's LDPC decoder on a code like ours, for `ldpc.py`.

The code is 5G's base graph 2 with lifting size 160 and 1536 information bits, as ours, but with 19 rows of which all
bits are sent, (1536, 4576): gr-fec does not decode a code with punctured columns at all (their LLR 0 becomes NaN).
Words are coded, not all zeros: the decoder's NaNs decide for zeros, which would pass for success. It wants values that
are positive for a 1, and does not scale them as it says, so several scales are tried.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from gnuradio import blocks, fec, gr

from gnuradio.semcom.phy import LDPC5G, Modulation
from gnuradio.semcom.phy.channel import noise
from gnuradio.semcom.phy.snr import noise_var

K, ROWS, SYSTEMATIC = 1536, 19, 10
SCALES = (0.5, 1.0, 2.0)  # of the true LLRs, with the decoder told sigma = 1
BLOCKS = 40


def whole_words(bits: np.ndarray) -> np.ndarray:
    """Code words [B, 4576] with the information columns that 5G does not send."""
    z = LDPC5G(K, 3 * K).z
    code = LDPC5G(K, K - 2 * z + ROWS * z)
    assert (code.base_graph, code.z) == (2, z)
    return np.concatenate((bits[:, : 2 * z], code.encode(bits)), axis=1)


def edges() -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each 1 of the parity-check matrix; the fillers' columns are left out."""
    code = LDPC5G(K, 3 * K)
    starts, column, shift = code._used_edges
    lane = np.arange(code.z)
    row = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    rows = (row[:, None] * code.z + lane).ravel()
    columns = (column[:, None].astype(int) * code.z + (lane + shift[:, None]) % code.z).ravel()
    kept = (rows < ROWS * code.z) & ((columns < K) | (columns >= SYSTEMATIC * code.z))
    columns = columns - (SYSTEMATIC * code.z - K) * (columns >= K)
    return rows[kept], columns[kept]


def write_alist(path: Path) -> None:
    """The matrix in MacKay's format, counted from 1, lists filled up with zeros."""
    rows, columns = edges()
    lists = []
    for of, other in ((columns, rows), (rows, columns)):
        order = np.argsort(of, kind="stable")
        lists.append(np.split(other[order] + 1, np.cumsum(np.bincount(of))[:-1]))
    longest = [max(map(len, some)) for some in lists]
    lines = [f"{len(lists[0])} {len(lists[1])}", f"{longest[0]} {longest[1]}"]
    lines += [" ".join(str(len(entry)) for entry in some) for some in lists]
    for some, length in zip(lists, longest, strict=True):
        lines += [" ".join(map(str, [*entry, *[0] * (length - len(entry))])) for entry in some]
    path.write_text("\n".join(lines) + "\n")


def decode(decoder: Any, values: np.ndarray) -> tuple[np.ndarray, float]:
    """Decided bits [B, K] of the systematic positions that gr-fec chose, and processor seconds."""
    tb = gr.top_block()
    source, sink = blocks.vector_source_f(values.ravel().tolist()), blocks.vector_sink_b()
    block = fec.decoder(decoder, gr.sizeof_float, gr.sizeof_char)
    tb.connect(source, block, sink)
    begun = time.process_time()
    tb.run()
    seconds = time.process_time() - begun
    return np.array(sink.data(), np.uint8).reshape(-1, K), seconds


def measure(esn0_db: float, iterations: int) -> list[dict[str, float]]:
    """Speed and block error rate over AWGN with 16-QAM, for each scale of the input."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "code.alist"
        write_alist(path)
        decoder = fec.ldpc_decoder.make(str(path), 1.0, iterations)  # half a minute: dense matrices
    rng = np.random.default_rng(0)
    # Which bits are systematic is not told: words without noise show it.
    known = whole_words(rng.integers(0, 2, (64, K), dtype=np.uint8))
    shown, _ = decode(decoder, 8.0 * known - 4.0)
    place = {known[:, i].tobytes(): i for i in range(known.shape[1])}
    chosen = [place[column.tobytes()] for column in shown.T]
    modulation, variance = Modulation("16qam"), noise_var(esn0_db)
    words = whole_words(rng.integers(0, 2, (BLOCKS, K), dtype=np.uint8))
    symbols = modulation.map(words)
    llr = modulation.llr(symbols + noise(symbols.size, variance, rng).reshape(symbols.shape), variance)
    found = []
    for scale in SCALES:
        decided, seconds = decode(decoder, -scale * llr)
        failed = int(np.sum(np.any(decided != words[:, chosen], axis=1)))
        speed = BLOCKS * K / seconds / 1e6
        found.append({"scale": scale, "mbit_s": round(speed, 4), "blocks": BLOCKS, "failed": failed})
    return found

# SPDX-License-Identifier: GPL-3.0-or-later
"""Spectrograms and constellation as one PNG."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

WINDOW, HOP = 400, 160


def spectrogram_db(speech: NDArray[np.float32]) -> NDArray[np.float64]:
    """Levels in dB below the loudest, [bins, frames], windows of 25 ms every 10 ms; no less than -80 dB."""
    padded = np.pad(speech, (0, max(0, WINDOW - speech.size)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames, axis=1)).T ** 2
    return 10 * np.log10(np.maximum(power / max(power.max(), 1e-20), 1e-8))


def results_png(
    sent: NDArray[np.float32], received: NDArray[np.float32], symbols: NDArray[np.complex64]
) -> bytes:
    """Both spectrograms above each other on one time axis, the constellation beside them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 3)
    longest = max(sent.size, received.size) / 16_000
    for row, (title, speech) in enumerate((("sent", sent), ("received", received))):
        axes = figure.add_subplot(grid[row, :2])
        axes.set(title=title, ylabel="kHz", xlim=(0, longest), ylim=(0, 8))
        if speech.size:
            extent = (0, speech.size / 16_000, 0, 8)
            axes.imshow(spectrogram_db(speech), origin="lower", aspect="auto", extent=extent, cmap="magma")
        else:
            axes.text(longest / 2, 4, "text only: no voice", ha="center", va="center")
    axes.set_xlabel("s")
    axes = figure.add_subplot(grid[:, 2])
    axes.set(title="symbols behind the equaliser", xlabel="in phase", ylabel="quadrature", aspect="equal")
    axes.set(xlim=(-2.5, 2.5), ylim=(-2.5, 2.5))
    axes.plot(symbols.real, symbols.imag, ".", markersize=2, alpha=0.5)
    axes.grid(alpha=0.3)
    stream = io.BytesIO()
    canvas.print_png(stream)
    return stream.getvalue()

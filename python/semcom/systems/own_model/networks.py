# SPDX-License-Identifier: GPL-3.0-or-later
"""The two networks of a card: loaded, compared with the card, tried on a small message, then run with every check.

What a network does wrong, NaN or another shape than its card says, is a `ModelFault` that names card, network and
message: no channel does that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...zoo import Declared, Network, open_network, read_verified
from .card import FLOATS, Card, End
from .convert import (
    Sizes,
    as_message,
    from_bits,
    from_symbols,
    from_tensor,
    join,
    message_sizes,
    pad,
    tile_sizes,
    tiles,
    to_bits,
    to_symbols,
    to_tensor,
)
from .shapes import FREE, Tensor

TRIAL_SIZE = 32  # of a trial message, at least: rounded up to the card's grain
TRIAL_ESN0_DB = 10.0
CHANGED = "put the new one into the card, `sha256sum {path}` prints it, or take the field out"
Array = NDArray[Any]


class ModelFault(RuntimeError):
    """A model did what its card excludes."""


class Networks:
    """Encoder and decoder of a card on a device. ValueError where files, card and behaviour do not agree."""

    def __init__(self, card: Card, device: str) -> None:
        self.card = card
        self.encoder = self._open("encoder", card.encoder, device)
        self.decoder = self._open("decoder", card.decoder, device)
        self.provider = ", ".join(dict.fromkeys([self.encoder.provider, self.decoder.provider]))
        self._try()

    def _open(self, where: str, end: End, device: str) -> Network:
        card = self.card
        try:
            content = read_verified(card.path.parent, end.file, end.sha256, card.largest, CHANGED)
            network = open_network(end.file, content, device)
        except OSError as error:
            raise card.error(f"{where}.file", "a file that can be read", error.strerror) from error
        except ValueError as error:
            raise ValueError(f"{card.path}: {where}.file: {error}") from error
        for direction, declared in (("input", network.inputs), ("output", network.outputs)):
            expected = [end.input] + [end.esn0_db] * (end.esn0_db is not None) if direction == "input" else [end.output]
            if declared is not None and len(declared) != len(expected):
                names = ", ".join(item.name for item in declared)
                told = f"{len(expected)} {direction}{'s' * (len(expected) > 1)}"
                raise card.error(f"{where}.{direction}", f"the {len(declared)} that {end.file} has ({names})", told)
            for tensor, item in zip(expected, declared or (), strict=False):
                if tensor is not None and not _agrees(card, tensor, item):
                    field = "esn0_db" if tensor is end.esn0_db else direction
                    raise card.error(f"{where}.{field}", f"what {end.file} has, {_told(item)}", tensor)
        return network

    def _try(self) -> None:
        """Run both ends on small noise: wrong shapes and NaN show before the graph starts, and so does chance."""
        card = self.card
        random = np.random.default_rng(0)
        grain = list(card.grain.values())
        small = [-(-TRIAL_SIZE // size) * size for size in grain]
        wide = [*small[:-1], small[-1] + grain[-1]]
        for size in [grain] if card.tile else [small, wide]:
            colours = [3] if card.message == "image" else []
            data = random.integers(32, 127, [*size, *colours]).astype(np.uint8)
            if card.message == "speech":
                data = random.uniform(-1, 1, size).astype(np.float32)
            try:
                code = self.encode(data, "a trial", TRIAL_ESN0_DB)
                if not np.array_equal(code, self.encode(data, "a trial", TRIAL_ESN0_DB)):
                    raise ModelFault(f"{card.path}: encoder ({card.encoder.file}) gives another output each time")
                anything: Array = random.integers(0, 2, code.size).astype(np.uint8)
                if card.payload == "symbols":
                    anything = random.normal(0, np.sqrt(0.5), 2 * code.size).astype(np.float32).view(np.complex64)
                for arrived in (code, anything):
                    out = self.decode(arrived, data.shape, "a trial", TRIAL_ESN0_DB)
                again = self.decode(anything, data.shape, "a trial", TRIAL_ESN0_DB)
                if not np.array_equal(out, again):
                    raise ModelFault(f"{card.path}: decoder ({card.decoder.file}) gives another output each time")
            except ModelFault as error:
                sizes = ", ".join(f"{symbol}={n}" for symbol, n in zip(card.grain, size, strict=True))
                raise ValueError(f"{error} (tried before the start with {sizes})") from error

    def encode(self, data: Array, name: str, esn0_db: float) -> Array:
        """A message's array to bits, uint8, or symbols, complex64."""
        card = self.card
        padded = pad(card, data)
        sizes, _ = tile_sizes(card, message_sizes(card, data.shape))
        codes = []
        for tile in tiles(card, padded):
            code = self._run("encoder", card.encoder, to_tensor(card, tile), sizes, name, esn0_db)
            try:
                codes.append(code.ravel() if card.payload == "symbols" else to_bits(card, code))
            except ValueError as error:
                raise self._fault("encoder", name, f"gave {error}") from error
        values = np.concatenate(codes)
        return to_symbols(card, values) if card.payload == "symbols" else values

    def decode(self, code: Array, shape: tuple[int, ...], name: str, esn0_db: float) -> Array:
        """Bits or symbols, as many as `encode` gave, to the array of a message of that shape."""
        card = self.card
        padded = message_sizes(card, shape)
        sizes, count = tile_sizes(card, padded)
        tensor = card.decoder.input
        per_value = card.bits_per_index if card.code == "indices" else 1
        received = code.size * 2 if card.payload == "symbols" else code.size / per_value
        try:
            if FREE in tensor.symbols:
                sizes = {**sizes, FREE: tensor.free_size(sizes, int(received))}
            each = int(np.prod(tensor.shape(sizes)))
            expected = count * each
            if received != (expected + expected % 2 if card.payload == "symbols" else expected):
                raise ValueError(f"{code.size} {card.payload} came, not those of {expected} values")
        except ValueError as error:
            raise self._fault("decoder", name, f"cannot take what came: {error}; is it the encoder's own?") from error
        values = from_symbols(card, code, expected) if card.payload == "symbols" else from_bits(card, code)
        parts = []
        for n in range(count):
            part = values[n * each : (n + 1) * each].reshape(tensor.shape(sizes))
            out = self._run("decoder", card.decoder, part, sizes, name, esn0_db)
            parts.append(from_tensor(card, out))
        return as_message(card, join(card, parts, padded), shape).data

    def _run(self, where: str, end: End, array: Array, sizes: Sizes, name: str, esn0_db: float) -> Array:
        """One network on one tile, its output checked."""
        network = self.encoder if where == "encoder" else self.decoder
        inputs = [array]
        if end.esn0_db is not None:
            inputs.append(np.full(end.esn0_db.shape({}), esn0_db, end.esn0_db.dtype))
        try:
            outputs = network.run(*inputs)
        except RuntimeError as error:
            raise self._fault(where, name, f"failed: {error}") from error
        if len(outputs) != 1:
            raise self._fault(where, name, f"gave {len(outputs)} outputs, not 1")
        output = outputs[0]
        if FREE in end.output.symbols and FREE not in sizes:
            try:
                sizes = {**sizes, FREE: end.output.free_size(sizes, output.size)}
            except ValueError as error:
                raise self._fault(where, name, f"gave {error}") from error
        wanted = end.output.shape(sizes)
        if output.shape != wanted or output.dtype != end.output.dtype:
            expected = f"{end.output.dtype} {list(wanted)}, {end.output} of the card"
            raise self._fault(where, name, f"gave {output.dtype} {list(output.shape)}; expected {expected}")
        if end.output.dtype in FLOATS and not np.isfinite(output).all():
            raise self._fault(where, name, "gave NaN or infinity")
        return output

    def _fault(self, where: str, name: str, what: str) -> ModelFault:
        file = getattr(self.card, where).file
        return ModelFault(f"{self.card.path}: {where} ({file}) {what}, for message {name!r}")


def _agrees(card: Card, tensor: Tensor, declared: Declared) -> bool:
    """Whether a file's own type and shape allow what the card says."""
    if declared.dtype not in (None, tensor.dtype):
        return False
    if declared.shape is None:
        return True
    if len(declared.shape) != len(tensor.axes):
        return False
    for axis, size in zip(tensor.axes, declared.shape, strict=True):
        known = axis.value(card.tile) if set(axis.symbols) <= set(card.tile) else None
        if size is not None and size != known:
            return False
    return True


def _told(declared: Declared) -> str:
    """A file's declaration as a card would write it, `?` for free sizes."""
    if declared.shape is None:
        return f"{declared.dtype} of any shape"
    return f"{declared.dtype} [{', '.join('?' if size is None else str(size) for size in declared.shape)}]"
